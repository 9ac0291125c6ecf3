#!/usr/bin/env python3
"""Runs the vectors in every layer and prints one table: layer × suite → passed of total, with the reason of every skip.

    conformance/report.py [--only LAYER] [--page]

Each layer's own tests run; what they came to they append to the file that MPFLAGS_REPORT names. This script counts the
vectors itself, and fails when a layer or a suite is missing, when a suite is empty, when a count is not the corpus', or when
a skip has no reason. --page compares the table with the one in docs/conformance.md, which stands between the two marks; with
MPFLAGS_UPDATE=1 it is written there.

The library and mpflags-dev are those that `make build` made.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VECTORS = ROOT / "conformance" / "vectors"
BUILD = ROOT / "build"
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
MARK = "<!-- conformance -->"


# What `make build` builds.
LIBRARY = Path(os.environ.get("MPFLAGS_LIBRARY", TARGET / "release" / "libmpflags.so")).resolve()
DEV = Path(os.environ.get("MPFLAGS_DEV", TARGET / "debug" / "mpflags-dev")).resolve()


def binding(name, target="conformance"):
    return [
        "make", "--no-print-directory", "-s", "-C", f"bindings/{name}", target,
        f"MPFLAGS_LIBRARY={LIBRARY}", f"MPFLAGS_DEV={DEV}", f"BUILD={BUILD / name}",
    ]


# As the Makefile builds them, so that nothing is built again.
CARGO = ["cargo", "test", "-j2", "-q", "--workspace", "--features", "mpflags/openfeature"]
COMMANDS = {
    "Rust": [[*CARGO, "--test", "engine", "conformance::"], [*CARGO, "--test", "client", "provider::"]],
    "Rust provider": [[*CARGO, "--test", "openfeature_provider"]],
    "C": [[*CARGO, "--test", "conformance"]],
    "C++": [binding("cpp")],
    "Python": [binding("python")],
    "Go": [binding("go")],
}
# The rows of a layer whose tests run the vectors in several ways, and report each.
ROWS = {
    "C": ["C, JSON", "C, binary", "C, builder", "C, handle"],
    "Python": ["Python", "Python, pure"],
}


def corpus():
    """suite → number of vectors."""
    counts = {}
    for folder in sorted(path for path in VECTORS.iterdir() if path.is_dir() and path.name != "flags"):
        files = sorted(folder.glob("*.json"))
        counts[folder.name] = sum(len(json.loads(path.read_text())["vectors"]) for path in files)
    return counts


def run(layer, suites):
    """row → suite → its report, of one layer."""
    report = BUILD / "conformance" / f"{layer}.jsonl"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)
    log = report.with_suffix(".log")
    print(f"== {layer}", file=sys.stderr, flush=True)
    with log.open("w") as out:
        for command in COMMANDS[layer]:
            ended = subprocess.run(command, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT, env={**os.environ, "MPFLAGS_REPORT": str(report)})
            if ended.returncode != 0:
                out.flush()
                print(log.read_text()[-8000:], file=sys.stderr)
                sys.exit(f"conformance: {layer}: {' '.join(command)} ended with {ended.returncode}")
    if not report.exists():
        sys.exit(f"conformance: {layer} reported nothing; see {log}")
    told = {name: {} for name in ROWS.get(layer, [layer])}
    for line in report.read_text().splitlines():
        row = json.loads(line)
        of_row = told.get(row["layer"])
        if of_row is None or row["suite"] in of_row:
            sys.exit(f"conformance: {layer}: reported twice, or of another layer: {line}")
        of_row[row["suite"]] = row
    wrong = [problem for name, of_row in told.items() for problem in problems(name, of_row, suites)]
    if wrong:
        sys.exit(f"conformance: {'; '.join(wrong)}")
    return told


def problems(name, told, suites):
    """What a row of the table lacks."""
    wrong = [f"{name}: suite {suite} is missing" for suite in suites if suite not in told]
    wrong += [f"{name}: suite {suite} is no suite" for suite in told if suite not in suites]
    for suite, row in told.items():
        if row["passed"] + row["skipped"] != suites.get(suite):
            wrong.append(f"{name}: {suite}: {row['passed']} passed and {row['skipped']} skipped of {suites.get(suite)}")
        if row["skipped"] and not row["reason"].strip():
            wrong.append(f"{name}: {suite}: {row['skipped']} skipped without a reason")
    return wrong


def table(told, suites):
    reasons = []
    head = ["layer", *(f"{suite} ({count})" for suite, count in suites.items())]
    lines = ["| " + " | ".join(head) + " |", "| " + " | ".join("---" for _ in head) + " |"]
    for layer, rows in told.items():
        cells = []
        for suite, count in suites.items():
            row = rows[suite]
            mark = ""
            if row["skipped"]:
                if row["reason"] not in reasons:
                    reasons.append(row["reason"])
                mark = f" ({reasons.index(row['reason']) + 1})"
            cells.append(f"{row['passed']} of {count}{mark}")
        lines.append("| " + " | ".join([layer, *cells]) + " |")
    if reasons:
        lines += ["", *(f"({number}) {reason}" + ("  " if number < len(reasons) else "") for number, reason in enumerate(reasons, 1))]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=list(COMMANDS))
    parser.add_argument("--page", action="store_true")
    options = parser.parse_args()
    suites = corpus()
    if not suites or not all(suites.values()):
        sys.exit(f"conformance: a suite is empty: {suites}")
    told = {}
    for layer in COMMANDS:
        if not options.only or layer in options.only:
            told |= run(layer, suites)
    text = table(told, suites)
    print(text)
    if options.page and not options.only:
        page = ROOT / "docs" / "conformance.md"
        parts = page.read_text().split(MARK)
        if len(parts) != 3:
            sys.exit(f"conformance: {page.name} does not have the mark {MARK} twice")
        if os.environ.get("MPFLAGS_UPDATE") == "1":
            page.write_text(f"{parts[0]}{MARK}\n{text}\n{MARK}{parts[2]}")
        elif parts[1].strip() != text.strip():
            sys.exit("conformance: the table in docs/conformance.md differs; MPFLAGS_UPDATE=1 make conformance writes it")


if __name__ == "__main__":
    main()
