"""`mpflags.table`: distributions, what other definitions change, and the command."""

import copy
import json
import math
import os
import random
import subprocess
import sys

import pytest

pa = pytest.importorskip("pyarrow")
pytest.importorskip("scipy")

import rows
import run_program
from pyarrow import compute as pc
from pyarrow import csv, parquet
from scipy import stats

from mpflags import InvalidArgument
from mpflags.sample_ratio import sample_ratio, survival
from mpflags.table import changed_rows, distribution, what_if

pytestmark = pytest.mark.tables


def random_ids(count, seed=0):
    rng = random.Random(seed)
    return [f"{rng.getrandbits(64):016x}" for _ in range(count)]


USERS = pa.table({**rows.users(20_000), "distinct_id": random_ids(20_000)})


def test_the_test_is_scipys():
    for degrees in range(1, 60):
        for statistic in (0, 1e-9, 0.1, 1, 3.84, 10, 50, 200, 700):
            assert math.isclose(
                survival(statistic, degrees), stats.chi2.sf(statistic, degrees), rel_tol=1e-9, abs_tol=1e-300
            )
    for first, second in [([480, 520], [5000, 5000]), ([10, 20, 30], [11, 19, 35]), ([300, 1], [290, 4])]:
        kept = [(one, other) for one, other in zip(first, second, strict=True) if one + other >= 10]
        rest = [(one, other) for one, other in zip(first, second, strict=True) if one + other < 10]
        cells = [*kept, *([tuple(map(sum, zip(*rest, strict=True)))] if rest else [])]
        expected = stats.chi2_contingency(list(zip(*cells, strict=True)), correction=False).pvalue
        assert math.isclose(sample_ratio(first, second), expected, rel_tol=1e-9)
    assert sample_ratio([5], [7]) is None
    assert sample_ratio([0, 0], [7, 8]) is None
    assert sample_ratio([], []) is None


def test_a_distribution_counts_every_row():
    found = distribution(USERS, "and5", rows.DEFINITIONS)
    assert found.rows == sum(share.rows for share in found.shares) == 20_000
    assert math.isclose(sum(share.share for share in found.shares), 1)
    explained = rows.client()
    expected = {}
    for row in USERS.slice(0, 1000).to_pylist():
        attributes = rows.context({name: [value] for name, value in row.items()}, 0)
        steps = explained.explain("and5", attributes)
        taken = [each["index"] for each in steps["rollouts"] if each["taken"]]
        key = (taken[0] if taken else None, steps["variant"], steps["reason"], steps["error_code"])
        expected[key] = expected.get(key, 0) + 1
    first = distribution(USERS.slice(0, 1000), "and5", rows.DEFINITIONS)
    assert {
        (each.rollout, each.variant, each.reason, each.error): each.rows for each in first.shares if each.rows
    } == expected


@pytest.mark.parametrize("key", ["half", "eq", "and5", "company"])
@pytest.mark.parametrize("salted", [True, False])
def test_random_ids_are_as_expected(key, salted):
    """Without a salt, the buckets of a rollout and of its split depend on each other, which the expected shares include."""
    definitions = copy.deepcopy(rows.DEFINITIONS)
    for flag in definitions["flags"]:
        if not salted:
            flag.pop("hash_salt", None)
    users = USERS.set_column(1, "company_id", pa.array(random_ids(20_000, 1)))
    found = distribution(users, key, definitions)
    assert found.p_value > 0.001, str(found)
    assert all(p is None or p > 0.001 for p in found.rollout_p_values.values()), str(found)
    for share in found.shares:
        if share.expected is not None:
            assert abs(share.share - share.expected) < 0.02
    assert math.isclose(sum(share.expected or share.share for share in found.shares), 1, abs_tol=1e-9)


def test_ids_that_are_not_random_are_noticed():
    # Each user 20 times.
    users = pa.table({"distinct_id": random_ids(500) * 20})
    found = distribution(users, "half", rows.DEFINITIONS)
    assert (
        found.p_value < 0.001
        or distribution(pa.table({"distinct_id": random_ids(500, 1) * 50}), "half", rows.DEFINITIONS).p_value < 0.001
    )
    # A log of one variant only, for which somebody forgot the other one.
    results = pa.table(rows.client().evaluate_table(USERS, ["half"], keep=["distinct_id"], dictionary=False))
    lost = results.filter(pc.equal(pc.struct_field(results["half"], "variant"), "on"))
    both = pa.concat_tables([lost, results.slice(0, 8_000)]).select(["distinct_id"])
    found = distribution(both, "half", rows.DEFINITIONS)
    assert found.p_value < 1e-6
    assert "unlike random ids" in str(found)


def test_testers_and_errors_are_not_compared():
    found = distribution(pa.table({"distinct_id": ["user-7", None, *random_ids(1000)]}), "half", rows.DEFINITIONS)
    assert [(each.variant, each.rows, each.expected) for each in found.shares if each.rollout is None] == [
        ("on", 1, None),
        (None, 1, None),
    ]
    assert found.p_value > 0.0001


def changed(percentage):
    definitions = copy.deepcopy(rows.DEFINITIONS)
    for flag in definitions["flags"]:
        if flag["key"] == "eq":
            flag["ruleset"]["rollout"][0]["rollout_percentage"] = percentage
    return definitions


