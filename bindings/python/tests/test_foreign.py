"""The provider over objects that are not a `Client`: Mixpanel's own flags, mocks, a program's own class."""

import asyncio
import json
import logging
from unittest.mock import MagicMock

import mixpanel
import pytest
from mixpanel.flags import types as official
from mixpanel_openfeature import MixpanelProvider as OfficialProvider
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason
from openfeature.provider.no_op_provider import NoOpProvider

import mpflags
from mpflags import Client, FallbackReason, SelectedVariant
from mpflags.openfeature import MixpanelProvider

TYPES = {"boolean": False, "string": "mine", "integer": 7, "float": 0.5, "object": {"mine": 1}}
VALUES = (True, "text", 3, 3.0, 3.5, float("inf"), {"a": 1}, [1, 2], None)
CONTEXT = EvaluationContext("target", {"distinct_id": "u1", "whole": 2.0, "deep": {"list": [1.0, 1.5]}})


class Returning:
    """A flags provider of the program's own, with the one method that is needed."""

    def __init__(self, make):
        self.make = make
        self.calls = []

    def get_variant(self, key, fallback, context):
        self.calls.append((key, fallback, context))
        return self.make(fallback)


def reasons(package):
    return [
        package.FallbackReason.flag_not_found(),
        package.FallbackReason.no_rollout_match(),
        package.FallbackReason.missing_context_key("company_id"),
        package.FallbackReason.backend_error("HTTP 500"),
    ]


def compared(details):
    # The messages of a wrong type, and of a missing flag, are ours.
    message = (
        None if details.error_code in (ErrorCode.TYPE_MISMATCH, ErrorCode.FLAG_NOT_FOUND) else details.error_message
    )
    return (details.value, type(details.value), details.reason, details.error_code, details.variant, message)


@pytest.mark.parametrize("package", [official, mpflags], ids=["official", "ours"])
@pytest.mark.parametrize("kind", TYPES)
def test_details_are_those_of_mixpanels_provider(kind, package):
    makes = [
        *(lambda _, value=value: package.SelectedVariant(value, "v") for value in VALUES),
        *(lambda fallback, reason=reason: fallback.as_fallback(reason) for reason in reasons(package)),
        lambda fallback: fallback,
        lambda _: 1 / 0,
    ]
    for make in makes:
        theirs, ours = Returning(make), Returning(make)
        resolve = f"resolve_{kind}_details"
        wanted = getattr(OfficialProvider(theirs), resolve)("key", TYPES[kind], CONTEXT)
        provider = MixpanelProvider(ours)
        got = getattr(provider, resolve)("key", TYPES[kind], CONTEXT)
        assert compared(got) == compared(wanted)
        assert bool(got.error_message) == (got.error_code is not None)
        assert compared(asyncio.run(getattr(provider, f"{resolve}_async")("key", TYPES[kind], CONTEXT))) == compared(
            wanted
        )
        (key, fallback, context), _ = ours.calls
        assert (key, fallback.variant_value) == ("key", TYPES[kind])
        assert json.dumps(context) == json.dumps(theirs.calls[0][2])


@pytest.mark.parametrize(
    ("kind", "reason", "code"),
    [
        ("DISABLED", Reason.DISABLED, None),
        ("PROVIDER_NOT_READY", Reason.ERROR, ErrorCode.PROVIDER_NOT_READY),
        ("PARSE_ERROR", Reason.ERROR, ErrorCode.PARSE_ERROR),
        ("INVALID_CONTEXT", Reason.ERROR, ErrorCode.INVALID_CONTEXT),
        ("SOMETHING_NEW", Reason.ERROR, ErrorCode.GENERAL),
    ],
)
def test_other_kinds_of_fallback(kind, reason, code):
    provider = MixpanelProvider(Returning(lambda fallback: fallback.as_fallback(FallbackReason(kind))))
    details = provider.resolve_string_details("key", "mine")
    assert (details.value, details.reason, details.error_code) == ("mine", reason, code)
    assert kind in (details.error_message or kind)


