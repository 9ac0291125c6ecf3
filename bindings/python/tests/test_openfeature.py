"""The provider: the provider vectors, with all details, and behaviour that is specific to Python."""

import asyncio
import copy
import dataclasses
import json
import logging
import math
import pickle

import pytest
from conftest import flags_text, load_vectors
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEvent
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import FlagResolutionDetails, Reason
from openfeature.provider.no_op_provider import NoOpProvider
from openfeature.track import TrackingEventDetails
from stand_in import DEFINITIONS, StandIn, flag

from mpflags import Client, LocalFlagsConfig, RemoteFlagsConfig, SelectedVariant
from mpflags.openfeature import MixpanelProvider

FIELDS = {
    "name",
    "flags",
    "config",
    "setup",
    "key",
    "type",
    "default",
    "targeting_key",
    "attributes",
    "nan_attribute",
    "want",
    "why",
}
WANTS = {"value", "reason", "error_code", "message", "message_has", "variant", "metadata"}
TYPES = {"boolean": "boolean", "string": "string", "integer": "integer", "double": "float", "object": "object"}
USER = EvaluationContext(attributes={"distinct_id": "u1"})
SECRET = "the-secret-of-the-project"


@pytest.fixture(scope="module")
def failing():
    """A server that refuses the credentials, so that the provider cannot evaluate."""
    with StandIn() as server:
        server.faults(
            {"path": DEFINITIONS, "kind": "status", "status": 401}, {"path": "/flags", "kind": "status", "status": 500}
        )
        yield server


def provider_of(vector, failing):
    options = {"report_exposures": False, **vector.get("config", {})}
    setup = vector.get("setup")
    if setup == "unanswered":
        provider = MixpanelProvider.from_remote_config(SECRET, RemoteFlagsConfig(failing.url, **options))
    elif setup is None:
        definitions = flags_text(vector["flags"])
        config = LocalFlagsConfig(definitions=definitions, enable_polling=False, **options)
        provider = MixpanelProvider.from_local_config(SECRET, config)
    else:
        provider = MixpanelProvider(Client.local(SECRET, LocalFlagsConfig(failing.url, **options)))
    if setup == "refused":
        with pytest.raises(Exception, match="Mixpanel refused the credentials: HTTP 401"):
            provider.initialize(EvaluationContext())
    elif setup != "not_started":
        provider.initialize(EvaluationContext())
    return provider


def context_of(vector):
    attributes = dict(vector["attributes"])
    if "nan_attribute" in vector:
        attributes[vector["nan_attribute"]] = math.nan
    return EvaluationContext(vector.get("targeting_key"), attributes)


def check(details, vector):
    want = vector["want"]
    error_code = ErrorCode[want["error_code"]] if "error_code" in want else None
    assert type(details) is FlagResolutionDetails
    assert details.value == want["value"]
    assert type(details.value) is type(want["value"])
    assert (details.reason, details.error_code) == (Reason[want["reason"]], error_code)
    assert (details.variant, dict(details.flag_metadata)) == (want.get("variant"), want.get("metadata", {}))
    if error_code is None and "message" not in want:
        assert details.error_message is None
    if "message" in want:
        assert details.error_message == want["message"]
    for part in want.get("message_has", []):
        assert part in details.error_message
    assert SECRET not in (details.error_message or "")


@pytest.mark.parametrize("vector", load_vectors("provider"), ids=lambda vector: vector["name"])
def test_an_outcome(vector, failing):
    assert set(vector) <= FIELDS
    assert set(vector["want"]) <= WANTS
    provider = provider_of(vector, failing)
    kind = TYPES[vector["type"]]
    resolve = getattr(provider, f"resolve_{kind}_details")
    resolve_async = getattr(provider, f"resolve_{kind}_details_async")
    asked = {"flag_key": vector["key"], "default_value": vector["default"], "evaluation_context": context_of(vector)}
    try:
        # The first evaluation, and a cached one.
        check(resolve(**asked), vector)
        check(resolve(**asked), vector)
        check(asyncio.run(resolve_async(**asked)), vector)
        if "setup" not in vector:
            api.set_provider_and_wait(provider, vector["name"])
            client = api.get_client(vector["name"])
            details = getattr(client, f"get_{kind}_details")(
                vector["key"], vector["default"], asked["evaluation_context"]
            )
            check(
                FlagResolutionDetails(
                    **{name: getattr(details, name) for name in FlagResolutionDetails.__match_args__}
                ),
                vector,
            )
    finally:
        provider.shutdown()


