"""Times the official Python SDK, mixpanel 5.4.1, on demand. bench/run.py starts it in a virtual environment.

    python mixpanel_worker.py DIRECTORY

Same protocol as bench/c/worker.c: for each line `CASE MILLISECONDS THREADS` it prints `OPERATIONS WALL_NS CPU_NS`.
Exposures are off, to compare evaluation alone. `load` is the SDK's handling of a response that has arrived.
"""

import json
import sys
import time
from datetime import datetime
from pathlib import Path

import httpx
from mixpanel.flags.local_feature_flags import LocalFeatureFlagsProvider
from mixpanel.flags.types import LocalFlagsConfig, SelectedVariant


def main():
    directory = Path(sys.argv[1])
    config = LocalFlagsConfig(enable_polling=False)
    provider = LocalFeatureFlagsProvider("bench", config, "5.4.1", lambda *_: None)
    body = (directory / "definitions.json").read_bytes()
    request = httpx.Request("GET", "http://127.0.0.1/flags/definitions")

    moment = datetime.now()

    def load():
        provider._handle_response(httpx.Response(200, content=body, request=request), moment, moment)

    load()
    context = json.loads((directory / "context.json").read_text())
    context_500 = json.loads((directory / "context-500.json").read_text())
    nothing = SelectedVariant(variant_value=None)
    cases = {
        "load": load,
        "eq": lambda: provider.get_variant("bench-eq", nothing, context, report_exposure=False),
        "and5": lambda: provider.get_variant("bench-and5", nothing, context, report_exposure=False),
        "eq-500": lambda: provider.get_variant("bench-eq", nothing, context_500, report_exposure=False),
        "all": lambda: provider.get_all_variants(context),
    }
    for name in ("eq", "and5", "eq-500"):
        if cases[name]().variant_key is None:
            sys.exit(f"{name} returned an unexpected result")
    for line in sys.stdin:
        name, milliseconds, _ = line.split()
        run, operations, batch = cases[name], 0, 1
        wall, cpu = time.perf_counter_ns(), time.thread_time_ns()
        end = wall + int(milliseconds) * 1_000_000
        while (now := time.perf_counter_ns()) < end:
            for _ in range(batch):
                run()
            operations += batch
            # Read the clock about once a millisecond.
            if time.perf_counter_ns() - now < 500_000:
                batch *= 2
        print(operations, now - wall, time.thread_time_ns() - cpu, flush=True)


if __name__ == "__main__":
    main()
