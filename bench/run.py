#!/usr/bin/env python3
"""Measures the figures that the project has goals for, and prints them as one table: `make bench`.

    bench/run.py [--quick] [--no-build] [--no-peers]

--quick takes few samples, to see that everything runs; --no-build takes what was built last; --no-peers leaves the
official SDKs and the other languages out. It takes about ten minutes, and the table also goes to build/bench/results.md.

Nothing here fails because something is slow. What gates is countable: bench/instructions, and the tests.

| file | is |
| --- | --- |
| bench/run.py | this |
| bench/instructions | counts instructions under callgrind and compares them with bench/instructions.json: a gate |
| bench/workload.py | writes the definitions and contexts that everything here evaluates |
| bench/programs.py | builds what is run |
| bench/mixpanel_worker.py | the official Python SDK |
| bench/c/*.c | the C programs; each says at its head what it does |
| bench/core.rs | `cargo bench`: the core alone, in Rust |
| bindings/python/bench, bindings/go/bench | each language's boundary, beside Mixpanel's own SDK for it |

How it measures:

* A worker process per implementation answers requests for samples. In each round every case of every worker is sampled
  once, in a new random order, so that a slow moment of the machine falls on all. Ratios are taken within a round. The
  first round is dropped.
* A sample tells wall time and processor time. Where they differ by over 5 % somebody else had the processor: the sample
  is taken anew, three times at most, and then its processor time counts. The share of such samples is told.
* Exposures are off wherever a row does not say otherwise, for the official SDK too.
* Events go to mpflags-dev on the same two processors, which reads and checks each: what it takes of them is told. The
  queue is filled while the client waits for a retry, so what is timed is delivery alone, over an open connection. For
  batches of 50 the program enqueues 50 and flushes, again and again: there the enqueueing and the waking are timed too.
* Loading and memory are of fresh processes, flags and no flags in turn: the difference is what flags cost.
* `reference` is a chain of FNV-1a hashes, 43.2 ns on the machine that the goals were set on. Where it is slower, "met"
  is decided on the time that the figure would have there, and says so.
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
    """A process that answers `CASE MILLISECONDS THREADS` with operations, wall and processor time."""

    def __init__(self, name, command):
        self.name = name
        self.process = subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, case, milliseconds, threads=1):
        self.process.stdin.write(f"{case} {milliseconds} {threads}\n")
        self.process.stdin.flush()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"bench: the worker {self.name} ended with {self.process.wait()}")
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
        answer = connection.getresponse().read()
        connection.close()
        return answer

    def fault(self, *faults):
        """Replaces all faults."""
        self.call("PUT", "/__dev/faults", json.dumps(faults))

    def processor_seconds(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def polls(self, at_least=0):
        """The statuses of the polls so far, once there are so many."""
        requests = json.loads(self.call("GET", f"/__dev/requests?at_least={at_least}&within_ms=5000"))["requests"]
        return [request["status"] for request in requests]

    def end(self):
        self.process.stdin.close()
        self.process.wait()


class Samples(dict):
    """(worker, case) → nanoseconds for one operation, a sample a round."""

    def __init__(self):
        super().__init__()
        self.taken = self.disturbed = 0

    def take(self, worker, case, milliseconds):
        for _ in range(3):
            worker.ask(case, milliseconds)
            operations, wall, cpu = worker.answer()
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
        """`goal` is a limit, or with `at_least` a floor, in the unit of `values`."""
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
    """The Python of a virtual environment with the official SDK, or why there is none."""
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
        return None, f"{PEER} is left out: {error}"
    return python, None


def evaluations(workers, samples, quick):
    cases = [("c", case) for case in ("reference", "handle-eq", "handle-eq-repeat", "handle-and5", "evaluate-eq", "json-eq", "json-and5", "json-500")]
    if "mixpanel" in workers:
        cases += [("mixpanel", case) for case in ("eq", "and5", "eq-500")]
    samples.run(workers, cases, 3 if quick else 31, 15)
    slow = [("c", "load"), ("c", "all")]
    if "mixpanel" in workers:
        slow += [("mixpanel", "load"), ("mixpanel", "all")]
    samples.run(workers, slow, 2 if quick else 11, 60)


def threads(first, second, case, quick):
    """Rates of one thread, of two threads in one process, and of two processes, a dictionary for each round: evaluations
    per nanosecond of processor. Threads that took turns on one processor contend for nothing, so rounds in which all
    had theirs come first; the second value is how many those are."""
    rounds = []
    for number in range(3 if quick else 16):
        rates, waited = {}, 1.0
        kinds = [("one", [first], 1), ("threads", [first], 2), ("processes", [first, second], 1)]
        random.shuffle(kinds)
        for kind, asked, count in kinds:
            for worker in asked:
                worker.ask(case, 200, count)
            operations = wall = cpu = 0
            for worker in asked:
                answer = worker.answer()
                operations, wall, cpu = operations + answer[0], wall + answer[1], cpu + answer[2]
            together = count * len(asked)
            rates[kind] = together * operations / cpu
            waited = max(waited, wall / cpu)
        if number > 0:
            rounds.append((waited, rates))
    undisturbed = [rates for waited, rates in rounds if waited <= DISTURBED]
    return (undisturbed if len(undisturbed) >= 3 else [rates for _, rates in rounds]), len(undisturbed)


def fresh(servers, quick):
    """Fresh processes: name → rows of load (ns), resident, peak, resident after malloc_trim (MB)."""
    asked = {
        "inline-0": ["inline", OUT / "config-0.json"],
        "inline": ["inline", OUT / "config.json"],
        "path": ["path", OUT / "definitions.json"],
        "path-0": ["path", OUT / "definitions-0.json"],
        "http": ["http", servers["1000"].url],
        "http-0": ["http", servers["0"].url],
    }
    rows = {name: [] for name in asked}
    for _ in range(3 if quick else 9):
        for name in random.sample(list(asked), len(asked)):
            command = [str(word) for word in (OUT / "bin" / "fresh", *asked[name])]
            for _ in range(3):
                words = subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout.split()
                wall, cpu, *kilobytes = (int(word) for word in words)
                if wall <= cpu * DISTURBED:
                    break
            # Fetching waits for a server, so its wall time it is.
            load = cpu if wall > cpu * DISTURBED and not name.startswith("http") else wall
            rows[name].append((load, *(kb * 1024 / 1e6 for kb in kilobytes)))
    return rows


def swaps(server, quick):
    """Segments of bench/c/swaps.c, its allocator calls, and how often was swapped."""
    documents = [(OUT / name).read_bytes() for name in ("definitions-b.json", "definitions.json")]
    ended = threading.Event()

    def alternate():
        seen = 0
        while not ended.is_set():
            count = len(server.polls(seen + 1))
            if count > seen:
                # The poll's answer is on its way; the next is 90 ms away at least.
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
    # Two clients' segments of a second each.
    statuses = server.polls()
    return segments, calls, f"{statuses.count(200)} swaps of {len(statuses)} polls, one each {2000 * count / statuses.count(200):.0f} ms"


def unchanged_polls(server, quick):
    """What a poll that is answered with 304 allocates: calls, bytes, the largest in bytes."""
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
        sys.exit(f"bench: polls were not answered with 304: {statuses}")
    polls = last - first
    return (at_last[0] - at_first[0]) / polls, (at_last[1] - at_first[1]) / polls, at_last[2]


def printed(name, *arguments):
    """What a program printed, as rows of words."""
    command = [str(word) for word in (OUT / "bin" / name, *arguments)]
    return [line.split() for line in subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout.splitlines()]


def exposure_costs(quick):
    """`idle` and `sending` → blocks of bench/c/exposures.c."""
    server = Server("definitions-0.json", "--events", "count")
    users = 20_000 if quick else 100_000
    blocks = {"idle": [], "sending": []}
    for _ in range(1 if quick else 5):
        for kind, url in (("idle", []), ("sending", [server.url])):
            *rows, statistic = printed("exposures", OUT, users, *url)
            statistic = json.loads(" ".join(statistic))
            if statistic["enqueued"] != users or sum(statistic["dropped"].values()) > 0:
                sys.exit(f"bench: not every exposure was one: {statistic}")
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
        # It has read CA_FILE then.
        self.ask("put 0")

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return [int(word) for word in self.process.stdout.readline().split()]

    def sample(self):
        """Events per second, and per event the nanoseconds of processor that the library and the server took."""
        self.server.call("DELETE", "/__dev/requests")
        self.server.call("DELETE", "/__dev/events")
        before, wasted = self.server.processor_seconds(), 0
        if self.batch < 2000:
            wall, cpu, undelivered = self.ask(f"rounds {self.events} {self.batch}")
            return self.check(wall, cpu, undelivered, before, wasted)
        # The first 2,000 start a request, and after its failure nothing is sent until the flush.
        self.server.fault({"path": "/track", "kind": "status", "status": 503, "times": 1}, *self.lasting)
        self.ask("put 2000")
        self.server.polls(1)
        time.sleep(0.05)
        self.ask(f"put {self.events - 2000}")
        before, wasted = self.server.processor_seconds(), 1
        wall, cpu, undelivered = self.ask("flush 60000")
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
    """Segments of bench/c/outages.c: kind → rows of p50, p99, p99.9, the longest."""
    servers = [Server("definitions-0.json", "--events", "count") for _ in range(3)]
    servers[1].fault({"path": "/track", "kind": "delay", "delay_ms": 20})
    servers[2].fault({"path": "/track", "kind": "hang"})
    rows = {}
    for kind, _, *words in printed("outages", OUT, 200, 4 if quick else 17, *(server.url for server in servers)):
        rows.setdefault(kind, []).append([float(word) for word in words])
    for server in servers:
        server.end()
    # The first round starts from nothing.
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
    """The boundary benchmark of each language, which prints a JSON object per figure; a toolchain that is missing is a note."""
    for name, words in LANGUAGES.items():
        print(words, file=sys.stderr, flush=True)
        command = ["make", "--no-print-directory", "-s", "-C", str(programs.ROOT / "bindings" / name), "bench"]
        command += [f"MPFLAGS_LIBRARY={programs.TARGET / 'release' / 'libmpflags.so'}", f"MPFLAGS_DEV={OUT / 'bin' / 'mpflags-dev'}"]
        command += [f"BUILD={programs.ROOT / 'build' / name}", *(["QUICK=--quick"] if quick else [])]
        run = subprocess.run(command, text=True, stdout=subprocess.PIPE)
        if run.returncode != 0:
            notes.append(f"{words}: left out, `make -C bindings/{name} bench` ended with {run.returncode}")
            continue
        for line in run.stdout.splitlines():
            if not line.startswith("{"):
                continue
            row = json.loads(line)
            ns = row["unit"] == "ns"
            table.add(f"{words}: {row['figure']}", row["samples"], UNITS[row["unit"]], row["goal"], row["at_least"], row["against"], timed=ns)


def difference(rows, empty, column):
    """Each row's column above the median of the runs without flags."""
    base = statistics.median(row[1] for row in empty)
    return [row[column] - base for row in rows]


