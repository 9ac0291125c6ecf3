"""Events that are lost at shutdown are logged: how many and why, once, however the client ends."""

from __future__ import annotations

import logging
import os
import re
import signal
import subprocess
import sys
import typing

import pytest
import run_program
from stand_in import ROOT, StandIn, flag

from mpflags import Client
from mpflags.openfeature import MixpanelProvider

SHORT = {"shutdown_timeout_ms": 300, "event_retry_base_ms": 50}


@pytest.fixture
def failing(dev: StandIn) -> StandIn:
    dev.define({"flags": [flag("boolean-flag")]})
    dev.faults({"path": "/track", "kind": "status", "status": 503})
    return dev


def client(server: StandIn) -> Client:
    made = Client.local("token", api_host=server.url, **SHORT)
    made.start_polling_for_definitions()
    for number in range(50):
        made.track(f"user-{number}", "bought")
    return made


def reports(text: str) -> list[str]:
    return [line for line in text.splitlines() if "not delivered" in line]


def said_once(caplog: pytest.LogCaptureFixture, *parts: str) -> None:
    found = [record for record in caplog.records if "not delivered" in record.getMessage()]
    assert [(record.name, record.levelname) for record in found] == [("mpflags", "WARNING")], caplog.text
    for part in parts:
        assert part in found[0].getMessage()


def test_shutdown_says_how_many(failing: StandIn, caplog: pytest.LogCaptureFixture) -> None:
    made = client(failing)
    with caplog.at_level(logging.DEBUG, "mpflags"):
        assert made.shutdown() == 50
        assert made.shutdown() == 0
    said_once(caplog, "50 events", "HTTP 503")


def test_nothing_is_said_when_all_is_delivered(dev: StandIn, caplog: pytest.LogCaptureFixture) -> None:
    made = client(dev)
    with caplog.at_level(logging.DEBUG, "mpflags"):
        assert made.shutdown(30) == 0
    assert not reports(caplog.text)


def test_a_client_that_was_never_started(dev: StandIn, caplog: pytest.LogCaptureFixture) -> None:
    made = Client.local("token", api_host=dev.url)
    made.track("u", "bought")
    with caplog.at_level(logging.DEBUG, "mpflags"):
        assert made.shutdown() == 1
    said_once(caplog, "1 event was", "not started")


def test_the_end_of_a_with_block(failing: StandIn, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "mpflags"), client(failing) as made:
        made.track("u", "bought")
    said_once(caplog, "51 events", "HTTP 503")


def test_the_provider(failing: StandIn, caplog: pytest.LogCaptureFixture) -> None:
    provider = MixpanelProvider(client(failing))
    with caplog.at_level(logging.DEBUG, "mpflags"):
        provider.shutdown()
    said_once(caplog, "50 events", "HTTP 503")


def test_a_client_that_nobody_holds(
    failing: StandIn,
    caplog: pytest.LogCaptureFixture,
    eventually: typing.Callable[[typing.Callable[[], object]], object],
) -> None:
    made = client(failing)
    with caplog.at_level(logging.DEBUG, "mpflags"):
        del made
        eventually(lambda: reports(caplog.text))
    said_once(caplog, "50 events", "HTTP 503")


BEGIN = """
import logging, multiprocessing, sys
from mpflags import Client
logging.basicConfig(format="%(levelname)s %(message)s")
client = Client.local("token", api_host=sys.argv[1], shutdown_timeout_ms=300, event_retry_base_ms=50)
"""
ENDS = {
    "forgotten": "client.start_polling_for_definitions(); client.is_enabled('boolean-flag', {'distinct_id': 'u'})",
    "dropped": "client.start_polling_for_definitions(); client.is_enabled('boolean-flag', {'distinct_id': 'u'}); del client",
    "an exception": "client.start_polling_for_definitions(); client.track('u', 'bought'); sys.exit('sorry')",
    "a child": """
def work():
    client.is_enabled('boolean-flag', {'distinct_id': 'u'})

if __name__ == "__main__":
    client.start_polling_for_definitions()
    child = multiprocessing.get_context("fork").Process(target=work)
    child.start()
    child.join()
""",
}


def run(code: str, server: StandIn) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", BEGIN + code, server.url],
        env={**os.environ, **run_program.SOURCES},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("how", ENDS)
def test_the_interpreters_end(failing: StandIn, how: str) -> None:
    done = run(ENDS[how], failing)
    assert [line.split(" within ")[0] for line in reports(done.stderr)] == ["WARNING 1 event was not delivered"], (
        done.stderr
    )
    assert "HTTP 503" in reports(done.stderr)[0]
    assert "Traceback" not in done.stderr


# -- SIGTERM


def snippet(page: str) -> str:
    """The handler in the page's section Signals."""
    section = (ROOT / page).read_text().partition("## Signals\n")[2].partition("\n## ")[0]
    found = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    assert len(found) == 1, page
    return str(found[0])


def terminated(server: StandIn, handler: str) -> int:
    """Sends SIGTERM to a program after its evaluation. Returns the exit code."""
    code = (
        handler
        + BEGIN
        + "client.start_polling_for_definitions()\n"
        + "assert client.is_enabled('boolean-flag', {'distinct_id': 'u'})\n"
        + "print('ready', flush=True)\n"
        + "import time\n"
        + "while True: time.sleep(3600)\n"
    ).replace("shutdown_timeout_ms=300", "shutdown_timeout_ms=30000")
    program = subprocess.Popen(
        [sys.executable, "-c", code, server.url],
        env={**os.environ, **run_program.SOURCES},
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
        program.send_signal(signal.SIGTERM)
        return program.wait(120)
    finally:
        program.kill()
        program.wait()
        assert program.stdout is not None
        program.stdout.close()


def test_sigterm(dev: StandIn) -> None:
    dev.define({"flags": [flag("boolean-flag")]})
    handler = snippet("docs/operations.md")
    assert handler == snippet("bindings/python/README.md")
    # Without a handler the process ends at once, which is why the page has one.
    assert terminated(dev, "") == -signal.SIGTERM
    assert dev.events()["counts"]["total"] == 0
    assert terminated(dev, handler) == 0
    assert dev.events(at_least=1)["counts"]["total"] == 1
