"""What docs/evaluation.md and bindings/README.md specify and no official SDK implements: which flags are malformed, the text of a
subject, the reason, and the result of a typed evaluation. Written from the pages, not from the code, so that the two check each other."""
import json
import math
import re
from decimal import Decimal

ABSENT = object()
OPERATORS = 64
SURROGATE = re.compile("[\ud800-\udfff]")
VALUES = 10_000
# By the type of a typed evaluation: the default, and the JSON values that have the type. Numbers are converted.
DEFAULTS = {"boolean": True, "string": "the default", "integer": 77, "float": 0.25, "object": {"the": "default"}}
TYPES = {"boolean": bool, "string": str, "object": (dict, list)}
ERROR_CODES = {"not_found": "FLAG_NOT_FOUND", "missing": "TARGETING_KEY_MISSING", "malformed": "PARSE_ERROR", "raised": "GENERAL"}


def number_text(number):
    """Integers within 64 bits exactly, other numbers as ECMAScript prints them."""
    if isinstance(number, int):
        if -(2**63) <= number < 2**64:
            return str(number)
        number = float(number)
    if number == 0:
        return "0"
    _, digits, exponent = Decimal(repr(abs(number))).normalize().as_tuple()
    digits = "".join(map(str, digits))
    count, point = len(digits), len(digits) + exponent
    if count <= point <= 21:
        text = digits + "0" * (point - count)
    elif 0 < point <= 21:
        text = f"{digits[:point]}.{digits[point:]}"
    elif -6 < point <= 0:
        text = "0." + "0" * -point + digits
    else:
        mantissa = digits[0] + ("." + digits[1:] if count > 1 else "")
        text = f"{mantissa}e{point - 1:+d}"
    return ("-" if number < 0 else "") + text


def text(value):
    """The text of a subject, None if it is unusable."""
    if isinstance(value, str):
        return value or None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return number_text(value)
    return None


def tester_text(context):
    """The text by which `distinct_id` is looked up among the testers."""
    user = context.get("distinct_id")
    return text(user) if user else None


def kind(value):
    if value is ABSENT:
        return "absent"
    if isinstance(value, float) and math.isinf(value):
        return "beyond a double"
    if isinstance(value, str) and not unicode(value):
        return "lone surrogate"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, list, dict)):
        return {str: "string", list: "array", dict: "object"}[type(value)] + ("" if value else " (empty)")
    return "null" if value is None else "number" if value else "0"


def unicode(string):
    return not SURROGATE.search(string)


def flaw(value):
    """What the grammar of JSON allows but no Unicode text or double can hold."""
    text = json.dumps(value, ensure_ascii=False)
    if "Infinity" in text:
        return "beyond a double"
    return None if unicode(text) else "lone surrogate"


def faults(flag):
    """What makes a flag malformed: triples of path in the document, field, and kind of its value."""
    found, flawed = [], flaw(flag)

    def expect(parent, field, path, *types, required=False):
        value = parent.get(field, ABSENT)
        if value is ABSENT or (value is None and not required):
            if required:
                found.append((path, field, "absent"))
            return None
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        fits = number if types == (float,) else isinstance(value, types) and (bool in types or not isinstance(value, bool))
        if not fits or flawed and types in ((str,), (float,)) and flaw(value):
            found.append((path + field, field, kind(value)))
            return None
        return value

    expect(flag, "key", "", str, required=True)
    expect(flag, "context", "", str, required=True)
    expect(flag, "status", "", str)
    expect(flag, "hash_salt", "", str)
    expect(flag, "experiment_id", "", str)
    expect(flag, "is_experiment_active", "", bool)
    ruleset = expect(flag, "ruleset", "", dict, required=True)
    if ruleset is None:
        return found
    variants = expect(ruleset, "variants", "ruleset.", list, required=True)
    if variants == []:
        found.append(("ruleset.variants", "variants", "array (empty)"))
    for i, variant in enumerate(variants or []):
        path = f"ruleset.variants[{i}]"
        if not isinstance(variant, dict):
            found.append((path, "variant", kind(variant)))
            continue
        expect(variant, "key", path + ".", str, required=True)
        expect(variant, "split", path + ".", float)
        if flawed and flaw(variant.get("value")):
            found.append((path + ".value", "value", flaw(variant["value"])))
    for i, rollout in enumerate(expect(ruleset, "rollout", "ruleset.", list, required=True) or []):
        path = f"ruleset.rollout[{i}]"
        if not isinstance(rollout, dict):
            found.append((path, "rollout", kind(rollout)))
            continue
        expect(rollout, "rollout_percentage", path + ".", float, required=True)
        splits = expect(rollout, "variant_splits", path + ".", dict)
        for name in splits or {}:
            if splits[name] is None:
                found.append((f"{path}.variant_splits.{name}", "a split of variant_splits", "null"))
            elif expect(splits, name, f"{path}.variant_splits.", float) is None:
                found[-1] = (found[-1][0], "a split of variant_splits", found[-1][2])
        over = expect(rollout, "variant_override", path + ".", dict)
        expect(over or {}, "key", path + ".variant_override.", str)
        expect(rollout, "runtime_evaluation_definition", path + ".", dict)
        for field in ("runtime_evaluation_rule", "runtime_evaluation_definition"):
            value = rollout.get(field)
            if flawed and flaw(value):
                found.append((path + "." + field, field, flaw(value)))
            elif size(value) > VALUES:
                found.append((path + "." + field, field, "over 10,000 values"))
            elif field.endswith("rule") and depth(value) > OPERATORS:
                found.append((path + "." + field, field, "over 64 operators"))
    test = expect(ruleset, "test", "ruleset.", dict)
    users = expect(test or {}, "users", "ruleset.test.", dict)
    for name in users or {}:
        expect(users, name, "ruleset.test.users.", str)
    return found


