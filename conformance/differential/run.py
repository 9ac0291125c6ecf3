"""mpflags against Mixpanel's official SDKs, on definitions and contexts that a seed makes. README.md says what is compared and how.

    python3 conformance/differential/run.py --seed 1 --evaluations 100000 --seconds 60
"""
import argparse
import itertools
import json
import os
import pathlib
import sys
import time
from collections import Counter

import workers
from workers import EVALUATORS, PROVIDERS

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BATCH = 76
CONTEXTS = 32


def arguments():
    parser = argparse.ArgumentParser(description="Compares mpflags with Mixpanel's Python and Node SDKs.")
    parser.add_argument("--seed", type=int, default=20260716)
    parser.add_argument("--evaluations", type=int, default=100_000, help="stop after this many")
    parser.add_argument("--seconds", type=float, default=3600, help="stop after this time")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/differential", help="where `make -C conformance/differential tools` put the SDKs")
    parser.add_argument("--library", type=pathlib.Path, default=ROOT / "target/release/libmpflags.so")
    parser.add_argument("--every-row", action="store_true", help="fail when a row of docs/differences.md was never met")
    return parser.parse_args()


def under_the_tools(args):
    """The official Python SDK and json_logic are in a virtual environment: restarts there."""
    python = args.build.resolve() / "venv/bin/python"
    if not python.exists() or not (args.build / "node/node_modules/mixpanel").exists():
        sys.exit(f"the official SDKs are not in {args.build}: run `make -C conformance/differential tools`")
    if not args.library.exists():
        sys.exit(f"{args.library} was not found: run `cargo build --release -p mpflags-c`")
    if pathlib.Path(sys.prefix).resolve() != python.parent.parent:
        os.execv(python, [str(python), str(HERE / "run.py"), *sys.argv[1:]])


