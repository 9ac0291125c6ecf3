#!/usr/bin/env python3
"""Measures how long each public call of each language takes when nothing responds.

    deadlines/run.py [--all] [--plant KIND] LANGUAGE=COMMAND...

Each command is run with the URL of a server as its last argument, in three situations at the same time: the server accepts
requests and never responds, look-ups of its name hang, and its process is stopped. It prints a line for each call:

    LIMIT MICROSECONDS NAME

LIMIT is the time limit of the call in ms, and the call must take that long, since nothing responds; `none` for a call that does
not wait; or `evaluation` for an evaluation of a local client, which does not wait either. A NAME with a space is not a call but
something else that takes time, such as the end of the program. Every public call in the sources of the language has to be among
the names.

--all prints a line for each call, not only for those that wait. --plant makes a mistake, and the exit code is 0 only if it is
found: `responds` lets the server respond, `overrun` stops the program for a while, and `unmeasured` ignores one call.
"""

import argparse
import ast
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEV = os.environ.get("MPFLAGS_DEV", ROOT / "target" / "debug" / "mpflags-dev")
NAMES = os.environ.get("MPFLAGS_NAMES", ROOT / "build" / "deadlines" / "names.so")

# How much longer than its limit a call may take, in ms, since the programs run at the same time as each other and other work.
# Every timeout given to a call that should not wait is longer than this, so a call that waits is found.
SLACK = 400
# How much earlier a call may end, in ms: clocks differ.
EARLY = 10
# How long a program may take, in seconds.
LONGEST = 120
# How many times a program is run until nothing is wrong. A busy machine can stall for a second and delay any call; a call that
# ignores its limit does so every time. One that does so now and then may pass, with a line that says so.
RUNS = 3
# How long `overrun` stops a program, in seconds.
STOPPED = 3
SITUATIONS = {"hangs": "server hangs", "names": "look-up hangs", "stopped": "server stopped"}
# The flag of the programs, for a server that responds.
VARIANT = {"key": "a", "value": True, "split": 1.0}
RULESET = {"variants": [VARIANT], "rollout": [{"rollout_percentage": 1.0}]}
DEFINITIONS = {"flags": [{"key": "f", "context": "distinct_id", "ruleset": RULESET}]}
# The text of the problem that shows that a planted mistake was found.
FOUND = {"responds": "nothing hangs", "overrun": "may take", "unmeasured": "is not measured"}


