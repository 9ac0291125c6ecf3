"""Mixpanel's own provider and this one in one process, asked the same through OpenFeature.

Value, variant and error code are equal, except where docs/differences.md says so: each difference is
explained by a model (side_by_side/) that turns from Python's answer to mpflags' one row at a time. The model has to give
both answers exactly. A difference that no row explains fails, and so does a row that no difference shows.
"""

import collections
import json
import logging
import os
import random

import httpx
import pytest
from side_by_side import generate, reference, rows

from mpflags import LocalFlagsConfig
from mpflags.openfeature import MixpanelProvider

pytest.importorskip("mixpanel_openfeature", reason="mixpanel-openfeature is what this test compares with")

import mixpanel.flags.types
import mixpanel_openfeature
from mixpanel.flags.local_feature_flags import LocalFeatureFlagsProvider
from openfeature import api
from openfeature.evaluation_context import EvaluationContext

SEED = int(os.environ.get("SIDE_BY_SIDE_SEED", "20261125"))
COMPARISONS = int(os.environ.get("SIDE_BY_SIDE", "20000"))
FLAGS = 25  # a document
ASKED = 500  # of a document
DEFAULTS = {"boolean": True, "string": "the default", "integer": 77, "float": 0.25, "object": {"the": "default"}}
REASONS = {
    ("TARGETING_MATCH", None): {"TARGETING_MATCH", "SPLIT", "DEFAULT", "STATIC"},
    ("DEFAULT", None): {"DEFAULT"},
    ("DEFAULT", "FLAG_NOT_FOUND"): {"ERROR"},
}


@pytest.fixture(autouse=True)
def registry():
    """Mixpanel's client logs every doubt; the SDK's registry is the process's."""
    logging.disable(logging.CRITICAL)
    yield
    api.shutdown()
    api.clear_providers()
    logging.disable(logging.NOTSET)


def official(document):
    """Mixpanel's provider with these definitions, no network, and exposures that go nowhere."""
    flags = LocalFeatureFlagsProvider(
        "token", mixpanel.flags.types.LocalFlagsConfig(enable_polling=False), "5.4.1", lambda *_: None
    )
    flags._sync_client.close()
    text = json.dumps(document)
    flags._sync_client = httpx.Client(
        base_url="http://none.invalid", transport=httpx.MockTransport(lambda _: httpx.Response(200, text=text))
    )
    flags.start_polling_for_definitions()
    return mixpanel_openfeature.MixpanelProvider(flags)


def local(document):
    return MixpanelProvider.from_local_config(
        "token", LocalFlagsConfig(definitions=document, enable_polling=False, report_exposures=False)
    )


def rule_flags(document):
    """A flag for each rule of the document, by which mpflags alone is asked whether the rule matches."""
    flags = {}
    for flag in document["flags"]:
        for index, group in enumerate(flag["ruleset"]["rollout"]):
            rule = group.get("runtime_evaluation_rule")
            if rule:
                key = f"{flag['key']}/{index}"
                flags[key] = {
                    "key": key,
                    "context": "user",
                    "ruleset": {
                        "variants": [{"key": "on", "value": True, "split": 1.0}],
                        "rollout": [{"rollout_percentage": 1.0, "runtime_evaluation_rule": rule}],
                    },
                }
    return {"flags": list(flags.values())}


def asked(client, wanted, key, context):
    details = getattr(client, f"get_{wanted}_details")(key, DEFAULTS[wanted], context)
    code = details.error_code
    return (details.value, details.variant, code and str(code.value)), str(details.reason)


def same(left, right):
    """Equal, and of equal types at every depth."""
    if type(left) is not type(right):
        return False
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[k], right[k]) for k in left)
    return left == right


class Compared:
    """What came of it: how many comparisons, by row and by change of reason."""

    def __init__(self):
        self.documents = 0
        self.equal = 0
        self.different = 0
        self.rows = collections.Counter()
        self.reasons = collections.Counter()

    @property
    def count(self):
        return self.equal + self.different


