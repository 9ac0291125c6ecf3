"""Programs whose threads are greenlets of gevent or eventlet: while one waits for Mixpanel, the others run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing

import pytest
import run_program
from stand_in import StandIn, flag

# The heartbeat sleeps 5 ms. A step that blocks natively blocks for a second; a busy machine delays it by less.
PAUSE = 0.7
WHEN = [
    "before the import",
    *(
        pytest.param(when, marks=pytest.mark.slow)
        for when in ("before the client is made", "before the start", "after the start")
    ),
]


@pytest.fixture
def server() -> typing.Iterator[StandIn]:
    with StandIn({"flags": [flag("steady")]}) as server:
        yield server


def lines(server: StandIn, kind: str, when: str) -> tuple[dict[str, dict[str, typing.Any]], str]:
    """What the program prints, by step, and its standard error."""
    pytest.importorskip(kind, reason=f"{kind} is what this test runs under")
    program = subprocess.Popen(
        [sys.executable, "-W", "ignore", str(run_program.PROGRAMS / "greenlets.py"), kind, when, server.url],
        env={**os.environ, **run_program.SOURCES},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    steps = {}
    try:
        assert program.stdout is not None
        assert program.stdin is not None
        for line in program.stdout:
            told = json.loads(line)
            print(told)
            if told.get("ask") == "change":
                server.define({"flags": [flag("steady"), flag("more")]})
            elif told.get("ask") == "hang":
                server.faults(
                    {"path": "/flags/definitions", "kind": "status", "status": 500, "times": 3},
                    *({"path": path, "kind": "hang"} for path in ("/flags/definitions", "/flags", "/track")),
                )
            elif told.get("ask") == "heal":
                server.heal()
            else:
                steps[told["step"]] = told
                continue
            program.stdin.write("\n")
            program.stdin.flush()
        _, errors = program.communicate(timeout=60)
    finally:
        program.kill()
        program.wait()
    print(errors)
    assert program.returncode == 0, errors
    return steps, errors


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("kind", ["gevent", "eventlet"])
def test_greenlets_go_on(server: StandIn, kind: str, when: str) -> None:
    steps, errors = lines(server, kind, when)
    assert {name: step["gave"] for name, step in steps.items()} == {
        "start": None,
        "wait_ready": None,
        "evaluate": True,
        "flush": 0,
        "change": None,
        "log": None,
        "flush that hangs": 1,
        "start that hangs": None,
        "wait_ready that hangs": "Timeout",
        "remote that hangs": "fallback",
        "all that hangs": None,
        "many that hang": None,
        "shutdown that hangs": 1,
        "start again": None,
        "wait_ready again": None,
        "remote": True,
        "starts together": None,
        "shutdown": 0,
    }
    stopped = {name: step["pause"] for name, step in steps.items() if step["pause"] > PAUSE}
    assert not stopped, f"nothing else ran meanwhile: {stopped}"
    # All at once, not one after another.
    assert steps["many that hang"]["took"] < 10
    assert steps["shutdown"]["took"] < 3
    # eventlet changes the identifier of a running thread, which then cannot be found when it ends.
    if (kind, when) != ("eventlet", "after the start"):
        assert errors == ""
    # The last one was sent when the interpreter ended, by a client without a shutdown. The request that hung was abandoned.
    events = sorted(event["json"]["event"] for event in server.events(at_least=4)["events"])
    assert events == ["$experiment_started", "$experiment_started", "At the end", "Tracked"]