class Server:
    def __init__(self):
        command = [str(DEV), "--stop-with-stdin", "--events", "count"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url, self.control = (self.process.stdout.readline().split()[-1] for _ in range(2))

    def put(self, path, body):
        request = urllib.request.Request(f"{self.control}/__dev/{path}", json.dumps(body).encode(), method="PUT")
        urllib.request.urlopen(request, timeout=30).close()

    def signal(self, number):
        self.process.send_signal(number)

    def end(self):
        self.signal(signal.SIGCONT)
        self.process.stdin.close()
        self.process.wait()


def measure(command, url, environment, overrun, begun):
    """What a program prints, as pairs of a name and its limit with the longest time in ms, and what is wrong.

    Sets `begun` when it has printed something.
    """
    process = subprocess.Popen([*command, url], stdout=subprocess.PIPE, text=True, env={**os.environ, **environment})
    watchdog = threading.Timer(LONGEST, process.kill)
    watchdog.start()
    longest, shortest, wrong, name = {}, {}, [], "the start"
    for number, line in enumerate(process.stdout):
        begun.set()
        limit, took, name = line.rstrip("\n").split(" ", 2)
        row = name, limit if limit in ("none", "evaluation") else int(limit)
        longest[row] = max(longest.get(row, 0), int(took) / 1000)
        shortest[row] = min(shortest.get(row, longest[row]), int(took) / 1000)
        if overrun and number == 4:
            # Within the next call, which waits in every language.
            time.sleep(0.1)
            process.send_signal(signal.SIGSTOP)
            time.sleep(STOPPED)
            process.send_signal(signal.SIGCONT)
    status = process.wait()
    watchdog.cancel()
    if status:
        wrong.append(f"the program ended with {status} after {name}")
    for (name, limit), took in longest.items():
        most = limit if isinstance(limit, int) else 0
        if took > most + SLACK:
            wrong.append(f"{name} took {took:.0f} ms; it may take {most} ms")
        # The end of a client gives up a request when three quarters of its time are over, to have some left for its threads.
        least = shortest[name, limit]
        if least < most * 3 / 4 - EARLY:
            wrong.append(f"{name} took {least:.0f} of {most} ms: nothing hangs")
    return longest, wrong


def python_calls(path, kind):
    """The public functions and properties of a class in a file of Python."""
    special = re.compile(r"__(init|repr|a?enter|a?exit)__$|(?!_)")

    def found(statements):
        for statement in statements:
            if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield statement.name
            elif isinstance(statement, ast.Assign):
                yield from (target.id for target in statement.targets)
            elif isinstance(statement, ast.If):
                yield from found(statement.orelse)

    tree = ast.parse((ROOT / path).read_text())
    body = next(node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == kind)
    return {f"{kind}.{name}" for name in found(body) if special.match(name)}


def matches(paths, pattern, block=None):
    """What the pattern matches in files, or in those of their parts that another one matches."""
    found = set()
    for path in sorted(ROOT.glob(paths)):
        text = path.read_text()
        for part in re.findall(block, text, re.DOTALL | re.MULTILINE) if block else [text]:
            found |= {
                name if isinstance(name, str) else ".".join(name) for name in re.findall(pattern, part, re.MULTILINE)
            }
    return found


def public(language):
    """Every public call of a language, and those that its program need not measure."""
    if language == "c":
        # They evaluate as mpflags_client_evaluate_encoded does, for bindings.
        same = {"mpflags_client_evaluate_packed", "mpflags_client_evaluate_packed_z", "mpflags_client_answer"}
        return matches("bindings/c/symbols.txt", r"^mpflags_client_\w+$"), same
    if language == "cpp":
        found = matches(
            "bindings/cpp/include/mpflags/client.hpp",
            r"^    (?:[\w:<>*]+ )+(\w+)\(",
            r"^class Client \{(.*?)^  private:",
        )
        return {f"Client::{name}" for name in found}, set()
    if language == "rust":
        block = r"^impl Client \{(.*?)^\}"
        client = {f"Client::{name}" for name in matches("src/client/*.rs", r"^    pub fn (\w+)", block)}
        block = r"^impl (?:FeatureProvider for )?MixpanelProvider \{(.*?)^\}"
        provider = matches(
            "src/openfeature/mod.rs", r"^    (?:pub fn|async fn(?= (?:init|res))|fn(?= (?:stat|meta))) (\w+)", block
        )
        return client | {f"MixpanelProvider::{name}" for name in provider}, set()
    if language == "python":
        package = "bindings/python/src/mpflags"
        calls = set().union(
            python_calls(f"{package}/client.py", "Client"),
            python_calls(f"{package}/mixpanel.py", "Mixpanel"),
            python_calls(f"{package}/openfeature.py", "MixpanelProvider"),
        )
        # The provider and Mixpanel call them, and are measured.
        inner = [
            *("context_id", "evaluate_remotely", "has_credentials", "in_pool", "observe", "option", "resolve"),
            *("shutdown_timeout", "start_once", "stop_observing", "why_no_properties"),
        ]
        return calls, {f"Client.{name}" for name in inner}
    if language == "go":
        method = r"^func \(\w+ \*(Client|Provider)\) ([A-Z]\w*)\("
        made = matches("bindings/go/client.go", r"^func (New)\(") | matches(
            "bindings/go/openfeature/provider.go", r"^func (New\w+)\("
        )
        return made | matches("bindings/go/*.go", method) | matches("bindings/go/openfeature/*.go", method), set()
    raise SystemExit(f"deadlines: unknown language {language}")


def show(language, rows, everything):
    """Prints the lines of a language: `rows` maps a call and its limit to the time in each situation."""

    def line(limit, name, times):
        print(f"{language:7} {name:62} {limit:>10} " + " ".join(f"{took:>14.1f}" for took in times))

    waiting = [(row, times) for row, times in rows.items() if isinstance(row[1], int)]
    for (name, limit), times in sorted(rows.items(), key=lambda row: str(row[0])) if everything else waiting:
        line(str(limit), name, times)
    if not everything:
        for kind, what in (("evaluation", "evaluations of a local client"), ("none", "calls that do not wait")):
            times = [times for row, times in rows.items() if row[1] == kind]
            line("none", f"{len(times)} {what}", map(max, zip(*times, strict=True)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--plant", choices=FOUND)
    parser.add_argument("programs", nargs="+", metavar="LANGUAGE=COMMAND")
    options = parser.parse_args()
    programs = {}
    for program in options.programs:
        language, command = program.split("=", 1)
        programs[language] = command.split()

    hanging, stopped = Server(), Server()
    if options.plant == "responds":
        hanging.put("definitions", DEFINITIONS)
    else:
        hanging.put("faults", [{"path": "*", "kind": "hang"}])
    stopped.signal(signal.SIGSTOP)
    urls = {"hangs": hanging.url, "names": "http://names.invalid", "stopped": stopped.url}
    results = {}

    def run(language, situation, begun):
        try:
            environment = {"LD_PRELOAD": str(NAMES)} if situation == "names" else {}
            for left in reversed(range(1 if options.plant else RUNS)):
                overrun = options.plant == "overrun"
                results[language, situation] = measure(programs[language], urls[situation], environment, overrun, begun)
                wrong = results[language, situation][1]
                if not wrong:
                    break
                if left:
                    print(f"{language}, {SITUATIONS[situation]}: {wrong[0]}; running it again", file=sys.stderr)
        finally:
            begun.set()

    # One is enough. While look-ups hang, every call takes as long as it may.
    planted = ["hangs" if options.plant == "responds" else "names"]
    situations = planted if options.plant else list(SITUATIONS)
    threads = []
    try:
        # One after the other, since a program needs a processor while it starts, and then mostly waits.
        for situation in situations:
            for language in programs:
                begun = threading.Event()
                threads.append(threading.Thread(target=run, args=(language, situation, begun)))
                threads[-1].start()
                begun.wait()
        for thread in threads:
            thread.join()
    finally:
        hanging.end()
        stopped.end()

    if not options.plant:
        print(
            f"{'':7} {'call':62} {'limit, ms':>10} "
            + " ".join(f"{SITUATIONS[situation]:>14}" for situation in situations)
        )
    failed = False
    for language in programs:
        wrong, rows = [], {}
        for situation in situations:
            times, problems = results.get((language, situation), ({}, ["the program could not be run"]))
            wrong += [f"{SITUATIONS[situation]}: {problem}" for problem in problems]
            for row, took in times.items():
                rows.setdefault(row, {})[situation] = took
        if options.plant == "unmeasured":
            forgotten = next(name for name, _ in rows if " " not in name)
            rows = {row: times for row, times in rows.items() if row[0] != forgotten}
        measured = {name for name, _ in rows if " " not in name}
        calls, same = public(language)
        wrong += [f"{name} is not measured" for name in sorted(calls - same - measured)]
        wrong += [f"{name} is not a public call" for name in sorted((measured | same) - calls)]
        for (name, limit), times in rows.items():
            if isinstance(limit, int) and options.plant != "responds" and max(times.values()) < limit - EARLY:
                wrong.append(
                    f"{name} took {max(times.values()):.0f} of {limit} ms at most: it does not wait for its limit"
                )
        wrong += [
            f"{name} was not called in each situation"
            for (name, _), times in rows.items()
            if len(times) < len(situations)
        ]
        if not options.plant and not wrong:
            show(
                language,
                {row: [times[situation] for situation in situations] for row, times in rows.items()},
                options.all,
            )
        if options.plant:
            # Whatever else is wrong may be due to it, or to the machine.
            found = next((problem for problem in wrong if FOUND[options.plant] in problem), None)
            print(f"{language:7} planted: {options.plant}; found: {found}")
            failed = failed or found is None
            continue
        for problem in wrong:
            print(f"deadlines: {language}: {problem}")
        failed = failed or bool(wrong)
    sys.exit(failed)


if __name__ == "__main__":
    main()
