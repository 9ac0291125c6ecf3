"""A seeded generator of definitions and contexts: every field of the format, with common and unusual values."""
import copy
import json
import random

from document import Document
from model import DEFAULTS
from rules import DATA_TYPES, NAMES, Rules, deep, literals, wide

HUGE = "a number beyond a double"
KEYS = ["checkout", "new-onboarding", "Capital Key", "a", "", "флаг-用", "constructor", "__proto__", "emoji😀", "rollout", "1"]
CONTEXT_KEYS = ["distinct_id"] * 20 + ["device_id", "device_id", "company_id", "company_id", "targetingKey", "Größe", "custom_properties", "toString"]
VARIANTS = ["on", "off", "control", "treatment", "a", "A", "b", "B", "v1", "v2", "v10", "", "é", "ß", "SS", "ẞ", "ﬁ", "Σ", "ς", "İ", "用", "\uff5e", "𝐀", "constructor", "toString"]
SPLITS = [
    [0.5, 0.5], [0.01, 0.05, 0.94], [0.333, 0.333, 0.334], [0.1, 0.2, 0.7], [0.1] * 10, [0.09] * 11, [0.13, 0.17, 0.07], [0.6, 0.55, 0.4], [0.0, 0.29, 0.0, 0.71],
    [1, 0], [0, 1], [1.0], [0.0], [0, 0, 0], [0.07, 0.14, 0.79], [0.57, 0.01, 0.42], [-0.1, 0.6, 0.5], [1e-9, 0.999999999], [0.28, 0.01, 0.29, 0.42], [2, 3],
]  # fmt: skip
PERCENTAGES = [0, 0.0, 1, 1.0, 1.0, 1.0, 0.5, 0.37, 0.62, 0.001, 0.145, 0.985, 0.99, 0.991, 0.999, 0.01, 0.1, 0.29, 0.57, 0.58, 1.5, 100, -1, 1e-300, 0.30000000000000004]
VALUES = [True, False, "text", "", "Grün", "a\0b", 0, 1, -7, 1.5, 2.0, 1e-7, 1e18, 1e19, 1e21, 2**53, 2**53 + 3, 2**63 - 1, -(2**63), 2**63, 2**64 - 1, None, [], {}, [1, "a", None], {"color": "red", "sizes": [1, 2.5], "Nested": {"a": None}}]
WRONG = [True, False, 0, 5, 1.5, "", "text", [], ["a"], {}, {"a": 1}, None, HUGE, "\ud800"]
ODD_NAMES = ["5", "1.5", "true", "constructor", "__proto__", "toString", "用户-1", "😀", " ", "User-1", "x" * 300]
ODD_SUBJECTS = [0, 0.0, -0.0, False, True, "", None, 1, 7, 1.0, 5.0, 1.5, 0.1, 1e-7, 1e16, 1e21, 0.00001, 1234567.0, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1,
                10**25, [], {}, [1, "a"], ["user-1"], {"a": 1}, *ODD_NAMES]  # fmt: skip
DOCUMENT_KINDS = ["rollouts and salts", "splits", "overrides", "testers", "subjects", "unicode", "legacy", "model", "malformed", "lookup and status", "limits"]
KINDS = DOCUMENT_KINDS + [f"rules: {name}" for name in DATA_TYPES]
READ_TYPES = {bool: "boolean", str: "string", int: "integer", float: "float", list: "object", dict: "object"}
READ_EVERY = 4


