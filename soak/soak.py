"""The host program of soak/soak.c, in Python: clients with several threads, clients that come and go, forks.

    soak.py URL [PLANT]
"""

import ctypes
import gc
import logging
import os
import sys
import threading
import time

import mpflags.client
from mpflags import SelectedVariant

# How many answers a client remembers. Few, so that there are as many soon, and memory does not grow with them later.
mpflags.client._MAX_ANSWERS = 200

CLIENTS, THREADS = 10, 4
FALLBACK = SelectedVariant(variant_key=None, variant_value=None)


class Host:
    def __init__(self, url, plant):
        self.url, self.plant = url, plant
        self.changed = threading.Condition()
        self.working = self.ending = False
        self.busy = self.users = 0
        # Events of this program, and what clients that have ended say of theirs: sent, lost.
        self.events, self.ended = 0, [0, 0]
        self.kept = []
        self.clients = [self.client() for _ in range(CLIENTS)]
        jobs = [(self.use, client, 0.05) for client in self.clients for _ in range(THREADS)]
        jobs += [(self.churn, None, 0.1), (self.fork, None, 0.5)]
        self.threads = [threading.Thread(target=self.run, args=job) for job in jobs]
        for thread in self.threads:
            thread.start()

    def client(self):
        # As in soak.c.
        client = mpflags.Client.local(
            "t", api_host=self.url, polling_interval_ms=100, retry_base_ms=20, request_timeout_ms=2000, event_flush_interval_ms=50,
            event_retry_base_ms=50, event_retry_max_ms=500, event_queue_capacity=200, exposure_dedupe_capacity=100,
        )
        client.start()
        return client

    def run(self, job, client, pause):
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self.working or self.ending)
                if self.ending:
                    return
                self.busy += 1
            try:
                job(client)
            except BaseException:
                logging.exception("soak")
                os._exit(1)
            with self.changed:
                self.busy -= 1
                self.changed.notify_all()
            time.sleep(pause)

    def report(self, client):
        """Shows the flag to a new user, and reports an event. Returns how many events that makes."""
        with self.changed:
            self.users += 1
            user = f"new-{os.getpid()}-{self.users}"
        events = 1 + (client.get_variant("f", FALLBACK, {"distinct_id": user}).variant_key is not None)
        try:
            client.track("u", "Bought", {"price": 1})
        except mpflags.QueueFull:
            pass  # The client counts it.
        return events

    def count(self, events, totals=(0, 0)):
        with self.changed:
            self.events += events
            self.ended = [have + more for have, more in zip(self.ended, totals)]

    def use(self, client):
        for i in range(20):
            client.is_enabled("none", {"distinct_id": f"known-{i}"})
        client.get_all_variants({"distinct_id": "known"})
        client.explain("f", {"distinct_id": "known"})
        self.count(self.report(client))

    def churn(self, _):
        client = self.client()
        try:
            client.wait_ready(0.1)
        except mpflags.MpflagsError:
            pass  # The server fails.
        events = sum(self.report(client) for _ in range(5))
        self.count(events, finish(client))

    def fork(self, _):
        ours, theirs = os.pipe()
        child = os.fork()
        if child == 0:
            client = self.clients[self.users % CLIENTS]
            self.changed = threading.Condition()
            events = sum(self.report(client) for _ in range(5))
            os.write(theirs, " ".join(map(str, (events, *finish(client)))).encode())
            os._exit(0)
        os.close(theirs)
        with open(ours, "rb") as pipe:
            events, *totals = map(int, pipe.read().split())
        if os.waitpid(child, 0)[1]:
            raise RuntimeError("a child failed")
        self.count(events, totals)

    def work(self):
        kind = self.plant
        if kind == "memory":
            self.kept.append(bytearray(os.urandom(1) * (512 * 1024)))
        elif kind == "thread":
            threading.Thread(target=threading.Event().wait, daemon=True).start()
        elif kind == "descriptor":
            os.open("/dev/null", os.O_RDONLY)
        elif kind == "lost":
            self.count(1)
        elif kind == "doubled":
            self.report(self.clients[0])
        with self.changed:
            self.working = True
            self.changed.notify_all()

    def rest(self):
        with self.changed:
            self.working = False
            self.changed.wait_for(lambda: self.busy == 0)
        for client in self.clients:
            if client.flush(60):
                raise RuntimeError("events are stuck in a queue")
            refresh(client)
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)

    def totals(self):
        return [have + more for have, more in zip(self.ended, map(sum, zip(*map(said, self.clients))))]

    def end(self):
        with self.changed:
            self.ending = True
            self.changed.notify_all()
        for thread in self.threads:
            thread.join()
        for client in self.clients:
            client.shutdown(3)


def refresh(client):
    for attempt in range(1200):
        try:
            return client.refresh(60)
        except mpflags.MpflagsError:
            # The server may still be down for a moment.
            if attempt == 1199:
                raise
            time.sleep(0.05)


def said(client):
    """What a client says of its events: sent, lost."""
    statistics = client.statistics()
    return statistics["sent"], sum(statistics["dropped"].values())


def finish(client):
    client.shutdown(3)
    return said(client)


def main():
    logging.getLogger("mpflags").setLevel(logging.CRITICAL)
    host = Host(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None)
    for line in sys.stdin:
        if line == "work\n":
            host.work()
            continue
        host.rest()
        if line == "end\n":
            host.end()
        print(host.events, *host.totals(), flush=True)


main()
