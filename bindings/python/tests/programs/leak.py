"""Evaluates, makes and shuts down clients, and prints what grew after the first fifth.

Arguments: url, evaluations, lifetimes, and what to leak on purpose: nothing, memory, thread or descriptor.
Prints one JSON object: for each phase the growth of resident memory in bytes, of threads and of descriptors.
"""

import asyncio
import gc
import json
import logging
import os
import sys
import threading
import time

from openfeature.evaluation_context import EvaluationContext

from mpflags import LocalFlagsConfig, RemoteFlagsConfig, SelectedVariant
from mpflags.openfeature import MixpanelProvider

url, evaluations, lifetimes, planted = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
# Unusable attributes are logged, which is not tested here.
logging.getLogger("mpflags").addHandler(logging.NullHandler())
PAGE = os.sysconf("SC_PAGE_SIZE")
PARTS = 5
leaked = []


def measure():
    gc.collect()
    with open("/proc/self/statm", encoding="ascii") as statm:
        resident = int(statm.read().split()[1]) * PAGE
    return {
        "resident": resident,
        "threads": len(os.listdir("/proc/self/task")),
        # This includes the descriptor of the listing itself.
        "descriptors": len(os.listdir("/proc/self/fd")),
    }


def leak(i, every):
    if i % every == 0:
        if planted == "memory":
            leaked.append(bytes(range(256)) * 64)
        elif planted == "thread":
            threading.Thread(target=threading.Event().wait, daemon=True).start()
        elif planted == "descriptor":
            leaked.append(os.open(os.devnull, os.O_RDONLY))


def phase(work, count):
    """Runs it `count` times, and compares the end with the first fifth."""
    done = 0
    first = None
    for part in range(PARTS):
        until = count * (part + 1) // PARTS
        for i in range(done, until):
            work(i)
            leak(i, max(1, count // 1000))
        done = until
        if part == 0:
            first = measure()
    last = measure()
    # A joined thread can still be listed for a moment.
    end = time.monotonic() + 5
    while last["threads"] > first["threads"] and time.monotonic() < end:
        time.sleep(0.01)
        last = measure()
    return {name: last[name] - first[name] for name in last}


# 5,000 users: each is reported once, and the rest are repetitions.
USERS = 5000
provider = MixpanelProvider.from_local_config("token", LocalFlagsConfig(api_host=url, polling_interval_ms=50))
provider.initialize(EvaluationContext())
client = provider.client


def evaluate(i):
    """Each kind of result in turn: values of all types, mismatches, errors, all flags, manual exposures."""
    context = EvaluationContext(
        f"key-{i % 7}", {"distinct_id": f"user-{i % USERS}", "custom_properties": {"n": i % 97}}
    )
    kind = i % 16
    if kind < 6:
        assert provider.resolve_boolean_details("boolean", False, context).value is True
    elif kind == 6:
        assert provider.resolve_string_details("string", "", context).value == "text"
    elif kind == 7:
        assert provider.resolve_integer_details("integer", 0, context).value == 7
    elif kind == 8:
        assert provider.resolve_float_details("integer", 0.5, context).value == 7.0
    elif kind == 9:
        provider.resolve_object_details("object", {}, context).value["mine"] = i
    elif kind == 10:
        assert provider.resolve_integer_details("string", 3, context).value == 3
    elif kind == 11:
        assert provider.resolve_boolean_details(f"no-such-flag-{i % 50}", True, context).value is True
    elif kind == 12:
        assert provider.resolve_boolean_details(
            "boolean", True, EvaluationContext(attributes={"distinct_id": object()})
        ).error_code
    elif kind == 13:
        assert client.get_variant_value("string", None, {"distinct_id": f"user-{i % USERS}"}) == "text"
    elif kind == 14:
        variants = client.get_all_variants({"distinct_id": f"user-{i % USERS}"})
        client.track_exposure_event("object", variants["object"], {"distinct_id": f"user-{i % USERS}"})
    else:
        shown = client.get_variant("object", SelectedVariant(None), {"distinct_id": f"user-{i % USERS}"}, False)
        assert shown.variant_key == "on"


def live(i):
    """A client from start to shutdown: local and remote in turn, with events, every fourth one through asyncio."""
    user = EvaluationContext(attributes={"distinct_id": f"user-{i}"})
    if i % 2:
        config = LocalFlagsConfig(api_host=url, polling_interval_ms=50)
        made = MixpanelProvider.from_local_config("token", config)
    else:
        made = MixpanelProvider.from_remote_config("token", RemoteFlagsConfig(api_host=url, async_threads=2))
    made.initialize(EvaluationContext())
    if i % 4 == 0:
        details = asyncio.run(made.resolve_boolean_details_async("boolean", False, user))
    else:
        details = made.resolve_boolean_details("boolean", False, user)
    assert details.value is True, details
    made.track("event", user)
    made.shutdown()


found = {"evaluations": phase(evaluate, evaluations)}
provider.shutdown()
found["lifetimes"] = phase(live, lifetimes)
print(json.dumps(found))
