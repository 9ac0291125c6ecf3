"""Events and profile updates: user, time, and errors that the call raises."""

from __future__ import annotations

import datetime
import decimal
import enum
import logging
import math
import time
import typing
import uuid

import numpy
import pytest
from openfeature.evaluation_context import EvaluationContext
from openfeature.track import TrackingEventDetails
from stand_in import StandIn

from mpflags import Client, InvalidArgument, SelectedVariant
from mpflags.openfeature import MixpanelProvider


class Kind(enum.Enum):
    USER = "user-of-enum"


class Number(enum.IntEnum):
    SEVEN = 7


class Text(str):
    __slots__ = ()


@pytest.fixture
def client(dev: StandIn) -> typing.Iterator[Client]:
    with Client.local("token", api_host=dev.url, report_exposures=False) as client:
        yield client


# Values that cannot identify a user, and what the message says.
NO_USER: dict[str, tuple[typing.Any, str]] = {
    "none": (None, "None"),
    "boolean": (True, "bool"),
    "float": (1.5, "float"),
    "whole float": (1.0, "float"),
    "nan": (math.nan, "float"),
    "bytes": (b"user", "bytes"),
    "list": (["user"], "list"),
    "dict": ({}, "dict"),
    "object": (object(), "object"),
    "datetime": (datetime.datetime(2026, 1, 2), "datetime"),
    "decimal": (decimal.Decimal(1), "Decimal"),
    "numpy boolean": (numpy.bool_(True), "bool"),
    "numpy float": (numpy.float64(1.5), "float64"),
    "surrogate": ("\ud800", "surrogate"),
    "huge": (10**5000, "int"),
}
USERS: dict[str, tuple[typing.Any, str]] = {
    "text": ("user-1", "user-1"),
    "own text": (Text("user-2"), "user-2"),
    "unicode": ("Zoë", "Zoë"),
    "integer": (42, "42"),
    "zero": (0, "0"),
    "negative": (-7, "-7"),
    "large": (2**70, str(2**70)),
    "enum": (Kind.USER, "user-of-enum"),
    "int enum": (Number.SEVEN, "7"),
    "numpy integer": (numpy.int64(9), "9"),
    "uuid": (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
}


@pytest.mark.parametrize("name", NO_USER)
def test_what_is_no_user(client: Client, name: str) -> None:
    value, said = NO_USER[name]
    for call in (
        lambda: client.track(value, "bought"),
        lambda: client.people_update(value, "$set", {"a": 1}),
    ):
        with pytest.raises(InvalidArgument, match=r"^distinct_id: ") as raised:
            call()
        assert said in str(raised.value)
    assert client.statistics()["enqueued"] == 0


def test_users(client: Client, dev: StandIn) -> None:
    for value, _ in USERS.values():
        client.track(value, "bought")
        client.people_update(value, "$set", {"a": 1})
    assert client.flush(30) == 0
    sent = [event["json"] for event in dev.events(at_least=2 * len(USERS))["events"]]
    wanted = sorted(text for _, text in USERS.values())
    assert sorted(event["properties"]["distinct_id"] for event in sent if "properties" in event) == wanted
    assert sorted(event["$distinct_id"] for event in sent if "$distinct_id" in event) == wanted


def test_an_integer_is_the_user_that_it_is_in_a_context(client: Client, dev: StandIn) -> None:
    """So that events and exposures have the same user."""
    client.track(42, "bought")
    client.track_exposure_event("elsewhere", SelectedVariant(1, "on"), {"distinct_id": 42})
    client.flush(30)
    users = [event["json"]["properties"]["distinct_id"] for event in dev.events(at_least=2)["events"]]
    assert users == ["42", "42"]


@pytest.mark.parametrize("wrong", [True, 1.5, b"user", ["user"]])
def test_an_exposure_by_hand_is_not_of_somebody_made_up(
    client: Client, caplog: pytest.LogCaptureFixture, wrong: object
) -> None:
    with caplog.at_level(logging.WARNING, "mpflags"):
        client.track_exposure_event("elsewhere", SelectedVariant(1, "on"), {"distinct_id": wrong})
    assert any("was not reported" in record.getMessage() for record in caplog.records)
    assert client.statistics()["enqueued"] == 0


BERLIN = datetime.timezone(datetime.timedelta(hours=2))
MOMENTS: dict[str, tuple[typing.Any, int]] = {
    "aware": (datetime.datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=BERLIN), 1767315845678),
    "utc": (datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc), 1767323045000),
    "numpy": (numpy.datetime64("2026-01-02T03:04:05.678", "ns"), 1767323045678),
    "numpy day": (numpy.datetime64("2026-01-02", "D"), 1767312000000),
    "seconds": (1767323045, 1767323045),
    "milliseconds": (1767323045678, 1767323045678),
}


