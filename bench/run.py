#!/usr/bin/env python3
"""Measures the figures that the project has goals for, and prints them as one table: `make bench`.

    bench/run.py [--quick] [--no-build] [--no-peers] [--old LIBRARY]

--quick takes few samples, to check that everything runs; --no-build reuses the last build; --no-peers skips the official SDKs
and the other languages. --old measures another build of the library in the same rounds, for each row about evaluating, loading
and exposures: `make bench OLD=path/to/libmpflags.so`. A full run takes about ten minutes. The table is also written to build/bench/results.md.

A slow result is not a failure. Only what can be counted is a gate: bench/instructions, and the tests.

| file | content |
| --- | --- |
| bench/run.py | this program |
| bench/growth.py | how cost grows with flags, properties, operators and threads |
| bench/instructions | counts instructions under callgrind and compares them with bench/instructions.json; fails on a change |
| bench/workload.py | writes the definitions and contexts that everything here evaluates |
| bench/programs.py | builds the programs |
| bench/mixpanel_worker.py | runs the official Python SDK |
| bench/c/*.c | the C programs; each is described at its top |
| bench/core.rs | `cargo bench`: the core alone, in Rust |
| bindings/python/bench, bindings/go/bench | the overhead of each language, beside Mixpanel's own SDK for it |

Method:

* Each implementation has a worker process, which takes samples on request. Each round samples every case of every worker
  once, in a new random order, so that a slow phase of the machine affects all of them. Ratios are taken within a round. The
  first round is dropped.
* A sample has a wall time and a processor time. If they differ by more than 5 %, another process had the processor: the
  sample is repeated up to three times, and then its processor time counts. The share of such samples is reported.
* Exposures are off unless a row says otherwise, in the official SDK too.
* Events are sent to mpflags-dev on the same two processors, which parses and checks each one; its processor time is reported.
  The queue is filled while the client waits for a retry, so that only delivery is timed, over an open connection. For
  batches of 50 the program repeatedly queues 50 events and flushes, so those figures include queueing and waking up.
* Loading and memory are measured in new processes, with and without flags in turn: the difference is the cost of the flags.
* `reference` is a chain of FNV-1a hashes, which takes 43.2 ns on the machine that the goals were set on. On a slower machine,
  "met" uses the time scaled to that machine, and says so.
"""

import argparse
import http.client
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import threading
import time
import venv
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import programs  # noqa: E402

OUT = programs.OUT
PEER = "mixpanel==5.4.1"
REFERENCE_NS = 43.2
DISTURBED = 1.05


class Worker:
    """A process that takes samples: reads `CASE MILLISECONDS THREADS`, prints operations, wall time and processor time."""

    def __init__(self, name, command, environment=None):
        self.name = name
        command = [str(word) for word in command]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)

    def request(self, case, milliseconds, threads=1):
        self.process.stdin.write(f"{case} {milliseconds} {threads}\n")
        self.process.stdin.flush()

    def result(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"bench: the worker {self.name} exited with {self.process.wait()}")
        return [int(word) for word in line.split()]

    def end(self):
        self.process.stdin.close()
        self.process.wait()


