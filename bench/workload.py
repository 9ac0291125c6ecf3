"""Writes what the benchmarks evaluate: definitions and contexts, with the same bytes on every machine.

    python3 bench/workload.py DIRECTORY

| file | content |
| --- | --- |
| definitions.json | 1,000 flags, 1.36 MB in Mixpanel's format: 2 to 4 variants, 1 to 3 rollouts; half have no rule, 30 % `eq`, 20 % `and5`; most bytes are fields that evaluation does not read |
| definitions-b.json | the same results, with a different `experiment_id` in each flag: swapping one document for the other replaces all 1,000 |
| definitions-10.json, definitions-0.json | the first ten flags; none |
| config.json, config-0.json | a client's configuration that contains these definitions, exposures off |
| config-exposures.json | the first ten, exposures on |
| context.json | `distinct_id` and the five properties that `and5` reads |
| context-500.json | 500 properties, 12 kB; `eq` reads number 251 |
| keys.txt | the keys of the 1,000 flags, shuffled |

Two of the 1,000 flags are `bench-eq` and `bench-and5`: one rollout of 100 %, a rule that the contexts match, and two boolean
variants, so that an evaluation looks up the flag, runs the rule and hashes once.
"""

import json
import random
import sys
from pathlib import Path

FLAGS = 1000
DISTINCT_ID = "user-00012345678"
PROPERTIES = {"plan": "premium", "country": "DE", "age": 34, "app_version": "2.11.0", "beta": True}

EQ = {"==": [{"var": "plan"}, "premium"]}
AND5 = {
    "and": [
        {"==": [{"var": "plan"}, "premium"]},
        {"in": [{"var": "country"}, ["DE", "FR", "NL", "ES"]]},
        {">": [{"var": "age"}, 21]},
        {"semver_compare": [{"var": "app_version"}, ">=", "2.10.3"]},
        {"===": [{"var": "beta"}, True]},
    ]
}

WORDS = (
    "checkout search ranking banner invoice profile upload export sidebar editor report billing onboarding digest "
    "theme cache quota session gateway pricing coupon layout mobile desktop survey widget signup retry"
).split()
COUNTRIES = "DE FR NL ES IT PT US CA MX BR JP KR IN AU".split()
PLANS = "free basic premium enterprise".split()


def hexadecimal(rng, digits):
    return f"{rng.getrandbits(4 * digits):0{digits}x}"


def uuid(rng):
    return "-".join(hexadecimal(rng, digits) for digits in (8, 4, 4, 4, 12))


def sentence(rng, words):
    return " ".join(rng.choice(WORDS) for _ in range(words)).capitalize() + "."


def value(rng, kind, i):
    """A variant's value. All variants of a flag have the same kind."""
    if kind == "boolean":
        return i > 0
    if kind == "string":
        return f"{rng.choice(WORDS)}-{i}"
    if kind == "number":
        return i * 10
    return {"label": sentence(rng, 3), "limit": i * 25, "colours": ["#1f6feb", "#1a7f37"], "dense": i % 2 == 0}


def variants(rng, kind):
    count = 2 if kind == "boolean" else rng.randint(2, 4)
    splits = {2: [0.5, 0.5], 3: [0.34, 0.33, 0.33], 4: [0.25, 0.25, 0.25, 0.25]}[count]
    return [
        {
            "key": "control" if i == 0 else f"treatment-{chr(96 + i)}",
            "value": value(rng, kind, i),
            "is_control": i == 0,
            "split": split,
            "is_sticky": False,
        }
        for i, split in enumerate(splits)
    ]


def rule(rng):
    """Half of the time no rule, 30 % one equality, 20 % five conditions."""
    drawn = rng.random()
    if drawn < 0.5:
        return None
    if drawn < 0.8:
        return {"==": [{"var": "plan"}, rng.choice(PLANS)]}
    return {
        "and": [
            {"==": [{"var": "plan"}, rng.choice(PLANS)]},
            {"in": [{"var": "country"}, rng.sample(COUNTRIES, 4)]},
            {">": [{"var": "age"}, rng.randint(16, 40)]},
            {"semver_compare": [{"var": "app_version"}, ">=", f"{rng.randint(1, 3)}.{rng.randint(0, 20)}.0"]},
            {"===": [{"var": "beta"}, rng.random() < 0.5]},
        ]
    }


