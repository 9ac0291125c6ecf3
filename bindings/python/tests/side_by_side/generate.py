"""Random definitions and contexts, with every element of the algorithm and every row of the tables in them."""

import dataclasses

from . import rows

# ruff: noqa: RUF001 - letters that look like others are what a test of folding and of order wants
NAMES = ["plan", "Country", "age", "version", "beta", "since", "tags", "Straße", "score", "owner", "empty"]
TEXTS = [
    "pro",
    "PRO",
    "free",
    "Team",
    "straße",
    "STRASSE",
    "ΟΔΟΣ",
    "οδοσ",
    "ſ",
    "S",
    "1",
    "0",
    "",
    "true",
    "None",
    "5.0",
    "é",
]
VERSIONS = ["1.2.3", "v1.2", "1.10.0-beta.2", "1.2.3+b", "01.2.3", "2", "1٢.0.0", " 1.2.3 ", "not one"]
DATES = [
    "2026-07-16T00:00:00Z", "2026-07-16t02:00:00+02:00", "1999-12-31T23:59:59.9Z", "٢٠٢٦-07-16T00:00:00Z",
    "0000-01-01T00:00:00Z", "2026-02-30T00:00:00Z", "yesterday",
]  # fmt: skip
SYMBOLS = ["===", "!==", "<", "<=", ">", ">="]
NUMBERS = [0, 1, 5, 25, 42, -3, 0.5, 1.5, 42.5, 100]
PERCENT = [0, 0.0, 0.001, 0.145, 0.5, 0.985, 1, 1.0, 2]
VARIANTS = ["on", "Off", "control", "a", "A", "b", "v10", "v2", "z", "é", "straße", "ﬀ", "𝐀", "treatment"]
USERS = ["user-1", "user-2", "Zoë", "用户-7", "5", "1.5", "true", "0", "constructor", "[1]"]
KEYS = [*["distinct_id"] * 6, "device_id", "company_id", "company_id", "targetingKey"]


@dataclasses.dataclass
class Case:
    """A flag, the type of most of its values, and what spoils it where."""

    flag: dict
    kind: str
    malformed: str | None = None  # the row by which mpflags keeps it out
    emptied: bool = False  # a flag of the document makes Mixpanel's client drop them all


def definitions(rng, number, flags):
    """A document and its cases by key; later flags win."""
    cases = {}
    document = []
    for i in range(flags):
        key = rng.choice(["dup", "flag"]) if rng.random() < 0.06 else f"flag-{number}-{i}"
        key = "флаг-用" if rng.random() < 0.03 else key
        kind = rng.choice(["boolean", "string", "integer", "float", "object"])
        flag = {
            "id": f"id-{i}", "name": key, "key": key, "status": "enabled", "project_id": 1,
            "context": rng.choice(KEYS), "ruleset": ruleset(rng, kind),
        }  # fmt: skip
        salt = rng.choice(["absent", None, "", f"{rng.getrandbits(128):032x}", "sälz"])
        if salt != "absent":
            flag["hash_salt"] = salt
        if rng.random() < 0.2:
            flag |= {"experiment_id": "exp", "is_experiment_active": rng.random() < 0.5}
        if rng.random() < 0.06:
            flag["status"] = rng.choice(["disabled", "archived"])
        if rng.random() < 0.1:
            flag["from_a_later_release"] = {"x": [1]}
        case = Case(flag, kind)
        if rng.random() < 0.08:
            spoil(rng, case)
        cases[key] = case
        document.append(case)
    if number % 10 == 9:
        document.append(unreadable_for_python(rng, cases))
        for case in document:
            case.emptied = True
    return {"flags": [case.flag for case in document]}, cases


def value(rng, kind):
    if kind == "boolean":
        return rng.random() < 0.5
    if kind == "string":
        return rng.choice(["", "red", "grün", "a\u0000b"])
    if kind == "integer":
        return rng.choice([0, 1, -7, 10, 2**53 + 1, 2**63 - 1, -(2**63), 2**63, 2**64 - 1])
    if kind == "float":
        return rng.choice([0.0, 1.0, 0.5, -2.25, 1e-7, 1e18, 1e19, 1e300, 3.0])
    if kind == "object":
        return rng.choice([{}, [], {"a": 1, "b": [True, None, {"c": 0.5}]}, [1, "x"], {"é": "ü"}])
    return None


def ruleset(rng, kind):
    keys = rng.sample(VARIANTS, rng.choice([1, 2, 2, 3, 4]))
    variants = []
    left = 100
    for i, key in enumerate(keys):
        share = left if i + 1 == len(keys) and rng.random() < 0.7 else rng.randint(0, left)
        left -= share
        variant = {"key": key, "value": value(rng, rng.choice([kind] * 8 + ["null", "string"])), "is_control": i == 0}
        if rng.random() < 0.93:
            variant["split"] = share / 100
        if rng.random() < 0.1:
            variant["is_sticky"] = True
        variants.append(variant)
    rollout = [group(rng, keys) for _ in range(rng.choice([0, 1, 1, 2, 2, 3, 4]))]
    if rng.random() < 0.4:
        rollout.append({"rollout_percentage": rng.choice([0.7, 1.0])})
    made = {"variants": variants, "rollout": rollout}
    if rng.random() < 0.3:
        named = [*keys, keys[0].upper(), "no such variant", "", "STRASSE", "ff"]
        made["test"] = {"users": {user: rng.choice(named) for user in rng.sample(USERS, 5)}}
    elif rng.random() < 0.2:
        made["test"] = rng.choice([None, {"users": {}}])
    return made


