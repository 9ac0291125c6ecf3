"""conformance/openfeature/events.feature: the events of a provider."""

from __future__ import annotations

import typing

import pytest
import threads_left
from lifecycle import Lifecycle
from openfeature import api
from pytest_bdd import given, parsers, scenarios, then, when
from stand_in import ROOT, StandIn, flag

scenarios(str(ROOT / "conformance" / "openfeature" / "events.feature"))


@pytest.fixture(scope="module")
def server() -> typing.Iterator[StandIn]:
    with StandIn() as server:
        yield server


@pytest.fixture
def life(server: StandIn) -> typing.Iterator[Lifecycle]:
    life = Lifecycle("events", server)
    life.begin()
    life.before = threads_left.tasks()  # type: ignore[attr-defined]
    yield life
    if life.provider:
        life.provider.shutdown()
    api.clear_providers()
    server.restart()


@given("Mixpanel in good health")
def _(life: Lifecycle) -> None:
    pass


@given("Mixpanel that refuses the credentials")
def _(life: Lifecycle) -> None:
    life.server.fail_fetches("status", status=401)


@given("Mixpanel that is down")
def _(life: Lifecycle) -> None:
    life.server.stop()


@when("the provider is set")
def _(life: Lifecycle) -> None:
    life.set_provider()


@when("Mixpanel accepts the credentials")
@when("Mixpanel is in good health again")
def _(life: Lifecycle) -> None:
    life.server.heal()


@when("Mixpanel is up")
def _(life: Lifecycle) -> None:
    life.server.restart()


@when(parsers.parse("Mixpanel answers {status:d} to every fetch"))
def _(life: Lifecycle, status: int) -> None:
    life.server.fail_fetches("status", status=status)


@when(parsers.parse('the definition of "{key}" changes so that its value is false'))
def _(life: Lifecycle, key: str) -> None:
    life.server.define({"flags": [flag(key, False), flag("other-flag")]})


@when("the provider is shut down")
def _(life: Lifecycle) -> None:
    life.shut_down()


@then("setting it fails")
def _(life: Lifecycle) -> None:
    assert life.failure is not None


@then(parsers.parse('setting it fails, and the message contains "{text}"'))
def _(life: Lifecycle, text: str) -> None:
    assert text in str(life.failure)


@then(parsers.parse('the status is "{status}"'))
def _(life: Lifecycle, status: str) -> None:
    life.status(status)


@then(parsers.parse('so far the events are "{names}"'))
def _(life: Lifecycle, names: str) -> None:
    life.expect(*names.split(", "))


@then("no other event comes")
def _(life: Lifecycle) -> None:
    life.no_other()


@then(parsers.parse('the last event names the flags "{keys}"'))
def _(life: Lifecycle, keys: str) -> None:
    assert life.events[-1][1].flags_changed == keys.split(", ")


@then(parsers.parse('"{key}" gives its variant'))
def _(life: Lifecycle, key: str) -> None:
    life.gives_variant()


@then(parsers.parse('"{key}" gives its default with "{code}"'))
def _(life: Lifecycle, key: str, code: str) -> None:
    life.gives_default(code)


@then(parsers.parse('the value of "{key}" is false'))
def _(life: Lifecycle, key: str) -> None:
    life.gives_variant(False)


@then("no thread of it is left")
def _(life: Lifecycle) -> None:
    life.no_thread(life.before)  # type: ignore[attr-defined]
