"""An attribute that cannot be sent affects only flags that read it. It is logged once, without its value."""

from __future__ import annotations

import asyncio
import collections.abc
import logging
import math
import pickle
import typing

import pytest
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from stand_in import StandIn, flag

from mpflags import Client, Context, InvalidContext, SelectedVariant
from mpflags.openfeature import MixpanelProvider


class Silent:
    def __str__(self) -> str:
        raise RuntimeError("no words")

    __repr__ = __str__

    def __hash__(self) -> int:
        return 7


class Broken(collections.abc.Mapping[str, int]):
    """A mapping that cannot be read."""

    def __getitem__(self, key: str) -> int:
        raise KeyError("secret-value")

    def __iter__(self) -> typing.Iterator[str]:
        return iter(["a"])

    def __len__(self) -> int:
        return 1


class Proxy:
    """Like the proxies of web frameworks, used outside of a request."""

    @property
    def __class__(self) -> typing.Any:
        raise RuntimeError("outside of a request")


CIRCLE: dict[str, typing.Any] = {"name": "secret-value"}
CIRCLE["itself"] = [CIRCLE, CIRCLE]
DEEP: typing.Any = "secret-value"
for _ in range(3000):
    DEEP = {"a": DEEP}

# Each value and what the log line says about it.
UNUSABLE = {
    "set": ({"secret-value"}, "set"),
    "nan": (math.nan, "not finite"),
    "infinity": (math.inf, "not finite"),
    "bytes": (b"secret-value", "bytes"),
    "circle": (CIRCLE, "contains itself"),
    "deep": (DEEP, "127 levels"),
    "object": (Silent(), "Silent"),
    "mapping": (Broken(), "Broken"),
    "proxy": (Proxy(), "Proxy"),
    "key": ({("secret-value",): 1}, "key of type tuple"),
    "key that has no words": ({Silent(): 1}, "key of type Silent"),
    "surrogate": ("secret-value\ud800", "surrogate"),
    "surrogate key": ({"secret-value\ud800": 1}, "surrogate"),
    "large": (10**400 + 1, "beyond"),
    "in a list": ([1, [{"secret-value"}]], "set"),
}


def reading(key: str, name: str) -> dict[str, object]:
    """A flag whose rule reads a custom property."""
    return flag(
        key,
        ruleset={
            "variants": [{"key": "on", "value": True, "split": 1.0}],
            "rollout": [
                {"rollout_percentage": 1.0, "runtime_evaluation_rule": {"!": [{"in": [{"var": name}, ["z"]]}]}}
            ],
        },
    )


FLAGS = {
    "flags": [
        flag("plain"),
        reading("by plan", "plan"),
        reading("by tags", "Tags"),
        flag("by account", context="account"),
    ]
}


@pytest.fixture
def client() -> typing.Iterator[Client]:
    with Client.local("token", definitions=FLAGS, enable_polling=False, event_sink=True) as client:
        yield client


def lines(caplog: pytest.LogCaptureFixture, part: str) -> list[str]:
    return [
        record.getMessage() for record in caplog.records if record.name == "mpflags" and part in record.getMessage()
    ]


def attributes(value: object, where: str) -> dict[typing.Any, typing.Any]:
    own = {"distinct_id": "u", "account": "a", "custom_properties": {"plan": "pro", "Tags": "y"}}
    places: dict[str, typing.Callable[[], object]] = {
        "account": lambda: own.update(account=value),
        "Tags": lambda: own["custom_properties"].update(Tags=value),  # type: ignore[attr-defined]
        "other": lambda: own.update(other=value),
        "custom_properties.other": lambda: own["custom_properties"].update(other=value),  # type: ignore[attr-defined]
    }
    places[where]()
    return own


WHERE = {
    "account": ("account", {"plain": True, "by plan": True, "by tags": True, "by account": None}),
    "Tags": ("custom_properties.Tags", {"plain": True, "by plan": True, "by tags": None, "by account": True}),
    "other": ("other", dict.fromkeys(("plain", "by plan", "by tags", "by account"), True)),
    "custom_properties.other": (
        "custom_properties.other",
        dict.fromkeys(("plain", "by plan", "by tags", "by account"), True),
    ),
}


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("name", UNUSABLE)
def test_it_spoils_what_reads_it(client: Client, name: str, where: str, caplog: pytest.LogCaptureFixture) -> None:
    value, why = UNUSABLE[name]
    path, wanted = WHERE[where]
    context = attributes(value, where)
    provider = MixpanelProvider(client)
    with caplog.at_level(logging.DEBUG, "mpflags"):
        for _ in range(3):
            for key, enabled in wanted.items():
                assert client.is_enabled(key, context) is bool(enabled), key
                variant = client.get_variant(key, SelectedVariant("mine"), context)
                details = provider.resolve_boolean_details(key, False, EvaluationContext(attributes=context))
                if enabled:
                    assert (variant.variant_value, details.value, details.error_code) == (True, True, None), key
                    continue
                assert variant.fallback_reason is not None
                assert (variant.variant_value, variant.fallback_reason.kind) == ("mine", "INVALID_CONTEXT"), key
                assert (details.value, details.error_code) == (False, ErrorCode.INVALID_CONTEXT)
                for message in (variant.fallback_reason.message, details.error_message):
                    assert message is not None
                    assert path in message
                    assert why in message
                    assert "secret-value" not in message
            assert sorted(client.get_all_variants(context)) == sorted(key for key, enabled in wanted.items() if enabled)
        client.shutdown()
    about = lines(caplog, path)
    assert len(about) == 1, about
    assert why in about[0]
    assert "secret-value" not in caplog.text


