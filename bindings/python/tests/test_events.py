"""The event scenarios of conformance/openfeature/events.feature, repeated and in parallel, and two more.

Each runs EVENTS_REPEAT times, by default 100. Every event arrives exactly once and in order, and each round leaves no
thread behind.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import threading
import typing

import threads_left
from lifecycle import Lifecycle
from openfeature import api
from stand_in import StandIn, flag

REPEAT = int(os.environ.get("EVENTS_REPEAT", "100"))


def refused_at_start(life: Lifecycle) -> None:
    life.server.fail_fetches("status", status=401)
    life.set_provider()
    assert "Mixpanel refused the credentials: HTTP 401" in str(life.failure)
    life.expect("ERROR")
    assert "Mixpanel refused the credentials: HTTP 401" in (life.events[0][1].message or "")
    life.status("ERROR")
    life.gives_default("PROVIDER_FATAL")
    life.server.heal()
    life.expect("ERROR", "READY")
    life.status("READY")
    life.gives_variant()


def healed_at_once(life: Lifecycle) -> None:
    """The fetch after the refusal succeeds at once: the SDK's own event for the failure must not come after READY.

    On a busy machine it may succeed before `initialize` returns, and then there is no failure.
    """
    life.server.fail_fetches("status", status=401, times=1)
    life.set_provider()
    life.expect(*(["ERROR", "READY"] if life.failure else ["READY"]))
    life.status("READY")
    life.gives_variant()


def down_at_start(life: Lifecycle) -> None:
    life.server.stop()
    life.set_provider()
    assert life.failure is not None
    life.expect("ERROR")
    life.status("ERROR")
    life.gives_default("PROVIDER_NOT_READY")
    life.server.restart()
    life.expect("ERROR", "READY")
    life.status("READY")
    life.gives_variant()


def stale_for_a_while(life: Lifecycle) -> None:
    life.set_provider()
    assert life.failure is None
    life.expect("READY")
    came = ["READY"]
    for status in (500, 401):
        life.server.fail_fetches("status", status=status)
        came.append("STALE")
        life.expect(*came)
        life.status("STALE")
        life.gives_variant()
        life.server.heal()
        came.append("READY")
        life.expect(*came)
        life.status("READY")
        life.gives_variant()


def a_change(life: Lifecycle) -> None:
    life.set_provider()
    assert life.failure is None
    life.expect("READY")
    life.server.define({"flags": [flag("boolean-flag", False), flag("other-flag")]})
    life.expect("READY", "CONFIGURATION_CHANGED")
    assert life.events[-1][1].flags_changed == ["boolean-flag"]
    life.status("READY")
    life.gives_variant(False)


def set_again(life: Lifecycle) -> None:
    """The same provider after its shutdown: it starts again, and emits later events."""
    life.set_provider()
    life.expect("READY")
    life.shut_down()
    life.unset_provider()
    life.set_provider(life.provider)
    assert life.failure is None
    life.expect("READY", "READY")
    life.server.define({"flags": [flag("boolean-flag", False), flag("other-flag")]})
    life.expect("READY", "READY", "CONFIGURATION_CHANGED")
    life.gives_variant(False)


SCENARIOS: list[typing.Callable[[Lifecycle], None]] = [
    refused_at_start, healed_at_once, down_at_start, stale_for_a_while, a_change, set_again,
]  # fmt: skip


def play(scenario: typing.Callable[[Lifecycle], None], life: Lifecycle) -> None:
    life.begin()
    scenario(life)
    names = life.no_other()
    life.shut_down()
    life.only(*names)


def test_every_event_exactly_once_and_in_order() -> None:
    barrier = threading.Barrier(len(SCENARIOS))
    with contextlib.ExitStack() as stack, concurrent.futures.ThreadPoolExecutor(len(SCENARIOS)) as pool:
        servers = [stack.enter_context(StandIn()) for _ in SCENARIOS]
        stack.callback(api.clear_providers)
        lives = [Lifecycle(f"events-{i}", server) for i, server in enumerate(servers)]
        list(pool.map(lambda _: barrier.wait(), SCENARIOS))  # every thread of the pool is started
        before, python_before = threads_left.tasks(), set(threading.enumerate())
        for round_number in range(REPEAT):
            runs = [pool.submit(play, scenario, life) for scenario, life in zip(SCENARIOS, lives, strict=True)]
            concurrent.futures.wait(runs)
            for scenario, run in zip(SCENARIOS, runs, strict=True):
                error = run.exception()
                if error:
                    raise AssertionError(f"{scenario.__name__}, round {round_number}: {error}") from error
            left = threads_left.left(before)
            assert not left, f"round {round_number}: threads are left: {left}"
            more = set(threading.enumerate()) - python_before
            assert not more, f"round {round_number}: threads are left: {more}"
    print(f"\n{len(SCENARIOS)} scenarios, each {REPEAT} times: every event once and in order, no thread left")