class Generator:
    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.rules = Rules(self.rng)
        self.count, self.kinds = 0, KINDS

    def document(self, contexts):
        kind = KINDS[self.count % len(KINDS)]
        self.count += 1
        flag = self.flag(kind)
        flags, key = [flag], flag["key"]
        if kind in ("model", "malformed", "lookup and status") and self.rng.random() < 0.4:
            flags = self.neighbours(flag, kind)
        if kind == "lookup and status" and self.rng.random() < 0.2:
            key = self.rng.choice([key + "x", key.upper(), "", "constructor"])
        # Every worker reads this text. Half of the time it is ASCII.
        text = json.dumps({"code": 200, "flags": flags}, ensure_ascii=self.rng.random() < 0.5 or "\\ud800" in str(flags))
        text = text.replace(f'"{HUGE}"', "1e400")
        read = [(name, literals(rule)) for name, rule in properties_read(flag).items()] or [(name, []) for name in self.rng.sample(NAMES, 2)]
        contexts, reads = [self.context(flag, kind, read) for _ in range(contexts)], []
        if self.count // len(KINDS) % READ_EVERY == 0:
            values = values_of(flag)
            reads = [(self.read_type(values), text) for text in contexts]
            # Mixpanel's provider turns whole floats into integers, which is part of the row `subject-float`.
            contexts = [json.dumps(unwrapped(json.loads(text))) for text in contexts]
        return Document(kind, text, key, contexts, reads)

    def read_type(self, values):
        """The type of one of the flag's values, or any."""
        fitting = READ_TYPES.get(type(self.rng.choice(values))) if values and self.rng.random() < 0.6 else None
        return fitting or self.rng.choice(list(DEFAULTS))

    def neighbours(self, flag, kind):
        others = [self.flag(self.rng.choice(["splits", "model", kind])) for _ in range(self.rng.randrange(1, 3))]
        if kind == "malformed" and self.rng.random() < 0.2:
            others.append(copy.deepcopy(self.rng.choice(WRONG[:11])))
        if self.rng.random() < 0.3 and isinstance(others[0], dict):
            others[0]["key"] = flag["key"]
        return [*others, flag] if self.rng.random() < 0.7 else [flag, *others]

    # Definitions

    def flag(self, kind):
        rng = self.rng
        variants = self.variants(kind)
        flag = {
            "id": f"id-{rng.randrange(1000)}", "name": "a flag", "key": rng.choice(KEYS), "status": "enabled", "project_id": 1,
            "context": "distinct_id" if kind == "testers" and rng.random() < 0.5 else rng.choice(CONTEXT_KEYS),
        }  # fmt: skip
        salt = rng.random()
        if salt < 0.75:
            salts = ["", None, f"{rng.getrandbits(128):032x}", "sälz", "0", "variant"]
            flag["hash_salt"] = rng.choice(salts[:3] if salt < 0.6 else salts)
        if rng.random() < 0.3:
            flag["experiment_id"] = rng.choice(["exp-1", "", None])
            flag["is_experiment_active"] = rng.choice([True, False, None])
        groups = 0 if rng.random() < 0.02 else rng.choice([1, 1, 2, 2, 3, 4, 6])
        names = rng.sample(NAMES, rng.choice([1, 2, 3]))
        ruleset = {"variants": variants, "rollout": [self.rollout(kind, variants, names) for _ in range(groups)]}
        if kind == "testers" or rng.random() < 0.1:
            ruleset["test"] = {"users": self.testers(variants)}
        flag["ruleset"] = ruleset
        if kind == "lookup and status":
            flag["status"] = rng.choice(["enabled", "disabled", "archived", "Disabled", "paused", ""])
        if kind == "model":
            self.relax(flag)
        if kind == "malformed":
            for _ in range(rng.choice([1, 1, 1, 2])):
                self.spoil(flag)
        return flag

    def variants(self, kind):
        rng = self.rng
        splits = rng.choice(SPLITS)
        if kind == "splits" and rng.random() < 0.5:
            cuts = [rng.randrange(1, 60) for _ in range(rng.randrange(2, 6))]
            splits = [cut / 100 for cut in cuts] if rng.random() < 0.5 else [cut / sum(cuts) for cut in cuts]
        pool = VARIANTS if kind in ("unicode", "testers", "overrides") or rng.random() < 0.3 else VARIANTS[:11]
        keys = rng.sample(pool, min(len(splits), len(pool)))
        if rng.random() < 0.8:
            keys.sort()
        elif rng.random() < 0.05:
            keys[0] = keys[-1]
        return [
            {"key": key, "value": rng.choice(VALUES) if rng.random() < 0.5 else f"value of {key}", "is_control": i == 0, "split": split}
            for i, (key, split) in enumerate(zip(keys, splits))
        ]

    def cased(self, name):
        return self.rng.choice([name, name, name.upper(), name.lower(), name.swapcase(), name.casefold(), name + "?"])

    def testers(self, variants):
        rng = self.rng
        users = [*(f"user-{rng.randrange(40)}" for _ in range(rng.randrange(4))), *(rng.choice(ODD_NAMES) for _ in range(rng.randrange(5))),
                 *(rng.choice(["1", "0", "7", "5", "1.5", "true", "false", "9007199254740993", "", "null", "1e+21"]) for _ in range(rng.randrange(3)))]  # fmt: skip
        return {user: rng.choice([self.cased(rng.choice(variants)["key"]), self.cased(rng.choice(variants)["key"]), "nobody", ""]) for user in users}

    def rollout(self, kind, variants, names):
        rng = self.rng
        draw = rng.random()
        percentage = rng.choice(PERCENTAGES) if draw < 0.5 else rng.randrange(101) / 100 if draw < 0.8 else rng.random()
        ruled = kind.startswith("rules") or kind in ("legacy", "limits")
        group = {"rollout_percentage": 1.0 if ruled and rng.random() < 0.6 else percentage}
        if rng.random() < (0.7 if kind == "overrides" else 0.25 if ruled else 0.1):
            group["variant_override"] = {"key": self.cased(rng.choice(variants)["key"])}
        if rng.random() < (0.5 if kind in ("splits", "overrides") else 0.1):
            some = rng.sample(variants, rng.randrange(len(variants) + 1))
            group["variant_splits"] = {self.cased(v["key"]) if rng.random() < 0.2 else v["key"]: rng.choice([0, 1, 0.5, 0.07, 0.29, rng.random()]) for v in some}
        if kind.startswith("rules: ") and rng.random() < 0.85:
            group["runtime_evaluation_rule"] = self.rules.rule(kind[7:], names)
        elif kind == "legacy" and rng.random() < 0.85 or rng.random() < 0.03:
            group["runtime_evaluation_definition"] = self.legacy(names)
            if rng.random() < 0.2:
                group["runtime_evaluation_rule"] = rng.choice([{}, [], None, False, 0, "", self.rules.rule("string", names)])
        elif kind == "limits":
            large = [wide(9_999), wide(10_000), wide(10_001)] if rng.random() < 0.05 else [deep(63), deep(64), deep(65), deep(70), {"log": {"var": "plan"}}]
            group["runtime_evaluation_rule"] = rng.choice(large)
        elif not ruled and rng.random() < 0.12:
            group["runtime_evaluation_rule"] = self.rules.rule(rng.choice(DATA_TYPES), names)
        if rng.random() < 0.05:
            group.update(rng.choice([{"cohort_hash": "c"}, {"runtime_event_rule": {"a": 1}}, {"name": "group"}, {"cohort_definition": None}]))
        return group

    def legacy(self, names):
        rng = self.rng
        pairs = {}
        for name in rng.sample(names, rng.randrange(len(names) + 1)):
            pairs[rng.choice([name, name.lower(), name.lower(), name.upper()])] = self.rules.of_type("string") if rng.random() < 0.8 else self.rules.value(1)
        return pairs

    def relax(self, flag):
        """Removes fields that are optional, or sets them to null."""
        rng, ruleset = self.rng, flag["ruleset"]
        for field in ("id", "name", "status", "project_id"):
            if rng.random() < 0.15:
                flag.pop(field)
        for field in ("status", "hash_salt", "experiment_id", "is_experiment_active"):
            if rng.random() < 0.1:
                flag[field] = None
        if rng.random() < 0.3:
            ruleset["test"] = rng.choice([None, {}, {"users": {}}, {"users": None}, {"users": {"user-1": None}}])
        for variant in ruleset["variants"]:
            for field in ("value", "is_control", "split"):
                if rng.random() < 0.08:
                    variant.pop(field)
                elif field != "is_control" and rng.random() < 0.05:
                    variant[field] = None
        for group in ruleset["rollout"]:
            for field, values in {
                "variant_override": [None, {}, {"key": None}], "variant_splits": [None, {}], "runtime_evaluation_rule": [None, {}, [], ""],
                "runtime_evaluation_definition": [None, {}],
            }.items():  # fmt: skip
                if rng.random() < 0.12:
                    group[field] = rng.choice(values)
        flag["an unknown field"] = {"with": ["anything"]}

    def spoil(self, flag):
        """Sets a field that is read to a value of the wrong type, or removes it."""
        rng, ruleset = self.rng, flag.get("ruleset")
        # A copy, because a second fault can edit it.
        wrong = copy.deepcopy(rng.choice(WRONG))
        variants = ruleset.get("variants") if isinstance(ruleset, dict) else None
        groups = ruleset.get("rollout") if isinstance(ruleset, dict) else None
        places = [(flag, field) for field in ("context", "status", "hash_salt", "experiment_id", "is_experiment_active", "ruleset")]
        if isinstance(ruleset, dict):
            places += [(ruleset, field) for field in ("variants", "rollout", "test")]
            if isinstance(ruleset.get("test"), dict):
                places.append((ruleset["test"], "users"))
            else:
                ruleset["test"] = {"users": wrong if rng.random() < 0.2 else {}}
        if isinstance(variants, list) and variants and isinstance(variants[0], dict):
            places += [(rng.choice(variants[:1]), field) for field in ("key", "split", "value")] + [(variants, 0)]
        if isinstance(groups, list) and groups and isinstance(groups[0], dict):
            group = rng.choice(groups[:1])
            places += [(group, field) for field in ("rollout_percentage", "variant_splits", "variant_override", "runtime_evaluation_rule", "runtime_evaluation_definition")]
            places += [(groups, 0)]
            group.setdefault("variant_splits", {"a": 0.5})
            if isinstance(group["variant_splits"], dict):
                places.append((group["variant_splits"], "a"))
        parent, field = rng.choice(places)
        if isinstance(parent, dict) and rng.random() < 0.1:
            parent.pop(field, None)
        else:
            parent[field] = wrong

    # Contexts

    def context(self, flag, kind, read):
        rng = self.rng
        context = {}
        if rng.random() < 0.97:
            context["distinct_id"] = self.subject(kind)
        key = flag.get("context")
        if isinstance(key, str) and key != "custom_properties" and (key not in context or rng.random() < 0.2) and rng.random() < 0.95:
            context[key] = self.subject(kind)
        if rng.random() < 0.97:
            context["custom_properties"] = self.properties(kind, read)
        if rng.random() < 0.1:
            context[rng.choice(["Distinct_id", "plan", "extra", "targetingKey", "$os"])] = self.rules.value()
        # Definitions may contain a lone surrogate, but a context with one has no UTF-8 text.
        text = json.dumps(context, ensure_ascii=False).replace("\ud800", "?")
        return text if rng.random() < 0.5 else json.dumps(json.loads(text))

    def subject(self, kind):
        rng = self.rng
        if kind == "subjects" and rng.random() < 0.7 or rng.random() < 0.05:
            return rng.choice(ODD_SUBJECTS)
        if kind == "testers" and rng.random() < 0.5:
            return rng.choice([f"user-{rng.randrange(40)}", rng.choice(ODD_SUBJECTS)])
        prefix = rng.choice(["user-", "用户-", "u", "😀"]) if kind == "unicode" else "user-"
        return f"{prefix}{rng.randrange(10**6)}" if rng.random() < 0.9 else rng.randrange(1, 10**6)

    def properties(self, kind, read):
        rng = self.rng
        if rng.random() < 0.03:
            return rng.choice([None, [], ["x"], "plan", "", 5, True, False, {}])
        data_type = kind[7:] if kind.startswith("rules: ") else rng.choice(DATA_TYPES)
        properties = {}
        for name, found in read:
            if rng.random() < 0.1:
                continue
            value = self.rules.near(found, data_type)
            name = rng.choice([name, name, name.lower(), name.upper()])
            outer, dot, inner = name.partition(".")
            properties[outer] = {inner: value} if dot else value
        if rng.random() < 0.1:
            properties[rng.choice(NAMES).upper()] = self.rules.value()
        return properties


