"""The snippets and commands of docs/tables.md print what the page says. `MPFLAGS_UPDATE=1` writes it there."""

import json
import os
import re
import shlex
import subprocess
import sys

import pytest

pa = pytest.importorskip("pyarrow")

import rows
import run_program
import stand_in
from pyarrow import parquet

pytestmark = pytest.mark.tables
PAGE = stand_in.ROOT / "docs" / "tables.md"
SNIPPET = re.compile(
    r"<!-- tables: (?P<name>\S+) -->\n```(?:python|sh)\n(?P<code>.*?)```\n\n"
    r"(?P<before><!-- tables: output of (?P=name) -->\n```text\n)(?P<output>.*?)```\n",
    re.DOTALL,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("page")
    text = (stand_in.ROOT / "dev" / "samples" / "definitions.json").read_text()
    (path / "flags.json").write_text(text)
    after = json.loads(text)
    (checkout,) = (flag for flag in after["flags"] if flag["key"] == "new-checkout")
    assert checkout["ruleset"]["rollout"][0]["rollout_percentage"] == 0.5
    checkout["ruleset"]["rollout"][0]["rollout_percentage"] = 0.3
    (path / "after.json").write_text(json.dumps(after))
    # Spark's snappy fails on a machine that has musl beside glibc.
    parquet.write_table(pa.table(rows.users(100_000)), path / "users.parquet", compression="none")
    return path


def run(folder, name, code):
    if name == "command":
        words = shlex.split(code)
        assert words[:2] == ["python", "-m"]
        command = [sys.executable, *words[1:]]
    else:
        (folder / name).write_text(code)
        command = [sys.executable, name]
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **run_program.SOURCES, "PYSPARK_PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_the_page_is_true(folder):
    page = PAGE.read_text()
    snippets = list(SNIPPET.finditer(page))
    names = [found["name"] for found in snippets]
    assert len(names) == page.count("<!-- tables: output of") >= 7
    printed = [run(folder, found["name"], found["code"]) for found in snippets]
    if os.environ.get("MPFLAGS_UPDATE"):
        for found, output in reversed(list(zip(snippets, printed, strict=True))):
            page = page[: found.start("output")] + output + page[found.end("output") :]
        PAGE.write_text(page)
    else:
        for found, output in zip(snippets, printed, strict=True):
            assert output == found["output"], found["name"]
