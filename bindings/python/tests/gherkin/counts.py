"""What is expected of the suites, and what became of them."""

from __future__ import annotations

import collections
import json
import os
import pathlib
import typing

from stand_in import ROOT

SHARED = pathlib.Path(os.environ.get("MPFLAGS_SHARED_DATA") or ROOT.parent / "shared" / "data") / "openfeature"
SUITES = ["evaluation.feature", "evaluation_v2.feature", "hooks.feature", "metadata.feature"]
LANGUAGE = "python"
EXPECTED = json.loads((ROOT / "tests" / "openfeature" / "expected_failures.json").read_text(encoding="utf-8"))
ENTRIES = [entry for entry in EXPECTED["expected_failures"] if LANGUAGE in entry["languages"]]

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


def check_counts(run: str) -> None:
    """As many scenarios, and as many that pass, as expected_failures.json says."""
    found = {feature: counts for (name, feature), counts in results.items() if name == run}
    assert found, f"no scenario has run with {run}"
    for feature, counts in found.items():
        suite = EXPECTED["suites"][feature]
        assert sum(counts.values()) == suite["scenarios"], f"{feature}: {sum(counts.values())} scenarios have run"
        assert counts["passed"] == suite["passed"][LANGUAGE], f"{feature}: {dict(counts)}"


def summary() -> typing.Iterator[str]:
    if not SHARED.is_dir():
        yield f"OpenFeature's feature files are not at {SHARED} (MPFLAGS_SHARED_DATA): their suites were not run"
    for (run, feature), counts in sorted(results.items()):
        failures = counts["expected failure"]
        named = f", {failures} expected failures" if failures else ""
        yield f"{feature} ({run}): {counts['passed']} of {sum(counts.values())} passed{named}"