def unwrapped(value):
    if isinstance(value, dict):
        return {name: unwrapped(item) for name, item in value.items()}
    if isinstance(value, list):
        return [unwrapped(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def values_of(flag):
    """The values of the variants, if the flag is well-formed enough to have any."""
    ruleset = flag.get("ruleset")
    variants = ruleset.get("variants") if isinstance(ruleset, dict) else None
    return [variant.get("value") for variant in variants if isinstance(variant, dict)] if isinstance(variants, list) else []


def properties_read(flag):
    """The properties that the flag's rules read, each with a rule that reads it."""
    found = {}
    ruleset = flag.get("ruleset")
    groups = ruleset.get("rollout") if isinstance(ruleset, dict) else []
    for group in groups if isinstance(groups, list) else []:
        if isinstance(group, dict):
            rule, legacy = group.get("runtime_evaluation_rule"), group.get("runtime_evaluation_definition")
            variables(rule, rule, found)
            if isinstance(legacy, dict):
                found.update({name: {"==": [expected]} for name, expected in legacy.items()})
    return found


def variables(rule, part, found):
    if isinstance(part, dict):
        for operator, operands in part.items():
            if operator == "var":
                path = operands[0] if isinstance(operands, list) and operands else operands
                if isinstance(path, str) and path:
                    found[path] = rule
            variables(rule, operands, found)
    elif isinstance(part, list) and len(part) < 100:
        for item in part:
            variables(rule, item, found)
