"""The rows of docs/differences.md, each as a repair.

A repair rewrites the flag or the context for an official SDK so that one known difference has no effect, and changes nothing else. A
row explains a difference if it applies to the flag and context and the SDK's result for the repaired input is exactly mpflags' result.
So no row covers more than it names: bucketing, order, sums and all other conditions still come from the SDK.
"""
import json
import re
from pathlib import Path

from model import ABSENT, named, tester_text, text
from python_rules import SAFE, explain

SUBJECT = "the subject of a repaired flag"
PAGE = Path(__file__).resolve().parents[2] / "docs" / "differences.md"
# The ids of the page's rows, in its order, and whether a row is marked †.
ON_PAGE = {name: bool(mark) for name, mark in re.findall(r"^\| `([a-z0-9-]+)`( †)? \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)}

# The text after a colon is a case of the row.
LEFT_OUT = "field-unread"
NEIGHBOUR = "field-wrong-type: of another flag"
WRONG_TYPE = "field-wrong-type"
UNREACHED = "field-wrong-type: not reached by either for this user"
OVERFLOW = "integer-overflow"
# In the order of the page.
ROWS = [
    "subject-float", "subject-big-integer", "subject-boolean", "subject-falsy", "subject-empty", "subject-null", "subject-array",
    "tester-non-string", "tester-array", "tester-big-integer", "tester-constructor", "qa-tester-override", "variant-order", WRONG_TYPE, NEIGHBOUR, UNREACHED,
    LEFT_OUT, "field-by-accident", "split-constructor", "no-variants", "rule-limits", "disabled", "rule-no-properties", "rule-empty-properties", "rule-empty",
    "rule-operators", "rule-lazy", "rule-truth", "rule-case", "rule-inherited", "rule-missing-order", "rule-object", "unicode-digits", "white-space",
    "legacy-empty", "legacy-capitals", "legacy-non-string", OVERFLOW,
]  # fmt: skip


def on_page(row):
    return row.partition(":")[0] in ON_PAGE


def marked(row):
    """Whether the page marks the row †: mpflags differs from both official SDKs."""
    return ON_PAGE[row.partition(":")[0]]


# Malformed fields that both SDKs serve anyway: passed on unread, falsy in both languages, or numbers by accident.
HANDED_ON = ("status", "experiment_id", "is_experiment_active", "value")
FALSY = ("array (empty)", "string (empty)", "false", "0")
NONE_IF_FALSY = ("users", "variant_splits", "runtime_evaluation_definition")
NUMBERS = ("rollout_percentage", "split", "a split of variant_splits")
INHERITED = {
    "constructor", "hasOwnProperty", "isPrototypeOf", "propertyIsEnumerable", "toLocaleString", "toString", "valueOf",
    "__proto__", "__defineGetter__", "__defineSetter__", "__lookupGetter__", "__lookupSetter__",
}  # fmt: skip


class Input:
    """The input of an official SDK, which repairs edit: a flag within its document, and one context."""

    def __init__(self, document, context):
        self.flag, self.context, self.others = json.loads(document.flag_text), dict(context), list(document.flags)
        self.place = document.place
        self.subject, self.detached, self.lower = self.context.get(self.flag["context"], ABSENT), False, False

    def detach(self):
        """Moves the subject to a separate context key, so that `distinct_id` can change without it."""
        if not self.detached:
            self.flag["context"], self.detached = SUBJECT, True

    def item(self):
        if self.detached and self.subject is not ABSENT:
            self.context[SUBJECT] = self.subject
        self.others[self.place] = self.flag
        flags = json.dumps({"flags": self.others}).replace("Infinity", "1e400")
        return {"document": flags, "key": self.flag["key"], "contexts": [json.dumps(self.context)], "lower": self.lower}

    @property
    def groups(self):
        return self.flag["ruleset"]["rollout"]


def repaired(case, repairs):
    sdk_input = Input(case.document, case.context)
    for _, edit in repairs:
        edit(sdk_input)
    return sdk_input.item()


def subject(new):
    def edit(sdk_input):
        sdk_input.detach()
        sdk_input.subject = new

    return edit


def user(new):
    def edit(sdk_input):
        sdk_input.detach()
        sdk_input.context.pop("distinct_id", None)
        if new is not None:
            sdk_input.context["distinct_id"] = new

    return edit


def condition(index, holds):
    """Makes the condition of a rollout the documented one: no condition, or a percentage of 0. Its index stays the same."""

    def edit(sdk_input):
        group = sdk_input.groups[index]
        group.pop("runtime_evaluation_rule", None)
        group.pop("runtime_evaluation_definition", None)
        if not holds:
            group["rollout_percentage"] = 0.0

    return edit


def assigned_by_splits(sdk_input):
    """Replaces each variant_override by splits that select the same variant."""
    variants = sdk_input.flag["ruleset"]["variants"]
    for group in sdk_input.groups:
        over = named(variants, (group.get("variant_override") or {}).get("key"))
        if over is not None:
            del group["variant_override"]
            group["variant_splits"] = {v["key"]: float(v["key"] == over) for v in variants}


def completed(sdk_input):
    flag = sdk_input.flag
    for field, value in {"id": "", "name": "", "status": "enabled", "project_id": 0}.items():
        flag.setdefault(field, value)
    ruleset = flag["ruleset"]
    for variant in ruleset["variants"]:
        variant.setdefault("value", None)
        variant.setdefault("is_control", False)
        if variant.get("split", 0) is None:
            variant["split"] = 0.0
    if not (ruleset.get("test") or {}).get("users"):
        ruleset.pop("test", None)
    for group in sdk_input.groups:
        if not isinstance((group.get("variant_override") or {}).get("key"), str):
            group.pop("variant_override", None)


def alone(sdk_input):
    sdk_input.others, sdk_input.place = [None], 0


def lower(sdk_input):
    sdk_input.lower = True


def sort_variants(sdk_input):
    sdk_input.flag["ruleset"]["variants"].sort(key=lambda variant: variant["key"])


def own_splits(sdk_input):
    for group in sdk_input.groups:
        for variant in sdk_input.flag["ruleset"]["variants"] if group.get("variant_splits") is not None else []:
            if variant["key"] in INHERITED:
                group["variant_splits"].setdefault(variant["key"], variant.get("split") or 0.0)


def is_complete(document):
    """Whether Python can read the flag without repairs."""
    if document.complete is None:
        sdk_input = Input(document, {})
        completed(sdk_input)
        document.complete = sdk_input.flag == document.flag
    return document.complete


def python_repairs(case, conditions):
    """Every repair of the Python SDK that applies, as pairs of row ids and edit."""
    flag, context, found = case.document.flag, case.context, []

    def row(name, edit):
        found.append(({name}, edit))

    value = context.get(flag["context"], ABSENT)
    if isinstance(value, (bool, int, float)):
        if not value:
            row("subject-falsy", subject(text(value)))
        elif value is True:
            row("subject-boolean", subject("true"))
        elif str(value) != text(value):
            float_row = "subject-float" if isinstance(value, float) else "subject-big-integer"
            row(float_row, subject(text(value)))
    elif isinstance(value, (list, dict)) and value:
        row("subject-array", subject(ABSENT))
    testers = (flag["ruleset"].get("test") or {}).get("users") or {}
    if testers and context.get("distinct_id") and not isinstance(context["distinct_id"], str):
        array = isinstance(context["distinct_id"], (list, dict))
        row("tester-array" if array else "tester-non-string", user(tester_text(context)))
    variants = flag["ruleset"]["variants"]
    overrides = [(group.get("variant_override") or {}).get("key") for group in flag["ruleset"]["rollout"]]
    names = [v["key"] for v in variants] + [n for n in [*testers.values(), *overrides] if isinstance(n, str)]
    if any(name.casefold() != name.lower() for name in names):
        row("rule-case", lower)
    if any(named(variants, over) is not None for over in overrides):
        row("qa-tester-override", assigned_by_splits)
    if not is_complete(case.document):
        row(LEFT_OUT, completed)
    if len(case.document.flags) > 1:
        row(NEIGHBOUR, alone)
    for index, (own, group) in enumerate(conditions):
        if own != group["wanted"]:
            rows = explain(flag["ruleset"]["rollout"][index], context, own, group["wanted"])
            if rows:
                found.append((rows, condition(index, group["wanted"])))
    return found


def node_repairs(case, conditions):
    flag, context, found = case.document.flag, case.context, []

    def row(name, edit):
        found.append(({name}, edit))

    value = context.get(flag["context"], ABSENT)
    if value == "" and isinstance(value, str):
        row("subject-empty", subject(ABSENT))
    elif value is None:
        row("subject-null", subject(ABSENT))
    elif isinstance(value, (list, dict)):
        row("subject-array", subject(ABSENT))
    elif isinstance(value, int) and abs(value) > SAFE:
        row("subject-big-integer", subject(text(value)))
    testers = (flag["ruleset"].get("test") or {}).get("users") or {}
    name = context.get("distinct_id")
    if testers and isinstance(name, (list, dict)):
        row("tester-array", user(None))
    elif testers and isinstance(name, int) and abs(name) > SAFE:
        row("tester-big-integer", user(text(name)))
    elif isinstance(name, str) and name in INHERITED and name not in testers and flag["ruleset"].get("test"):
        row("tester-constructor", user(None))
    keys = [variant["key"] for variant in flag["ruleset"]["variants"]]
    if keys != sorted(keys):
        row("variant-order", sort_variants)
    if INHERITED & set(keys) and any(group.get("variant_splits") is not None for group in flag["ruleset"]["rollout"]):
        row("split-constructor", own_splits)
    if not is_complete(case.document):
        row(LEFT_OUT, completed)
    if len(case.document.flags) > 1:
        row(NEIGHBOUR, alone)
    for index, (_, group) in enumerate(conditions):
        if group["row"]:
            found.append(({group["row"]}, condition(index, group["wanted"])))
    return found


def of_fault(field, kind):
    """The row for what makes a flag malformed. A field that both SDKs serve anyway has a row marked †."""
    if kind in ("over 64 operators", "over 10,000 values"):
        return "rule-limits"
    if field == "variants" and kind == "array (empty)":
        return "no-variants"
    tolerated = (
        field in HANDED_ON
        or field in NONE_IF_FALSY and kind in FALSY
        or field in NUMBERS and kind in ("true", "false", "beyond a double")
        or field in ("key", "runtime_evaluation_rule") and kind in ("lone surrogate", "beyond a double")
    )
    return "field-by-accident" if tolerated else WRONG_TYPE
