#!/usr/bin/env python3
"""Prints how cost grows with flags, properties, operators and threads, as one table.

    bench/growth.py [--quick] [--no-build] [--old LIBRARY]

Each row is measured in new processes, in a new random order each round, and is the median of all rounds. --old measures another
build of the library in the same rounds, and adds its figures after a slash. The table is also written to build/bench/growth.md.
"""

import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import programs  # noqa: E402
import workload  # noqa: E402

OUT = programs.OUT
FOLDER = OUT / "growth"
EQ = {"==": [{"var": "plan"}, "premium"]}
# Without names, descriptions and dates 100,000 flags are within the limit of 64 MiB.
NEEDED = ("key", "status", "context", "experiment_id", "hash_salt", "ruleset")


def write(name, document):
    path = FOLDER / name
    path.write_text(workload.compact(document))
    return path


def definitions(count):
    """`bench-eq` and others with the same rule."""
    rng = random.Random(count)
    flags = [workload.standard(rng, "bench-eq" if index == 0 else f"flag-{index}", EQ) for index in range(count)]
    flags = [{field: flag[field] for field in NEEDED} for flag in flags]
    return write(f"flags-{count}.json", {"flags": flags})


def rule(operators):
    """A rule of so many comparisons and one `and`, all of which are evaluated."""
    parts = [{"==": [{"var": "plan"}, "premium"]}, {">": [{"var": "age"}, 21]}, {"in": [{"var": "country"}, ["DE", "FR"]]}]
    if operators == 1:
        return parts[0]
    return {"and": [parts[i % len(parts)] for i in range(operators - 1)]}


def context(properties):
    """So many properties, of which one is read."""
    names = {f"property_{i:03}": f"value {i}" if i % 2 else i for i in range(properties - 1)}
    return write(f"context-{properties}.json", {"distinct_id": workload.DISTINCT_ID, "custom_properties": {**names, "plan": "premium"}})


def rows(quick):
    """Kind, size, and the arguments of bench/c/growth.c."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    usual = write("context.json", {"distinct_id": workload.DISTINCT_ID, "custom_properties": workload.PROPERTIES})
    thousand = definitions(1000)
    milliseconds = 20 if quick else 60
    for count in (10, 100, 1000, 10_000, *([] if quick else [100_000])):
        yield "flags", count, [definitions(count), usual, "bench-eq", 1, milliseconds]
    for count in (1, 5, 20, 100, 500):
        yield "properties", count, [thousand, context(count), "bench-eq", 1, milliseconds]
    for count in (1, 5, 20, 60):
        flags = {"flags": [workload.standard(random.Random(count), "bench-rule", rule(count))]}
        yield "operators", count, [write(f"rule-{count}.json", flags), usual, "bench-rule", 1, milliseconds]
    for count in (1, 2, 4, 16, 64):
        yield "threads", count, [thousand, usual, "bench-eq", count, milliseconds]


def measure(arguments, folder):
    environment = {**os.environ, "LD_LIBRARY_PATH": str(folder)}
    command = [str(word) for word in (OUT / "bin" / "growth", *arguments)]
    run = subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, env=environment)
    return [float(word) for word in run.stdout.split()]


def scaled(value, units):
    for unit, size in units:
        if value >= size or unit == units[-1][0]:
            return f"{value / size:.3g} {unit}" if value < 100 * size else f"{value / size:.0f} {unit}"


NS = [("s", 1e9), ("ms", 1e6), ("µs", 1e3), ("ns", 1)]
COLUMNS = {
    "load": lambda value: scaled(value, NS),
    "memory": lambda kb: scaled(kb, [("MB", 1000), ("kB", 1)]),
    "handle": lambda value: scaled(value, NS),
    "JSON in the call": lambda value: scaled(value, NS),
    "handle, all threads": lambda rate: scaled(rate, [("M/s", 1e6), ("k/s", 1e3)]),
}
THREADS = len(COLUMNS) - 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--no-build", action="store_true")
    parser.add_argument("--old", type=Path)
    options = parser.parse_args()
    if not options.no_build:
        programs.library()
    programs.program("growth")
    libraries = [OUT / "lib"]
    if options.old:
        libraries.append(programs.old(options.old))
    every = list(rows(options.quick))
    found = {}
    for _ in range(2 if options.quick else 5):
        for kind, size, arguments in random.sample(every, len(every)):
            for library in random.sample(libraries, len(libraries)):
                found.setdefault((kind, size, library), []).append(measure(arguments, library))
    lines = ["| | " + " | ".join(COLUMNS) + " |", "| --- " * (1 + len(COLUMNS)) + "|"]
    for kind, size, _ in every:
        cells = []
        for column, text in enumerate(COLUMNS.values()):
            if column == THREADS and kind != "threads":
                cells.append("")
                continue
            medians = [statistics.median(row[column] for row in found[kind, size, library]) for library in libraries]
            cells.append(" / ".join(text(median) for median in medians))
        one = "property" if kind == "properties" else kind[:-1]
        lines.append(f"| {size:,} {one if size == 1 else kind} | " + " | ".join(cells) + " |")
    text = "\n".join(lines) + "\n"
    print(text)
    (OUT / "growth.md").write_text(text)
    shutil.rmtree(FOLDER)


if __name__ == "__main__":
    main()
