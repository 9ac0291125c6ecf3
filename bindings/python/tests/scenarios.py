"""A plugin for OpenFeature's suites: marks the scenarios that are expected to fail, and counts all results."""

from __future__ import annotations

import collections
import json
import os
import pathlib
import typing

import pytest
from pytest_bdd.scenario import scenario_wrapper_template_registry
from stand_in import ROOT

#: OpenFeature's feature files, if MPFLAGS_SHARED_DATA names a folder that has them.
SHARED = pathlib.Path(os.environ.get("MPFLAGS_SHARED_DATA") or os.devnull) / "openfeature"
ABSENT = "MPFLAGS_SHARED_DATA is not set to a folder with OpenFeature's feature files"
SUITES = ["evaluation.feature", "evaluation_v2.feature", "hooks.feature", "metadata.feature"]
LANGUAGE = "python"
EXPECTED = json.loads((ROOT / "conformance" / "openfeature" / "expected_failures.json").read_text(encoding="utf-8"))
ENTRIES = [entry for entry in EXPECTED["expected_failures"] if LANGUAGE in entry["languages"]]

SCENARIO = pytest.StashKey[tuple[str, str]]()

#: By run and feature file: how many scenarios passed, failed, or failed as expected.
results: dict[tuple[str, str], collections.Counter[str]] = collections.defaultdict(collections.Counter)


def feature_of(scenario: typing.Any) -> str:
    return pathlib.Path(scenario.feature.filename).name


def is_named(entry: dict[str, typing.Any], scenario: typing.Any) -> bool:
    return (
        entry["feature"] == feature_of(scenario)
        and entry["scenario"] == scenario.name
        and ("step" not in entry or any(step.name == entry["step"] for step in scenario.steps))
    )


def check_counts(run: str, *features: str) -> None:
    """Checks the number of scenarios of these features, and of those that pass, against expected_failures.json."""
    found = {feature: counts for (name, feature), counts in results.items() if name == run and feature in features}
    assert set(found) == set(features), f"{run}: scenarios of {sorted(found)} have run"
    for feature, counts in found.items():
        suite = EXPECTED["suites"][feature]
        assert sum(counts.values()) == suite["scenarios"], f"{feature}: {sum(counts.values())} scenarios have run"
        assert counts["passed"] == suite["passed"][LANGUAGE], f"{feature}: {dict(counts)}"


def summary() -> typing.Iterator[str]:
    if not SHARED.is_dir():
        yield f"{ABSENT}: their suites were not run"
    for (run, feature), counts in sorted(results.items()):
        failures = counts["expected failure"]
        named = f", {failures} expected failures" if failures else ""
        yield f"{feature} ({run}): {counts['passed']} of {sum(counts.values())} passed{named}"


def pytest_configure(config: pytest.Config) -> None:
    # Tags of examples, which pytest-bdd turns into markers. They select nothing here.
    for tag in ("booleans", "strings", "numbers", "objects", "hooks", "transaction"):
        config.addinivalue_line("markers", f"{tag}: a tag of OpenFeature's suites")


def pytest_bdd_apply_tag(tag: str, function: object) -> bool:
    """Ignores the other tags, whose names are not valid as markers."""
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
                # Strict, so one that passes fails the run. Only a failed comparison is expected, not an error of the test.
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