def size(value):
    if isinstance(value, dict):
        return 1 + sum(map(size, value.values()))
    return 1 + (sum(map(size, value)) if isinstance(value, list) else 0)


def depth(rule):
    """The depth of nested operators. An object of several keys is a literal, and arrays do not count."""
    if isinstance(rule, list):
        return max(map(depth, rule), default=0)
    if isinstance(rule, dict) and len(rule) == 1:
        return 1 + depth(next(iter(rule.values())))
    return 0


def bucket(subject, salt):
    state = 0xCBF29CE484222325
    for byte in (subject + salt).encode():
        state = (state ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return state % 100 / 100.0


def restricts(rollout):
    """Whether a rollout has a rule or a legacy definition."""
    return bool(rollout.get("runtime_evaluation_rule") or rollout.get("runtime_evaluation_definition"))


def named(variants, name):
    """The key of the variant with this name, ignoring case: the first in code-point order."""
    if not isinstance(name, str):
        return None
    matching = [v["key"] for v in variants if v["key"].lower() == name.lower()]
    return min(matching, default=None)


def chosen(flag, rollout, h):
    """Which variant a rollout selects: a key, or a place, since two variants may have the same key."""
    variants = flag["ruleset"]["variants"]
    over = named(variants, (rollout.get("variant_override") or {}).get("key"))
    if over is not None:
        return over
    total, place = 0.0, None
    for place, variant in enumerate(sorted(variants, key=lambda v: v["key"])):
        total += (rollout.get("variant_splits") or {}).get(variant["key"], variant.get("split") or 0.0)
        if h < total:
            break
    return place


def reason(flag, context, holds):
    """The reason for the variant of a well-formed flag. `holds` has for each rollout whether its condition is met."""
    testers = (flag["ruleset"].get("test") or {}).get("users") or {}
    if named(flag["ruleset"]["variants"], testers.get(tester_text(context)) or None) is not None:
        return "TARGETING_MATCH"
    subject, salt, earlier_rule, chance = text(context.get(flag["context"])), flag.get("hash_salt"), False, False
    for i, rollout in enumerate(flag["ruleset"]["rollout"]):
        percentage, rule = rollout["rollout_percentage"], restricts(rollout)
        group_salt = flag["key"] + ("rollout" if salt is None else salt + str(i))
        admits = {k / 100.0 < percentage for k in range(100)}
        if bucket(subject, group_salt) < percentage and holds[i]:
            if rule:
                return "TARGETING_MATCH"
            if chance or len(admits) > 1 or len({chosen(flag, rollout, k / 100.0) for k in range(100)}) > 1:
                return "SPLIT"
            return "DEFAULT" if earlier_rule else "STATIC"
        earlier_rule |= rule
        # With another bucket an earlier rollout could have taken the user, whatever its rule says about others.
        chance |= len(admits) > 1 or admits == {True} and not rule
    return "DEFAULT"


def read(result, value_type, official):
    """Value, variant, error code and reason of a typed evaluation through OpenFeature, with Mixpanel's provider or with mpflags'."""
    default, kind = DEFAULTS[value_type], result[0]
    if kind == "no_match":
        return [default, None, None, "DEFAULT"]
    if kind == "disabled":
        return [default, None, None, "DISABLED"]
    if kind != "variant":
        return [default, None, ERROR_CODES.get(kind), "DEFAULT" if official and kind == "not_found" else "ERROR"]
    _, variant, value = result[:3]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        whole = math.isfinite(value) and value == int(value)
        if value_type == "float":
            value = float(value)
        elif value_type != "integer" or not whole or not official and not -(2**63) <= value < 2**63:
            return [default, None, "TYPE_MISMATCH", "ERROR"]
        else:
            value = int(value)
    elif not isinstance(value, TYPES.get(value_type, ())):
        return [default, None, "TYPE_MISMATCH", "ERROR"]
    return [value, variant, None, "TARGETING_MATCH" if official else result[6]]
