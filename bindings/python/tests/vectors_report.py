"""Appends the result of each suite of vectors to the file MPFLAGS_REPORT, for the root's `make conformance`.

A pytest plugin: `python -m pytest -p vectors_report tests/test_vectors.py tests/test_openfeature.py`.
"""

import json
import os

from conftest import load_vectors

SUITES = {"test_an_evaluation": "evaluate", "test_a_rule": "rules", "test_an_outcome": "provider"}
passed = dict.fromkeys(SUITES.values(), 0)


def pytest_runtest_logreport(report):
    name = report.nodeid.split("::")[-1].split("[")[0]
    if report.when == "call" and report.passed and name in SUITES:
        passed[SUITES[name]] += 1


def pytest_sessionfinish():
    rows = [{"suite": suite, "passed": count, "skipped": 0, "reason": ""} for suite, count in passed.items()]
    rows.append(
        {
            "suite": "bucket",
            "passed": 0,
            "skipped": len(load_vectors("bucket")),
            "reason": "the C interface has no function that returns a bucket",
        }
    )
    layer = "Python, pure" if os.environ.get("MPFLAGS_PURE") else "Python"
    with open(os.environ["MPFLAGS_REPORT"], "a") as file:
        file.writelines(json.dumps({"layer": layer, **row}) + "\n" for row in rows)
