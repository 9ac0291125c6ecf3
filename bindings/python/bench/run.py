"""Measures mpflags and Mixpanel's own provider, and prints one JSON object per line: `make bench`.

    python run.py BUILD [--quick]

* A worker process for each: mpflags, mpflags without its accelerator, `mixpanel-openfeature` 0.2.0, and two others that evaluate
  in process: Eppo's client, which is a compiled extension, and flagd's provider. In each round every case of every worker is
  sampled once, in a new random order, so that a slow moment of the machine affects all of them. Ratios are taken within a round.
  The first round is dropped.
* Times are processor time of the calling thread, with a new context for each call. Exposures are off; the official provider's
  go to a function that does nothing. With exposures on, the figure is the wall-clock time of single calls, each for another user,
  and mpflags-dev needs 20 ms for each request with events.
* Import time and memory are those of new processes, measured in turn, and include Python itself.
"""

import json
import os
import random
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path.insert(0, str(HERE.parent / "tests"))
from stand_in import StandIn  # noqa: E402

PEER = "mixpanel-openfeature 0.2.0"
OTHERS = ("eppo-server-sdk==4.4.1", "openfeature-provider-flagd==0.6.1", "openfeature-sdk==0.10.0")
CASES = {
    "direct": {"ours": 40_000, "pure": 20_000, "official": 2_000, "eppo": 20_000, "flagd": 5_000},
    "through": {"ours": 10_000, "pure": 10_000, "official": 2_000, "eppo": 10_000, "flagd": 5_000},
    "native": {"ours": 20_000, "pure": 20_000, "official": 2_000, "eppo": 20_000},
    "kept": {"ours": 20_000},
    "all": {"ours": 30, "official": 2},
}


def install(build):
    """Measures the installed package: from its wheel, compiled, with the library inside."""
    site = build / "bench" / "site"
    os.environ.setdefault("MPFLAGS_PREBUILT_LIBRARY", os.environ.pop("MPFLAGS_LIBRARY", ""))
    shutil.rmtree(site, ignore_errors=True)
    how = ("--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--target", str(site))
    command = [sys.executable, "-m", "pip", "install", *how, str(HERE.parent)]
    # Compiled as pip does. Nothing is written beside the sources.
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    os.environ.pop("PYTHONPYCACHEPREFIX", None)
    subprocess.run(command, check=True, stdout=sys.stderr)
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(site)], check=True)
    os.environ["PYTHONPATH"] = str(site)


def python_of_others(build):
    """The Python of a virtual environment with the other clients, whose requirements would not fit beside the tests'."""
    python = build / "bench" / "others" / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(python.parents[1])], check=True)
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", *OTHERS], check=True, stdout=sys.stderr)
    return python


