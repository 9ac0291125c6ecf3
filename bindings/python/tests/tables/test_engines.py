"""DuckDB, Polars and pandas: tables in, results out."""

import pytest

pa = pytest.importorskip("pyarrow")
duckdb = pytest.importorskip("duckdb")
pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")

import rows

pytestmark = pytest.mark.tables
COLUMNS = rows.users(5000)


def sources():
    """The same users, in what each engine has."""
    arrow = pa.table(COLUMNS)
    relation = duckdb.connect().from_arrow(arrow)
    return {
        "polars": pl.DataFrame(COLUMNS),
        "pandas": pd.DataFrame(COLUMNS).astype({"company_id": "Int64", "age": "Int64"}),
        "duckdb": relation,
        "pyarrow": arrow,
        "reader": arrow.to_reader(700),
    }


@pytest.mark.parametrize("name", ["polars", "pandas", "duckdb", "reader"])
def test_every_source_gives_the_same(name):
    client = rows.client()
    expected = pa.table(client.evaluate_table(pa.table(COLUMNS), rows.KEYS, dictionary=False))
    found = pa.table(client.evaluate_table(sources()[name], rows.KEYS, dictionary=False))
    for key in rows.KEYS:
        assert found[key].to_pylist() == expected[key].to_pylist(), key


@pytest.mark.parametrize("dictionary", [True, False])
def test_every_engine_reads_the_results(dictionary):
    client = rows.client()

    def results():
        users = pa.table(COLUMNS)
        return client.evaluate_table(users, ["and5"], keep=["distinct_id"], dictionary=dictionary)

    expected = pa.table(results()).to_pylist()
    assert pl.DataFrame(results()).rows(named=True) == expected
    assert pl.from_arrow(results()).struct.unnest().rows(named=True) == expected
    frame = pd.DataFrame.from_arrow(results())
    assert frame["and5"].tolist() == [row["and5"] for row in expected]
    evaluated = results()
    found = duckdb.sql("select distinct_id, and5.variant, and5.reason from evaluated").fetchall()
    assert found == [(row["distinct_id"], row["and5"]["variant"], row["and5"]["reason"]) for row in expected]
    del evaluated
