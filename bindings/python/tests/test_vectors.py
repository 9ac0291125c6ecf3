"""The vectors, through ctypes: every layer and language gives the same results.

`bucket/*.json` does not run here, because no C function returns a bucket. The core checks those cases, and the evaluation
vectors depend on them.
"""

import json

import pytest
from conftest import flags_text, load_vectors

from mpflags import Client, Context, errors
from mpflags.abi import ANY, BOOLEAN, DOUBLE, INT64, OBJECT, STRING, evaluate_options

READS = {"boolean": BOOLEAN, "string": STRING, "integer": INT64, "double": DOUBLE, "object": OBJECT}
CODES = {
    "variant": None,
    "disabled": None,
    "no_rollout_match": None,
    "flag_not_found": "FLAG_NOT_FOUND",
    "malformed": "PARSE_ERROR",
    "missing_context_key": "TARGETING_KEY_MISSING",
    "type_mismatch": "TYPE_MISMATCH",
    "invalid_context": "INVALID_CONTEXT",
}
FIELDS = {"name", "flags", "key", "context", "overrides", "read", "want", "why"}
WANTS = {
    "outcome",
    "reason",
    "variant",
    "value",
    "is_qa_tester",
    "experiment_id",
    "is_experiment_active",
    "message",
    "message_has",
}
RULE_FIELDS = {"name", "rule", "rule_text", "data", "data_text", "want", "why"}


def client(flags, **options):
    options = {"enable_polling": False, "report_exposures": False, **options}
    return Client.local("token", definitions=flags_text(flags), **options)


def ask(client, key, text, kind=ANY):
    """Checks that every way gives the same outcome: evaluated, packed, resolved from the number; from JSON, from attributes, and
    from a context that is kept. The last two are accelerated, unless MPFLAGS_PURE is set."""
    options = evaluate_options(kind)
    encoded_key, encoded = key.encode(), text.encode()
    evaluated, _ = client._native.evaluate(encoded_key, encoded, options, 0, waits=False)
    if evaluated.error_code != "INVALID_CONTEXT" and as_python(text) is not None:
        attributes = as_python(text)
        packed(client, key, client.evaluate(key, attributes, None, options), evaluated)
        kept = Context(attributes)
        # It has 0 for -0.0, by which a rule can divide.
        if "-0.0" not in text:
            encoded = kept.form or kept.encoded
            assert client._native.evaluate(encoded_key, encoded, options, 0, waits=False)[0] == evaluated
    if b"\0" not in encoded:
        packed(client, key, client._evaluate_packed(encoded_key, encoded, options), evaluated)
    return evaluated


def as_python(text):
    """The attributes of a JSON context, None if it is not the JSON of any: it has a key twice, for example."""
    try:
        attributes = json.loads(text)
    except ValueError:
        return None
    same_again = isinstance(attributes, dict) and json.loads(json.dumps(attributes)) == attributes
    return attributes if same_again and len(json.dumps(attributes)) >= len(text) else None


def packed(client, key, number, evaluated):
    """Checks that a number stands for what was evaluated."""
    assert (number & 1 == 1) is (evaluated.error_code is None and evaluated.variant != "override")
    if number not in (1, 3):
        # A number carries no error: it stands for a value of the requested type.
        resolved = client._native.resolve(key.encode(), number)
        assert resolved is not None
        if number & 1 and evaluated.has_value:
            # The same for every user.
            assert type(evaluated.metadata["contextId"]) is str
            resolved.metadata["contextId"] = evaluated.metadata["contextId"]
        assert resolved == evaluated


def same(left, right):
    """Equality of values: numbers by value, integers exactly, and a boolean is not a number."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[name], right[name]) for name in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return left == right


@pytest.mark.parametrize("vector", load_vectors("evaluate"), ids=lambda vector: vector["name"])
def test_an_evaluation(vector):
    assert set(vector) <= FIELDS
    want = vector["want"]
    assert set(want) <= WANTS
    options = {"overrides": vector["overrides"]} if "overrides" in vector else {}
    context = vector["context"] if isinstance(vector["context"], str) else json.dumps(vector["context"])
    kind = READS[vector["read"]] if "read" in vector else ANY
    outcome = ask(client(vector["flags"], **options), vector["key"], context, kind)
    assert (outcome.error_code, outcome.reason) == (CODES[want["outcome"]], want["reason"])
    assert outcome.has_value is (want["outcome"] == "variant")
    if outcome.has_value:
        assert outcome.variant == want["variant"]
        value = outcome.read(kind)
        assert same(value, want["value"]), (value, want["value"])
        if kind in (INT64, DOUBLE):
            assert type(value) is (int if kind == INT64 else float)
    for name in ("experiment_id", "is_experiment_active"):
        if name in want:
            assert outcome.metadata.get(name) == want[name]
    if "is_qa_tester" in want:
        assert outcome.metadata.get("is_qa_tester", False) is want["is_qa_tester"]
    if "message" in want:
        assert outcome.message == want["message"]
    for part in want.get("message_has", []):
        assert part in (outcome.message or "")


@pytest.mark.parametrize("vector", load_vectors("rules"), ids=lambda vector: vector["name"])
def test_a_rule(vector):
    assert set(vector) <= RULE_FIELDS
    rule = vector["rule_text"] if "rule_text" in vector else json.dumps(vector["rule"])
    document = (
        '{"flags": [{"key": "f", "context": "distinct_id", "ruleset": {"variants": [{"key": "on", "value": true, "split": 1}],'
        f' "rollout": [{{"rollout_percentage": 1, "runtime_evaluation_rule": {rule}}}]}}}}]}}'
    )
    context = '{"distinct_id": "u"}'
    if "data" in vector or "data_text" in vector:
        data = vector["data_text"] if "data_text" in vector else json.dumps(vector["data"])
        context = f'{{"distinct_id": "u", "custom_properties": {data}}}'
    outcome = ask(client(document), "f", context)
    if vector["want"] == "malformed":
        assert outcome.error_code == "PARSE_ERROR"
    else:
        assert outcome.error_code is None
        assert outcome.has_value is vector["want"]


def test_a_document_that_cannot_be_read_is_an_error_of_the_configuration():
    with pytest.raises(errors.InvalidConfig, match="definitions"):
        client('{"flags": 3}')
