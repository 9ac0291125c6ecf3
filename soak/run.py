#!/usr/bin/env python3
"""Runs a program under load for a long time while the server fails in every way, and looks for leaks and for lost events.

    soak/run.py [--seconds N] [--seed N] [--plant KIND] COMMAND...

COMMAND reads and prints the same lines as soak/soak.c; the word {url} stands for the URL of the server. A program whose runtime
keeps threads and memory that it does not need prints two more numbers, as soak/soak.go does: what is compared instead of all its
threads, to which those of the library are added, and instead of its resident memory. The run is a series of rounds. In each round the program works for some seconds while definitions change and requests fail on a schedule that the seed
decides. Then it rests: every event is delivered, and memory, threads and descriptors are those of a program with nothing to do.
They are compared with the highest figures from the first fifth of the run. Events are compared with what the server received.

--plant passes KIND to the program, which then leaks on purpose, and exits with 0 only if that was found.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEV = os.environ.get("MPFLAGS_DEV", ROOT / "target" / "debug" / "mpflags-dev")

# How much the memory may grow after the first fifth of the run, in kB.
MEMORY = 1024
# The connections that a client may keep: one for polls, one for events.
SOCKETS = 2
CLIENTS = 10
# Between two changes of the faults, in seconds, and how many there are in a round.
SLOT, SLOTS = 0.5, 5

FLOOD = {"kind": "raw", "body": "HTTP/1.1 200 OK\r\n", "repeat": "x-filler: 0123456789\r\n"}
POLLS = [
    {"kind": "status", "status": 500},
    {"kind": "status", "status": 429, "retry_after": 1},
    {"kind": "status", "status": 401},
    {"kind": "status", "status": 302, "headers": {"location": "/flags/definitions"}},
    {"kind": "garbage"},
    {"kind": "cut", "at_body_byte": 20},
    {"kind": "wrong_length"},
    {"kind": "slow_loris", "bytes_per_second": 20},
    {"kind": "gzip_bomb", "decoded_bytes": 4 << 20},
    {"kind": "reset", "at_byte": 100},
    {"kind": "hang", "times": 5},
    {"kind": "refuse", "down_ms": 200, "times": 1},
    FLOOD,
]
# All before the events are accepted. After that, an event whose response is lost at a shutdown would count as lost and as received.
EVENTS = [
    {"kind": "status", "status": 503},
    {"kind": "status", "status": 429, "retry_after": 1},
    {"kind": "status", "status": 401},
    {"kind": "status", "status": 413, "times": 3},
    {"kind": "status", "status": 400, "times": 1, "body": '{"status":0,"error":"refused"}'},
    {"kind": "raw", "body": "SSH-2.0-no\r\n"},
    {"kind": "cut", "at_body_byte": 2, "status": 503},
    {"kind": "reset", "at_byte": 50, "status": 503},
    {"kind": "hang", "times": 5},
    {"kind": "refuse", "down_ms": 200, "times": 1},
    FLOOD,
]

# A text in the problem that each planted mistake causes.
SAYS = {
    "memory": "kB of memory",
    "thread": " threads, ",
    "descriptor": "files, ",
    "lost": "are missing",
    "doubled": "are doubled",
}


def definitions(rng):
    """The flag `f`, which everybody gets, and others that come and go."""
    def flag(key, value):
        rollout = [{"rollout_percentage": 1.0, "variant_splits": {"a": rng.random()}}]
        variants = [{"key": "a", "value": value, "split": 0.5}, {"key": "b", "value": value, "split": 0.5}]
        return {"key": key, "context": "distinct_id", "ruleset": {"variants": variants, "rollout": rollout}}

    return {"flags": [flag("f", True)] + [flag(f"flag-{i}", "x" * rng.randrange(200)) for i in range(rng.randrange(20))]}


class Server:
    def __init__(self):
        command = [str(DEV), "--stop-with-stdin", "--events", "count"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url, self.control = (self.process.stdout.readline().split()[-1] for _ in range(2))

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.control}/__dev/{path}", data, method=method)
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.read()

    def events(self):
        return json.loads(self.call("GET", "events?limit=0"))["counts"]

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


class Process:
    """The program, and what it holds."""

    def __init__(self, command):
        # One arena and no caches for each thread: glibc fills both for minutes, which is not a leak.
        environment = {**os.environ, "MALLOC_ARENA_MAX": "1", "GLIBC_TUNABLES": "glibc.malloc.tcache_count=0"}
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        self.proc = Path("/proc") / str(self.process.pid)

    def say(self, line):
        try:
            self.process.stdin.write(f"{line}\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            sys.exit(f"soak: the program ended with {self.process.wait()}")

    def totals(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"soak: the program ended with {self.process.wait()}")
        events, sent, lost, *self.own = map(int, line.split())
        return [events, sent, lost]

    def threads(self):
        names = []
        for task in (self.proc / "task").iterdir():
            try:
                names.append((task / "comm").read_text())
            except FileNotFoundError:
                continue
        return self.own[0] + sum(name.startswith("mpflags-") for name in names) if self.own else len(names)

    def held(self):
        """Memory in kB, threads, sockets, and other descriptors."""
        status = dict(line.split(":", 1) for line in (self.proc / "status").read_text().splitlines())
        links = []
        for descriptor in (self.proc / "fd").iterdir():
            try:
                links.append(os.readlink(descriptor))
            except FileNotFoundError:
                continue
        sockets = sum(link.startswith("socket:") for link in links)
        memory = self.own[1] if self.own else int(status["VmRSS"].split()[0])
        return {"memory": memory, "threads": self.threads(), "sockets": sockets, "files": len(links) - sockets}

    def end(self):
        self.process.stdin.close()
        return self.process.wait()


def work(server, program, rng, slots):
    """One round of work."""
    program.say("work")
    for _ in range(slots):
        faults = []
        for path, kinds in (("/flags/definitions", POLLS), ("/track", EVENTS)):
            if rng.random() < 0.8:
                faults.append({"path": path} | rng.choice(kinds))
        server.call("PUT", "faults", faults)
        server.call("PUT", "definitions", definitions(rng))
        time.sleep(SLOT)
    server.call("PUT", "faults", [])


def compare_events(server, totals, when):
    events, sent, lost = totals
    counts = server.events()
    received = counts["distinct_insert_ids"]
    wrong = []
    if missing := events - received - lost:
        what = f"{missing} are missing" if missing > 0 else f"{-missing} are doubled"
        wrong.append(f"{when}: {events} events, of which {received} arrived and {lost} are counted as lost: {what}")
    if sent != received:
        wrong.append(f"{when}: {sent} were sent, says the library; {received} arrived")
    if counts["duplicates"]:
        wrong.append(f"{when}: {counts['duplicates']} events arrived twice")
    return wrong


def soak(command, seconds, seed):
    """Runs the program, and returns the problems that were found."""
    rng = random.Random(seed)
    server = Server()
    server.call("PUT", "definitions", definitions(rng))
    program = Process([server.url if word == "{url}" else word for word in command])
    # Faults begin when the program has started.
    program.say("rest")
    program.totals()
    wrong, rounds, base = [], 0, None
    begun = time.monotonic()
    while (elapsed := time.monotonic() - begun) < seconds:
        work(server, program, rng, SLOTS)
        program.say("rest")
        totals = program.totals()
        held = program.held()
        rounds += 1
        when = f"round {rounds}"
        wrong += compare_events(server, totals, when)
        if elapsed < seconds / 5 or base is None:
            # The most that the program holds at rest.
            base = held if base is None else {name: max(base[name], value) for name, value in held.items()}
        else:
            if held["memory"] > base["memory"] + MEMORY:
                wrong.append(f"{when}: {held['memory']} kB of memory, {base['memory']} kB in the first fifth of the run")
            for name in ("threads", "files"):
                if held[name] != base[name]:
                    wrong.append(f"{when}: {held[name]} {name}, {base[name]} in the first fifth of the run")
            if held["sockets"] > CLIENTS * SOCKETS:
                wrong.append(f"{when}: {held['sockets']} sockets of {CLIENTS} clients")
        if rounds % 10 == 1 or wrong:
            print(f"{elapsed:6.0f} s  {held}  events {totals[0]}, sent {totals[1]}, lost {totals[2]}", flush=True)
        if len(wrong) > 5:
            break
    program.say("end")
    totals = program.totals()
    wrong += compare_events(server, totals, "at the end")
    held = program.held()
    print(f"  the end  {held}  events {totals[0]}, sent {totals[1]}, lost {totals[2]}; {rounds} rounds, seed {seed}")
    # A thread that was joined may be listed for a moment longer.
    deadline = time.monotonic() + 5
    while program.held()["threads"] > 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    held = program.held()
    # Clients hold no files at rest.
    if (held["threads"], held["sockets"], held["files"]) != (1, 0, base["files"]):
        wrong.append(f"at the end: {held}")
    if status := program.end():
        wrong.append(f"the program ended with {status}")
    server.stop()
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1800)
    parser.add_argument("--seed", type=int, default=18)
    parser.add_argument("--plant", choices=SAYS)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    command = options.command + ([options.plant] if options.plant else [])
    wrong = soak(command, options.seconds, options.seed)
    for line in wrong:
        print(f"soak: {line}")
    if options.plant:
        found = any(SAYS[options.plant] in line for line in wrong)
        sys.exit(None if found else f"soak: the planted {options.plant} was not found")
    sys.exit(1 if wrong else None)


if __name__ == "__main__":
    main()