def test_what_if_counts_who_changes():
    before, after = rows.DEFINITIONS, changed(0.3)
    found = what_if(USERS, "eq", before, after)
    assert found.rows == 20_000
    single = [rows.Singles(rows.client(definitions)) for definitions in (before, after)]
    moves, moved = {}, []
    columns = USERS.to_pydict()
    for at in range(20_000):
        attributes = rows.context(columns, at)
        pair = tuple(each("eq", attributes)[0] for each in single)
        moves[pair] = moves.get(pair, 0) + 1
        if pair[0] != pair[1]:
            moved.append((attributes["distinct_id"], *pair))
    assert {(move.before, move.after): move.rows for move in found.moves} == moves
    assert found.changed == len(moved)
    assert all(after is None for _, _, after in moved)
    result = changed_rows(USERS, "eq", before, after, keep=["distinct_id"]).read_all()
    assert result.schema.names == ["distinct_id", "before", "after"]
    assert [tuple(row.values()) for row in result.to_pylist()] == moved
    assert changed_rows(USERS, "eq", before, after).schema.names == [*USERS.column_names, "before", "after"]
    # The text of a document, and a flag that one of them lacks.
    assert what_if(USERS, "eq", json.dumps(before), {"flags": []}).changed == sum(
        rows for (old, _), rows in moves.items() if old is not None
    )


def test_errors_name_the_flag_and_the_column():
    with pytest.raises(InvalidArgument, match="the definitions have no flag 'haf'; did you mean 'half'"):
        distribution(USERS, "haf", rows.DEFINITIONS)
    with pytest.raises(InvalidArgument, match="the definitions have no flag 'haf'"):
        what_if(USERS, "haf", rows.DEFINITIONS, rows.DEFINITIONS)
    with pytest.raises(InvalidArgument, match="definitions: not JSON"):
        distribution(USERS, "half", "{")
    with pytest.raises(InvalidArgument, match="got list"):
        distribution([], "half", rows.DEFINITIONS)
    with pytest.raises(InvalidArgument, match="keep: the table has no column 'name'"):
        changed_rows(USERS, "half", rows.DEFINITIONS, rows.DEFINITIONS, keep=["name"])
    with pytest.raises(InvalidArgument, match="rename"):
        changed_rows(pa.table({"before": [1]}), "half", rows.DEFINITIONS, rows.DEFINITIONS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("files")
    parquet.write_table(USERS, path / "users.parquet")
    for name, definitions in {"flags": rows.DEFINITIONS, "after": changed(0.3)}.items():
        # Without the flag of which the library says that it is malformed.
        flags = [flag for flag in definitions["flags"] if flag["key"] != "malformed"]
        (path / f"{name}.json").write_text(json.dumps({"flags": flags}))
    csv.write_csv(pa.table({"user_id": ["007", "8"], "age": [40, 20]}), path / "users.csv")
    return path


def command(folder, *arguments, python=sys.executable, flags=()):
    return subprocess.run(
        [python, *flags, "-m", "mpflags.table", *arguments],
        cwd=folder,
        env={**os.environ, **run_program.SOURCES},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_command_prints_a_distribution(folder):
    done = command(folder, "flags.json", "users.parquet", "--flag", "and5", "--plot", "out.png")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == str(distribution(USERS, "and5", rows.DEFINITIONS)) + "\n"
    print(done.stdout)
    assert (folder / "out.png").read_bytes().startswith(b"\x89PNG")
    done = command(folder, "flags.json", "users.parquet", "--flag", "eq", "--what-if", "after.json")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == str(what_if(USERS, "eq", rows.DEFINITIONS, changed(0.3))) + "\n"
    print(done.stdout)


def test_an_id_in_a_text_file_is_text(folder):
    (folder / "testers.json").write_text(
        json.dumps(
            {
                "flags": [
                    {
                        **rows.flag("f", "off", "on"),
                        "ruleset": {
                            "variants": [{"key": "on", "value": 1, "split": 1}],
                            "rollout": [],
                            "test": {"users": {"007": "on"}},
                        },
                    }
                ]
            }
        )
    )
    done = command(folder, "testers.json", "users.csv", "--flag", "f", "--column", "user_id=distinct_id")
    assert (done.returncode, done.stderr) == (0, "")
    assert "on          1  50.00%" in done.stdout, done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["flags.json", "users.parquet", "--flag", "haf"], "the definitions have no flag 'haf'; did you mean 'half'?"),
        (["flags.json", "nobody.parquet", "--flag", "half"], "nobody.parquet: no such file"),
        (["none.json", "users.parquet", "--flag", "half"], "none.json: No such file or directory"),
        (["flags.json", "flags.json", "--flag", "half"], "flags.json: "),
        (["users.csv", "users.csv", "--flag", "half"], "not JSON"),
        (["users.parquet", "users.csv", "--flag", "half"], "users.parquet: "),
        (["flags.json", "users.csv", "--flag", "half", "--column", "name=distinct_id"], "name"),
        (["flags.json", "users.csv", "--flag", "half", "--column", "name"], "--column name: expected NAME=PLACE"),
        (["flags.json", "users.parquet", "--flag", "half", "--plot", "out.nothing"], "out.nothing: "),
    ],
)
def test_the_command_says_what_is_wrong(folder, arguments, message):
    done = command(folder, *arguments)
    assert done.returncode == 1
    assert message in done.stderr
    assert done.stderr.startswith("python -m mpflags.table: ")
    assert len(done.stderr.splitlines()) == 1, done.stderr


def test_without_pyarrow_the_command_says_what_to_install(folder):
    done = command(folder, "flags.json", "users.parquet", "--flag", "half", flags=["-S"])
    assert done.returncode == 1
    assert "needs pyarrow: pip install pyarrow" in done.stderr
