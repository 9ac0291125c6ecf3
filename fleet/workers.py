#!/usr/bin/env python3
"""Starts 32 workers of a real gunicorn, with and without a cache that they are ready from, and prints how long each takes to its first flag.

    fleet/workers.py [--workers N] [--repeat N]

It runs in the environment that has gunicorn. The origin is mpflags-dev with TLS, which takes 100 ms for definitions. In the last run it is
down, which shows that no worker needs a request for its first flag.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from run import ROOT, TOKEN, Origin, Wrong, check

READY = "ready_from_cache"


def start(workers, origin, folder, name, options):
    """The milliseconds to the first flag of each worker. Returns a second later, when all have polled."""
    results = folder / name
    results.mkdir()
    options = {"api_host": origin.url, "ca_file": str(origin.ca), "polling_interval_ms": 60_000, "report_exposures": False,
               "log_level": "error", **options}  # fmt: skip
    environment = {
        **os.environ, "TOKEN": TOKEN, "OPTIONS": json.dumps(options), "RESULTS": str(results),
        "PYTHONPATH": f"{ROOT / 'bindings/python/src'}:{Path(__file__).parent}",
    }  # fmt: skip
    command = [
        sys.executable, "-W", "ignore::DeprecationWarning", "-m", "gunicorn", "app:application", "--workers", str(workers),
        "--bind", f"unix:{folder / 'socket'}", "--log-level", "error", "--timeout", "60",
    ]  # fmt: skip
    process = subprocess.Popen(command, env=environment)
    try:
        end = time.monotonic() + 60
        while len(found := [*results.glob("*.json")]) < workers:
            check(time.monotonic() < end and process.poll() is None, f"{len(found)} of {workers} workers have a flag")
            time.sleep(0.02)
        read = [json.loads(path.read_text()) for path in found]
        check(all(worker["value"] == 1 for worker in read), "a worker got the default")
        time.sleep(1)
    finally:
        process.terminate()
        process.wait()
    return [worker["ms"] for worker in read]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--workers", type=int, default=32)
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(prefix="mpflags-workers-") as name:
        folder = Path(name)
        origin = Origin(folder, 20_000)
        try:
            cached = {"definitions_cache_dir": str(folder / "cache"), "ready_from_cache": True}
            # Fills the cache.
            start(1, origin, folder, "first", cached)
            runs = [(workers, *how) for workers in (1, arguments.workers) for how in (("without", {}), (READY, cached))]
            for number, (workers, who, options) in enumerate(runs * arguments.repeat):
                origin.clear()
                times = start(workers, origin, folder, f"{number}", options)
                rows.append((who, times, origin.polls()))
            origin.call("POST", "stop")
            rows.append(("the same, origin down", start(arguments.workers, origin, folder, "down", cached), []))
        except Wrong as problem:
            sys.exit(f"fleet: {problem}")
        finally:
            origin.stop()
    print(f"\n  workers of gunicorn, definitions of {origin.bytes:,} bytes with gzip")
    print(f"  {'':24} {'workers':>7} {'first flag, ms: median':>22} {'slowest':>9} {'requests':>9} {'bytes':>12}")
    for who, times, polls in sorted(rows, key=lambda row: (len(row[1]), row[0] != "without", row[0])):
        size = polls.count(200) * origin.bytes
        print(f"  {who:24} {len(times):7} {statistics.median(times):22.1f} {max(times):9.1f} {len(polls):9} {size:12,}")
    if any(200 in polls for who, _, polls in rows if who == READY):
        sys.exit("fleet: a worker that was ready from the cache fetched all definitions again")


if __name__ == "__main__":
    main()
