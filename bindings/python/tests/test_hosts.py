"""Hosts: gunicorn, uWSGI, multiprocessing, a fork by C. In each, flags are evaluated correctly, each exposure arrives exactly
once, log lines, items and OpenFeature events arrive in every worker, and the process ends quickly.

`make hosts` runs all of them and prints one table; `make test` runs one or two of each kind.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import importlib.util
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import typing

import pytest
import run_program
from stand_in import StandIn, flag
from test_fork import OF_GUNICORN, ask, changing, is_listening, once, users

WORKERS = 2
PATIENCE = 60.0
# Failures took six seconds or more, or forever. An idle machine needs less than a second.
END = 4.0
ARRIVED = {"logs", "items", "events"}
UWSGI = shutil.which("uwsgi", path=str(pathlib.Path(sys.executable).parent))

table: list[tuple[str, str, str, str]] = []


@pytest.fixture(scope="module", autouse=True)
def figures() -> typing.Iterator[None]:
    yield
    print(f"\n\n{'host':50} {'flags':6} {'exposures':>16} {'end of mpflags, s':>18}")
    for row in table:
        print("{:50} {:6} {:>16} {:>18}".format(*row))


@pytest.fixture
def server() -> typing.Iterator[StandIn]:
    with StandIn({"flags": [flag("steady"), changing(False)]}) as server:
        yield server


@pytest.fixture
def folder() -> typing.Iterator[pathlib.Path]:
    # pytest's paths are too long for a socket.
    with tempfile.TemporaryDirectory() as name:
        yield pathlib.Path(name)


def gunicorn(*options: str) -> list[str]:
    return [
        sys.executable, *run_program.OF_FORKS, *OF_GUNICORN, "-m", "gunicorn", "hosted:application",
        "--workers", str(WORKERS), "--bind", "unix:{socket}", "--log-level", "warning", *options,
    ]  # fmt: skip


def uwsgi(*options: str) -> list[str]:
    return [
        UWSGI or "uwsgi", "--home", sys.prefix, "--module", "hosted:application", "--need-app",
        "--master", "--processes", str(WORKERS), "--http-socket", "{socket}", "--die-on-term", "--disable-logging",
        "--worker-reload-mercy", "30", *options,
    ]  # fmt: skip


def slowly(command: list[str], name: str) -> typing.Any:
    return pytest.param(command, id=name, marks=pytest.mark.slow)


SERVERS = [
    slowly(gunicorn(), "gunicorn sync"),
    slowly(gunicorn("--preload"), "gunicorn sync --preload"),
    slowly(gunicorn("-k", "gthread", "--threads", "4"), "gunicorn gthread"),
    slowly(gunicorn("-k", "gthread", "--threads", "4", "--preload"), "gunicorn gthread --preload"),
    slowly(gunicorn("-k", "gevent"), "gunicorn gevent"),
    pytest.param(gunicorn("-k", "gevent", "--preload"), id="gunicorn gevent --preload"),
    pytest.param(uwsgi(), id="uwsgi"),
    slowly(uwsgi("--lazy-apps"), "uwsgi --lazy-apps"),
    slowly(uwsgi("--enable-threads"), "uwsgi --enable-threads"),
    slowly(uwsgi("--enable-threads", "--lazy-apps"), "uwsgi --enable-threads --lazy-apps"),
    slowly(uwsgi("--enable-threads", "--threads", "4"), "uwsgi --enable-threads --threads 4"),
    slowly(uwsgi("--enable-threads", "--py-call-osafterfork"), "uwsgi --enable-threads --py-call-osafterfork"),
]


@contextlib.contextmanager
def serving(command: list[str], server: StandIn, folder: pathlib.Path) -> typing.Iterator[str]:
    """The socket. At the end the server is stopped, and must end with 0."""
    socket = str(folder / "socket")
    (folder / "ends").mkdir()
    with (folder / "log").open("w+") as log:
        process = subprocess.Popen(
            [word.format(socket=socket) for word in command],
            cwd=pathlib.Path(__file__).parent / "programs",
            env={**os.environ, **run_program.SOURCES, "MIXPANEL": server.url, "ENDS": str(folder / "ends")},
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
        try:
            until(lambda: is_listening(socket) or process.poll() is not None, "it listens")
            assert process.poll() is None, "the server has ended"
            yield socket
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise
            finally:
                log.seek(0)
                said = log.read()
                print(said)
        assert process.returncode == 0
        assert "Traceback" not in said
        assert "Exception ignored" not in said


def until(condition: typing.Callable[[], object], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"never: {what}"
        time.sleep(0.01)


@pytest.mark.parametrize("command", SERVERS)
def test_a_server(server: StandIn, folder: pathlib.Path, command: list[str], request: pytest.FixtureRequest) -> None:
    if "uwsgi" in pathlib.Path(command[0]).name and UWSGI is None:
        pytest.skip(
            "uWSGI is not installed: pip install uWSGI, which needs a C compiler, in an environment of its own extra"
        )
    asked: set[str] = set()
    workers: dict[int, int] = {}
    arrived: dict[int, set[str]] = {}

    def answers(socket: str, queries: list[str]) -> list[dict[str, typing.Any]]:
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            return list(pool.map(lambda query: ask(socket, query), queries))

    def served(socket: str) -> bool:
        now = [f"user-{len(asked) + i}" for i in range(16)]
        for answer in answers(socket, [f"user={user}" for user in now]):
            assert answer["value"] is True
            workers[answer["pid"]] = answer["imported"]
        asked.update(now)
        return len(workers) == WORKERS and len(asked) >= 100

    def changed(socket: str, wanted: set[str]) -> bool:
        for answer in answers(socket, [""] * 16):
            if answer["value"] is True:
                arrived[answer["pid"]] = set(answer["arrived"])
        return len(arrived) == WORKERS and all(wanted <= there for there in arrived.values())

    with serving(command, server, folder) as socket:
        until(lambda: served(socket), "every worker serves")
        server.define({"flags": [flag("steady"), changing(True)]})
        until(lambda: changed(socket, ARRIVED - {"logs"}), f"the change at every worker: {arrived}")
        server.fail_fetches("status", status=500)
        until(lambda: changed(socket, ARRIVED), f"a log line at every worker: {arrived}")
        asked.update(late := [f"late-{i}" for i in range(16)])
        answers(socket, [f"user={user}" for user in late])
        server.heal()
    expected = asked | {f"import-{pid}" for pid in workers.values()}
    once(users(server, len(expected)), expected)
    ends = [float(end.read_text()) for end in (folder / "ends").iterdir() if end.name in map(str, workers)]
    assert len(ends) == WORKERS, "a worker ended without its interpreter's end"
    table.append((request.node.callspec.id, "right", f"{len(expected)} once", f"{max(ends):.2f}"))
    assert max(ends) < END


@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.slow), "forkserver"])
def test_children_of_multiprocessing(server: StandIn, folder: pathlib.Path, method: str) -> None:
    done = run_program.run("children.py", server.url, method, str(folder), flags=run_program.OF_FORKS)
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    once(users(server, len(told["users"])), set(told["users"]))
    slowest = max(told["ends"].values())
    table.append((f"multiprocessing {method}", "right", f"{len(told['users'])} once", f"{slowest:.2f}"))
    # Includes the end of the interpreter, which is a separate process.
    assert slowest < END, told["ends"]


def test_a_fork_without_hooks(server: StandIn, folder: pathlib.Path) -> None:
    children = 3
    done = run_program.run("bare_fork.py", server.url, server.control, str(children), str(folder))
    print(done.stdout, done.stderr)
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert told["statuses"] == [0] * 2 * children
    expected = {"parent", *(f"child-{i}" for i in range(children)), *(f"tracker-{i}" for i in range(children))}
    once(users(server, len(expected)), expected)
    table.append(("fork(2) without Python's hooks", "right", f"{len(expected)} once", f"{max(told['ends']):.2f}"))
    assert max(told["ends"]) < END


@pytest.mark.slow
def test_celery_with_gevent(server: StandIn, folder: pathlib.Path) -> None:
    for name in ("in", "control", "results"):
        (folder / name).mkdir()
    environment = {**os.environ, **run_program.SOURCES, "MIXPANEL": server.url, "QUEUE": str(folder)}
    expected = {f"task-{i}" for i in range(40)}
    call = "import sys, tasks; results = [tasks.evaluate.delay(user) for user in sys.argv[1:]];"
    call += "assert all([result.get(timeout=60) for result in results])"
    with (folder / "log").open("w+") as log:
        worker = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "tasks", "worker", "-P", "gevent", "-c", "8", "-l", "warning"],
            cwd=run_program.PROGRAMS, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
        try:
            subprocess.run(
                [sys.executable, "-c", call, *expected],
                cwd=run_program.PROGRAMS,
                env=environment,
                timeout=120,
                check=True,
            )
            assert worker.poll() is None
        finally:
            worker.send_signal(signal.SIGTERM)
            try:
                worker.wait(timeout=PATIENCE)
            finally:
                worker.kill()
                worker.wait()
            log.seek(0)
            print(log.read())
    assert worker.returncode == 0
    once(users(server, len(expected)), expected)
    table.append(("celery -P gevent", "right", f"{len(expected)} once", ""))


def test_uwsgi_is_there_when_the_table_is_made() -> None:
    """`make hosts` promises uWSGI, so a table without it must not pass."""
    if os.environ.get("MPFLAGS_HOSTS"):
        assert UWSGI is not None, "uWSGI is not installed"
        assert importlib.util.find_spec("gevent") is not None