def against(samples, ours, theirs):
    """How many times the peer's time ours is, round by round."""
    if theirs not in samples:
        return ""
    ratios = [their / our for our, their in zip(samples[ours], samples[theirs])]
    median, low, high = spread(ratios)
    their = time_text(spread(samples[theirs])[0])
    return f"{theirs[0]} {their}: {ratio_text(median)} ({ratio_text(low)} – {ratio_text(high)})"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--no-build", action="store_true")
    parser.add_argument("--no-peers", action="store_true")
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

    say("fresh processes")
    servers = {name: Server(f"definitions{end}.json") for name, end in (("1000", ""), ("10", "-10"), ("0", "-0"), ("swaps", ""))}
    memory = fresh(servers, options.quick)
    say("swapping definitions")
    segments, allocator_calls, swapped = swaps(servers["swaps"], options.quick)
    say("polls without news")
    polls = {name: unchanged_polls(servers[name], options.quick) for name in ("10", "1000")}
    for server in servers.values():
        server.end()
    say("exposures")
    blocks = exposure_costs(options.quick)
    say("delivery")
    delivered = deliveries(options.quick)
    say("evaluating while events cannot be delivered")
    latencies = outages(options.quick)
    say("remote")
    asked = remote(options.quick)

    reference = spread(samples["c", "reference"])
    table = Table(max(1.0, reference[0] / REFERENCE_NS))
    size = (OUT / "definitions.json").stat().st_size / 1e6
    c = lambda case: samples["c", case]  # noqa: E731
    table.time("C, context handle, eq, 1,000 flags loaded", c("handle-eq"), 120, against(samples, ("c", "handle-eq"), ("mixpanel", "eq")))
    table.time("the same, with exposures on, a repeat within the window", c("handle-eq-repeat"))
    table.time("the same, and5, without exposures", c("handle-and5"))
    table.time("the same, eq, with an evaluation handle, freed", c("evaluate-eq"))
    table.time("C, context as JSON, and5, with an evaluation handle", c("json-and5"), 600, against(samples, ("c", "json-and5"), ("mixpanel", "and5")))
    table.time("the same, eq", c("json-eq"))
    table.time("C, 500 properties as JSON, eq", c("json-500"), 25_000, against(samples, ("c", "json-500"), ("mixpanel", "eq-500")))
    table.time("all variants of 1,000 flags, freed", c("all"), 150_000, against(samples, ("c", "all"), ("mixpanel", "all")))
    for case, (rounds, undisturbed) in scaling.items():
        pairs = [rates["threads"] / rates["processes"] for rates in rounds]
        alone = statistics.median(rates["threads"] / rates["one"] for rates in rounds)
        rate = statistics.median(rates["threads"] for rates in rounds) * 1e3
        text = f"one thread: {alone:.2f} ×; {rate:.1f} M/s; {undisturbed} undisturbed rounds"
        table.add(f"two threads against two processes, {case}", pairs, lambda value: f"{value:.2f} ×", 0.95, at_least=True, against=text)
    tails = [swapped[3] / parsed[3] for swapped, parsed in zip(segments["swapped"], segments["parsed"])]
    p999 = {kind: time_text(statistics.median(row[3] for row in rows)) for kind, rows in segments.items()}
    text = f"swapped {p999['swapped']}, parsed {p999['parsed']}, quiet {p999['quiet']}; {swapped}"
    table.add("p99.9 while 1,000 definitions are swapped, 100 ms between polls", tails, ratio_text, 3, against=text)
    text = "{} of malloc, {} of free".format(*allocator_calls)
    table.add("allocator calls on the evaluating thread meanwhile", [sum(allocator_calls)], str, 0, against=text)
    table.time(f"load 1,000 flags ({size:.2f} MB), warm, configuration included", c("load"), 12e6, against(samples, ("c", "load"), ("mixpanel", "load")))
    empty = time_text(statistics.median(row[0] for row in memory["inline-0"]))
    table.time("the same, first thing in a process", [row[0] for row in memory["inline"]], 12e6, f"no flags: {empty}")
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

    for kind, words in (("idle", "nothing sent meanwhile"), ("sending", "sent meanwhile, the server on the same processors")):
        plain, first, repeat = ([row[i] for row in blocks[kind]] for i in range(3))
        text = f"mean {time_text(statistics.mean(first) - statistics.mean(plain))}; evaluations {time_text(statistics.median(first))} and {time_text(statistics.median(plain))}"
        costs = [with_it - without for with_it, without in zip(first, plain)]
        table.time(f"exposure of a new user, to the evaluating thread: {words}", costs, 250, text)
        if kind == "idle":
            table.time("its repeat within the window", [again - without for again, without in zip(repeat, plain)])
    for name, words, goal in (
        ("50", "TLS on loopback, batches of 50", 200e3),
        ("2000", "TLS on loopback, batches of 2,000", 500e3),
        ("away", "server 20 ms away, batches of 2,000", 60e3),
    ):
        rates, ours, theirs = zip(*delivered[name])
        text = f"processor for an event: library {time_text(statistics.median(ours))}, server {time_text(statistics.median(theirs))}"
        table.rate(f"delivered, {words}", rates, goal, text, timed=name != "away")
    kinds = {"slow": "20 ms away", "hung": "that hangs", "full": "that hangs, and a full queue"}
    for kind, words in kinds.items():
        for column, name, goal in ((0, "p50", 1.2), (1, "p99", 2)):
            ratios = [row[column] / quiet[column] for row, quiet in zip(latencies[kind], latencies["quiet"])]
            ns = {of: time_text(statistics.median(row[column] for row in latencies[of])) for of in (kind, "quiet")}
            table.add(f"{name} of evaluations with exposures, events server {words}", ratios, ratio_text, goal, against=f"{ns[kind]}, quiet {ns['quiet']}")
    ideal = 20e6 * (20 if options.quick else 200)
    text = f"ideal {ideal / 1e9:.1f} s; with connecting {asked[0][0] / 1e9:.2f} s; processor {statistics.median(row[1] for row in asked) / 1e9:.2f} s"
    table.add("remote, 64 threads × 200 evaluations, server 20 ms away", [wall / 1e9 for wall, _ in asked[1:]], lambda s: f"{s:.2f} s", against=text)

    if not options.no_peers:
        languages(options.quick, table, notes)

    processor = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    lines = [
        f"{programs.rustc()}; {processor}, {os.cpu_count()} processors; load {os.getloadavg()[0]:.1f}",
        f"reference {time_text(reference[0])} ({time_text(reference[1])} – {time_text(reference[2])}), {REFERENCE_NS} ns where the goals were set; "
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
        "exposures": blocks, "delivered": delivered, "outages": latencies, "remote": asked,
    }
    (OUT / "results.json").write_text(json.dumps(raw))


if __name__ == "__main__":
    main()
