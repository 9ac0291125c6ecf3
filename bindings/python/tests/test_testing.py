"""`mpflags.testing`: flags without a network."""

import threading

import pytest
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from stand_in import flag

from mpflags import SelectedVariant
from mpflags.testing import Flags, mpflags_definitions, mpflags_flags  # noqa: F401 - fixtures, as `pytest_plugins` has them

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


def test_a_mapping_sets_flags_of_any_name():
    with Flags() as flags:
        assert flags.set({"new-checkout": True, "self": 1}, values=2) is flags
        assert flags.client.is_enabled("new-checkout", USER)
        assert [flags.client.get_variant_value(key, 0, USER) for key in ("self", "values")] == [1, 2]
        flags.reset()
        assert not flags.client.is_enabled("new-checkout", USER)


class TestWithDefinitions:
    @pytest.fixture
    def mpflags_definitions(self):
        return {"flags": [flag("checkout"), flag("other", experiment_id="e")]}

    def test_exposures_and_events(self, mpflags_flags, caplog):  # noqa: F811
        client = mpflags_flags.client
        assert mpflags_flags.events() == []
        mpflags_flags.set(fixed=True)
        assert client.is_enabled("fixed", USER)
        assert mpflags_flags.exposures() == []
        assert client.is_enabled("checkout", USER)
        (exposure,) = mpflags_flags.exposures("checkout")
        assert exposure.name == "$experiment_started"
        assert exposure.properties["Variant name"] == "on"
        assert exposure.properties["distinct_id"] == "u"
        assert mpflags_flags.exposures("other") == []
        client.track("u", "Bought", {"price": 5})
        client.people_update("u", "$set", {"a": 1})
        (bought,) = mpflags_flags.tracked("Bought")
        assert bought.properties["price"] == 5
        assert mpflags_flags.tracked("Sold") == []
        for number in range(1000):
            client.is_enabled("other", {"distinct_id": f"u{number}"})
        assert len(mpflags_flags.exposures("other")) == 1000
        assert len(mpflags_flags.exposures()) == 1001
        assert [event.name for event in mpflags_flags.events()][:2] == ["$experiment_started", "Bought"]
        assert caplog.text == ""

    def test_through_a_provider(self, mpflags_flags):  # noqa: F811
        api.set_provider_and_wait(mpflags_flags.provider(), "events")
        client = api.get_client("events")
        context = EvaluationContext(attributes=USER)
        assert client.get_boolean_value("checkout", False, context)
        client.track("Bought", context)
        assert len(mpflags_flags.exposures("checkout")) == len(mpflags_flags.tracked("Bought")) == 1


def test_events_are_kept_after_the_end_and_none_is_reported_as_lost(caplog):
    before = threading.active_count()
    flags = Flags(definitions={"flags": [flag("checkout")]})
    assert flags.client.is_enabled("checkout", USER)
    flags.close()
    flags.close()
    assert len(flags.exposures("checkout")) == 1
    # A client that has ended reports nothing.
    flags.client.is_enabled("checkout", {"distinct_id": "later"})
    assert len(flags.events()) == 1
    assert caplog.text == ""
    assert threading.active_count() == before


def test_a_program_that_ends_the_client_without_a_start_loses_its_events(eventually):
    with Flags() as flags:
        flags.client.track("u", "Bought")
        assert flags.client.shutdown(0) == 1
        assert flags.events() == []
        # A shutdown without time does not wait for it.
        eventually(lambda: "mpflags-items" not in [thread.name for thread in threading.enumerate()])


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
    ruled = {
        "key": "f",
        "context": "distinct_id",
        "ruleset": {
            "variants": [{"key": "on", "value": 1, "split": 1}],
            "rollout": [{"rollout_percentage": 1, "runtime_evaluation_rule": {"==": [{"var": "plan"}, "pro"]}}],
        },
    }
    with Flags(definitions={"flags": [ruled]}, attributes_as_custom_properties=True) as flags:
        assert flags.client.get_variant_value("f", 0, {"distinct_id": "u", "plan": "pro"}) == 1
