"""`mpflags-dev`, the embedded stand-in for Mixpanel, as a process that a test starts, questions and stops."""

import json
import os
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = Path(os.environ.get("MPFLAGS_DEV", ROOT / "target" / "release" / "mpflags-dev"))
SAMPLES = ROOT / "dev" / "samples" / "definitions.json"
TOKEN = "demo-token"


class Dev:
    """One running `mpflags-dev`. It ends with `close`, or with the process that started it."""

    def __init__(self, *arguments, definitions=SAMPLES, token=TOKEN):
        command = [PROGRAM, "--stop-with-stdin", *arguments]
        if definitions is not None:
            command += ["--definitions", definitions]
        if token is not None:
            command += ["--token", token]
        self.token = token
        self.process = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        lines = [self.process.stdout.readline() for _ in range(2)]
        if not all(lines):
            self.close()
            raise RuntimeError(f"{PROGRAM} ended with {self.process.returncode}")
        self.url, self.control = (line.split()[-1] for line in lines)

    def call(self, method, path, body=None):
        """A control call: `body` and the answer are JSON, or bytes as they are."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(self.control + path, data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{method} {path}: {error.code} {error.read().decode()}") from error
        try:
            return json.loads(text)
        except ValueError:
            return text

    def faults(self, *faults):
        """Replaces all faults: `dev.faults({"path": "/flags*", "kind": "status", "status": 500})`."""
        self.call("PUT", "/__dev/faults", list(faults))

    def no_faults(self):
        self.call("DELETE", "/__dev/faults")

    def definitions(self):
        return self.call("GET", "/__dev/definitions")

    def define(self, document):
        """Serves these definitions from now on: an object, or bytes as they are."""
        self.call("PUT", "/__dev/definitions", document)

    def change(self, key, edit):
        """Serves the definitions of this moment with `edit(flag)` done to the flag."""
        document = self.definitions()
        edit(next(flag for flag in document["flags"] if flag["key"] == key))
        self.define(document)

    def log(self, at_least=0, within_ms=10_000):
        """What came, with counts: waits until `at_least` requests have."""
        return self.call("GET", f"/__dev/requests?at_least={at_least}&within_ms={within_ms}")

    def requests(self, path=None, at_least=0, within_ms=10_000):
        """The requests that came, those to `path` alone."""
        return [r for r in self.log(at_least, within_ms)["requests"] if path is None or r["path"] == path]

    def forget_requests(self):
        self.call("DELETE", "/__dev/requests")

    def events(self, at_least=0, within_ms=10_000):
        """The events that came, as they were sent: waits until `at_least` have."""
        told = self.call("GET", f"/__dev/events?at_least={at_least}&within_ms={within_ms}")
        return [event["json"] for event in told["events"]]

    def event_counts(self, at_least=0, within_ms=10_000):
        return self.call("GET", f"/__dev/events?at_least={at_least}&within_ms={within_ms}&limit=0")["counts"]

    def forget_events(self):
        self.call("DELETE", "/__dev/events")

    def stop(self):
        """Closes the port: connections are refused until `restart`."""
        self.call("POST", "/__dev/stop")

    def restart(self, after_ms=0):
        self.call("POST", f"/__dev/restart?after_ms={after_ms}")

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=10)
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()