def local(*flags, **options):
    config = LocalFlagsConfig(
        definitions={"flags": list(flags)}, enable_polling=False, report_exposures=False, **options
    )
    return MixpanelProvider.from_local_config("token", config)


def test_an_object_is_the_callers_own():
    provider = local(flag("object", {"list": [1]}), flag("list", [{"a": 1}]))
    for key, change in (("object", lambda value: value["list"].append(2)), ("list", lambda value: value[0].clear())):
        first = provider.resolve_object_details(key, {}, USER)
        wanted = provider.resolve_object_details(key, {}, USER).value
        change(first.value)
        assert first.value != wanted
        assert provider.resolve_object_details(key, {}, USER).value == wanted


def test_metadata_are_a_plain_dict_and_the_callers_own():
    provider = local(
        flag("plain"), flag("experiment", experiment_id="e", is_experiment_active=True), flag("object", {})
    )
    of_user = {"contextId": "u1"}
    experiment = {"experiment_id": "e", "is_experiment_active": True, **of_user}
    for key, wanted in (("plain", of_user), ("experiment", experiment), ("nope", {}), ("object", {})):
        # The first evaluation and a remembered one.
        for _ in range(3):
            metadata = provider.resolve_boolean_details(key, False, USER).flag_metadata
            assert type(metadata) is dict
            assert metadata == wanted
            metadata["changed"] = True
            objects = provider.resolve_object_details(key, {}, USER).flag_metadata
            assert type(objects) is dict
            assert "changed" not in objects
            objects["changed"] = True


def test_details_can_be_copied_pickled_and_returned_as_json():
    provider = local(flag("plain"), flag("experiment", experiment_id="e", is_experiment_active=True))
    api.set_provider_and_wait(provider, "serialised")
    client = api.get_client("serialised")
    for key in ("plain", "experiment", "nope"):
        for details in (
            client.get_boolean_details(key, False, USER),
            provider.resolve_boolean_details(key, False, USER),
        ):
            assert copy.deepcopy(details) == details
            assert pickle.loads(pickle.dumps(details)) == details
            listed = dataclasses.asdict(details)
            assert json.loads(json.dumps(listed))["flag_metadata"] == details.flag_metadata
            assert json.loads(json.dumps(details.flag_metadata)) == details.flag_metadata


def test_null_is_of_no_type_in_python():
    provider = local(flag("null", None))
    for kind, default in (("boolean", True), ("string", "s"), ("integer", 1), ("float", 1.5), ("object", {"a": 1})):
        for _ in range(2):
            details = getattr(provider, f"resolve_{kind}_details")("null", default, USER)
            assert (details.value, details.error_code) == (default, ErrorCode.TYPE_MISMATCH)
            expected = "double" if kind == "float" else kind
            assert details.error_message == f"expected {expected}, the variant holds null"
            assert details.variant is None


def test_a_float_call_gives_a_float():
    provider = local(flag("int", 3))
    for key, default, wanted in (("int", 1, 3.0), ("nope", 1, 1.0), ("nope", 1.5, 1.5)):
        value = provider.resolve_float_details(key, default, USER).value
        assert (value, type(value)) == (wanted, float)
    asynchronous = asyncio.run(provider.resolve_float_details_async("nope", 1, USER)).value
    assert (asynchronous, type(asynchronous)) == (1.0, float)


