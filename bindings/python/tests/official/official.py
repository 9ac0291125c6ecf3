"""A pytest plugin that runs the tests of Mixpanel's Python packages against mpflags, for `make official`.

The tests are fetched with pip. `expected_failures.json` names those that cannot pass, with the reason and the row of
docs/differences.md. If one of them passes, or if no test has that name, the run fails.
"""

from __future__ import annotations

import collections
import json
import pathlib
import re
import typing

import pytest
import replaced
import wire

FLAGS = replaced.install()
HERE = pathlib.Path(__file__).parent
EXPECTED = json.loads((HERE / "expected_failures.json").read_text(encoding="utf-8"))
ENTRIES = {test: entry for entry in EXPECTED["expected_failures"] for test in entry["tests"]}
ROWS = re.findall(r"^\| `([a-z-]+)`", (HERE.parents[3] / "docs" / "differences.md").read_text(encoding="utf-8"), re.M)

results: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)


def name_of(nodeid: str) -> str:
    """The file and the test, without the folder."""
    folder, _, test = nodeid.partition("::")
    return f"{folder.rpartition('/')[2]}::{test}"


def pytest_configure(config: pytest.Config) -> None:
    config.args += [str(FLAGS / name) for name in EXPECTED["tests"] if (FLAGS / name).is_file()]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    names = collections.Counter(name_of(item.nodeid) for item in items)
    for test, entry in ENTRIES.items():
        if names[test] != 1:
            raise pytest.UsageError(f"expected_failures.json: {names[test]} tests are called {test}")
        if entry["row"] not in ROWS:
            raise pytest.UsageError(f"expected_failures.json: docs/differences.md has no row {entry['row']}")
    for item in items:
        entry = ENTRIES.get(name_of(item.nodeid))
        if entry is not None:
            # Strict, so one that passes fails the run. Only a failed comparison, or one with a property that is missing, is
            # expected: any other exception is a mistake here.
            expected = (AssertionError, KeyError)
            item.add_marker(pytest.mark.xfail(strict=True, raises=expected, reason=entry["reason"]))


def pytest_runtest_setup() -> None:
    wire.forget()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> typing.Iterator[None]:
    outcome: typing.Any = yield
    report = outcome.get_result()
    if report.when == "call" or report.failed:
        kind = "expected failures" if hasattr(report, "wasxfail") and report.skipped else report.outcome
        results[name_of(item.nodeid).partition("::")[0]][kind] += 1


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A release with more or fewer tests is not the one that was looked at."""
    for file, wanted in EXPECTED["tests"].items():
        if results[file].total() != wanted:
            print(f"\nofficial: {results[file].total()} tests of {file} have run, not {wanted}")
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: typing.Any) -> None:
    for title, files in EXPECTED["suites"].items():
        counts = sum((results[file] for file in files), collections.Counter())
        failed = counts.total() - counts["passed"] - counts["expected failures"]
        terminalreporter.write_line(
            f"{counts.total()} tests of {title}: {counts['passed']} pass, {counts['expected failures']} expected failures"
            + (f", {failed} other failures" if failed else "")
        )