class Worker:
    def __init__(self, name, *arguments, python=sys.executable):
        command = [str(python), str(HERE / "worker.py"), name, *map(str, arguments)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.name = name

    def take(self, case, calls):
        self.process.stdin.write(f"{case} {calls}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"bench: the worker {self.name} ended with {self.process.wait()}")
        return json.loads(line)

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def emit(figure, samples, unit, goal=None, at_least=False, against=""):
    row = {"figure": figure, "samples": samples, "unit": unit, "goal": goal, "at_least": at_least, "against": against}
    print(json.dumps(row), flush=True)
    sign = "" if goal is None else f"   goal {'≥' if at_least else '≤'} {goal:g}"
    print(f"{figure:95} {statistics.median(samples):14,.2f} {unit}{sign}", file=sys.stderr)


def measure(workers, rounds, share):
    taken = {}
    pairs = [(case, name) for case, calls in CASES.items() for name in calls]
    for number in range(rounds + 1):
        random.shuffle(pairs)
        for case, name in pairs:
            calls = max(2, int(CASES[case][name] * share))
            sample = workers[name].take(case, calls)
            if number > 0:
                taken.setdefault((case, name), []).append(sample)
    return taken


def measure_exposures(workers, rounds, share):
    taken = {}
    for number in range(rounds + 1):
        for name, calls in (("ours", 5_000), ("official", 60)):
            samples = sorted(workers[name].take("exposures", max(20, int(calls * share))))
            if number > 0:
                for percent in (50, 99):
                    taken.setdefault((name, percent), []).append(samples[len(samples) * percent // 100])
    return taken


def measure_processes(directory, rounds):
    taken = {}
    for number in range(rounds + 1):
        for name in ("ours", "official"):
            for what in ("import", "flags"):
                command = [sys.executable, str(HERE / "process.py"), name, what, str(directory)]
                said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
                milliseconds, resident = map(float, said)
                if number > 0:
                    taken.setdefault((name, what), []).append(milliseconds * 1e6 if what == "import" else resident)
    return taken


def ratio(taken, case, name, peer="official"):
    return [theirs / ours for theirs, ours in zip(taken[case, peer], taken[case, name], strict=True)]


def main():
    build, quick = Path(sys.argv[1]), "--quick" in sys.argv[2:]
    rounds, share = (2, 0.1) if quick else (9, 1.0)
    directory = build / "bench"
    directory.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, str(ROOT / "bench" / "workload.py"), str(directory)], check=True, stdout=sys.stderr)
    others = python_of_others(build)
    install(build)
    with StandIn({"flags": []}, "--events", "count") as server:
        server.faults({"path": "/track", "kind": "delay", "delay_ms": 20})
        workers = {name: Worker(name, directory, server.url) for name in ("ours", "pure", "official")}
        workers |= {name: Worker(name, directory, python=others) for name in ("eppo", "flagd")}
        taken = measure(workers, rounds, share)
        exposures = measure_exposures(workers, 2 if quick else 4, share)
        for worker in workers.values():
            worker.end()
    processes = measure_processes(directory, 2 if quick else 9)

    for name, how, goal, least in (("ours", "", 950, 30), ("pure", ", without the accelerator", 2_600, 10)):
        figure = f"Python provider called directly, eq, new context each call{how}"
        emit(figure, taken["direct", name], "ns", goal)
        emit(f"{figure}, against {PEER}", ratio(taken, "direct", name), "x", least, True, PEER)
    emit(f"{PEER} called directly, eq", taken["direct", "official"], "ns", against=PEER)
    emit("Python client, get_variant_value, context encoded before", taken["kept", "ours"], "ns", 700)
    emit("Python client, get_variant_value, new context each call", taken["native", "ours"], "ns", 700)
    emit("Python client, get_variant_value, the same without the accelerator", taken["native", "pure"], "ns")
    emit("mixpanel 5.4.1, get_variant_value", taken["native", "official"], "ns", against="mixpanel 5.4.1")
    for name, how, goal, least in (("ours", "", 9_800, 4), ("pure", ", without the accelerator", 13_000, 3)):
        figure = f"Python through the OpenFeature client, eq{how}"
        emit(figure, taken["through", name], "ns", goal)
        emit(f"{figure}, against {PEER}", ratio(taken, "through", name), "x", least, True, PEER)
    emit(f"{PEER} through the OpenFeature client, eq", taken["through", "official"], "ns", against=PEER)
    emit("Eppo's client called directly, eq, the same dict again", taken["native", "eppo"], "ns", against=OTHERS[0])
    for name, peer in (("eppo", OTHERS[0]), ("flagd", OTHERS[1])):
        for case, how in (("direct", "provider called directly"), ("through", "through the OpenFeature client")):
            emit(f"{name}, {how}, eq", taken[case, name], "ns", against=peer)
            emit(f"{name}, {how}, eq, against mpflags", ratio(taken, case, "ours", name), "x", 1, True, peer)
    for percent, goal in ((50, 13_000), (99, 60_000)):
        figure = f"through the OpenFeature client, each call an exposure, events server 20 ms away, p{percent}"
        emit(f"Python {figure}", exposures["ours", percent], "ns", goal)
        emit(f"{PEER} {figure}", exposures["official", percent], "ns", against=PEER)
    emit("Python, all variants of 1,000 flags", taken["all", "ours"], "ns", 400_000)
    emit("mixpanel 5.4.1, all variants of 1,000 flags", taken["all", "official"], "ns", against="mixpanel 5.4.1")
    emit("Python process, import and 1,000 flags, resident", processes["ours", "flags"], "bytes", 19_000_000)
    emit(f"{PEER}, import and 1,000 flags, resident", processes["official", "flags"], "bytes", against=PEER)
    emit("import mpflags", processes["ours", "import"], "ns", 12_000_000)
    emit("import mixpanel_openfeature", processes["official", "import"], "ns", against=PEER)


if __name__ == "__main__":
    main()
