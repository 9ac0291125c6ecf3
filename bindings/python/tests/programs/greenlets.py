"""A program of greenlets. Arguments: gevent or eventlet, when it patches, url. Prints a line of JSON for each step.

A heartbeat runs all the time, and each step prints its longest pause. The program requests `hang` and `heal` on standard
output and reads the confirmation from standard input.
"""

import importlib
import json
import logging
import os
import sys
import time

kind, when, url = sys.argv[1:]
module = importlib.import_module(kind)


def patch():
    if kind == "gevent":
        importlib.import_module("gevent.monkey").patch_all()
    else:
        module.monkey_patch()


if when == "before the import":
    patch()

from mpflags import Client, SelectedVariant  # noqa: E402


def made():
    return Client.local("token", api_host=url, polling_interval_ms=50, init_timeout_ms=2_000)


if when in ("before the import", "before the client is made"):
    if when != "before the import":
        patch()
    client = made()
else:
    client = made()
    if when == "after the start":
        client.start()
        client.wait_ready(20)
    patch()

import threading  # noqa: E402

latest = time.monotonic()
longest = 0.0
arrived = []


def beat():
    global latest, longest
    while True:
        now = time.monotonic()
        longest, latest = max(longest, now - latest), now
        module.sleep(0.005)


def step(name, work):
    global longest
    module.sleep(0.02)
    longest = 0.0
    began = time.monotonic()
    try:
        gave = work()
    except Exception as error:
        gave = type(error).__name__
    module.sleep(0.02)
    told = {"step": name, "gave": gave, "took": time.monotonic() - began, "pause": longest}
    print(json.dumps(told), flush=True)


def ask(what):
    """The test does it and confirms it. Other greenlets do not have to run meanwhile."""
    print(json.dumps({"ask": what}), flush=True)
    assert os.read(0, 1) == b"\n"


class Kept(logging.Handler):
    """A log handler, called under the lock that patching replaces."""

    def emit(self, record):
        arrived.append("log")


def until(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, arrived
        module.sleep(0.01)


def together(work, count=20):
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


logging.getLogger("mpflags").addHandler(Kept())
client.on_item(lambda item: (module.sleep(0), arrived.append(item.kind)))
module.spawn(beat)
user = {"distinct_id": "u"}
step("start", client.start)
step("wait_ready", lambda: client.wait_ready(20))
step("evaluate", lambda: client.is_enabled("steady", user))
step("flush", lambda: client.flush(20))
ask("change")
step("change", lambda: until(lambda: "change" in arrived))
ask("hang")
step("log", lambda: until(lambda: "log" in arrived))
client.track("u", "Tracked")
step("flush that hangs", lambda: client.flush(1))
other = Client.local("token", api_host=url)
step("start that hangs", other.start)
step("wait_ready that hangs", lambda: other.wait_ready(1))
remote = Client.remote("token", api_host=url, request_timeout_ms=1_000)
fallback = SelectedVariant("fallback")
step("remote that hangs", lambda: remote.get_variant("steady", fallback, user).variant_value)
step("all that hangs", lambda: remote.get_all_variants(user))
step("many that hang", lambda: together(lambda: remote.get_variant("steady", fallback, user)))
step("shutdown that hangs", lambda: client.shutdown(1))
other.shutdown(0)
remote.shutdown(0)
ask("heal")
step("start again", client.start)
step("wait_ready again", lambda: client.wait_ready(20))
step("remote", lambda: Client.remote("token", api_host=url).get_variant_value("steady", False, user))
step("starts together", lambda: together(client.start))
client.track("u", "Tracked")
step("shutdown", client.shutdown)
client.start()
client.track("u", "At the end")
