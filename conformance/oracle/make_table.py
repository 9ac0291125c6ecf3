"""Makes the bucketing table with Mixpanel's official Python SDK (mixpanel==5.4.1), without a network.

    python make_table.py          writes flags.json and expected.txt beside this file
    python make_table.py --check  makes both again and compares with the committed files

README.md describes the users and the table.
"""
import json
import logging
import pathlib
import random
import sys
from importlib.metadata import version

import httpx
from mixpanel.flags.local_feature_flags import LocalFeatureFlagsProvider
from mixpanel.flags.types import LocalFlagsConfig, SelectedVariant

HERE = pathlib.Path(__file__).parent
SDK = "5.4.1"
USERS = 10_000
SYMBOLS = "0123456789a"

PLANS = ["free", "pro", "Team", "ENTERPRISE"]
COUNTRIES = ["DE", "fr", "US", "jp", "Br"]


def user(n):
    """The context of user n, as README.md describes it."""
    return {
        "distinct_id": f"user-{n}" if n % 10 else f"\u7528\u6237-{n}",
        "device_id": f"d{n * 2654435761 % 4294967296:x}",
        "company_id": n * 7919 % 1009 + 1,
        "custom_properties": {
            "Plan": PLANS[n % 4],
            "country": COUNTRIES[n // 4 % 5],
            "age": n % 97,
            "version": f"1.{n % 23}.{n % 7}",
        },
    }


def var(name):
    return {"var": name}


def group(percentage, **fields):
    return {"rollout_percentage": percentage, **fields}


def rule(percentage, tree, **fields):
    return group(percentage, runtime_evaluation_rule=tree, **fields)


def legacy(percentage, pairs, **fields):
    return group(percentage, runtime_evaluation_definition=pairs, **fields)


def override(key):
    return {"key": key}


def definitions():
    rng = random.Random(20260716)
    flags = []

    def salt():
        return f"{rng.getrandbits(128):032x}"

    def add(key, splits, rollout, *, hash_salt=None, context="distinct_id", users=None):
        number = len(flags)
        variants = [
            {"key": k, "value": {"flag": number, "variant": k}, "is_control": i == 0, "split": s}
            for i, (k, s) in enumerate(splits.items())
        ]
        rng.shuffle(variants)
        ruleset = {"variants": variants, "rollout": rollout}
        if users is not None:
            ruleset["test"] = {"users": users}
        flag = {
            "id": f"id-{number}", "name": key, "key": key, "status": "enabled", "project_id": 1,
            "context": context, "ruleset": ruleset,
        }
        if hash_salt is not False:
            flag["hash_salt"] = hash_salt
        flags.append(flag)

    pro = {"==": [var("plan"), "PRO"]}
    free = {"==": [var("plan"), "free"]}
    grown = {">": [var("age"), 40]}
    europe = {"in": [var("country"), ["de", "FR"]]}
    recent = {"semver_compare": [var("version"), ">=", "1.12"]}
    half = {"on": 0.5, "off": 0.5}

    # salts: absent, null, "", 32 hex; one to four groups
    add("plain", half, [group(1.0)], hash_salt=False)
    add("null-salt", half, [group(0.37), group(0.62)])
    add("empty-salt", half, [group(0.37), group(0.62)], hash_salt="")
    add("hex-salt", half, [group(0.37), group(0.25), group(0.145), group(0.5)], hash_salt=salt())
    add("Capital Key", {"B": 0.25, "a": 0.25, "A": 0.25, "b": 0.25}, [group(0.999)], hash_salt=salt())
    # unusual percentages
    add("tiny", {"on": 1.0, "off": 0.0}, [group(0.001)])
    add("below-one", {"on": 0.995, "off": 0.005}, [group(0.985)], hash_salt=salt())
    # splits: sums that depend on the order of addition, below 1, above 1, zero
    add("thirds", {"a": 0.333, "b": 0.333, "c": 0.334}, [group(1)], hash_salt=salt())
    add("one-five-94", {"a": 0.01, "b": 0.05, "c": 0.94}, [group(0.93)], hash_salt="")
    add("one-two-seven", {"a": 0.1, "b": 0.2, "c": 0.7}, [group(1.0)])
    add("ten-tenths", {f"v{i}": 0.1 for i in range(10)}, [group(1.0)], hash_salt=salt())
    add("eleven", {f"v{i}": 0.09 for i in range(11)}, [group(0.88), group(0.88)], hash_salt=salt())
    add("short", {"a": 0.13, "b": 0.17, "c": 0.07}, [group(0.71)], hash_salt=salt())
    add("over", {"a": 0.6, "b": 0.55, "c": 0.4}, [group(2)])
    add("some-zero", {"a": 0.0, "b": 0.29, "c": 0.0, "d": 0.71}, [group(0.57)], hash_salt=salt())
    # order of keys, Unicode
    add("\u0444\u043b\u0430\u0433-\u7528", {"\u00e9": 0.21, "z": 0.2, "\uff5e": 0.19, "\U0001d400": 0.18, "\u7528": 0.12, "Z": 0.1}, [group(0.9)], hash_salt="s\u00e4lz")
    add("order", {"v10": 0.3, "v2": 0.3, "v": 0.2, "V1": 0.2}, [group(0.8)])
    # variant_splits, variant_override
    add("group-splits", {"a": 0.5, "b": 0.3, "c": 0.2}, [
        group(0.3, variant_splits={"a": 0.07, "b": 0.14, "c": 0.79}),
        group(0.5, variant_splits={"B": 1.0, "b": 0.01}),
        group(0.9, variant_splits={}),
    ], hash_salt=salt())
    add("overrides", {"Red": 0.2, "green": 0.5, "blue": 0.3}, [
        group(0.2, variant_override=override("RED")),
        group(0.3, variant_override=override("no such variant")),
        group(0.4, variant_override=override("Blue"), variant_splits={"green": 1.0}),
    ], hash_salt=salt())
    # testers: every 50th user among the first 5,000, names in another case, unknown and empty names
    testers = {user(n)["distinct_id"]: ["ON", "Off", "nobody", ""][n // 50 % 4] for n in range(0, 5000, 50)}
    add("testers", half, [group(0.4)], hash_salt=salt(), users=testers)
    add("testers-only", {"on": 1.0, "off": 0.0}, [group(0.0)], users=testers)
    # rules
    add("rule-equal", half, [rule(0.8, pro), rule(0.5, free, variant_override=override("off")), group(0.1)], hash_salt=salt())
    add("rule-in", {"a": 0.45, "b": 0.55}, [rule(0.66, europe, variant_splits={"a": 0.9, "b": 0.1}), group(0.33)])
    add("rule-and", half, [rule(1.0, {"and": [grown, europe]}), rule(0.5, {"and": [pro, grown]})], hash_salt=salt())
    add("rule-semver", {"old": 0.4, "new": 0.6}, [
        rule(0.9, recent), rule(1, {"semver_compare": [var("version"), "<", "v1.2.3"]}, variant_override=override("old")),
    ], hash_salt="")
    add("four-groups", {"a": 0.25, "b": 0.25, "c": 0.25, "d": 0.25}, [
        rule(0.5, {">": [var("age"), 90]}), rule(0.0, pro), rule(0.75, {"and": [recent, pro]}), group(0.21),
    ], hash_salt=salt())
    # legacy definitions, also beside an empty rule
    add("legacy", half, [legacy(0.9, {"plan": "TEAM"}), legacy(0.7, {"plan": "pro", "country": "us"}), group(0.05)], hash_salt=salt())
    add("legacy-beside-empty-rule", half, [legacy(1.0, {"country": "jp"}, runtime_evaluation_rule={}), legacy(0.6, {}, variant_override=override("off"))])
    # other context keys
    add("by-company", {"x": 0.31, "y": 0.42, "z": 0.27}, [group(0.47), rule(0.8, pro)], hash_salt=salt(), context="company_id", users=testers)
    add("by-device", {"x": 0.29, "y": 0.71}, [group(0.57), group(0.58)], hash_salt=salt(), context="device_id", users={"user-7": "X"})
    return {"code": 200, "flags": flags}


def table(document):
    def respond(_request):
        return httpx.Response(200, json=document)

    def tracker(*_args, **_kwargs):
        pass

    provider = LocalFeatureFlagsProvider("token", LocalFlagsConfig(enable_polling=False), SDK, tracker)
    provider._sync_client = httpx.Client(base_url="http://none.invalid", transport=httpx.MockTransport(respond))
    provider.start_polling_for_definitions()
    assert len(provider._flag_definitions) == len(document["flags"]) == 30

    none = SelectedVariant(variant_value=None)
    users = [user(n) for n in range(USERS)]
    lines = []
    for flag in document["flags"]:
        symbol = {v["key"]: SYMBOLS[i] for i, v in enumerate(sorted(flag["ruleset"]["variants"], key=lambda v: v["key"]))}
        line = []
        for context in users:
            got = provider.get_variant(flag["key"], none, context, report_exposure=False)
            if got.fallback_reason is not None:
                assert got.fallback_reason.kind == "NO_ROLLOUT_MATCH", got
                line.append("-")
            else:
                line.append(symbol[got.variant_key])
        assert len(set(line)) >= 2, flag["key"]
        lines.append("".join(line))
    return lines


def main():
    assert version("mixpanel") == SDK, f"expected mixpanel=={SDK}, found {version('mixpanel')}"
    logging.disable(logging.CRITICAL)
    document = definitions()
    flags = '{"code":200,"flags":[\n' + ",\n".join(
        json.dumps(f, ensure_ascii=True, separators=(",", ":")) for f in document["flags"]
    ) + "\n]}\n"
    lines = table(json.loads(flags))
    files = {"flags.json": flags, "expected.txt": "\n".join(lines) + "\n"}
    if "--check" not in sys.argv[1:]:
        for name, text in files.items():
            (HERE / name).write_bytes(text.encode())
    bad = [name for name, text in files.items() if (HERE / name).read_bytes() != text.encode()]
    results = sorted(len(set(line)) for line in lines)
    print(f"{len(lines)} flags x {USERS} users = {len(lines) * USERS} evaluations, {results[0]} to {results[-1]} different results for each flag")
    if bad:
        sys.exit(f"differs: {', '.join(bad)}")
    print("flags.json and expected.txt agree" if "--check" in sys.argv[1:] else "written")


if __name__ == "__main__":
    main()
