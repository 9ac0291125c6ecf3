"""`mpflags-dev` as Mixpanel, for tests that make it fail and count requests."""

from __future__ import annotations

import http.client
import json
import os
import pathlib
import subprocess
import typing

ROOT = pathlib.Path(__file__).resolve().parents[3]
PROGRAM = os.environ.get("MPFLAGS_DEV") or str(ROOT / "target" / "debug" / "mpflags-dev")
DEFINITIONS = "/flags/definitions"


class StandIn:
    """A running server. It ends with `close`, and with the process that started it."""

    def __init__(self, definitions: typing.Any = None, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [PROGRAM, "--stop-with-stdin", *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        lines = [self.process.stdout.readline().split() for _ in range(2)]
        assert all(lines), f"{PROGRAM} did not start"
        self.url, self.control = (line[-1] for line in lines)
        if definitions is not None:
            self.define(definitions)

    def call(self, method: str, path: str, body: typing.Any = None) -> typing.Any:
        """A control request. `body` and the response are JSON."""
        connection = http.client.HTTPConnection(self.control.removeprefix("http://"), timeout=60)
        try:
            connection.request(method, "/__dev" + path, None if body is None else json.dumps(body).encode())
            response = connection.getresponse()
            text = response.read()
            assert response.status == 200, f"{method} {path}: {response.status} {text!r}"
            return json.loads(text or b"null")
        finally:
            connection.close()

    def define(self, document: typing.Any) -> None:
        """Serves these definitions from now on."""
        self.call("PUT", "/definitions", document)

    def change(self, key: str, edit: typing.Callable[[typing.Any], object]) -> None:
        """Applies `edit` to a flag of the current definitions, and serves the result."""
        document = self.call("GET", "/definitions")
        edit(next(flag for flag in document["flags"] if flag["key"] == key))
        self.define(document)

    def faults(self, *faults: dict[str, typing.Any]) -> None:
        """Replaces all faults."""
        self.call("PUT", "/faults", list(faults))

    def fail_fetches(self, kind: str, **fields: typing.Any) -> None:
        self.faults({"path": DEFINITIONS, "kind": kind, **fields})

    def heal(self) -> None:
        self.call("DELETE", "/faults")

    def stop(self) -> None:
        """Closes the port: connections are refused until `restart`."""
        self.call("POST", "/stop")

    def restart(self) -> None:
        self.call("POST", "/restart")

    def forget(self) -> None:
        self.call("DELETE", "/requests")
        self.call("DELETE", "/events")

    def requests(self, at_least: int = 0, within_ms: int = 30_000) -> dict[str, typing.Any]:
        """The log of requests, once there are `at_least`."""
        log = self.call("GET", f"/requests?at_least={at_least}&within_ms={within_ms}")
        came = len(log["requests"]) + log["dropped"]
        assert came >= at_least, f"{came} of {at_least} requests arrived"
        return typing.cast("dict[str, typing.Any]", log)

    def await_fetches(self, count: int) -> None:
        """Returns once `count` fetches that began after this call have ended."""
        self.call("DELETE", "/requests")
        self.requests(at_least=count + 1)

    def events(self, at_least: int = 0, within_ms: int = 30_000) -> dict[str, typing.Any]:
        """The log of events, once there are `at_least` or the time is over."""
        log = self.call("GET", f"/events?at_least={at_least}&within_ms={within_ms}")
        return typing.cast("dict[str, typing.Any]", log)

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(timeout=10)
        self.process.stdout.close()

    def __enter__(self) -> StandIn:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def flag(key: str, value: object = True, **fields: object) -> dict[str, object]:
    """A flag whose variant is `on` with this value for every user."""
    return {
        "key": key,
        "context": "distinct_id",
        "ruleset": {
            "variants": [{"key": "on", "value": value, "split": 1.0}],
            "rollout": [{"rollout_percentage": 1.0}],
        },
        **fields,
    }