def test_a_changed_definition_is_another_answer(dev, eventually):
    config = LocalFlagsConfig(dev.url, polling_interval_ms=50, report_exposures=False)
    provider = MixpanelProvider.from_local_config("token", config)
    provider.initialize(EvaluationContext())
    try:
        for value in ("one", {"two": 2}, 3, "one"):
            dev.define({"flags": [flag("f", value)]})
            read = {str: "string", dict: "object", int: "integer"}[type(value)]
            resolve = getattr(provider, f"resolve_{read}_details")
            eventually(lambda resolve=resolve, value=value: resolve("f", type(value)(), USER).value == value)
    finally:
        provider.shutdown()


def test_a_key_that_no_flag_has_is_refused():
    provider = local(flag("a"))
    # The key crosses as a NUL-terminated string: without the check the library would look up "a".
    for key in ("a\0b", "\ud800", 7, None):
        details = provider.resolve_boolean_details(key, False, USER)
        assert (details.value, details.error_code) == (False, ErrorCode.FLAG_NOT_FOUND)
        assert details.error_message.startswith("the flag key")


def test_a_context_that_cannot_be_sent_names_the_key():
    rule = {"in": [2, {"var": "tags"}]}
    by_tags = {
        "variants": [{"key": "on", "value": True, "split": 1.0}],
        "rollout": [{"rollout_percentage": 1.0, "runtime_evaluation_rule": rule}],
    }
    provider = local(flag("a"), flag("by tags", ruleset=by_tags), flag("by score", context="score"))
    for key, attributes, named in (
        ("by tags", {"distinct_id": "u", "custom_properties": {"tags": [1, {2, 3}]}}, "custom_properties.tags[1]"),
        ("by score", {"distinct_id": "u", "score": math.inf}, "score"),
        ("a", {"distinct_id": object()}, "distinct_id"),
    ):
        details = provider.resolve_boolean_details(key, False, EvaluationContext("t", attributes))
        assert (details.value, details.error_code) == (False, ErrorCode.INVALID_CONTEXT)
        assert named in details.error_message


def test_without_a_context():
    provider = local(flag("a"), targeting_key_as="distinct_id")
    assert provider.resolve_boolean_details("a", False).error_code is ErrorCode.TARGETING_KEY_MISSING
    assert provider.resolve_boolean_details("a", False, EvaluationContext(None, None)).error_code is not None
    assert provider.resolve_boolean_details("a", False, EvaluationContext("u")).value is True


def test_the_context_id_is_of_each_user():
    """Results are remembered for all users."""

    class Name(str):
        pass

    document = [flag("a"), flag("by company", context="company_id")]
    provider, keyed = local(*document), local(*document, targeting_key_as="distinct_id")
    for _ in range(2):
        for user, wanted in (("u1", "u1"), ("ü", "ü"), (7, "7"), (2**60, str(2**60)), (7.0, "7"), (Name("n"), "n")):
            for which in (provider, keyed):
                context = EvaluationContext("target", {"distinct_id": user, "company_id": "acme"})
                found = which.resolve_boolean_details("a", False, context)
                assert (found.value, found.flag_metadata) == (True, {"contextId": wanted})
                found = which.resolve_boolean_details("by company", False, context)
                assert found.flag_metadata == {"contextId": "acme"}
        found = keyed.resolve_boolean_details("a", False, EvaluationContext("target"))
        assert (found.value, found.flag_metadata) == (True, {"contextId": "target"})
    provider.client.set_override("a", True)
    assert provider.resolve_boolean_details("a", False, USER).flag_metadata == {}


def test_a_context_without_custom_properties_says_so():
    rule = {"==": [{"var": "plan"}, "premium"]}
    of_premium = {
        "variants": [{"key": "on", "value": True, "split": 1.0}],
        "rollout": [{"rollout_percentage": 1.0, "runtime_evaluation_rule": rule}],
    }
    provider = local(flag("a", ruleset=of_premium))
    client = provider.client
    for _ in range(2):
        details = provider.resolve_boolean_details("a", False, USER)
        assert (details.value, details.reason, details.error_code) == (False, Reason.DEFAULT, None)
        assert "no custom_properties" in details.error_message
        fallback = client.get_variant("a", SelectedVariant(False), {"distinct_id": "u1"})
        assert fallback.fallback_reason.kind == "NO_ROLLOUT_MATCH"
        assert fallback.fallback_reason.message == details.error_message
        free = {"distinct_id": "u1", "custom_properties": {"plan": "free"}}
        details = provider.resolve_boolean_details("a", False, EvaluationContext(attributes=free))
        assert (details.reason, details.error_message) == (Reason.DEFAULT, None)
    assert client.get_all_variants({"distinct_id": "u1"}) == {}