def test_metadata_of_the_experiment():
    made = SelectedVariant(True, "v", "experiment", False, True)
    details = MixpanelProvider(Returning(lambda _: made)).resolve_boolean_details("key", False)
    assert details.flag_metadata == {"experiment_id": "experiment", "is_experiment_active": False, "is_qa_tester": True}
    bare = MixpanelProvider(Returning(lambda _: SelectedVariant(True, "v", is_qa_tester=False)))
    assert bare.resolve_boolean_details("key", False).flag_metadata == {}


def test_a_mock():
    flags = MagicMock()
    flags.are_flags_ready.return_value = False
    provider = MixpanelProvider(flags)
    details = provider.resolve_integer_details("key", 5)
    assert (details.value, details.error_code) == (5, ErrorCode.PROVIDER_NOT_READY)
    flags.get_variant.assert_not_called()
    flags.are_flags_ready.return_value = True
    flags.get_variant.return_value = SelectedVariant(6, "six")
    assert provider.resolve_integer_details("key", 5).value == 6
    provider.shutdown()
    flags.shutdown.assert_called_once_with()
    # What has no `shutdown` is left alone.
    MixpanelProvider(Returning(None)).shutdown()


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (object(), "builtins.object"),
        (None, "builtins.NoneType"),
        (Client, "the class mpflags.client.Client"),
        ("token", "builtins.str"),
        (mixpanel.Mixpanel("token"), "mixpanel.Mixpanel; pass its local_flags or remote_flags"),
    ],
)
def test_what_lacks_the_method_is_refused(wrong, named):
    with pytest.raises(TypeError) as raised:
        MixpanelProvider(wrong)
    assert str(raised.value) == f"flags_provider: expected an object with the method get_variant, got {named}"


def test_through_the_sdk(caplog):
    flags = Returning(lambda _: SelectedVariant(True, "on"))
    provider = MixpanelProvider(flags_provider=flags)
    api.set_provider_and_wait(provider, "foreign")
    client = api.get_client("foreign")
    assert client.get_boolean_details("key", False, CONTEXT).variant == "on"
    with caplog.at_level(logging.WARNING, "mpflags"):
        client.track("bought", CONTEXT)
        client.track("bought", CONTEXT)
    assert [record.message for record in caplog.records if record.name == "mpflags"] == [
        "the event 'bought' was not tracked: the provider has no mpflags.Client. This is logged once"
    ]
    api.set_provider_and_wait(NoOpProvider(), "foreign")
    assert provider.mixpanel is None
    with pytest.raises(AttributeError, match=r"made with a test_foreign\.Returning"):
        provider.client  # noqa: B018


@pytest.mark.parametrize("kind", ["local", "remote"])
def test_flags_of_mixpanels_own_package(dev, kind):
    exposures = MagicMock()
    made = mixpanel.Mixpanel(
        "token",
        consumer=exposures,
        local_flags_config=official.LocalFlagsConfig(enable_polling=False),
        remote_flags_config=official.RemoteFlagsConfig(),
    )
    flags = made.local_flags if kind == "local" else made.remote_flags
    # The package speaks https only.
    flags._sync_client.base_url = dev.url
    provider = MixpanelProvider(flags)
    user = EvaluationContext(attributes={"distinct_id": "user-1", "custom_properties": {"plan": "premium"}})
    if kind == "local":
        details = provider.resolve_boolean_details("new-checkout", False, user)
        assert details.error_code is ErrorCode.PROVIDER_NOT_READY
        flags.start_polling_for_definitions()
    with Client.local("token", api_host=dev.url) as ours:
        expected = ours.get_variant("button-color", SelectedVariant("#000000"), dict(user.attributes))
    details = provider.resolve_string_details("button-color", "#000000", user)
    assert (details.value, details.variant, details.error_code) == (expected.variant_value, expected.variant_key, None)
    assert provider.resolve_boolean_details("nope", True, user).error_code is ErrorCode.FLAG_NOT_FOUND
    if kind == "local":
        assert provider.resolve_string_details("button-color", "", None).error_code is ErrorCode.TARGETING_KEY_MISSING
    provider.shutdown()
    assert exposures.send.called