class Run:
    def __init__(self, args):
        from classify import Classifier
        from generate import Generator

        self.args = args
        self.workers = workers.start(args.build.resolve(), args.library.resolve())
        self.classifier = Classifier(self.workers)
        self.generator = Generator(args.seed)
        self.started = time.monotonic()
        self.evaluations = self.reported = 0
        self.kinds, self.differing, self.results, self.agreement, self.rows = Counter(), Counter(), Counter(), Counter(), {}
        self.reads, self.reasons = Counter(), Counter()
        self.unexplained, self.misread, self.current = [], [], []

    def batch(self):
        documents = [self.generator.document(CONTEXTS) for _ in range(BATCH)]
        items = [{"document": d.text, "key": d.key, "contexts": d.contexts} for d in documents]
        reads = [{"document": d.text, "key": d.key, "reads": d.reads} for d in documents if d.reads]
        pending = {("evaluate", name): self.workers[name].send("evaluate", items) for name in EVALUATORS}
        return documents, pending | {("read", name): self.workers[name].send("read", reads) for name in PROVIDERS}

    def all(self):
        waiting = [self.batch()]
        sent = BATCH * CONTEXTS
        while waiting:
            if sent < self.args.evaluations and self.seconds < self.args.seconds and not self.unexplained and not self.misread:
                waiting.append(self.batch())
                sent += BATCH * CONTEXTS
            documents, pending = waiting.pop(0)
            self.current = documents
            self.progress()
            self.compare(documents, {what: one.get() for what, one in pending.items()})

    def progress(self):
        """A line each minute, on standard error."""
        if self.seconds > self.reported + 60:
            self.reported = self.seconds
            print(f"{self.evaluations} evaluations in {self.seconds:.0f} s, {self.agreement['differ, by accepted rows']} explained", file=sys.stderr)

    @property
    def seconds(self):
        return time.monotonic() - self.started

    def compare(self, documents, replies):
        from classify import Case, agree

        cases, reads = [], zip(*(replies["read", name] for name in PROVIDERS), strict=True)
        for at, document in enumerate(documents):
            reply = {name: replies["evaluate", name][at] for name in EVALUATORS}
            picks = list(zip(*(reply[name]["picks"] for name in EVALUATORS), strict=True))
            self.kinds[document.kind] += len(picks)
            # Equal results prove nothing if the definition requires one that differs from both official SDKs.
            suspicious = document.outcome not in (None, "not_found") or document.outcome is None and document.has_capitals
            settled = {}
            provided = zip(document.reads, *next(reads), strict=True) if document.reads else itertools.repeat(None)
            for context, triple, read in zip(document.contexts, picks, provided):
                results = {name: reply[name]["distinct"][pick] for name, pick in zip(EVALUATORS, triple)}
                self.results[results["mpflags"][0]] += 1
                if triple not in settled:
                    settled[triple] = agree(results, document)
                if suspicious or not settled[triple]:
                    cases.append(Case(document, context, results))
                else:
                    self.agreement["all three agree"] += 1
                if read:
                    self.compare_read(document, results, *read)
        self.classifier.explain(cases)
        for case in cases:
            self.count(case)
        self.evaluations += sum(len(d.contexts) for d in documents)

    def compare_read(self, document, results, request, official, own):
        """Checks both providers against the model. Rows that explain different evaluations explain the different reads too."""
        from model import read
        from rows import OVERFLOW

        value_type, _ = request
        wanted = read(results["python"], value_type, True), read(results["mpflags"], value_type, False)
        if not exactly(wanted, (official, own)):
            self.misread.append({"flags": document.text, "key": document.key, "read": request, "python": [official, wanted[0]], "mpflags": [own, wanted[1]]})
        elif exactly(official[:3], own[:3]):
            self.reads["the same"] += 1
            self.reasons[f"{official[3]} -> {own[3]}"] += 1
        elif exactly(results["python"][:3], results["mpflags"][:3]):
            self.reads["differ, by integer-overflow"] += 1
            self.rows.setdefault(OVERFLOW, Counter())["python"] += 1
        else:
            self.reads["differ, as the evaluations do"] += 1

    def count(self, case):
        if case.why_not:
            self.unexplained.append(case)
            return
        rows = set().union(*case.rows.values())
        if not rows:
            self.agreement["all three agree"] += 1
            return
        self.agreement["differ, by accepted rows"] += 1
        self.differing[case.document.kind] += 1
        for name, of_sdk in case.rows.items():
            for row in of_sdk:
                self.rows.setdefault(row, Counter())[name] += 1
        if case.official_agree and case.differs("node"):
            from rows import marked

            why = "both official SDKs differ, by a row marked †" if any(marked(row) for row in rows) else "both official SDKs differ, by different rows"
            self.agreement[why] += 1

    def report(self):
        from rows import ROWS

        print(f"\nmpflags against mixpanel 5.4.1 (Python) and mixpanel 0.24.0 (Node), seed {self.args.seed}: {self.evaluations} evaluations in {self.seconds:.0f} s\n")
        table(("cases by kind", "evaluations", "differ"), [(kind, count, self.differing[kind]) for kind, count in sorted(self.kinds.items())])
        table(("mpflags' results", "evaluations"), self.results.most_common())
        table(("comparison", "evaluations"), [*self.agreement.most_common(), ("unexplained", len(self.unexplained))])
        table(("through OpenFeature", "reads"), [*self.reads.most_common(), ("unexplained", len(self.misread)), *sorted(self.reasons.items())])
        rows = [(row, self.rows.get(row, {}).get("python", 0), self.rows.get(row, {}).get("node", 0)) for row in [*ROWS, *sorted(set(self.rows) - set(ROWS))]]
        table(("differences by accepted row", "Python", "Node"), rows)
        problems = [f"no case of kind {kind}" for kind in self.generator.kinds if not self.kinds[kind]]
        if self.args.every_row:
            problems += [f"no case of the row {row}" for row, python, node in rows if not python + node]
        return problems


def exactly(one, other):
    """Equal, and of equal types at every depth."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def table(head, rows):
    lines = [[str(cell) for cell in row] for row in [head, *rows]]
    widths = [max(map(len, column)) for column in zip(*lines)]
    for line in lines:
        print("  ".join(cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in enumerate(zip(line, widths))))
    print()


def main():
    args = arguments()
    under_the_tools(args)
    from shrink import Shrinker

    run = Run(args)
    try:
        run.all()
        problems = run.report()
        vectors = Shrinker(run.classifier, args.seed).vectors(run.unexplained)
    except workers.WorkerEnded as error:
        batch = args.build / "batch.json"
        batch.write_text(json.dumps([{"key": d.key, "document": d.text, "contexts": d.contexts} for d in run.current]))
        sys.exit(f"seed {args.seed}, after {run.evaluations} evaluations: {error}; the request is in {batch}")
    for vector in vectors:
        print(f"UNEXPLAINED, as a vector for conformance/vectors/evaluate:\n{vector}\n")
    for misread in sorted(run.misread, key=lambda misread: len(misread["flags"]))[:1]:
        print(f"UNEXPLAINED READ through OpenFeature; for each provider its result, and the expected one:\n{json.dumps(misread, ensure_ascii=False)}\n")
    for problem in problems:
        print(f"FAILED: {problem}")
    for worker in run.workers.values():
        worker.end()
    failed = len(run.unexplained) + len(run.misread) + len(problems)
    print(f"{run.evaluations} evaluations, {len(run.unexplained)} unexplained; {run.reads.total()} reads through OpenFeature, {len(run.misread)} unexplained")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
