"""Waits in one of the ways that Ctrl-C must end, against a server that hangs. Arguments: how, url.

Prints when the signal arrived, and what the client can do afterwards.
"""

import asyncio
import contextlib
import json
import pathlib
import signal
import sys
import threading
import time

from openfeature import api
from openfeature.evaluation_context import EvaluationContext

from mpflags import Client, SelectedVariant
from mpflags.openfeature import MixpanelProvider

how, url = sys.argv[1:]
USER = {"distinct_id": "user-1"}
LONG = {"request_timeout_in_seconds": 300, "shutdown_timeout_ms": 300_000, "api_host": url}
# A shell that runs tests in the background ignores SIGINT for them.
signal.signal(signal.SIGINT, signal.default_int_handler)


def local():
    client = Client.local("token", **LONG)
    client.start_polling_for_definitions()
    assert client.is_enabled("boolean-flag", USER)
    return client


def remote():
    return Client.remote("token", **LONG)


def within(client):
    with client:
        client.track("user-1", "event")


async def within_async(client):
    async with client:
        client.track("user-1", "event")


def resolve(_):
    api.get_client().get_boolean_value("boolean-flag", False, EvaluationContext(attributes=USER))


WAYS = {
    "flush": (local, lambda client: client.flush(300)),
    "shutdown": (local, lambda client: client.shutdown()),
    "exit": (local, within),
    "get_variant": (remote, lambda client: client.get_variant("boolean-flag", SelectedVariant(None), USER)),
    "is_enabled": (remote, lambda client: client.is_enabled("boolean-flag", USER)),
    "get_all_variants": (remote, lambda client: client.get_all_variants(USER)),
    "aget_variant": (remote, lambda client: asyncio.run(client.ais_enabled("boolean-flag", USER))),
    "aexit": (local, lambda client: asyncio.run(within_async(client))),
    "provider evaluation": (remote, lambda client: use_provider(client, resolve)),
    "provider shutdown": (local, lambda client: use_provider(client, lambda provider: provider.shutdown())),
    "api shutdown": (local, lambda client: use_provider(client, lambda _: api.shutdown())),
}


def use_provider(client, use):
    provider = MixpanelProvider(client)
    api.set_provider_and_wait(provider)
    use(provider)


def native_threads():
    names = []
    for task in pathlib.Path("/proc/self/task").iterdir():
        # It may have ended already.
        with contextlib.suppress(OSError):
            names.append((task / "comm").read_text().strip())
    return sorted(name for name in names if name.startswith("mpflags"))


make, use = WAYS[how]
client = make()
print("ready", flush=True)
try:
    use(client)
    came = "nothing"
except BaseException as error:
    came = type(error).__name__
print("came", came, flush=True)
print("enabled", client.is_local and client.is_enabled("boolean-flag", USER))
print("queued", client.statistics()["queue_length"])
end = time.monotonic() + 20
ended = "shutdown" in how or "exit" in how
while ended and native_threads() and time.monotonic() < end:
    time.sleep(0.01)
print("threads", json.dumps(native_threads()))
print("python", json.dumps([thread.name for thread in threading.enumerate() if thread.name.startswith("mpflags")]))
if not ended:
    client.shutdown(0)
