"""The interpreter ends in bounded time, without a crash and without output on standard error, whatever the server does.

The request timeout is five minutes in these tests, so a program that waits for a request does not end in time.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import typing

import pytest
import run_program
from stand_in import StandIn, flag

SHUTDOWN_MS = 500
FOREVER = {"request_timeout_ms": 300_000, "shutdown_timeout_ms": SHUTDOWN_MS}
# What starting an interpreter on a busy machine may add to the bound.
SLACK = 20.0


@pytest.fixture(scope="module")
def server() -> typing.Iterator[StandIn]:
    with StandIn({"flags": [flag("boolean-flag")]}) as server:
        yield server


@pytest.fixture(autouse=True)
def healthy(server: StandIn) -> None:
    server.heal()
    server.forget()


def leave(server: StandIn, how: str, flags: list[str], **options: typing.Any) -> subprocess.CompletedProcess[str]:
    done = run_program.run("leave.py", how, server.url, flags=flags, OPTIONS=json.dumps(options))
    assert done.stderr == ""
    return done


@pytest.mark.parametrize("flags", run_program.INTERPRETERS)
@pytest.mark.parametrize("how", ["nothing", "forgotten", "shutdown", "atexit", "dropped", "exit code"])
def test_a_healthy_server_gets_the_exposure(server: StandIn, how: str, flags: list[str]) -> None:
    done = leave(server, how, flags)
    assert (done.returncode, done.stdout) == (3 if how == "exit code" else 0, "" if how == "nothing" else "True\n")
    wanted = 0 if how == "nothing" else 1
    assert server.events(at_least=wanted)["counts"]["total"] == wanted


@pytest.mark.parametrize("flags", run_program.INTERPRETERS)
@pytest.mark.parametrize("how", ["forgotten", "shutdown", "atexit", "dropped"])
def test_an_events_server_that_hangs(server: StandIn, how: str, flags: list[str]) -> None:
    server.faults({"path": "/track", "kind": "hang"})
    began = time.monotonic()
    done = leave(server, how, flags, **FOREVER)
    assert (done.returncode, done.stdout) == (0, "True\n")
    assert time.monotonic() - began < SHUTDOWN_MS / 1000 + SLACK


@pytest.mark.parametrize("flags", run_program.INTERPRETERS)
@pytest.mark.parametrize("how", ["forgotten", "shutdown", "atexit", "dropped"])
def test_a_definitions_server_that_hangs(server: StandIn, how: str, flags: list[str]) -> None:
    server.fail_fetches("hang")
    began = time.monotonic()
    done = leave(server, how, flags, init_timeout_ms=100, **FOREVER)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "False")
    assert time.monotonic() - began < SHUTDOWN_MS / 1000 + SLACK


@pytest.mark.parametrize("flags", run_program.INTERPRETERS)
@pytest.mark.parametrize("how", ["in a daemon thread", "in a thread", "in a coroutine"])
def test_a_remote_call_under_way(server: StandIn, how: str, flags: list[str]) -> None:
    server.faults({"path": "/flags", "kind": "hang"})
    server.forget()
    # The interpreter waits for a thread that is not a daemon, so the request's timeout is the bound.
    request_ms = 1000 if how == "in a thread" else 300_000
    began = time.monotonic()
    program = start(server, how, flags, request_timeout_ms=request_ms, shutdown_timeout_ms=SHUTDOWN_MS)
    server.requests(at_least=1)
    output, errors = program.communicate("\n", timeout=120)
    assert (program.returncode, output, errors) == (0, "waiting\n", "")
    assert time.monotonic() - began < SHUTDOWN_MS / 1000 + SLACK


@pytest.mark.parametrize("flags", run_program.INTERPRETERS)
def test_an_initialisation_under_way(server: StandIn, flags: list[str]) -> None:
    server.fail_fetches("hang")
    server.forget()
    began = time.monotonic()
    program = start(server, "while it is initialised", flags, init_timeout_ms=300_000, **FOREVER)
    server.requests(at_least=1)
    output, errors = program.communicate("\n", timeout=120)
    assert (program.returncode, output, errors) == (0, "waiting\n", "")
    assert time.monotonic() - began < SHUTDOWN_MS / 1000 + SLACK


@pytest.mark.parametrize("flags", run_program.INTERPRETERS)
def test_ctrl_c_ends_the_wait_for_definitions(server: StandIn, flags: list[str]) -> None:
    server.fail_fetches("hang")
    server.forget()
    began = time.monotonic()
    program = start(server, "interrupted", flags, init_timeout_ms=300_000, **FOREVER)
    server.requests(at_least=1)
    program.send_signal(signal.SIGINT)
    _, errors = program.communicate(timeout=120)
    assert program.returncode == -signal.SIGINT
    assert errors.splitlines()[-1] == "KeyboardInterrupt"
    assert errors.count("Traceback") == 1, errors
    assert time.monotonic() - began < SHUTDOWN_MS / 1000 + SLACK


@pytest.mark.parametrize("flags", run_program.INTERPRETERS)
def test_threads_that_evaluate_to_the_end(server: StandIn, flags: list[str]) -> None:
    for _ in range(5):
        program = start(server, "while others evaluate", flags)
        output, errors = program.communicate("\n", timeout=120)
        assert (program.returncode, output, errors) == (0, "waiting\n", "")


def start(server: StandIn, how: str, flags: list[str], **options: typing.Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *flags, str(run_program.PROGRAMS / "leave.py"), how, server.url],
        env={**os.environ, **run_program.SOURCES, "OPTIONS": json.dumps(options)},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
