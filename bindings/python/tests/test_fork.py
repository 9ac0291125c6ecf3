"""Forks: plain ones under load, and gunicorn's workers with and without preload.

Children of a busy parent evaluate, poll and report. The parent keeps working. Every exposure arrives exactly once.
"""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import typing

import pytest
import run_program
from stand_in import StandIn, flag

CHILDREN = 4
WORKERS = 3
# gunicorn's workers close the listening socket only by ending.
OF_GUNICORN = ["-W", "ignore:unclosed <socket.socket:ResourceWarning"]
PATIENCE = 30.0


def changing(value: bool) -> dict[str, object]:
    return flag("changing", value, context="device_id")


@pytest.fixture
def server() -> typing.Iterator[StandIn]:
    with StandIn({"flags": [flag("steady"), changing(False)]}) as server:
        yield server


def users(server: StandIn, at_least: int) -> collections.Counter[str]:
    """How often each user's exposure arrived. Each must have a unique id, and none may count as a repetition."""
    log = server.events(at_least=at_least)
    counts = log["counts"]
    assert log["forgotten"] == 0
    assert (counts["rejected"], counts["duplicates"]) == (0, 0), counts
    assert counts["distinct_insert_ids"] == counts["total"], counts
    return collections.Counter(event["json"]["properties"]["distinct_id"] for event in log["events"])


def once(found: collections.Counter[str], expected: set[str]) -> None:
    twice = [user for user, count in found.items() if count != 1]
    assert not twice, f"more than once: {twice[:5]}"
    assert not expected - set(found), f"lost: {sorted(expected - set(found))[:5]}"
    assert not set(found) - expected, f"from nobody: {sorted(set(found) - expected)[:5]}"


@pytest.mark.parametrize("flags", run_program.INTERPRETERS)
def test_children_of_a_loaded_parent(server: StandIn, flags: list[str]) -> None:
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        program = pool.submit(
            run_program.run, "fork.py", server.url, str(CHILDREN), flags=[*flags, *run_program.OF_FORKS]
        )
        end = time.monotonic() + PATIENCE
        while not program.done() and time.monotonic() < end:
            seen = users(server, 0)
            if all(f"ready-{child}" in seen for child in range(CHILDREN)):
                break
            time.sleep(0.02)
        server.define({"flags": [flag("steady"), changing(True)]})
        done = program.result()
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert told["statuses"] == [0] * 2 * CHILDREN
    expected = {f"parent-{thread}-{i}" for thread, count in enumerate(told["parent"]) for i in range(count)}
    expected |= {f"child-{child}-{i}" for child in range(CHILDREN) for i in range(told["child"])}
    expected |= {f"{name}-{child}" for name in ("ready", "brief") for child in range(CHILDREN)}
    once(users(server, len(expected)), expected)
    print(f"\n{CHILDREN} children, {len(expected)} exposures, each once")


@pytest.mark.parametrize("flags", run_program.INTERPRETERS)
def test_processes_that_end_without_the_interpreters_end(server: StandIn, flags: list[str]) -> None:
    done = run_program.run("processes.py", server.url, flags=[*flags, *run_program.OF_FORKS])
    assert (done.returncode, done.stderr) == (0, "")
    expected = {"parent", *(f"process-{i}" for i in range(3)), *(f"pool-{i}" for i in range(20))}
    once(users(server, len(expected)), expected)


def test_a_child_that_shuts_down_before_its_first_call(server: StandIn) -> None:
    done = run_program.run("fork_shut_down.py", server.url, flags=run_program.OF_FORKS)
    assert (done.returncode, done.stderr) == (0, "")


class OverSocket(http.client.HTTPConnection):
    """HTTP over a Unix socket, whose path cannot be taken by another process."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=PATIENCE)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def is_listening(path: str) -> bool:
    with contextlib.closing(OverSocket(path)) as connection:
        try:
            connection.connect()
        except OSError:
            return False
        return True


@contextlib.contextmanager
def gunicorn(server: StandIn, flags: list[str], path: str, *options: str) -> typing.Iterator[subprocess.Popen[str]]:
    """The process. At the end it is stopped, and must end with 0 and without output."""
    process = subprocess.Popen(
        [sys.executable, *flags, *run_program.OF_FORKS, *OF_GUNICORN, "-m", "gunicorn", "app:application",
         "--workers", str(WORKERS), "--bind", f"unix:{path}", "--log-level", "warning", *options],
        cwd=pathlib.Path(__file__).parent / "programs",
        env={**os.environ, **run_program.SOURCES, "MIXPANEL": server.url},
        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        end = time.monotonic() + PATIENCE
        while not is_listening(path):
            assert process.poll() is None, "gunicorn has ended"
            assert time.monotonic() < end, "gunicorn did not start"
            time.sleep(0.01)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            _, errors = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        print(errors)
    assert (process.returncode, errors) == (0, "")


def ask(path: str, query: str) -> dict[str, typing.Any]:
    with contextlib.closing(OverSocket(path)) as connection:
        connection.request("GET", f"/?{query}")
        with connection.getresponse() as answer:
            assert answer.status == 200
            return typing.cast("dict[str, typing.Any]", json.load(answer))


@pytest.mark.parametrize("flags", run_program.INTERPRETERS)
@pytest.mark.parametrize("preload", [False, True], ids=["each worker", "preload"])
def test_gunicorn(server: StandIn, flags: list[str], preload: bool, tmp_path: pathlib.Path) -> None:
    pytest.importorskip("gunicorn", reason="gunicorn is what this test runs under")
    asked = set()
    workers: dict[int, int] = {}
    path = str(tmp_path / "socket")
    with gunicorn(server, flags, path, *(["--preload"] if preload else [])) as process:
        end = time.monotonic() + PATIENCE
        while len(workers) < WORKERS or len(asked) < 300:
            assert time.monotonic() < end, f"{len(workers)} workers have answered"
            users_now = [f"user-{len(asked) + i}" for i in range(20)]
            with concurrent.futures.ThreadPoolExecutor(8) as pool:
                answers = list(pool.map(lambda user: ask(path, f"user={user}"), users_now))
            asked.update(users_now)
            assert all(answer["value"] is True for answer in answers)
            workers.update((answer["pid"], answer["imported"]) for answer in answers)
        server.define({"flags": [flag("steady"), changing(True)]})
        changed: set[int] = set()
        while changed != set(workers):
            assert time.monotonic() < end, f"the change arrived at {len(changed)} of {WORKERS} workers"
            with concurrent.futures.ThreadPoolExecutor(8) as pool:
                for answer in pool.map(lambda _: ask(path, ""), range(16)):
                    if answer["value"]:
                        changed.add(answer["pid"])
        assert len(workers) == WORKERS
        assert set(workers.values()) == ({process.pid} if preload else set(workers))
    # A provider without a shutdown delivers queued events when the interpreter ends.
    expected = asked | {f"import-{pid}" for pid in workers.values()}
    once(users(server, len(expected)), expected)
    print(f"\n{WORKERS} workers, {len(expected)} exposures, each once")
