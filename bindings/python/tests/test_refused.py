"""If a thread cannot be started, `start` raises, leaves no thread behind, and the client is as it was."""

from __future__ import annotations

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import typing

import pytest
import run_program
from stand_in import StandIn, flag

VERSIONS = [sys.executable, *(f"python3.{minor}" for minor in (12, 13))]


@pytest.fixture
def server() -> typing.Iterator[StandIn]:
    with StandIn({"flags": [flag("steady")]}) as server:
        yield server


def run(python: str, how: str, url: str, stderr: str = "") -> list[typing.Any]:
    done = subprocess.run(
        [python, str(run_program.PROGRAMS / "refused.py"), how, url],
        env={**os.environ, **run_program.SOURCES},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    print(done.stdout, done.stderr)
    assert done.returncode == 0
    assert re.fullmatch(stderr, done.stderr), done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("python", VERSIONS, ids=["this Python", "3.12", "3.13"])
def test_a_subinterpreter_without_threads(server: StandIn, python: str) -> None:
    found = python if python == sys.executable else of_pyenv(python) or shutil.which(python)
    if found is None or subprocess.run([found, "-c", "import _ctypes, _testcapi"], check=False).returncode != 0:
        pytest.skip(f"{python} is not installed, or without the modules of its own tests")
    lost = r"2 events were not delivered within \d+ ms: the client was not started\n"
    (told,) = run(found, "a subinterpreter", server.url, lost)
    assert "cannot start the thread mpflags-items: " in told["said"]
    assert "start the client where threads are allowed" in told["said"]
    assert told["more"] == 0, told["names"]
    # It can still evaluate, and keeps queued events.
    assert (told["value"], told["queue"]) == ("held", 2)
    assert server.requests()["requests"] == []


def test_a_limit_of_threads(server: StandIn) -> None:
    *refused, started = run(sys.executable, "limits", server.url)
    # The kernel may briefly count a thread that is no longer listed. One start is then refused twice.
    order = ["cannot start the thread mpflags-" + name for name in ("items", "send", "poll")]
    names = [told["said"].partition(":")[0] for told in refused]
    assert names == sorted(names, key=order.index)
    assert order[0] in names
    assert not {order[1], order[2]}.isdisjoint(names)
    assert all("raise the limit of threads" in told["said"] for told in refused)
    assert [told["more"] for told in refused] == [0] * len(refused)
    assert started["said"] == "nothing"
    assert [(told["queue"], told["left"]) for told in refused] == [(1, 0)] * len(refused)


def of_pyenv(name: str) -> str | None:
    """An interpreter that pyenv has installed."""
    root = pathlib.Path(os.environ.get("PYENV_ROOT", pathlib.Path.home() / ".pyenv")) / "versions"
    minor = name.removeprefix("python")
    return next((str(path / "bin" / name) for path in sorted(root.glob(f"{minor}.*")) if path.is_dir()), None)
