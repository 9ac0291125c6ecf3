"""Tables of users, and what single evaluations of their rows give."""

from __future__ import annotations

import json
import random
import sys

import stand_in

sys.path.append(str(stand_in.ROOT / "bench"))
import workload

from mpflags import Client
from mpflags.abi import ANY, DISABLED, NO_MATCH, NO_PROPERTIES, evaluate_options

QUIET = evaluate_options(ANY, report_exposure=False)


def flag(key, *variants, rollout=None, **fields):
    """A flag with these variants, of equal splits, and one rollout for everybody."""
    return {
        "key": key,
        "context": "distinct_id",
        "hash_salt": "f1",
        "ruleset": {
            "variants": [{"key": name, "value": name, "split": 1 / len(variants)} for name in variants],
            "rollout": rollout or [{"rollout_percentage": 1.0}],
        },
        **fields,
    }


#: A flag of each kind: without a rule and with testers, with one condition, with five, bucketed by another key, and so on.
FLAGS = [
    flag("half", "off", "on"),
    flag("eq", "off", "on", rollout=[{"rollout_percentage": 0.6, "runtime_evaluation_rule": workload.EQ}]),
    flag(
        "and5",
        "a",
        "b",
        "c",
        rollout=[
            {"rollout_percentage": 0.5, "runtime_evaluation_rule": workload.AND5, "variant_override": {"key": "c"}},
            {"rollout_percentage": 0.3, "runtime_evaluation_rule": {">": [{"var": "age"}, 30]}},
            {"rollout_percentage": 0.2, "variant_splits": {"a": 0.2, "b": 0.3, "c": 0.5}},
        ],
    ),
    flag("company", "off", "on", context="company_id"),
    {**flag("disabled", "on"), "status": "disabled"},
    {"key": "malformed"},
]
FLAGS[0]["ruleset"]["test"] = {"users": {"user-7": "on"}}
DEFINITIONS = {"flags": FLAGS}
KEYS = ["and5", "company", "disabled", "eq", "half", "malformed", "unknown"]


def client(definitions=DEFINITIONS, **options):
    options = {"enable_polling": False, "report_exposures": False, **options}
    return Client.local("token", definitions=definitions, **options)


def users(count, seed=1):
    """The columns of a table, as lists. Some of each are None, except for most ids."""
    rng = random.Random(seed)

    def column(draw, nulls=0.1):
        return [None if rng.random() < nulls else draw() for _ in range(count)]

    return {
        "distinct_id": [None if rng.random() < 0.001 else f"user-{at}" for at in range(count)],
        "company_id": column(lambda: rng.randrange(1000)),
        "plan": column(lambda: rng.choice(["free", "Premium", "premium", "ß"])),
        "country": column(lambda: rng.choice(workload.COUNTRIES)),
        "age": column(lambda: rng.randrange(10, 90)),
        "score": column(lambda: rng.random() * 100),
        "app_version": column(lambda: f"{rng.randrange(1, 4)}.{rng.randrange(20)}.{rng.randrange(10)}"),
        "beta": column(lambda: rng.random() < 0.5),
    }


def context(columns, at):
    """The context that docs/tables.md says a row is."""
    present = {name: values[at] for name, values in columns.items() if values[at] is not None}
    return {**present, "custom_properties": {name: value for name, value in present.items() if name != "distinct_id"}}


class Singles:
    """Evaluates one flag for one context after another. The result is what the table has: variant, value, reason, error."""

    def __init__(self, client):
        self.client = client
        self._known = {}

    def __call__(self, key, context):
        number = self.client.evaluate(key, context, None, QUIET)
        found = self._known.get((key, number))
        if found is None:
            found = self._read(key, context, number)
            # Other numbers are pointers.
            if number & 1:
                self._known[key, number] = found
        return found

    def _read(self, key, context, number):
        if number in (NO_MATCH, NO_PROPERTIES):
            return (None, None, "DEFAULT", None)
        if number == DISABLED:
            return (None, None, "DISABLED", None)
        outcome = self.client.resolve(key, context, QUIET, number)
        return (outcome.variant, outcome.json, outcome.reason, outcome.error_code)


def fields(struct):
    """The same of a struct of the results; None for a row without one."""
    return struct and (struct["variant"], struct["value"], struct["reason"], struct["error"])


def same(found, expected):
    """Whether they are equal, values as JSON."""
    return found == expected or (
        found[0::2] == expected[0::2]
        and found[3] == expected[3]
        and None not in (found[1], expected[1])
        and json.loads(found[1]) == json.loads(expected[1])
    )