def test_the_client_behind_it():
    made = local(flag("a"))
    assert made.mixpanel.local_flags is made.client
    client = Client.local("token", definitions={"flags": []}, enable_polling=False)
    handed = MixpanelProvider(client)
    assert (handed.client, handed.mixpanel) == (client, None)
    assert handed.get_metadata().name == "mixpanel-provider"
    assert hash(handed) is not None
    assert handed.get_provider_hooks() == []


def test_the_token_may_stand_in_the_configuration(dev):
    provider = MixpanelProvider.from_local_config(LocalFlagsConfig(dev.url, token="in-the-config"))
    provider.initialize(EvaluationContext())
    provider.shutdown()
    assert dev.requests()["requests"][0]["query"]["token"] == "in-the-config"
    provider = MixpanelProvider.from_remote_config(RemoteFlagsConfig(dev.url, token="remote"))
    provider.initialize(EvaluationContext())
    provider.shutdown()


@pytest.mark.parametrize("make", [MixpanelProvider.from_local_config, MixpanelProvider.from_remote_config])
def test_a_read_of_the_wrong_type_is_no_exposure(dev, make):
    values = {
        "boolean": True,
        "string": "text",
        "integer": 7,
        "float": 0.5,
        "object": {"a": 1},
        "list": [1],
        "null": None,
    }
    dev.define({"flags": [flag(key, value) for key, value in values.items()]})
    configuration = LocalFlagsConfig if make == MixpanelProvider.from_local_config else RemoteFlagsConfig
    provider = make("token", configuration(dev.url))
    api.set_provider_and_wait(provider, "wrong-type")
    client = api.get_client("wrong-type")
    try:
        for kind, default, good in (
            ("boolean", True, {"boolean"}),
            ("string", "mine", {"string"}),
            ("integer", 1, {"integer"}),
            ("float", 1.5, {"integer", "float"}),
            ("object", {"mine": 1}, {"object", "list"}),
        ):
            read = getattr(client, f"get_{kind}_value")
            wait = getattr(client, f"get_{kind}_value_async")
            for key in values.keys() - good:
                user = EvaluationContext(attributes={"distinct_id": f"{kind}-{key}"})
                for _ in range(2):
                    assert read(key, default, user) == default
                assert asyncio.run(wait(key, default, user)) == default
        assert provider.client.flush() == 0
        assert provider.client.statistics()["enqueued"] == 0
        assert client.get_object_value("object", {}, USER) == {"a": 1}
        assert client.get_object_value("list", [], USER) == [1]
        assert client.get_string_value("string", "", USER) == "text"
        assert provider.client.flush() == 0
        assert dev.events(at_least=3)["counts"]["total"] == 3
    finally:
        api.set_provider(NoOpProvider(), "wrong-type")


def test_a_remote_provider(dev):
    dev.define({"flags": [flag("a"), flag("text", "value", experiment_id="e"), flag("object", {"a": [1]})]})
    provider = MixpanelProvider.from_remote_config("token", RemoteFlagsConfig(dev.url))
    provider.initialize(EvaluationContext())
    try:
        # No request is sent before the first evaluation.
        assert dev.requests()["requests"] == []
        details = provider.resolve_boolean_details("a", False, USER)
        assert (details.value, details.reason, details.variant) == (True, Reason.TARGETING_MATCH, "on")
        text = asyncio.run(provider.resolve_string_details_async("text", "", USER))
        assert (text.value, dict(text.flag_metadata)) == ("value", {"experiment_id": "e"})
        assert provider.resolve_object_details("object", {}, USER).value == {"a": [1]}
        assert provider.resolve_boolean_details("nope", True, USER).error_code is ErrorCode.FLAG_NOT_FOUND
        assert provider.resolve_boolean_details("text", True, USER).error_code is ErrorCode.TYPE_MISMATCH
        sent = [request["query"]["context"] for request in dev.requests()["requests"] if request["path"] == "/flags"]
        assert set(sent) == {'{"distinct_id":"u1"}'}
    finally:
        provider.shutdown()


