"""The snippets of the README of Mixpanel's provider, with its imports changed, and with Mixpanel's package.

docs/migrating.md has the results as tables; MPFLAGS_UPDATE=1 writes them. `make official` fetches the README.
"""

import json
import os
import pathlib
import subprocess
import sys

import pytest
import snippets
import stand_in

HERE = pathlib.Path(__file__).parent
README = pathlib.Path(os.environ.get("MPFLAGS_OFFICIAL") or os.devnull) / "README.md"
PAGE = stand_in.ROOT / "docs" / "migrating.md"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not README.is_file(), reason="MPFLAGS_OFFICIAL is not set to a folder with the README"),
]
SNIPPETS = "| # | section of the README | result | Mixpanel's package | mpflags |\n| --- | --- | --- | --- | --- |\n"
RECEIVED = "| what Mixpanel receives | Mixpanel's package | mpflags |\n| --- | --- | --- |\n"
COMMANDS = "`pip install mixpanel-openfeature` | `pip install './bindings/python[openfeature]'`, in a clone"
INSTALLATION = f"| 1 | Installation | command | {COMMANDS} |\n"


def run(*arguments):
    done = subprocess.run(
        [sys.executable, HERE / "snippets.py", README, *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_readme_has_sixteen_snippets():
    """The installation has two blocks."""
    found = snippets.blocks(README.read_text())
    assert [section for section, language, _ in found if language == "python"] == list(snippets.SNIPPETS)
    assert [section for section, language, _ in found if language != "python"] == ["Installation", "Installation"]
    assert len(snippets.SNIPPETS) + 1 == 16


def test_mixpanels_package_cannot_run_its_readme_as_written():
    results = run("mixpanel", "as-written")
    assert list(results) == list(snippets.FACTORIES)
    for error in results.values():
        assert error.endswith("got an unexpected keyword argument 'token'")


def tables():
    """The snippets, and what Mixpanel receives."""
    official, ours = run("mixpanel"), run("mpflags")
    assert list(official) == list(ours) == [*snippets.SNIPPETS, snippets.RECEIVED]
    lines = [INSTALLATION]
    for number, (section, (what, _)) in enumerate(snippets.SNIPPETS.items(), 2):
        cells = [", ".join(map(code, results[section])) for results in (official, ours)]
        lines.append(
            f"| {number} | {section} | {what} | {cells[0]} | {cells[1] if cells[1] != cells[0] else 'the same'} |\n"
        )
    yield SNIPPETS, "".join(lines)
    received, wanted = official[snippets.RECEIVED], ours[snippets.RECEIVED]
    assert list(received) == list(wanted)
    yield (
        RECEIVED,
        "".join(f"| {what} | {shown(value)} | {shown(wanted[what])} |\n" for what, value in received.items()),
    )


def code(text):
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def shown(value):
    return value if value in ("left out", "a number") else code(json.dumps(value))


def test_the_tables_of_the_page():
    page = PAGE.read_text()
    for header, lines in tables():
        begin = end = page.index(header) + len(header)
        while page.startswith("|", end):
            end = page.index("\n", end) + 1
        if "MPFLAGS_UPDATE" in os.environ:
            page = page[:begin] + lines + page[end:]
            PAGE.write_text(page)
        else:
            assert page[begin:end] == lines, "look at the difference, then run with MPFLAGS_UPDATE=1"