class Server:
    """mpflags-dev."""

    def __init__(self, definitions, *arguments):
        command = [OUT / "bin" / "mpflags-dev", "--stop-with-stdin", "--definitions", OUT / definitions, *arguments]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url, control = (self.process.stdout.readline().split()[-1] for _ in range(2))
        self.control = control.removeprefix("http://")

    def call(self, method, path, body=None):
        connection = http.client.HTTPConnection(self.control, timeout=30)
        connection.request(method, path, body)
        response = connection.getresponse().read()
        connection.close()
        return response

    def fault(self, *faults):
        """Replaces all faults."""
        self.call("PUT", "/__dev/faults", json.dumps(faults))

    def processor_seconds(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def polls(self, at_least=0):
        """The statuses of the polls so far, once there are at least so many."""
        requests = json.loads(self.call("GET", f"/__dev/requests?at_least={at_least}&within_ms=5000"))["requests"]
        return [request["status"] for request in requests]

    def end(self):
        self.process.stdin.close()
        self.process.wait()


class Samples(dict):
    """(worker, case) → nanoseconds for one operation, one sample for each round."""

    def __init__(self):
        super().__init__()
        self.taken = self.disturbed = 0

    def take(self, worker, case, milliseconds):
        for _ in range(3):
            worker.request(case, milliseconds)
            operations, wall, cpu = worker.result()
            self.taken += 1
            if wall <= cpu * DISTURBED:
                return wall / operations
            self.disturbed += 1
        return cpu / operations

    def run(self, workers, cases, rounds, milliseconds):
        for number in range(rounds + 1):
            random.shuffle(cases)
            for name, case in cases:
                ns = self.take(workers[name], case, milliseconds)
                if number > 0:
                    self.setdefault((name, case), []).append(ns)


def spread(values):
    """Median and quartiles."""
    if len(values) < 2:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return middle, low, high


def time_text(ns):
    for unit, size in (("ns", 1), ("µs", 1e3), ("ms", 1e6)):
        if ns < 1000 * size or unit == "ms":
            return f"{ns / size:.3g} {unit}" if ns < 100 * size else f"{ns / size:.0f} {unit}"


def megabytes(value):
    return f"{value:.2f} MB"


def ratio_text(value):
    return f"{value:.3g} ×" if value < 100 else f"{value:.0f} ×"


class Table:
    HEAD = ["figure", "median", "p25 – p75", "goal", "met", "against"]

    def __init__(self, slowness):
        self.slowness = slowness
        self.rows = []

    def add(self, figure, values, text, goal=None, at_least=False, against="", timed=False):
        """`goal` is an upper limit, or with `at_least` a lower limit, in the unit of `values`."""
        median, low, high = spread(values)
        met = ""
        if goal is not None:
            met = "yes" if (median >= goal if at_least else median <= goal) else "**no**"
            there = median * self.slowness if at_least else median / self.slowness
            if timed and met != "yes" and (there >= goal if at_least else there <= goal):
                met = f"yes, at {text(there)}"
        range_text = "" if len(values) == 1 else f"{text(low)} – {text(high)}"
        sign = "≥" if at_least else "≤"
        self.rows.append([figure, text(median), range_text, "" if goal is None else f"{sign} {text(goal)}", met, against])

    def time(self, figure, ns, goal=None, against=""):
        self.add(figure, ns, time_text, goal, against=against, timed=True)

    def rate(self, figure, per_second, goal, against="", timed=True):
        self.add(figure, per_second, lambda value: f"{round(value, -3):,.0f}/s", goal, at_least=True, against=against, timed=timed)

    def text(self):
        rows = [self.HEAD, *self.rows]
        widths = [max(len(row[i]) for row in rows) for i in range(len(self.HEAD))]
        lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in rows]
        lines.insert(1, "| " + " | ".join("-" * width for width in widths) + " |")
        return "\n".join(lines)


