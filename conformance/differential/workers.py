"""The workers as processes. A request is a line of JSON, and so is its reply; replies come in order."""
import json
import os
import pathlib
import queue
import subprocess
import sys
import threading

HERE = pathlib.Path(__file__).parent
EVALUATORS = ("python", "node", "mpflags")
PROVIDERS = ("python", "provider")


class Pending:
    """A reply that has not arrived yet."""

    def __init__(self, worker):
        self.worker, self.queue = worker, queue.Queue()

    def get(self):
        line = self.queue.get()
        if not line:
            raise WorkerEnded(f"the worker {self.worker.name} ended with status {self.worker.process.wait()}")
        return json.loads(line)


class WorkerEnded(Exception):
    pass


class Worker:
    def __init__(self, name, command, **environment):
        self.name, self.waiting = name, queue.Queue()
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, **environment})
        # The reader empties the pipe while more requests are written, so that neither side blocks the other.
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.waiting.get().queue.put(line)
        # Later requests get the end too.
        while True:
            self.waiting.get().queue.put(b"")

    def send(self, command, documents):
        pending = Pending(self)
        self.waiting.put(pending)
        try:
            self.process.stdin.write(json.dumps({"command": command, "documents": documents}).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # the reader reports it
        return pending

    def end(self):
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        self.process.wait()


def start(build, library):
    # A client reads the system's certificates when it is made: 4 ms for each document, and nothing here needs them.
    none = build / "no certificates"
    none.mkdir(exist_ok=True)
    no_certificates = {"SSL_CERT_FILE": os.devnull, "SSL_CERT_DIR": str(none)}
    binding = {"MPFLAGS_LIBRARY": str(library), "PYTHONPATH": str(HERE.parents[1] / "bindings/python/src")}
    return {
        "python": Worker("python", [sys.executable, HERE / "python_worker.py"]),
        "node": Worker("node", ["node", HERE / "node_worker.js", build / "node/node_modules"]),
        "mpflags": Worker("mpflags", [sys.executable, HERE / "mpflags_worker.py", library], **no_certificates),
        "provider": Worker("provider", [sys.executable, HERE / "provider_worker.py"], **no_certificates, **binding),
    }
