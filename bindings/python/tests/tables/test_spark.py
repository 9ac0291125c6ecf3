"""`mpflags.spark` in a real local session of Spark."""

import json
import os
import pickle

import pytest

pa = pytest.importorskip("pyarrow")
pyspark = pytest.importorskip("pyspark")

import rows

from mpflags import InvalidArgument, InvalidConfig
from mpflags.spark import map_in_arrow

pytestmark = [pytest.mark.tables, pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module")
def spark():
    import rows_spark

    with rows_spark.session() as running:
        yield running


def test_a_dataframe_gives_what_a_table_gives(spark):
    columns = rows.users(20_000)
    data = pa.table(columns)
    df = spark.createDataFrame(data).repartition(5)
    evaluate = map_in_arrow(rows.DEFINITIONS, ["and5", "half"], keep=["distinct_id", "age"])
    struct = "struct<variant:string,value:string,reason:string,error:string>"
    assert evaluate.schema(df) == f"`distinct_id` string, `age` bigint, `and5` {struct}, `half` {struct}"
    found = df.mapInArrow(evaluate, evaluate.schema(df))
    results = rows.client().evaluate_table(data, ["and5", "half"], keep=["distinct_id", "age"], dictionary=False)
    expected = pa.table(results).to_pylist()

    def order(row):
        return json.dumps(row, sort_keys=True)

    assert sorted((row.asDict(recursive=True) for row in found.collect()), key=order) == sorted(expected, key=order)
    counts = {row["variant"]: row["count"] for row in found.groupBy("and5.variant").count().collect()}
    assert sum(counts.values()) == 20_000
    assert set(counts) == {None, "a", "b", "c"}


def test_each_worker_makes_one_client(spark):
    df = spark.createDataFrame(pa.table(rows.users(1000))).repartition(20)
    evaluate = map_in_arrow(rows.DEFINITIONS, ["half"])

    def clients(batches):
        from mpflags import spark

        for result in evaluate(batches):
            client = spark._client(evaluate._definitions)
            yield pa.record_batch({"pid": [os.getpid()] * result.num_rows, "client": [id(client)] * result.num_rows})

    found = {(row["pid"], row["client"]) for row in df.mapInArrow(clients, "pid long, client long").collect()}
    assert len(found) == len({pid for pid, _ in found}) <= 4


def test_an_empty_dataframe(spark):
    df = spark.createDataFrame([], "distinct_id string").repartition(3)
    evaluate = map_in_arrow(rows.DEFINITIONS, ["half"])
    assert df.mapInArrow(evaluate, evaluate.schema(df)).collect() == []


def test_names_are_quoted(spark):
    # Spark itself refuses a dot in the column of a DataFrame that is mapped.
    df = spark.createDataFrame([("u",)], "`a b-c` string")
    definitions = {"flags": [rows.flag("x.y `z`", "on")]}
    evaluate = map_in_arrow(definitions, ["x.y `z`"], columns={"a b-c": "distinct_id"}, keep=["a b-c"])
    (row,) = df.mapInArrow(evaluate, evaluate.schema(df)).collect()
    assert row["a b-c"] == "u"
    assert row["x.y `z`"]["variant"] == "on"


def test_an_error_names_the_column(spark):
    df = spark.createDataFrame([("u", bytearray(b"x"))], "distinct_id string, plan binary")
    evaluate = map_in_arrow(rows.DEFINITIONS, ["eq"])
    with pytest.raises(Exception, match="column `plan`: values of type Binary"):
        df.mapInArrow(evaluate, evaluate.schema(df)).collect()
    with pytest.raises(InvalidArgument, match="keep: the DataFrame has no column 'name'; it has 'distinct_id', 'plan'"):
        map_in_arrow(rows.DEFINITIONS, ["half"], keep=["name"]).schema(df)


def test_what_the_workers_could_not_use_is_refused_here():
    with pytest.raises(InvalidArgument, match="flags: expected a list of strings, got the string 'half'"):
        map_in_arrow(rows.DEFINITIONS, "half")
    with pytest.raises(InvalidArgument, match="definitions: expected a dict or JSON text, got list"):
        map_in_arrow([], ["half"])
    with pytest.raises(InvalidConfig, match="definitions"):
        map_in_arrow({"flags": 3}, ["half"])


def test_it_is_small_to_pickle():
    evaluate = map_in_arrow(json.dumps(rows.DEFINITIONS), ["half"])
    assert len(pickle.dumps(evaluate)) < len(json.dumps(rows.DEFINITIONS)) + 500
    (result,) = pickle.loads(pickle.dumps(evaluate))(iter([pa.record_batch({"distinct_id": ["user-7"]})]))
    assert result.column("half").to_pylist()[0]["variant"] == "on"
