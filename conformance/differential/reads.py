"""Typed evaluations through OpenFeature's client: what the workers of both providers share."""
import json

from openfeature import api
from openfeature.evaluation_context import EvaluationContext

from model import DEFAULTS


def client(provider):
    """OpenFeature's client for `provider`, which replaces the one before it."""
    api.set_provider_and_wait(provider)
    return api.get_client()


def read(client, item):
    """Value, variant, error code and reason of each read in `item`, in order."""
    return [details(client, item["key"], value_type, json.loads(context)) for value_type, context in item["reads"]]


def details(client, key, value_type, attributes):
    targeting_key = attributes.get("targetingKey")
    if isinstance(targeting_key, str) and targeting_key:
        del attributes["targetingKey"]
    else:
        targeting_key = None
    read = getattr(client, f"get_{value_type}_details")(key, DEFAULTS[value_type], EvaluationContext(targeting_key, attributes))
    # JSON would turn a tuple or a subclass into the plain type that was expected.
    value = read.value if type(read.value) in (bool, str, int, float, list, dict) else repr(read.value)
    return [value, read.variant, read.error_code and read.error_code.value, str(read.reason)]