def peer():
    """The Python of a virtual environment with the official SDK, and None; or None, and why there is none."""
    directory = OUT.parent / "bench-venv"
    python = directory / "bin" / "python"
    try:
        if not python.exists():
            venv.create(directory, with_pip=True)
        installed = [python, "-c", "from importlib.metadata import version; print('mixpanel==' + version('mixpanel'))"]
        found = subprocess.run(installed, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.strip()
        if found != PEER:
            install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", PEER]
            subprocess.run(install, check=True, timeout=300)
    except (OSError, subprocess.SubprocessError) as error:
        return None, f"{PEER} was skipped: {error}"
    return python, None


def evaluations(workers, samples, quick):
    names = ("handle-eq", "handle-eq-repeat", "handle-and5", "evaluate-eq", "json-eq", "json-and5", "binary-and5", "builder-and5", "json-500")
    libraries = [name for name in ("c", "old") if name in workers]
    cases = [("c", "reference"), *((library, case) for library in libraries for case in names)]
    if "mixpanel" in workers:
        cases += [("mixpanel", case) for case in ("eq", "and5", "eq-500")]
    samples.run(workers, cases, 3 if quick else 31, 15)
    slow = [(library, case) for library in libraries for case in ("load", "all")]
    if "mixpanel" in workers:
        slow += [("mixpanel", "load"), ("mixpanel", "all")]
    samples.run(workers, slow, 2 if quick else 11, 60)


def threads(first, second, case, quick):
    """The rates of one thread, of two threads in one process, and of two processes, in evaluations per nanosecond of processor
    time: a dictionary for each round, and the number of undisturbed rounds. If there are at least three of those, only they
    are returned, because threads that take turns on one processor do not contend."""
    rounds = []
    for number in range(3 if quick else 16):
        rates, waited = {}, 1.0
        kinds = [("one", [first], 1), ("threads", [first], 2), ("processes", [first, second], 1)]
        random.shuffle(kinds)
        for kind, workers, count in kinds:
            for worker in workers:
                worker.request(case, 200, count)
            operations = wall = cpu = 0
            for worker in workers:
                result = worker.result()
                operations, wall, cpu = operations + result[0], wall + result[1], cpu + result[2]
            together = count * len(workers)
            rates[kind] = together * operations / cpu
            waited = max(waited, wall / cpu)
        if number > 0:
            rounds.append((waited, rates))
    undisturbed = [rates for waited, rates in rounds if waited <= DISTURBED]
    return (undisturbed if len(undisturbed) >= 3 else [rates for _, rates in rounds]), len(undisturbed)


def fresh(servers, quick):
    """New processes: name → rows of load time (ns), resident, peak, and resident memory after malloc_trim (MB)."""
    calls = {
        "inline-0": ["inline", OUT / "config-0.json"],
        "inline": ["inline", OUT / "config.json"],
        "path": ["path", OUT / "definitions.json"],
        "path-0": ["path", OUT / "definitions-0.json"],
        "http": ["http", servers["1000"].url],
        "http-0": ["http", servers["0"].url],
    }
    rows = {name: [] for name in calls}
    for _ in range(3 if quick else 9):
        for name in random.sample(list(calls), len(calls)):
            command = [str(word) for word in (OUT / "bin" / "fresh", *calls[name])]
            for _ in range(3):
                words = subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout.split()
                wall, cpu, *kilobytes = (int(word) for word in words)
                if wall <= cpu * DISTURBED:
                    break
            # Fetching waits for a server, so its wall time counts.
            load = cpu if wall > cpu * DISTURBED and not name.startswith("http") else wall
            rows[name].append((load, *(kb * 1024 / 1e6 for kb in kilobytes)))
    return rows


def swaps(server, quick):
    """The segments of bench/c/swaps.c, its allocator calls, and a text that says how often definitions were swapped."""
    documents = [(OUT / name).read_bytes() for name in ("definitions-b.json", "definitions.json")]
    ended = threading.Event()

    def alternate():
        seen = 0
        while not ended.is_set():
            count = len(server.polls(seen + 1))
            if count > seen:
                # The poll's response is still on its way; the next poll is at least 90 ms away.
                seen = count
                time.sleep(0.02)
                server.call("PUT", "/__dev/definitions", documents[seen % 2])

    thread = threading.Thread(target=alternate, daemon=True)
    thread.start()
    count = 2 if quick else 12
    command = [OUT / "bin" / "swaps", server.url, OUT, "100", "1000", str(count)]
    lines = subprocess.run([str(word) for word in command], check=True, text=True, stdout=subprocess.PIPE).stdout.splitlines()
    ended.set()
    thread.join()
    segments = {"quiet": [], "swapped": [], "parsed": []}
    calls = None
    for kind, *words in (line.split() for line in lines):
        if kind in segments:
            segments[kind].append([int(word) for word in words])
        elif kind == "allocator":
            calls = [int(word) for word in words]
    # Two clients have segments of one second each.
    statuses = server.polls()
    return segments, calls, f"{statuses.count(200)} swaps in {len(statuses)} polls, one every {2000 * count / statuses.count(200):.0f} ms"


def unchanged_polls(server, quick):
    """What a poll with a 304 response allocates: calls, bytes, and the largest in bytes."""
    command = [str(word) for word in (OUT / "bin" / "polls", server.url, "100")]
    before = len(server.polls())
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def mark(polls):
        statuses = server.polls(before + polls)
        time.sleep(0.03)
        process.stdin.write("mark\n")
        process.stdin.flush()
        return len(statuses), [int(word) for word in process.stdout.readline().split()]

    first, at_first = mark(4)
    last, at_last = mark(8 if quick else 24)
    process.stdin.close()
    process.wait()
    statuses = server.polls()[before + 1 : last]
    if last == first or set(statuses) != {304}:
        sys.exit(f"bench: the responses to polls were not all 304: {statuses}")
    polls = last - first
    return (at_last[0] - at_first[0]) / polls, (at_last[1] - at_first[1]) / polls, at_last[2]


def printed(name, *arguments, environment=None):
    """A program's output, as rows of words."""
    command = [str(word) for word in (OUT / "bin" / name, *arguments)]
    run = subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, env=environment)
    return [line.split() for line in run.stdout.splitlines()]


