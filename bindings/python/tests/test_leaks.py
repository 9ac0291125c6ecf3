"""Memory, threads and descriptors of a process do not grow.

LEAKS_EVALUATIONS and LEAKS_LIFETIMES say how much work is done. `make check` does more, and `make leaks` even more.
"""

from __future__ import annotations

import json
import os
import typing

import pytest
import run_program
from stand_in import StandIn, flag

pytestmark = pytest.mark.slow
EVALUATIONS = int(os.environ.get("LEAKS_EVALUATIONS", "1000000"))
LIFETIMES = int(os.environ.get("LEAKS_LIFETIMES", "1000"))
MOST_RESIDENT = 1024 * 1024
DEFINITIONS = {
    "flags": [flag("boolean"), flag("string", "text"), flag("integer", 7), flag("object", {"a": [1, {"b": "c"}]})]
}


@pytest.fixture(scope="module")
def server() -> typing.Iterator[StandIn]:
    with StandIn(DEFINITIONS, "--events", "count") as server:
        yield server


def growth(server: StandIn, evaluations: int, lifetimes: int, planted: str) -> dict[str, dict[str, int]]:
    """The growth after the first fifth, by phase."""
    # With one arena, because glibc makes further ones at random, of half a megabyte each.
    arguments = (server.url, str(evaluations), str(lifetimes), planted)
    done = run_program.run("leak.py", *arguments, timeout=3600, MALLOC_ARENA_MAX="1")
    assert (done.returncode, done.stderr) == (0, "")
    return typing.cast("dict[str, dict[str, int]]", json.loads(done.stdout))


def leaks(found: dict[str, dict[str, int]]) -> list[str]:
    most = {"resident": MOST_RESIDENT, "threads": 0, "descriptors": 0}
    return [
        f"{phase}: {name} grew by {grown[name]}"
        for phase, grown in found.items()
        for name in most
        if grown[name] > most[name]
    ]


def test_nothing_grows(server: StandIn) -> None:
    found = growth(server, EVALUATIONS, LIFETIMES, "nothing")
    print(f"\n{EVALUATIONS} evaluations, {LIFETIMES} lifetimes; after the first fifth: {json.dumps(found)}")
    assert not leaks(found)


@pytest.mark.parametrize(
    ("planted", "grows"), [("memory", "resident"), ("thread", "threads"), ("descriptor", "descriptors")]
)
def test_a_planted_leak_is_seen(server: StandIn, planted: str, grows: str) -> None:
    """A planted leak of 16 KiB, a thread or a descriptor, a thousand times in each phase, or less often in a shorter one."""
    found = leaks(growth(server, 20_000, 20, planted))
    print(f"\n{planted}: {found}")
    assert f"evaluations: {grows}" in " ".join(found)