def rollout(rng, i, percentage, rule):
    group = {
        "name": f"Group {i + 1}: {sentence(rng, 4)}",
        "rollout_percentage": percentage,
        "cohort_hash": None,
        "variant_splits": None,
    }
    if rule is not None:
        group["runtime_evaluation_rule"] = rule
    return group


def flag(rng, index):
    key = f"{rng.choice(WORDS)}-{rng.choice(WORDS)}-{index:04}"
    rules = [rule(rng)]
    groups = [rollout(rng, 0, rng.choice([0.1, 0.25, 0.5, 0.75, 1.0]), rules[0])]
    for i in range(1, rng.randint(1, 3)):
        groups.append(rollout(rng, i, rng.choice([0.1, 0.25, 0.5]), rule(rng)))
    kind = rng.choice(["boolean", "string", "number", "object"])
    testers = {"users": {"qa-1": "control", "qa-2": "treatment-a"}} if rng.random() < 0.25 else None
    return definition(rng, key, variants(rng, kind), groups, testers)


def definition(rng, key, variants, groups, testers=None):
    return {
        "id": uuid(rng),
        "name": sentence(rng, 4),
        "key": key,
        "description": sentence(rng, rng.randint(8, 18)),
        "status": "enabled",
        "project_id": 4242,
        "workspace_id": 17,
        "context": "distinct_id",
        "data_group_id": None,
        "serving_method": "server_and_client",
        "tags": [rng.choice(WORDS) for _ in range(rng.randint(1, 3))],
        "creator_id": rng.randint(10_000, 99_999),
        "creator_email": f"{rng.choice(WORDS)}.{rng.choice(WORDS)}@example.com",
        "created": f"2026-0{rng.randint(1, 9)}-1{rng.randint(0, 9)}T09:30:00Z",
        "modified": f"2026-0{rng.randint(1, 9)}-2{rng.randint(0, 9)}T17:45:00Z",
        "deleted": None,
        "experiment_id": uuid(rng),
        "is_experiment_active": rng.random() < 0.5,
        "hash_salt": hexadecimal(rng, 16),
        "ruleset": {"variants": variants, "rollout": groups, "test": testers},
    }


def standard(rng, key, condition):
    # If one variant had everything, there would be no need to hash.
    on_off = [
        {"key": "off", "value": False, "is_control": True, "split": 0.5, "is_sticky": False},
        {"key": "on", "value": True, "is_control": False, "split": 0.5, "is_sticky": False},
    ]
    return definition(rng, key, on_off, [rollout(rng, 0, 1.0, condition)])


def flags():
    rng = random.Random(20_251_122)
    all_flags = [standard(rng, "bench-eq", EQ), standard(rng, "bench-and5", AND5)]
    all_flags += [flag(rng, index) for index in range(len(all_flags), FLAGS)]
    return all_flags


def compact(document):
    return json.dumps(document, separators=(",", ":"))


def many_properties():
    rng = random.Random(500)
    properties = {}
    for i in range(500):
        key = "plan" if i == 250 else f"property_{i:03}"
        kind = i % 5
        properties[key] = (
            "premium" if i == 250
            else f"value {rng.randint(0, 9999)}" if kind < 2
            else rng.randint(0, 99_999) if kind == 2
            else round(rng.random() * 100, 2) if kind == 3
            else rng.random() < 0.5
        )
    return properties


def write(directory):
    directory.mkdir(parents=True, exist_ok=True)
    first = flags()
    second = [dict(flag, experiment_id=flag["experiment_id"][::-1]) for flag in first]
    keys = [flag["key"] for flag in first]
    random.Random(1).shuffle(keys)
    base = {"token": "bench", "enable_polling": False, "report_exposures": False}
    files = {
        "definitions.json": compact({"flags": first}),
        "definitions-b.json": compact({"flags": second}),
        "definitions-10.json": compact({"flags": first[:10]}),
        "definitions-0.json": compact({"flags": []}),
        "config.json": compact({**base, "definitions": {"flags": first}}),
        "config-exposures.json": compact({**base, "report_exposures": True, "definitions": {"flags": first[:10]}}),
        "config-0.json": compact({**base, "definitions": {"flags": []}}),
        "context.json": compact({"distinct_id": DISTINCT_ID, "custom_properties": PROPERTIES}),
        "context-500.json": compact({"distinct_id": DISTINCT_ID, "custom_properties": many_properties()}),
        "keys.txt": "".join(key + "\n" for key in keys),
    }
    for name, text in files.items():
        path = directory / name
        # An unchanged file keeps its time, and stays in the page cache.
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    write(Path(sys.argv[1]))
