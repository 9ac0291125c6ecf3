#!/usr/bin/env python3
"""Runs a fleet of clients behind a real nginx and a real Varnish, and compares what the origin gets with direct polling.

    fleet/run.py [--clients N] [--interval SECONDS] [--intervals N] [--front nginx|varnish] [--plant MISTAKE]

The clients are real ones with their own connections, in several processes. The origin is mpflags-dev with TLS, which takes 100 ms for
definitions. A step that does not go as docs/fleet.md says ends the run with 1. --plant makes a mistake in a copy of nginx.conf, and exits
with 0 only if a step finds it.
"""

import argparse
import base64
import gzip
import http.client
import json
import os
import random
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from fronts import FRONTS, PLANTED, certificate

ROOT = Path(__file__).resolve().parent.parent
DEBUG = ROOT / "target" / "debug"
DEV = os.environ.get("MPFLAGS_DEV", str(DEBUG / "mpflags-dev"))
PROGRAM = os.environ.get("MPFLAGS_FLEET", str(DEBUG / "examples" / "fleet"))
TOKEN = "fleet0token0of0project0a"
BASIC = "Basic " + base64.b64encode(f"{TOKEN}:".encode()).decode()
DEFINITIONS = "/flags/definitions"
DELAY = 0.1
# For the machine, which has other work, and for the request itself.
SLACK = 2


class Wrong(Exception):
    pass


def check(holds, text):
    if not holds:
        raise Wrong(text)