def exposure_costs(quick, old=None):
    """`idle` and `sending` → blocks of bench/c/exposures.c. With the environment of another library also `old idle` and
    `old sending`."""
    server = Server("definitions-0.json", "--events", "count")
    users = 20_000 if quick else 100_000
    runs = [("idle", [], None), ("sending", [server.url], None)]
    if old:
        runs += [(f"old {kind}", url, old) for kind, url, _ in runs]
    blocks = {kind: [] for kind, _, _ in runs}
    for _ in range(1 if quick else 5):
        for kind, url, environment in random.sample(runs, len(runs)):
            *rows, statistic = printed("exposures", OUT, users, *url, environment=environment)
            statistic = json.loads(" ".join(statistic))
            if statistic["enqueued"] != users or sum(statistic["dropped"].values()) > 0:
                sys.exit(f"bench: not every exposure was queued: {statistic}")
            blocks[kind] += [[float(word) for word in row] for row in rows]
    server.end()
    return blocks


class Delivery:
    """bench/c/deliver.c and its server."""

    def __init__(self, batch, events, tls=True, delay=None):
        self.batch, self.events = batch, events
        ca_file = OUT / f"ca-{batch}.pem"
        tls = ["--tls", "good", "--ca-file", ca_file] if tls else []
        self.server = Server("definitions-0.json", "--events", "count", *tls)
        self.lasting = [] if delay is None else [{"path": "/track", "kind": "delay", "delay_ms": delay}]
        self.samples = []
        command = [str(word) for word in (OUT / "bin" / "deliver", OUT, self.server.url, ca_file if tls else "")]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        # Afterwards it has read CA_FILE.
        self.request("put 0")

    def request(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return [int(word) for word in self.process.stdout.readline().split()]

    def sample(self):
        """Adds events per second, and the nanoseconds of processor time per event of the library and of the server."""
        self.server.call("DELETE", "/__dev/requests")
        self.server.call("DELETE", "/__dev/events")
        before, wasted = self.server.processor_seconds(), 0
        if self.batch < 2000:
            wall, cpu, undelivered = self.request(f"rounds {self.events} {self.batch}")
            return self.check(wall, cpu, undelivered, before, wasted)
        # The first 2,000 start a request. After its failure nothing is sent until the flush.
        self.server.fault({"path": "/track", "kind": "status", "status": 503, "times": 1}, *self.lasting)
        self.request("put 2000")
        self.server.polls(1)
        time.sleep(0.05)
        self.request(f"put {self.events - 2000}")
        before, wasted = self.server.processor_seconds(), 1
        wall, cpu, undelivered = self.request("flush 60000")
        self.check(wall, cpu, undelivered, before, wasted)

    def check(self, wall, cpu, undelivered, before, wasted):
        theirs = (self.server.processor_seconds() - before) * 1e9
        counts = json.loads(self.server.call("GET", "/__dev/events?limit=0"))["counts"]
        requests = len(self.server.polls()) - wasted
        if undelivered or counts["accepted"] != self.events or counts["duplicates"] or requests != -(-self.events // self.batch):
            sys.exit(f"bench: {undelivered} undelivered, {counts}, {requests} requests")
        self.samples.append((self.events / wall * 1e9, cpu / self.events, theirs / self.events))

    def end(self):
        self.process.stdin.close()
        self.process.wait()
        self.server.end()


def deliveries(quick):
    share = 5 if quick else 1
    all_of_them = {
        "50": Delivery(50, 50_000 // share),
        "2000": Delivery(2000, 800_000 // share),
        "away": Delivery(2000, 200_000 // share, tls=False, delay=20),
    }
    for number in range(2 if quick else 8):
        for delivery in random.sample(list(all_of_them.values()), len(all_of_them)):
            delivery.sample()
            if number == 0:
                delivery.samples.clear()
    for delivery in all_of_them.values():
        delivery.end()
    return {name: delivery.samples for name, delivery in all_of_them.items()}


def outages(quick):
    """The segments of bench/c/outages.c: kind → rows of p50, p99, p99.9 and the maximum."""
    servers = [Server("definitions-0.json", "--events", "count") for _ in range(3)]
    servers[1].fault({"path": "/track", "kind": "delay", "delay_ms": 20})
    servers[2].fault({"path": "/track", "kind": "hang"})
    rows = {}
    for kind, _, *words in printed("outages", OUT, 200, 4 if quick else 17, *(server.url for server in servers)):
        rows.setdefault(kind, []).append([float(word) for word in words])
    for server in servers:
        server.end()
    # The first round warms up.
    return {kind: segments[1:] for kind, segments in rows.items()}


def remote(quick):
    """Wall and processor time of each run of bench/c/remote.c, in nanoseconds."""
    server = Server("definitions-10.json")
    server.fault({"path": "/flags", "kind": "delay", "delay_ms": 20})
    runs = [[int(word) for word in row] for row in printed("remote", OUT, server.url, 64, 20 if quick else 200, 2 if quick else 4)]
    server.end()
    return runs


def stripped_size(library):
    copy = OUT / "lib" / "stripped.so"
    shutil.copyfile(library, copy)
    subprocess.run([os.environ.get("STRIP", "strip"), "--strip-unneeded", copy], check=True)
    return copy.stat().st_size / 1e6


LANGUAGES = {"python": "Python", "go": "Go"}
UNITS = {"ns": time_text, "x": ratio_text, "bytes": lambda value: megabytes(value / 1e6), "1/s": lambda value: f"{value:,.0f}/s"}


def languages(quick, table, notes):
    """The benchmark of each language, which prints a JSON object for each figure. A failure, such as a missing tool, becomes a note."""
    for name, words in LANGUAGES.items():
        print(words, file=sys.stderr, flush=True)
        command = ["make", "--no-print-directory", "-s", "-C", str(programs.ROOT / "bindings" / name), "bench"]
        command += [f"MPFLAGS_LIBRARY={programs.TARGET / 'release' / 'libmpflags.so'}", f"MPFLAGS_DEV={OUT / 'bin' / 'mpflags-dev'}"]
        command += [f"BUILD={programs.ROOT / 'build' / name}", *(["QUICK=--quick"] if quick else [])]
        run = subprocess.run(command, text=True, stdout=subprocess.PIPE)
        if run.returncode != 0:
            notes.append(f"{words} was skipped: `make -C bindings/{name} bench` exited with {run.returncode}")
            continue
        for line in run.stdout.splitlines():
            if not line.startswith("{"):
                continue
            row = json.loads(line)
            ns = row["unit"] == "ns"
            table.add(f"{words}: {row['figure']}", row["samples"], UNITS[row["unit"]], row["goal"], row["at_least"], row["against"], timed=ns)


def difference(rows, empty, column):
    """A column of each row, minus the median without flags."""
    base = statistics.median(row[1] for row in empty)
    return [row[column] - base for row in rows]


def against(samples, ours, theirs):
    """How many times as long as ours the peer takes, from the ratios of each round."""
    if theirs not in samples:
        return ""
    ratios = [their / our for our, their in zip(samples[ours], samples[theirs])]
    median, low, high = spread(ratios)
    their = time_text(spread(samples[theirs])[0])
    return f"{theirs[0]} {their}: {ratio_text(median)} ({ratio_text(low)} – {ratio_text(high)})"


def compared(samples, case, peer=None):
    """The case beside the old library and the official SDK's case `peer`, as far as they were measured."""
    parts = [against(samples, ("c", case), ("old", case)), against(samples, ("c", case), ("mixpanel", peer))]
    return "; ".join(part for part in parts if part)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--no-build", action="store_true")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--old", type=Path)
    options = parser.parse_args()
    notes = []

    if options.no_build:
        library = OUT / "lib" / "libmpflags.so.0"
    else:
        library = programs.library("mpflags-dev")
        programs.server()
    for name in ("worker", "fresh", "polls", "swaps", "exposures", "deliver", "outages", "remote"):
        programs.program(name)

    say = lambda text: print(text, file=sys.stderr, flush=True)  # noqa: E731
    workers = {"c": Worker("c", [OUT / "bin" / "worker", OUT])}
    second = Worker("c, a second process", [OUT / "bin" / "worker", OUT])
    old = None
    if options.old:
        old = {**os.environ, "LD_LIBRARY_PATH": str(programs.old(options.old))}
        workers["old"] = Worker("old", [OUT / "bin" / "worker", OUT], old)
    if not options.no_peers:
        python, why = peer()
        if python is None:
            notes.append(why)
        else:
            workers["mixpanel"] = Worker("mixpanel", [python, Path(programs.__file__).parent / "mixpanel_worker.py", OUT])
    say("evaluating and loading")
    samples = Samples()
    evaluations(workers, samples, options.quick)
    say("two threads, two processes")
    scaling = {case: threads(workers["c"], second, case, options.quick) for case in ("handle-eq", "json-and5")}
    for worker in (*workers.values(), second):
        worker.end()

    say("loading in new processes")
    servers = {name: Server(f"definitions{end}.json") for name, end in (("1000", ""), ("10", "-10"), ("0", "-0"), ("swaps", ""))}
    memory = fresh(servers, options.quick)
    say("swapping definitions")
    segments, allocator_calls, swapped = swaps(servers["swaps"], options.quick)
    say("polls without changes")
    polls = {name: unchanged_polls(servers[name], options.quick) for name in ("10", "1000")}
    for server in servers.values():
        server.end()
    say("exposures")
    blocks = exposure_costs(options.quick, old)
    say("delivery")
    delivered = deliveries(options.quick)
    say("evaluating while events cannot be delivered")
    latencies = outages(options.quick)
    say("remote evaluation")
    remote_runs = remote(options.quick)

    reference = spread(samples["c", "reference"])
    table = Table(max(1.0, reference[0] / REFERENCE_NS))
    size = (OUT / "definitions.json").stat().st_size / 1e6
    c = lambda case: samples["c", case]  # noqa: E731
    for words, case, goal, theirs in (
        ("C, context handle, eq, 1,000 flags loaded", "handle-eq", 120, "eq"),
        ("the same, exposures on, repeated within the window", "handle-eq-repeat", None, None),
        ("the same, and5, without exposures", "handle-and5", None, None),
        ("the same, eq, with an evaluation handle, including freeing", "evaluate-eq", None, None),
        ("C, context as JSON, and5, with an evaluation handle", "json-and5", 550, "and5"),
        ("the same, eq", "json-eq", None, None),
        ("C, context in the binary form, and5, with an evaluation handle", "binary-and5", 260, None),
        ("C, context built, evaluated with and5, and freed", "builder-and5", 350, None),
        ("C, 500 properties as JSON, eq", "json-500", 25_000, "eq-500"),
        ("all variants of 1,000 flags, including freeing", "all", 110_000, "all"),
    ):
        table.time(words, c(case), goal, compared(samples, case, theirs))
    for case, (rounds, undisturbed) in scaling.items():
        pairs = [rates["threads"] / rates["processes"] for rates in rounds]
        alone = statistics.median(rates["threads"] / rates["one"] for rates in rounds)
        rate = statistics.median(rates["threads"] for rates in rounds) * 1e3
        text = f"one thread: {alone:.2f} ×; {rate:.1f} M/s; {undisturbed} undisturbed rounds"
        table.add(f"two threads compared with two processes, {case}", pairs, lambda value: f"{value:.2f} ×", 0.95, at_least=True, against=text)
    tails = [swapped[3] / parsed[3] for swapped, parsed in zip(segments["swapped"], segments["parsed"])]
    p999 = {kind: time_text(statistics.median(row[3] for row in rows)) for kind, rows in segments.items()}
    text = f"swapped {p999['swapped']}, parsed {p999['parsed']}, quiet {p999['quiet']}; {swapped}"
    table.add("p99.9 while 1,000 definitions are swapped, 100 ms between polls", tails, ratio_text, 3, against=text)
    text = "malloc {}, free {}".format(*allocator_calls)
    table.add("allocator calls on the evaluating thread meanwhile", [sum(allocator_calls)], str, 0, against=text)
    table.time(f"load 1,000 flags ({size:.2f} MB), warm, configuration included", c("load"), 12e6, compared(samples, "load", "load"))
    empty = time_text(statistics.median(row[0] for row in memory["inline-0"]))
    table.time("the same, as the first thing in a process", [row[0] for row in memory["inline"]], 12e6, f"no flags: {empty}")
    table.time("the same, from a file", [row[0] for row in memory["path"]])
    table.time("the same over HTTP on loopback, gzip, from start to ready", [row[0] for row in memory["http"]])
    for name, words in (("http", "fetched"), ("path", "from a file")):
        resident = difference(memory[name], memory[f"{name}-0"], 1)
        # After trimming, both are trimmed.
        base = statistics.median(row[3] for row in memory[f"{name}-0"])
        trimmed = statistics.median(row[3] for row in memory[name]) - base
        peak = difference(memory[name], memory[f"{name}-0"], 2)
        total = statistics.median(row[1] for row in memory[name])
        table.add(f"resident memory for 1,000 flags, {words}", resident, megabytes, 3,
                  against=f"trimmed {megabytes(trimmed)}; process {megabytes(total)}")
        table.add(f"peak while loading, {words}", peak, megabytes, 6,
                  against=f"resident: {ratio_text(statistics.median(peak) / statistics.median(resident))}")
    table.add("libmpflags.so, stripped", [stripped_size(library)], megabytes, 3)
    few, many = polls["10"], polls["1000"]
    text = f"10 flags: {few[1]:.0f} B; calls {many[0]:.0f} and {few[0]:.0f}; largest {many[2]} B"
    table.add("allocated by a 304 poll, 1,000 flags", [many[1]], lambda value: f"{value:.0f} B", few[1] + 1024, against=text)

    for kind, words in (("idle", "nothing sent meanwhile"), ("sending", "sent meanwhile, server on the same processors")):
        plain, first, repeat = ([row[i] for row in blocks[kind]] for i in range(3))
        text = f"mean {time_text(statistics.mean(first) - statistics.mean(plain))}; evaluations {time_text(statistics.median(first))} and {time_text(statistics.median(plain))}"
        costs = [with_it - without for with_it, without in zip(first, plain)]
        if f"old {kind}" in blocks:
            before = statistics.median(with_it - without for without, with_it, _ in blocks[f"old {kind}"])
            text = f"old {time_text(before)}: {ratio_text(before / statistics.median(costs))}; {text}"
        goal = 200 if kind == "idle" else 280
        table.time(f"exposure of a new user, cost to the evaluating thread: {words}", costs, goal, text)
        if kind == "idle":
            table.time("the same, repeated within the window", [again - without for again, without in zip(repeat, plain)])
    for name, words, goal in (
        ("50", "TLS on loopback, batches of 50", 250e3),
        ("2000", "TLS on loopback, batches of 2,000", 500e3),
        ("away", "server 20 ms away, batches of 2,000", 60e3),
    ):
        rates, ours, theirs = zip(*delivered[name])
        text = f"processor time per event: library {time_text(statistics.median(ours))}, server {time_text(statistics.median(theirs))}"
        table.rate(f"delivered, {words}", rates, goal, text, timed=name != "away")
    kinds = {"slow": "20 ms away", "hung": "that hangs", "full": "that hangs, queue full"}
    for kind, words in kinds.items():
        for column, name, goal in ((0, "p50", 1.2), (1, "p99", 2)):
            ratios = [row[column] / quiet[column] for row, quiet in zip(latencies[kind], latencies["quiet"])]
            ns = {of: time_text(statistics.median(row[column] for row in latencies[of])) for of in (kind, "quiet")}
            table.add(f"{name} of evaluations with exposures, events server {words}", ratios, ratio_text, goal, against=f"{ns[kind]}, quiet {ns['quiet']}")
    ideal = 20e6 * (20 if options.quick else 200)
    text = f"ideal {ideal / 1e9:.1f} s; including connecting {remote_runs[0][0] / 1e9:.2f} s; processor {statistics.median(row[1] for row in remote_runs) / 1e9:.2f} s"
    table.add("remote, 64 threads × 200 evaluations, server 20 ms away", [wall / 1e9 for wall, _ in remote_runs[1:]], lambda s: f"{s:.2f} s", against=text)

    if not options.no_peers:
        languages(options.quick, table, notes)

    processor = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    lines = [
        f"{programs.rustc()}; {processor}, {os.cpu_count()} processors; load {os.getloadavg()[0]:.1f}",
        f"reference {time_text(reference[0])} ({time_text(reference[1])} – {time_text(reference[2])}), {REFERENCE_NS} ns on the machine that the goals were set on; "
        f"{100 * samples.disturbed / samples.taken:.0f} % of the samples were disturbed",
        *notes,
        "",
        table.text(),
    ]
    text = "\n".join(lines) + "\n"
    print(text)
    (OUT / "results.md").write_text(text)
    raw = {
        "samples": {f"{name} {case}": values for (name, case), values in samples.items()},
        "scaling": scaling, "memory": memory, "segments": segments, "polls": polls,
        "exposures": blocks, "delivered": delivered, "outages": latencies, "remote": remote_runs,
    }
    (OUT / "results.json").write_text(json.dumps(raw))


if __name__ == "__main__":
    main()
