"""`mpflags.testing`: flags without a network."""

import threading

import pytest
from openfeature import api

from mpflags import SelectedVariant
from mpflags.testing import Flags, mpflags_flags  # noqa: F401 - the fixture, as `pytest_plugins` brings it

USER = {"distinct_id": "u"}


def test_the_fixture(mpflags_flags):  # noqa: F811
    mpflags_flags.set(checkout=True, limit=10)
    mpflags_flags["button-color"] = {"background": "#fff"}
    client = mpflags_flags.client
    assert client.is_enabled("checkout", USER)
    assert client.get_variant_value("limit", 0, {}) == 10
    assert client.get_variant_value("button-color", None, {}) == {"background": "#fff"}
    assert client.get_variant("other", SelectedVariant("mine"), USER).variant_value == "mine"
    del mpflags_flags["limit"]
    assert client.get_variant_value("limit", 0, {}) == 0
    mpflags_flags.reset()
    assert not client.is_enabled("checkout", USER)


def test_definitions_and_values(samples):
    before = threading.active_count()
    with Flags({"new-checkout": False}, definitions=samples) as flags:
        assert not flags.client.is_enabled("new-checkout", USER)
        assert flags.client.get_variant_value("banner", None, USER)["title"] == "Autumn sale"
        assert threading.active_count() == before


def test_through_openfeature():
    flags = Flags({"greeting": "hello"})
    api.set_provider_and_wait(flags.provider(), "testing")
    client = api.get_client("testing")
    assert client.get_string_value("greeting", "") == "hello"
    flags.set(greeting="bye")
    assert client.get_string_value("greeting", "") == "bye"
    assert client.get_boolean_value("nope", True) is True
    flags.close()


def test_options_pass_through():
    with pytest.raises(Exception, match="no_such_option"):
        Flags(no_such_option=1)
    flag = {
        "key": "f",
        "context": "distinct_id",
        "ruleset": {
            "variants": [{"key": "on", "value": 1, "split": 1}],
            "rollout": [{"rollout_percentage": 1, "runtime_evaluation_rule": {"==": [{"var": "plan"}, "pro"]}}],
        },
    }
    with Flags(definitions={"flags": [flag]}, attributes_as_custom_properties=True) as flags:
        assert flags.client.get_variant_value("f", 0, {"distinct_id": "u", "plan": "pro"}) == 1