def times(dev: StandIn, count: int) -> list[typing.Any]:
    return [event["json"]["properties"]["time"] for event in dev.events(at_least=count)["events"]]


def test_a_time(client: Client, dev: StandIn) -> None:
    for value, _ in MOMENTS.values():
        client.track("u", "bought", {"time": value})
    client.track("u", "bought", {"time": 1767323045.5})
    client.flush(30)
    assert times(dev, len(MOMENTS) + 1) == [*(wanted for _, wanted in MOMENTS.values()), 1767323045.5]


def test_a_time_without_a_zone_is_local(client: Client, dev: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        naive = datetime.datetime(2026, 1, 2, 3, 4, 5)
        client.track("u", "bought", {"time": naive})
        client.track("u", "bought", {"time": datetime.date(2026, 1, 2)})
        before = time.time()
        client.track("u", "bought", {"time": datetime.datetime.now()})
    finally:
        monkeypatch.undo()
        time.tzset()
    client.flush(30)
    came = times(dev, 3)
    nine_hours = 9 * 3600 * 1000
    assert came[:2] == [1767323045000 - nine_hours, 1767312000000 - nine_hours]
    assert abs(came[2] - before * 1000) < 20_000


@pytest.mark.parametrize(
    "wrong",
    [
        datetime.time(1, 2),
        datetime.timedelta(1),
        datetime.datetime.min,
        numpy.datetime64("NaT"),
        math.nan,
        math.inf,
        b"2026",
        {1},
    ],
    ids=repr,
)
def test_what_is_no_time(client: Client, wrong: object) -> None:
    with pytest.raises(InvalidArgument, match="time"):
        client.track("u", "bought", {"time": wrong})
    assert client.statistics()["enqueued"] == 0


def test_properties_that_cannot_be_sent(client: Client) -> None:
    """An event is never sent in part: either all of it, or an error with the path."""
    circle: list[typing.Any] = []
    circle.append(circle)
    for value, path in (
        ({"a": {"b": {1}}}, "properties.a.b"),
        ({"a": [1, math.nan]}, "properties.a[1]"),
        ({"a": b"x"}, "properties.a"),
        ({("a",): 1}, "properties"),
        ({"a": circle}, "properties.a"),
        ({"a": "\ud800"}, "properties.a"),
    ):
        with pytest.raises(InvalidArgument) as raised:
            client.track("u", "bought", typing.cast("typing.Any", value))
        assert f"attribute '{path}" in str(raised.value), raised.value
    wrong: typing.Any
    for wrong in (["a"], "text", 3):
        with pytest.raises(InvalidArgument, match=r"^properties: expected a mapping"):
            client.track("u", "bought", wrong)
    with pytest.raises(InvalidArgument, match=r"attribute 'value\.a'"):
        client.people_update("u", "$set", {"a": object()})
    for wrong in (None, 3, b"bought", "\ud800"):
        with pytest.raises(InvalidArgument, match=r"^event_name: "):
            client.track("u", wrong)
        with pytest.raises(InvalidArgument, match=r"^operation: "):
            client.people_update("u", wrong, {})
    assert client.statistics()["enqueued"] == 0


def test_through_the_provider(client: Client, dev: StandIn, caplog: pytest.LogCaptureFixture) -> None:
    provider = MixpanelProvider(client)
    moment = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)
    with caplog.at_level(logging.WARNING, "mpflags"):
        for wrong in (True, 1.5, b"user", None):
            provider.track("bought", EvaluationContext(attributes={"distinct_id": typing.cast("typing.Any", wrong)}))
        strange = TrackingEventDetails(attributes=typing.cast("typing.Any", {"a": {1}}))
        provider.track("bought", EvaluationContext(attributes={"distinct_id": "u"}), strange)
    said = [record.getMessage() for record in caplog.records]
    assert sum("was not tracked: distinct_id: " in line for line in said) == 3
    assert sum("has no distinct_id. This is logged once" in line for line in said) == 1
    assert sum("attribute 'properties.a'" in line for line in said) == 1
    provider.track(
        "bought",
        EvaluationContext(attributes={"distinct_id": 42}),
        TrackingEventDetails(value=9.5, attributes={"time": moment}),
    )
    client.flush(30)
    (event,) = dev.events(at_least=1)["events"]
    properties = event["json"]["properties"]
    assert (properties["distinct_id"], properties["time"], properties["value"]) == ("42", 1767323045000, 9.5)
