"""Fixtures of all tests: the library, the stand-in server, the vectors."""

import json
import os
import time
from pathlib import Path

import pytest
from standin import PROGRAM, ROOT, SAMPLES, Dev

LIBRARY = Path(os.environ.get("MPFLAGS_LIBRARY", ROOT / "target" / "release" / "libmpflags.so"))
VECTORS = ROOT / "tests" / "vectors"

# Before anything imports the package.
os.environ["MPFLAGS_LIBRARY"] = str(LIBRARY)


def pytest_configure():
    for needed in (LIBRARY, PROGRAM):
        if not needed.is_file():
            pytest.exit(f"{needed} is missing: cargo build --release -p mpflags-c -p mpflags-dev", returncode=1)


@pytest.fixture(scope="session")
def library():
    """The path of the shared library under test."""
    return LIBRARY


@pytest.fixture
def dev():
    """A running `mpflags-dev` with the sample definitions."""
    with Dev() as running:
        yield running


@pytest.fixture
def start_dev():
    """Starts more of them, or others: `start_dev("--tls", "good", definitions=None)`."""
    running = []

    def start(*arguments, **options):
        running.append(Dev(*arguments, **options))
        return running[-1]

    yield start
    for server in running:
        server.close()


@pytest.fixture(scope="session")
def samples():
    """The sample definitions, as an object."""
    return json.loads(SAMPLES.read_text())


@pytest.fixture
def eventually():
    """Waits until a condition holds, and returns what it gave: `eventually(lambda: client.state == "READY")`."""

    def wait(condition, within=10.0):
        end = time.monotonic() + within
        while True:
            value = condition()
            if value:
                return value
            assert time.monotonic() < end, "the condition did not come true in time"
            time.sleep(0.01)

    return wait


def load_vectors(suite):
    """All vectors of a suite, the files of `tests/vectors/<suite>/`. An empty suite is an error."""
    vectors = []
    for file in sorted((VECTORS / suite).glob("*.json")):
        document = json.loads(file.read_text())
        assert set(document) == {"suite", "vectors"}, f"{file.name}: {sorted(document)}"
        assert document["suite"] == suite, file.name
        vectors += document["vectors"]
    names = [vector["name"] for vector in vectors]
    assert vectors, f"the suite {suite} is empty"
    assert len(set(names)) == len(names), f"the suite {suite} has a name twice"
    return vectors


def flags_text(flags):
    """A vector's `flags` as the text of a definitions document: a file's name, a text, or an object."""
    if isinstance(flags, dict):
        return json.dumps(flags)
    return flags if flags.lstrip().startswith("{") else (VECTORS / "flags" / flags).read_text()
