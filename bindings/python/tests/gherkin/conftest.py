"""Marks the scenarios that are expected to fail, and counts what became of all."""

from __future__ import annotations

import collections
import typing

import pytest
from counts import ENTRIES, feature_of, is_named, results, summary
from pytest_bdd.scenario import scenario_wrapper_template_registry

SCENARIO = pytest.StashKey[tuple[str, str]]()


def pytest_configure(config: pytest.Config) -> None:
    # Tags of examples, which pytest-bdd makes markers of. They select nothing here.
    for tag in ("booleans", "strings", "numbers", "objects"):
        config.addinivalue_line("markers", f"{tag}: a tag of OpenFeature's suites")


def pytest_bdd_apply_tag(tag: str, function: object) -> bool:
    """Takes the other tags, whose names are none for a marker."""
    return True


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    named: collections.Counter[tuple[str, int]] = collections.Counter()
    runs = set()
    for item in items:
        template = scenario_wrapper_template_registry.get(getattr(item, "obj", None))
        if template is None:
            continue
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        scenario = template.render(parameters.get("_pytest_bdd_example", {}))
        run, feature = parameters.get("suite", "own"), feature_of(scenario)
        item.stash[SCENARIO] = (run, feature)
        runs.add((run, feature))
        for number, entry in enumerate(ENTRIES):
            if is_named(entry, scenario):
                named[run, number] += 1
                # Strict: one that passes fails the run. Only a comparison may fail: an error of the test does not count.
                item.add_marker(pytest.mark.xfail(strict=True, raises=AssertionError, reason=entry["reason"]))
    for run, feature in runs:
        for number, entry in enumerate(ENTRIES):
            if entry["feature"] == feature and named[run, number] != 1:
                raise pytest.UsageError(f"expected_failures.json: {named[run, number]} scenarios fit {entry}")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> typing.Iterator[None]:
    outcome: typing.Any = yield
    report = outcome.get_result()
    where = item.stash.get(SCENARIO, None)
    if where and (report.when == "call" or report.failed):
        kind = "expected failure" if hasattr(report, "wasxfail") and report.skipped else report.outcome
        results[where][kind] += 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in summary():
        terminalreporter.write_line(line)
