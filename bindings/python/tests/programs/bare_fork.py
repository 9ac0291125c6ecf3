"""A process that is forked by C, so that no Python hook runs in the children. Arguments: url, control url, children, folder.

Each child evaluates, waits until a log line, an item and an OpenFeature event have arrived in it, and ends.
"""

import ctypes
import http.client
import json
import logging
import os
import pathlib
import sys
import time

from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEvent

from mpflags import LocalFlagsConfig, SelectedVariant
from mpflags.openfeature import MixpanelProvider

url, control, children, folder = sys.argv[1], sys.argv[2], int(sys.argv[3]), pathlib.Path(sys.argv[4])
arrived = []


class Kept(logging.Handler):
    def emit(self, record):
        arrived.append((os.getpid(), "log"))


def call(path, body):
    connection = http.client.HTTPConnection(control.removeprefix("http://"), timeout=60)
    connection.request("PUT", "/__dev" + path, json.dumps(body).encode())
    assert connection.getresponse().status == 200
    connection.close()


def until(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, f"has not come: {arrived}"
        time.sleep(0.01)


def here():
    return {what for pid, what in list(arrived) if pid == os.getpid()}


logging.getLogger("mpflags").addHandler(Kept())
provider = MixpanelProvider.from_local_config("token", LocalFlagsConfig(api_host=url, polling_interval_ms=50))
provider.client.on_item(lambda _: arrived.append((os.getpid(), "item")))
api.set_provider_and_wait(provider)
api.add_handler(ProviderEvent.PROVIDER_READY, lambda _: arrived.append((os.getpid(), "ready")))
api.add_handler(ProviderEvent.PROVIDER_CONFIGURATION_CHANGED, lambda _: arrived.append((os.getpid(), "event")))
client = api.get_client()


def evaluate(user):
    assert client.get_boolean_value("steady", False, EvaluationContext(attributes={"distinct_id": user}))


def changed():
    fallback = SelectedVariant(None)
    return provider.client.get_variant("changing", fallback, {"device_id": "d"}, report_exposure=False).variant_value


# Results are cached before the fork, and the thread for handlers exists.
evaluate("parent")
changed()
until(lambda: "ready" in here())
ready, tell = os.pipe()
libc_fork = ctypes.PyDLL(None).fork
pids = []


def fork():
    # Without its hooks, CPython hangs in the child if a thread of the parent was waiting for the interpreter's lock: the
    # condition variable still has that waiter. Let the other threads do what they have to do first.
    time.sleep(0.05)
    return libc_fork()


for child in range(children):
    pid = fork()
    if pid == 0:
        evaluate(f"child-{child}")
        os.write(tell, b"1")
        until(changed)
        until(lambda: {"item", "event"} <= here())
        os.write(tell, b"2")
        until(lambda: "log" in here())
        provider.client.track(f"tracker-{child}", "Tracked")
        (folder / str(child)).write_text(str(time.monotonic()))
        sys.exit(0)
    pids.append(pid)
    # A child that ends at once, and one that shuts down before its first call.
    pid = fork()
    if pid == 0:
        if child % 2:
            provider.shutdown()
            evaluate("not reported: shut down")
        sys.exit(0)
    pids.append(pid)


def all_have_said(number):
    said = b""
    while len(said) < children:
        said += os.read(ready, children - len(said))
    assert said == number * children, said


all_have_said(b"1")
flag = {
    "ruleset": {
        "variants": [{"key": "on", "value": True, "split": 1.0}],
        "rollout": [{"rollout_percentage": 1.0}],
    },
}
flags = [{**flag, "key": "steady", "context": "distinct_id"}, {**flag, "key": "changing", "context": "device_id"}]
call("/definitions", {"flags": flags})
all_have_said(b"2")
call("/faults", [{"path": "/flags/definitions", "kind": "status", "status": 500}])
statuses = []
ends = []
for _ in pids:
    pid, status = os.waitpid(-1, 0)
    over = time.monotonic()
    statuses.append(status)
    ended = folder / str(pids.index(pid) // 2)
    if pids.index(pid) % 2 == 0:
        ends.append(over - float(ended.read_text()))
print(json.dumps({"statuses": statuses, "ends": ends}))