def group(rng, keys):
    made = {"rollout_percentage": rng.choice([*PERCENT, rng.randint(0, 100) / 100])}
    if rng.random() < 0.5:
        made["runtime_evaluation_rule"] = rule(rng)
    elif rng.random() < 0.1:
        made["runtime_evaluation_rule"] = rng.choice([None, {}, []])
    if rng.random() < 0.3:
        # A few names and texts, so that some match.
        pairs = {rng.choice(["plan", "Plan", "country", "Country", "owner"]): rng.choice(["pro", "Free", "STRASSE"])}
        if rng.random() < 0.2:
            pairs[rng.choice(["age", "beta", "score"])] = rng.choice([5, True, None, 1.5])
        made["runtime_evaluation_definition"] = rng.choice([pairs, pairs, pairs, {}])
    if rng.random() < 0.25:
        key = rng.choice(keys)
        made["variant_override"] = rng.choice([{"key": key}, {"key": key.upper()}, {"key": "no such variant"}, None])
    if rng.random() < 0.2:
        made["variant_splits"] = {k: rng.randint(0, 100) / 100 for k in rng.sample([*keys, keys[0].upper()], 1)}
    if rng.random() < 0.1:
        made |= {"cohort_hash": "c0ffee", "name": "a cohort"}
    return made


def spoil(rng, case):
    """Something that mpflags refuses and Mixpanel's client tolerates or raises at."""
    ruleset = case.flag["ruleset"]
    what = rng.choice(["percentage", "split", "users", "splits", "variants", "deep", "salt", "null split"])
    if what == "variants":
        ruleset["variants"] = []
        case.malformed = rows.NO_VARIANTS
    elif what == "deep":
        tree = {"==": [1, 1]}
        for _ in range(rng.choice([66, 90])):
            tree = {"!!": [tree]}
        ruleset["rollout"].insert(0, {"rollout_percentage": 1.0, "runtime_evaluation_rule": tree})
        case.malformed = rows.DEEP
    elif what == "salt":
        case.flag["hash_salt"] = 5
        case.malformed = rows.WRONG_TYPE
    elif what == "null split":
        ruleset["variants"][0]["split"] = None
    elif what == "split":
        ruleset["variants"][0]["split"] = True
        case.malformed = rows.ACCIDENT
    elif what == "users":
        ruleset["test"] = {"users": []}
        case.malformed = rows.ACCIDENT
    elif ruleset["rollout"]:
        case.malformed = rows.ACCIDENT
        if what == "percentage":
            ruleset["rollout"][0]["rollout_percentage"] = True
        else:
            ruleset["rollout"][0]["variant_splits"] = []


def unreadable_for_python(rng, cases):
    """A flag without a field that Mixpanel's client requires: it then drops the whole document."""
    key = "unreadable"
    flag = {
        "id": "id", "name": key, "key": key, "status": "enabled", "project_id": 1, "context": "distinct_id",
        "ruleset": {
            "variants": [{"key": "on", "value": True, "is_control": True, "split": 1.0}],
            "rollout": [{"rollout_percentage": 1.0}],
        },
    }  # fmt: skip
    case = Case(flag, "boolean")
    what = rng.choice(["name", "is_control", "percentage"])
    if what == "name":
        del flag["name"]
    elif what == "is_control":
        del flag["ruleset"]["variants"][0]["is_control"]
    else:
        del flag["ruleset"]["rollout"][0]["rollout_percentage"]
        case.malformed = rows.WRONG_TYPE
    cases[key] = case
    return case


def var(rng, *names):
    name = rng.choice(names or NAMES)
    return {"var": name} if rng.random() < 0.7 else {"var": [name]}


def rule(rng, depth=0):
    if rng.random() < 0.35 and depth < 3:
        return combined(rng, depth)
    return odd(rng) if rng.random() < 0.35 else plain(rng)


def combined(rng, depth):
    def more():
        return rule(rng, depth + 1)

    operator = rng.choice(["and", "or", "!", "!!", "if", "?:"])
    if operator in ("and", "or"):
        return {operator: [more() for _ in range(rng.choice([1, 2, 2, 3]))]}
    if operator in ("!", "!!"):
        return {operator: rng.choice([more(), [more()]])}
    return {operator: [more(), more(), more()]}