def document(version, size):
    """The flag `version`, and ballast that does not compress below half."""
    ruleset = {"variants": [{"key": "v", "value": version}], "rollout": [{"rollout_percentage": 1.0}]}
    ballast = random.Random(version).randbytes(size // 2).hex()
    return json.dumps({"flags": [{"key": "version", "context": "distinct_id", "ruleset": ruleset, "ballast": ballast}]})


class Origin:
    """Mixpanel's stand-in."""

    def __init__(self, folder, size):
        self.ca, self.size = folder / "origin-ca.pem", size
        command = [DEV, "--stop-with-stdin", "--tls", "good", "--ca-file", str(self.ca), "--token", TOKEN]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url, self.control = (self.process.stdout.readline().split()[-1] for _ in range(2))
        self.port = int(self.url.rsplit(":", 1)[1])
        self.serve(1)
        self.faults()

    def call(self, method, path, body=None):
        request = urllib.request.Request(f"{self.control}/__dev/{path}", body and body.encode(), method=method)
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.read()

    def serve(self, version):
        self.call("PUT", "definitions", document(version, self.size))
        self.bytes = len(gzip.compress(document(version, self.size).encode(), 1))

    def faults(self, *faults):
        delay = {"path": DEFINITIONS, "kind": "delay", "delay_ms": round(DELAY * 1000)}
        self.call("PUT", "faults", json.dumps([*faults, delay]))

    def clear(self):
        self.call("DELETE", "requests")

    def requests(self):
        return json.loads(self.call("GET", "requests"))

    def events(self):
        return json.loads(self.call("GET", "events?limit=0"))["counts"]

    def polls(self):
        """The statuses of the requests for definitions."""
        return [request["status"] for request in self.requests()["requests"] if request["path"] == DEFINITIONS]

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


class Fleet:
    """Clients in up to ten processes, which poll these hosts."""

    def __init__(self, count, hosts, ca_file, interval, **options):
        config = {
            "token": TOKEN, "api_host": hosts, "ca_file": str(ca_file), "polling_interval_ms": round(interval * 1000),
            "request_timeout_ms": 10_000, "init_timeout_ms": 60_000, "report_exposures": False, "event_flush_interval_ms": 500, **options,
        }  # fmt: skip
        self.count = count
        parts = [len(range(start, count, min(10, count))) for start in range(min(10, count))]
        self.processes = [
            subprocess.Popen([PROGRAM, json.dumps(config), str(part)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for part in parts
        ]

    def say(self, line):
        for process in self.processes:
            process.stdin.write(f"{line}\n")
            process.stdin.flush()

    def report(self):
        """The reports of all processes, added up."""
        self.say("report")
        reports = [json.loads(process.stdout.readline()) for process in self.processes]
        sums = {name: sum(report[name] for report in reports) for name in reports[0] if isinstance(reports[0][name], int)}
        values, changed = {}, {}
        for report in reports:
            for value, count in report["values"].items():
                values[int(value)] = values.get(int(value), 0) + count
            for value, (first, last) in report["changed"].items():
                before = changed.get(int(value), (first, last))
                changed[int(value)] = (min(before[0], first), max(before[1], last))
        return {**sums, "other": {report["other"] for report in reports}, "values": values, "changed": changed}

    def wait(self, version, seconds):
        """Waits until all clients have this version, and returns the report."""
        end = time.monotonic() + seconds
        while True:
            report = self.report()
            if report["values"] == {version: self.count}:
                return report
            check(time.monotonic() < end, f"after {seconds:.1f} s not all clients have version {version}: {report['values']}")
            time.sleep(0.05)

    def stop(self):
        for process in self.processes:
            process.stdin.close()
        for process in self.processes:
            check(process.wait() == 0, "a process of clients failed")


def ask(url, ca_file, authorization=BASIC, query=""):
    """One request for definitions: the status and the headers."""
    host, port = url.rsplit("/", 1)[1].rsplit(":", 1)
    connection = http.client.HTTPSConnection(host, int(port), timeout=20, context=ssl.create_default_context(cafile=ca_file))
    connection.request("GET", f"{DEFINITIONS}?mp_lib=test{query}", headers={"Authorization": authorization, "Accept-Encoding": "gzip"})
    response = connection.getresponse()
    response.read()
    connection.close()
    return response.status


class Run:
    def __init__(self, arguments, folder):
        self.arguments, self.folder = arguments, folder
        self.interval, self.clients = arguments.interval, arguments.clients
        self.origin = Origin(folder, arguments.bytes)
        self.version, self.rows = 1, []

    def say(self, line):
        print(f"  {line}", flush=True)

    def change(self):
        self.version += 1
        self.origin.serve(self.version)
        return time.time() * 1000

    def steady(self, fleet, who, most=None):
        """Counts the requests and bytes of some intervals without a change, and of the interval of a change."""
        count = self.arguments.intervals
        self.origin.clear()
        time.sleep(self.interval * count)
        polls = self.origin.polls()
        self.rows.append((who, "no change", len(polls) / count, polls.count(200) * self.origin.bytes / count))
        check(most is None or len(polls) <= most * count + 1, f"{len(polls)} requests in {count} intervals")
        self.origin.clear()
        changed = self.change()
        # The cache asks after an interval at most, and each client polls within an interval ± 10 %.
        report = fleet.wait(self.version, 2.1 * self.interval + SLACK if most else 60)
        polls = self.origin.polls()
        first, last = (moment / 1000 for moment in report["changed"][self.version])
        spread = last - first
        self.say(f"{who}: a change reached the first client after {first - changed / 1000:.1f} s, and all of them {spread:.1f} s later")
        check(most is None or spread <= 1.1 * self.interval + SLACK, f"the clients had the new definitions within {spread:.1f} s")
        self.rows.append((who, "change", len(polls) / ((last - changed / 1000) / self.interval), polls.count(200) * self.origin.bytes))
        # None, if the request was already on its way when they were counted.
        check(most is None or polls.count(200) <= 1, f"the new definitions were sent {polls.count(200)} times")
        check(most is None or len(polls) <= 3, f"{len(polls)} requests during a change")

    def direct(self):
        fleet = Fleet(self.clients, self.origin.url, self.origin.ca, self.interval)
        fleet.wait(self.version, 60)
        # Spread over the interval, as a fleet is after a while.
        time.sleep(self.interval)
        self.steady(fleet, "direct")
        fleet.stop()

    def behind(self, name):
        front = FRONTS[name](self.folder / name, self.origin.port, self.origin.ca, self.interval, self.arguments.plant)
        try:
            front.start()
            both = self.folder / f"{name}-ca.pem"
            both.write_bytes(front.ca.read_bytes() + self.origin.ca.read_bytes())
            self.requests(front)
            self.events(front)
            self.origin.clear()
            began = time.monotonic()
            fleet = Fleet(self.clients, [front.url, self.origin.url], both, self.interval, token_in_query=False)
            fleet.wait(self.version, 60)
            polls = self.origin.polls()
            self.say(f"{name}: {self.clients} clients started with {len(polls)} request(s) at the origin")
            most = 2 + (time.monotonic() - began) // self.interval
            check(len(polls) <= most, f"{len(polls)} requests when the clients started together")
            time.sleep(self.interval)
            self.steady(fleet, name, most=1)
            self.origin_down(fleet, front)
            self.front_down(fleet, front)
            report = fleet.report()
            check(report["dropped"] == 0 and report["waiting"] == 0, f"events were not delivered: {report}")
            fleet.stop()
            self.credentials(front)
        finally:
            front.kill()

    def requests(self, front):
        """Definitions by credentials; refusals are not kept; an origin that is not the right one is refused."""
        # A project that the fleet does not ask for, whose definitions nobody has fetched yet.
        ask_front = lambda basic=BASIC, query="&project_id=1": ask(front.url, front.ca, basic, query)
        wrong = "Basic " + base64.b64encode(b"another0token:").decode()
        check(ask_front() == 200, "the right credentials get no definitions")
        check(ask_front(wrong) == 401, "other credentials get the definitions of this project")
        check(ask_front(BASIC, f"&token={TOKEN}") == 200, "a token in the query gets no definitions")
        for status in (401, 403, 429, 500):
            query = f"&project_id={status}"
            self.origin.faults({"path": DEFINITIONS, "kind": "status", "status": status, "times": 1})
            got = ask_front(BASIC, query)
            check(got == status, f"a status of {status} arrived as {got}")
            check(ask_front(BASIC, query) == 200, f"a status of {status} was kept")
        self.origin.faults()
        another, _ = certificate(self.folder, f"another-{type(front).__name__}")
        other = type(front)(front.folder.with_name(f"{front.folder.name}-other"), self.origin.port, another, self.interval, front.plant)
        try:
            other.start()
            status = ask(other.url, other.ca)
            check(status in (502, 503), f"an origin with a certificate that is not trusted was asked: {status}")
        finally:
            other.kill()

    def events(self, front):
        """An event request reaches the origin before its body is complete."""
        self.origin.clear()
        context = ssl.create_default_context(cafile=front.ca)
        body = json.dumps([{"event": "e", "properties": {"token": TOKEN, "distinct_id": f"u{n}"}} for n in range(2000)]).encode()
        with socket.create_connection(("127.0.0.1", front.port), timeout=20) as plain, \
                context.wrap_socket(plain, server_hostname="localhost") as stream:  # fmt: skip
            head = f"POST /track?verbose=1&ip=0 HTTP/1.1\r\nHost: localhost\r\nAuthorization: {BASIC}\r\n" \
                   f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"  # fmt: skip
            stream.sendall(head.encode() + body[:100_000])
            time.sleep(0.5)
            check(self.origin.requests()["in_flight"] == 1, "a request with events is kept until it is complete")
            stream.sendall(body[100_000:])
            check(b" 200 " in stream.recv(4096), "a request with events failed")

    def origin_down(self, fleet, front):
        """The origin refuses for longer than the cache keeps definitions: a new client still gets them."""
        self.origin.call("POST", "stop")
        time.sleep(1.5 * self.interval)
        late = Fleet(1, front.url, front.ca, self.interval, token_in_query=False)
        late.wait(self.version, SLACK)
        late.stop()
        time.sleep(self.interval)
        report = fleet.report()
        check(report["defaults"] == 0, f"{report['defaults']} evaluations got the default while the origin was down")
        self.origin.call("POST", "restart")
        self.say("origin down: a client that starts gets definitions from the cache")

    def front_down(self, fleet, front):
        """The cache is killed: clients go to the origin, get a change there, and return."""
        tracked = self.origin.events()["distinct_insert_ids"]
        fleet.say("track")
        before = fleet.report()
        front.kill()
        fleet.say("track")
        self.origin.clear()
        changed = self.change()
        report = fleet.wait(self.version, 1.1 * self.interval + SLACK)
        took = (report["changed"][self.version][1] - changed) / 1000
        check(report["defaults"] == 0, f"{report['defaults']} evaluations got the default while the cache was down")
        check(report["warnings"] - before["warnings"] >= self.clients, "not every client has logged that it left the cache")
        self.say(f"cache killed: all clients got a change from the origin within {took:.1f} s, {len(self.origin.polls())} requests")
        fleet.say("track")
        front.start()
        end = time.monotonic() + 2.5 * self.interval + SLACK
        while report["infos"] - before["infos"] < self.clients:
            check(time.monotonic() < end, f"{report['infos']} of {self.clients} clients have returned to the cache")
            time.sleep(0.2)
            report = fleet.report()
        # Polls that were on their way to the origin when their client returned do not count.
        time.sleep(self.interval / 2)
        self.origin.clear()
        time.sleep(self.interval)
        polls = len(self.origin.polls())
        check(polls <= 2, f"{polls} requests in an interval after the return to the cache")
        # A batch whose request failed everywhere waits for some seconds.
        end = time.monotonic() + 15
        while report["waiting"] and time.monotonic() < end:
            time.sleep(0.2)
            report = fleet.report()
        counts = self.origin.events()
        report = fleet.report()
        check(report["defaults"] == 0, f"{report['defaults']} evaluations got the default")
        check(counts["distinct_insert_ids"] - tracked == 3 * self.clients, f"{counts} of {3 * self.clients} events arrived: {report}")
        self.say(f"cache restarted: all clients are back, with {polls} request(s) in an interval; {report['evaluations']} evaluations, none"
                 f" got a default; {3 * self.clients} events arrived once, {counts['duplicates']} of them sent twice")  # fmt: skip

    def credentials(self, front):
        """Neither token nor header in logs or in the names and keys of cached files."""
        for path, content in front.logs().items():
            for secret in (TOKEN, BASIC.split()[1]):
                check(secret.encode() not in content, f"{path.relative_to(self.folder)} contains credentials")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--interval", type=float, default=10)
    parser.add_argument("--intervals", type=int, default=3)
    parser.add_argument("--bytes", type=int, default=20_000)
    parser.add_argument("--front", choices=[*FRONTS], action="append")
    parser.add_argument("--plant", choices=[*PLANTED])
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="mpflags-fleet-") as name:
        Path(name).chmod(0o755)
        run = Run(arguments, Path(name))
        try:
            if not arguments.plant:
                run.direct()
            for front in [*FRONTS] if not arguments.front else arguments.front:
                run.behind(front)
        except Wrong as problem:
            if arguments.plant and PLANTED[arguments.plant][3] in str(problem):
                print(f"  {arguments.plant} was found: {problem}")
                return
            sys.exit(f"fleet: {problem}")
        finally:
            run.origin.stop()
    if arguments.plant:
        sys.exit(f"fleet: the planted mistake {arguments.plant} was not found")
    print(f"\n  {arguments.clients} clients, an interval of {arguments.interval:g} s, definitions of {run.origin.bytes:,} bytes with gzip")
    print(f"  {'requests to the origin':24} {'':10} {'per interval':>14} {'bytes':>14}")
    for who, when, requests, size in run.rows:
        print(f"  {who:24} {when:10} {requests:14,.1f} {size:14,.0f}")


if __name__ == "__main__":
    main()