def test_a_key_of_the_context_itself_is_left_out(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    context: typing.Any = {"distinct_id": "u", 7: "seven", ("a",): 1, "custom_properties": {Silent(): 1, "plan": "pro"}}
    with caplog.at_level(logging.WARNING, "mpflags"):
        assert client.is_enabled("by plan", context)
        assert client.is_enabled("plain", context)
    assert len(lines(caplog, "key of type tuple")) == 1
    assert len(lines(caplog, "key of type Silent")) == 1


def test_one_of_several_is_named(client: Client) -> None:
    context = {"distinct_id": "u", "account": {1}, "custom_properties": {"tags": math.nan, "plan": b"pro"}}
    for key, path in (
        ("by tags", "custom_properties.tags"),
        ("by plan", "custom_properties.plan"),
        ("by account", "account"),
    ):
        for given in (context, Context(context)):
            reason = client.get_variant(key, SelectedVariant(None), given).fallback_reason
            assert reason is not None
            assert reason.kind == "INVALID_CONTEXT"
            assert f"attribute {path!r}: " in (reason.message or "")
    assert client.is_enabled("plain", context)


def test_a_context_that_is_kept(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    kept = Context({"distinct_id": "u", "custom_properties": {"tags": {"a"}, "plan": "pro"}})
    with caplog.at_level(logging.WARNING, "mpflags"):
        for given in (kept, pickle.loads(pickle.dumps(kept))):
            assert client.is_enabled("plain", given)
            assert client.is_enabled("by plan", given)
            assert not client.is_enabled("by tags", given)
            assert sorted(client.get_all_variants(given)) == ["by plan", "plain"]
    assert len(lines(caplog, "custom_properties.tags")) == 1


def test_an_exposure_and_an_explanation(client: Client) -> None:
    context = {"distinct_id": "u", "custom_properties": {"tags": {"a"}}}
    shown = client.get_all_variants(context)["plain"]
    client.track_exposure_event("plain", shown, context)
    assert client.statistics()["enqueued"] == 1
    assert client.explain("plain", context)["variant"] == "on"
    assert client.explain("by tags", context)["error_code"] == "INVALID_CONTEXT"


def test_coroutines(client: Client) -> None:
    context = {"distinct_id": "u", "custom_properties": {"tags": {"a"}}}

    async def run() -> None:
        assert await client.ais_enabled("plain", context)
        assert not await client.ais_enabled("by tags", context)
        assert sorted(await client.aget_all_variants(context)) == ["by plan", "plain"]

    asyncio.run(run())


def test_a_remote_client_sends_all_of_it(dev: StandIn, caplog: pytest.LogCaptureFixture) -> None:
    context = {"distinct_id": "u", "custom_properties": {"tags": {"secret-value"}}}
    with Client.remote("token", api_host=dev.url) as client, caplog.at_level(logging.WARNING, "mpflags"):
        provider = MixpanelProvider(client)
        for given in (context, Context(context)):
            assert client.is_enabled("new-checkout", given) is False
            reason = client.get_variant("new-checkout", SelectedVariant(None), given).fallback_reason
            assert reason is not None
            assert (reason.kind, "custom_properties.tags" in (reason.message or "")) == ("INVALID_CONTEXT", True)
            assert client.get_all_variants(given) is None
        details = provider.resolve_boolean_details("new-checkout", True, EvaluationContext(attributes=context))
        assert details.error_code is ErrorCode.INVALID_CONTEXT
        assert not [request for request in dev.requests()["requests"] if request["path"] == "/flags"]
    # One line for each call that logs its failure.
    assert len(lines(caplog, "this is logged once for each attribute")) == 1
    assert "secret-value" not in caplog.text


def test_what_is_no_mapping_is_logged_once(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    wrong: typing.Any = None
    with caplog.at_level(logging.WARNING, "mpflags"):
        for _ in range(3):
            assert client.is_enabled("plain", wrong) is False
    assert len(lines(caplog, "the context: expected a mapping of names to values, got NoneType")) == 1


def test_attributes_without_end_are_not_all_logged(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "mpflags"):
        for number in range(300):
            assert client.is_enabled("plain", {"distinct_id": "u", f"a{number}": {1}})
        client.shutdown()
    # The library has its own limit for lines that only it logs.
    ours = lines(caplog, "this is logged once for each attribute")
    assert len(ours) == 100
    assert len(lines(caplog, "Further attributes that cannot be sent")) == 1


def test_nothing_is_logged_of_a_context_that_can_be_sent(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "mpflags"):
        assert client.is_enabled("by tags", {"distinct_id": "u", "custom_properties": {"tags": ["a", None, 1.5]}})
    assert not caplog.records
    with pytest.raises(InvalidContext, match="expected a mapping"):
        Context(typing.cast("typing.Any", "text"))