def test_track_queues_an_event(dev, caplog):
    provider = MixpanelProvider.from_local_config("token", LocalFlagsConfig(dev.url, report_exposures=False))
    api.set_provider_and_wait(provider, "track")
    client = api.get_client("track")
    client.track("bought", USER, TrackingEventDetails(value=9.5).add("currency", "EUR"))
    client.track("looked", USER)
    with caplog.at_level(logging.WARNING, "mpflags"):
        client.track("nobody", EvaluationContext("only-a-targeting-key"))
        client.track("nobody", None)
        client.track("", USER)
        client.track("strange", USER, TrackingEventDetails().add("what", object()))
    told = [record.message for record in caplog.records if record.name == "mpflags"]
    assert sum("the context has no distinct_id. This is logged once" in line for line in told) == 1
    assert any("'strange'" in line for line in told)
    provider.shutdown()
    events = {event["json"]["event"]: event["json"]["properties"] for event in dev.events(at_least=2)["events"]}
    assert set(events) == {"bought", "looked"}
    assert events["bought"]["distinct_id"] == "u1"
    assert (events["bought"]["value"], events["bought"]["currency"]) == (9.5, "EUR")
    # Also after shutdown: no exception.
    client.track("late", USER)


def test_track_uses_the_targeting_key_where_it_is_the_distinct_id(dev):
    config = LocalFlagsConfig(dev.url, targeting_key_as="distinct_id")
    provider = MixpanelProvider.from_local_config("token", config)
    provider.initialize(EvaluationContext())
    provider.track("seen", EvaluationContext("user-7"))
    provider.shutdown()
    assert [event["json"]["properties"]["distinct_id"] for event in dev.events(1)["events"]] == ["user-7"]


def test_initialize_fails_within_its_deadline_and_the_provider_heals(dev, eventually):
    dev.fail_fetches("status", status=503)
    config = LocalFlagsConfig(dev.url, init_timeout_ms=100, retry_base_ms=10, polling_interval_ms=50)
    provider = MixpanelProvider.from_local_config("token", config)
    with pytest.raises(Exception, match="HTTP 503") as raised:
        provider.initialize(EvaluationContext())
    assert raised.value.error_code is not ErrorCode.PROVIDER_FATAL
    dev.heal()
    user = EvaluationContext(attributes={"distinct_id": "user-1"})
    eventually(lambda: provider.resolve_float_details("ranking-boost", 0.0, user).value == 1.35)
    provider.shutdown()
    # It can start again.
    provider.initialize(EvaluationContext())
    assert provider.client.state == "READY"
    provider.shutdown()


def test_a_client_that_is_stale_before_initialize(dev, eventually):
    client = Client.local("token", api_host=dev.url, polling_interval_ms=50, retry_base_ms=10)
    client.start_polling_for_definitions()
    dev.fail_fetches("status", status=503)
    eventually(lambda: client.state == "STALE")
    provider, came = MixpanelProvider(client), []
    handlers = {event: lambda _, event=event: came.append(event.name) for event in ProviderEvent}
    stale = api.get_client("stale")
    for event, handler in handlers.items():
        stale.add_handler(event, handler)
    api.set_provider_and_wait(provider, "stale")
    eventually(lambda: came[-1:] == ["PROVIDER_STALE"])
    dev.heal()
    eventually(lambda: came[-1:] == ["PROVIDER_READY"])
    provider.shutdown()
    assert client._runtime.pump.observer is None