def compare(comparisons, altered=lambda document: document):
    """Asks both. `altered` makes the definitions that mpflags gets."""
    rng = random.Random(SEED)
    done = Compared()
    while done.count < comparisons:
        document, cases = generate.definitions(rng, done.documents, FLAGS)
        providers = {
            "official": official(document),
            "ours": local(altered(document)),
            "rules": local(rule_flags(document)),
        }
        clients = {}
        for name, provider in providers.items():
            api.set_provider_and_wait(provider, domain=name)
            clients[name] = api.get_client(name)
        for _ in range(min(ASKED, comparisons - done.count)):
            key = rng.choice([*cases, "no such flag"])
            case = cases.get(key)
            wanted = case.kind if case and rng.random() < 0.6 else rng.choice(list(DEFAULTS))
            attributes, targeting_key = generate.context(rng)
            about = f"seed {SEED}, document {done.documents}, {wanted} {key}, {targeting_key!r}, {attributes!r}"
            compare_one(done, clients, case, key, wanted, attributes, targeting_key, about)
        done.documents += 1
    return done


def compare_one(done, clients, case, key, wanted, attributes, targeting_key, about):
    context = EvaluationContext(targeting_key, attributes)
    theirs, their_reason = asked(clients["official"], wanted, key, context)
    ours, reason = asked(clients["ours"], wanted, key, context)
    whole = attributes | ({"targetingKey": targeting_key} if targeting_key else {})
    properties = {k: v for k, v in attributes.items() if k == "custom_properties"}

    def says(flag, index):
        given = EvaluationContext(None, {"user": "x", **properties})
        return clients["rules"].get_boolean_value(f"{flag['key']}/{index}", False, given)

    default = DEFAULTS[wanted]
    wants = reference.answer(case, whole, wanted, default, frozenset(rows.ORDER), says)
    assert same(theirs, wants), f"{about}: Mixpanel's client gives {theirs}, the model of it {wants}"
    wants = reference.answer(case, whole, wanted, default, frozenset(), says)
    assert same(ours, wants), f"{about}: mpflags gives {ours}, the model of it {wants}, Mixpanel's client {theirs}"
    if same(theirs, ours):
        allowed = REASONS.get((their_reason, theirs[2]), {their_reason})
        if case and case.flag["status"] != "enabled":
            allowed = allowed | {"DISABLED"}
        assert reason in allowed, f"{about}: {their_reason} became {reason}"
        done.reasons[f"{their_reason} -> {reason}"] += 1
        done.equal += 1
    else:
        found = reference.causes(case, whole, wanted, default, says)
        assert found, f"{about}: {theirs} became {ours}, and no row says why"
        done.rows.update(found)
        done.different += 1


def test_equal_but_for_the_accepted_differences():
    missing = set(rows.ORDER) - rows.of_page()
    assert not missing, f"docs/differences.md does not have these rows: {missing}"
    done = compare(COMPARISONS)
    print(f"\n{done.count} comparisons, {done.documents} documents: {done.equal} equal, {done.different} different")
    for row in rows.ORDER:
        print(f"  {done.rows[row]:6}  {row}")
    for change, count in sorted(done.reasons.items()):
        print(f"  {count:6}  reason {change}")
    unseen = [row for row in rows.ORDER if not done.rows[row]]
    assert done.count < 20000 or not unseen, f"no difference shows these rows: {unseen}"


def salted(document):
    """Another salt where there is one: other buckets."""
    return {"flags": [flag | ({"hash_salt": "planted"} if flag.get("hash_salt") else {}) for flag in document["flags"]]}


def reversed_groups(document):
    return {
        "flags": [
            flag | {"ruleset": flag["ruleset"] | {"rollout": flag["ruleset"]["rollout"][::-1]}}
            for flag in document["flags"]
        ]
    }


@pytest.mark.parametrize("altered", [salted, reversed_groups])
def test_a_planted_difference_is_seen(altered):
    with pytest.raises(AssertionError, match="the model of it"):
        compare(1000, altered)