def plain(rng):
    """What the product's editor writes: one property, one operator, operands of one type."""
    text = rng.choice(TEXTS)
    return rng.choice([
        {rng.choice(["==", "===", "!=", "!=="]): [var(rng, "plan", "country", "owner"), text]},
        {rng.choice(["<", "<=", ">", ">=", "==", "!="]): [var(rng, "age", "score"), rng.choice(NUMBERS)]},
        {"in": [var(rng, "plan", "country"), rng.sample(TEXTS, 4)]},
        {"in": [text, var(rng, "plan", "owner")]},
        {rng.choice(["===", "!==", "=="]): [var(rng, "beta"), rng.random() < 0.5]},
        {rng.choice(["<", ">="]): [var(rng, "plan"), text]},
        {"semver_compare": [var(rng, "version"), rng.choice(SYMBOLS), rng.choice(VERSIONS)]},
        {"datetime_compare": [var(rng, "since"), rng.choice(SYMBOLS), rng.choice([1784160000000, 0, -62167219200000])]},
        {"==": [{"var": ["owner", "pro"]}, text]},
        var(rng, "empty", "empty", "beta", "plan"),
    ])  # fmt: skip


def odd(rng):
    """Everything else that an engine has an opinion on."""
    some = rng.choice([*TEXTS, *NUMBERS, True, False, None, [], ["pro", 1]])
    tags = {"var": "tags"}
    return rng.choice([
        {rng.choice(["==", "===", "!=", "!==", "<", "<=", ">", ">="]): [var(rng), some]},
        {rng.choice(["some", "all", "none"]): [tags, {"==": [{"var": ""}, rng.choice(TEXTS)]}]},
        {"some": [{"map": [tags, {"var": ""}]}, {"===": [{"var": ""}, "pro"]}]},
        {"in": ["pro", {"filter": [tags, {"!=": [{"var": ""}, "free"]}]}]},
        {">": [{"reduce": [tags, {"+": [{"var": "accumulator"}, 1]}, 0]}, 1]},
        {"==": [{"substr": [{"var": "plan"}, 0, 1]}, "p"]},
        {"missing": [rng.choice(NAMES), rng.choice(NAMES)]},
        {"missing_some": [1, [rng.choice(NAMES), "plan"]]},
        {">": [{rng.choice(["+", "*", "-", "/", "%"]): [var(rng, "age", "score"), rng.choice(NUMBERS)]}, 10]},
        {"==": [{rng.choice(["min", "max"]): [var(rng, "age", "score"), 5]}, 5]},
        {"==": [{"cat": [var(rng), "x"]}, "prox"]},
        {"in": [some, {"merge": [tags, ["Team"]]}]},
        {"==": [{"var": rng.choice(["tags.0", "owner.name", "tags.length", "", "plan.0", "tags.9", "tags.-1"])}, some]},
        {"<": [1, var(rng, "age"), 30]},
        {"and": []},
        {"if": [var(rng), True]},
        {"log": var(rng, "plan")},
        {"no such operator": [1]},
        {"semver_compare": [var(rng, "version", "age"), rng.choice([">", "~"])]},
        True,
        "always",
    ])  # fmt: skip


def properties(rng):
    pools = {
        "plan": TEXTS, "country": TEXTS, "age": [*NUMBERS, "25", "abc", None, True], "version": VERSIONS,
        "beta": [True, False, "true", 0, "", None], "since": DATES, "tags": [[], ["pro"], ["free", "Team"], [1, "5"], "pro"],
        "straße": TEXTS, "score": [*NUMBERS, 42.0, "5", None], "owner": [*TEXTS, {"name": "Pro"}, {}], "empty": [{}, [], "", 0],
    }  # fmt: skip
    made = {}
    for name in ("plan", "country", "owner"):
        pools[name] = rng.choice([pools[name], ["pro", "FREE", "straße"]])
    for name, pool in pools.items():
        if rng.random() < 0.75:
            made[rng.choice([name, name, name.upper(), name.title()])] = rng.choice(pool)
    return made


def context(rng):
    """Attributes, and the targeting key or None."""
    made = {}
    if rng.random() < 0.97:
        made["distinct_id"] = rng.choice([
            *[f"user-{rng.randint(0, 999)}"] * 30, *USERS, "", None, 0, 7, 5, -3, 2**53 + 1, 2**64 - 1, 2**70, 1.0, 1.5, 1e-5,
            0.0, 1e16, 1e-7, 1.5e-9, 1e21, 123456.789, True, False, [1, "a"], {"a": 1}, [], {},
        ])  # fmt: skip
    if rng.random() < 0.8:
        made["device_id"] = rng.choice([f"d{rng.randint(0, 999)}", "d", True, 17])
    if rng.random() < 0.8:
        made["company_id"] = rng.choice(
            [rng.randint(1, 500), rng.randint(1, 500), str(rng.randint(1, 99)), 2**70, 0.00001]
        )
    if rng.random() < 0.95:
        made["custom_properties"] = rng.choice([properties(rng)] * 14 + [{}, {}, None, "text", [1]])
    if rng.random() < 0.3:
        made["plan"] = "pro"
    return made, rng.choice([None, f"t{rng.randint(0, 99)}", "user-1"])
