"""A busy parent that forks. Arguments: url, number of children. Prints how many users each process evaluated.

The parent polls, evaluates on two threads and sends while it forks. A child evaluates other users, waits for a
change of the definitions, which needs its own poll, and shuts down.
"""

import json
import os
import sys
import threading
import time

from openfeature.evaluation_context import EvaluationContext

from mpflags import LocalFlagsConfig, SelectedVariant
from mpflags.openfeature import MixpanelProvider

url, children = sys.argv[1], int(sys.argv[2])
USERS = 200

provider = MixpanelProvider.from_local_config(
    "token",
    LocalFlagsConfig(api_host=url, polling_interval_ms=50, event_flush_interval_ms=10, event_queue_capacity=1_000_000),
)
provider.initialize(EvaluationContext())


def evaluate(user):
    details = provider.resolve_boolean_details("steady", False, EvaluationContext(attributes={"distinct_id": user}))
    assert details.value is True, details


def is_changed():
    fallback = SelectedVariant(False)
    return provider.client.get_variant("changing", fallback, {"device_id": "d"}, report_exposure=False).variant_value


counts = [0, 0]
stop = threading.Event()


def load(number):
    while not stop.is_set():
        evaluate(f"parent-{number}-{counts[number]}")
        counts[number] += 1
        time.sleep(0.0002)


threads = [threading.Thread(target=load, args=(number,)) for number in range(2)]
for thread in threads:
    thread.start()
while min(counts) < 50:
    time.sleep(0.001)

forked = []
for child in range(children):
    # A child that evaluates once and ends.
    pid = os.fork()
    if pid == 0:
        evaluate(f"brief-{child}")
        provider.shutdown()
        os._exit(0)
    forked.append(pid)
    pid = os.fork()
    if pid == 0:
        for i in range(USERS):
            evaluate(f"child-{child}-{i}")
        # Signals that it has begun, so that the definitions can change.
        evaluate(f"ready-{child}")
        left = provider.client.flush(10)
        assert left == 0, f"{left} events were not delivered: {provider.client.statistics()}"
        end = time.monotonic() + 30
        while not is_changed():
            assert time.monotonic() < end, "the change did not arrive"
            time.sleep(0.002)
        provider.shutdown()
        provider.shutdown()
        left = [thread.name for thread in threading.enumerate() if thread.name.startswith("mpflags")]
        assert not left, left
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
    forked.append(pid)

statuses = [os.waitpid(pid, 0)[1] for pid in forked]
while not is_changed():
    time.sleep(0.002)
at_the_end_of_children = list(counts)
while any(now < then + 50 for now, then in zip(counts, at_the_end_of_children, strict=True)):
    time.sleep(0.001)
stop.set()
for thread in threads:
    thread.join()
provider.shutdown()
print(json.dumps({"statuses": statuses, "parent": counts, "child": USERS}))
