"""Shared by all tests: the library under test, the stand-in server, the sample definitions, the vectors."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import time
import typing

import pytest
import stand_in

LIBRARY = pathlib.Path(os.environ.get("MPFLAGS_LIBRARY") or stand_in.ROOT / "target" / "release" / "libmpflags.so")
SAMPLES = stand_in.ROOT / "dev" / "samples" / "definitions.json"
VECTORS = stand_in.ROOT / "conformance" / "vectors"

pytest_plugins = ["scenarios"]

# Before anything imports the package.
os.environ["MPFLAGS_LIBRARY"] = str(LIBRARY)


def pytest_configure() -> None:
    # pytest-xdist ignores Ctrl-C in its workers, and programs started by a test would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for needed in (LIBRARY, pathlib.Path(stand_in.PROGRAM)):
        if not needed.is_file():
            pytest.exit(f"{needed} was not found: run make build in the root of the repository", returncode=1)


@pytest.fixture(scope="session")
def library() -> pathlib.Path:
    """The shared library under test."""
    return LIBRARY


@pytest.fixture
def samples() -> typing.Any:
    """The sample definitions, a copy for each test."""
    return json.loads(SAMPLES.read_text())


@pytest.fixture
def dev(samples: typing.Any) -> typing.Iterator[stand_in.StandIn]:
    """A running `mpflags-dev` with the sample definitions."""
    with stand_in.StandIn(samples) as running:
        yield running


Eventually = typing.Callable[[typing.Callable[[], typing.Any]], typing.Any]


@pytest.fixture
def eventually() -> Eventually:
    """Waits until a condition holds, and returns its value: `eventually(lambda: client.state == "READY")`."""

    def wait(condition: typing.Callable[[], typing.Any], within: float = 20.0) -> typing.Any:
        end = time.monotonic() + within
        while not (value := condition()):
            assert time.monotonic() < end, "the condition did not become true in time"
            time.sleep(0.01)
        return value

    return wait


def load_vectors(suite: str) -> list[typing.Any]:
    """All vectors of a suite, the files of `conformance/vectors/<suite>/`. Empty suites and duplicate names are errors."""
    vectors: list[typing.Any] = []
    for file in sorted((VECTORS / suite).glob("*.json")):
        document = json.loads(file.read_text())
        assert set(document) == {"suite", "vectors"}, f"{file.name}: {sorted(document)}"
        assert document["suite"] == suite, file.name
        vectors += document["vectors"]
    names = [vector["name"] for vector in vectors]
    assert vectors, f"the suite {suite} is empty"
    assert len(set(names)) == len(names), f"the suite {suite} has a name twice"
    return vectors


def flags_text(flags: typing.Any) -> str:
    """A vector's `flags` as the text of a definitions document: a file's name, a text, or an object."""
    if isinstance(flags, dict):
        return json.dumps(flags)
    text: str = flags
    return text if text.lstrip().startswith("{") else (VECTORS / "flags" / text).read_text()
