"""`Client.evaluate_table`: what it takes and returns, when it reads, and who frees what."""

import gc
import json
import os
import subprocess
import sys
import threading

import pytest

pa = pytest.importorskip("pyarrow")

import rows
import run_program
from conftest import flags_text, load_vectors

from mpflags import Client, InvalidArgument, _native

pytestmark = pytest.mark.tables
SIZE = int(os.environ.get("TABLES_ROWS", "100000"))


def table(**columns):
    return pa.table({"distinct_id": [f"user-{at}" for at in range(10)], **columns})


def reader(batches, schema=None):
    batches = iter(batches)
    first = next(batches)

    def every():
        yield first
        yield from batches

    return pa.RecordBatchReader.from_batches(schema or first.schema, every())


def test_a_table_gives_what_single_evaluations_give():
    """Each flag of every kind, for SIZE rows in batches of various sizes."""
    columns = rows.users(SIZE)
    client, checked = rows.client(), 0
    whole = pa.table(columns)
    whole = whole.set_column(2, "plan", whole["plan"].dictionary_encode())
    parts = [whole.slice(0, 1), whole.slice(1, 0), whole.slice(1, SIZE // 3), whole.slice(1 + SIZE // 3)]
    result = pa.table(client.evaluate_table(pa.concat_tables(parts), rows.KEYS, keep=["distinct_id"]))
    assert result.column_names == ["distinct_id", *rows.KEYS]
    assert result["distinct_id"].to_pylist() == columns["distinct_id"]
    single = rows.Singles(client)
    contexts = [rows.context(columns, at) for at in range(SIZE)]
    for key in rows.KEYS:
        expected = (single(key, context) for context in contexts)
        for at, (found, wanted) in enumerate(zip(result[key].to_pylist(), expected, strict=True)):
            assert rows.fields(found) == wanted, (key, contexts[at])
            checked += 1
    assert checked == SIZE * len(rows.KEYS)
    # Every kind of outcome occurs.
    assert {fields["reason"] for fields in result["and5"].to_pylist()} >= {"TARGETING_MATCH", "DEFAULT", "ERROR"}


def as_table(attributes):
    """A table with one row, None if Arrow has no type for it."""
    try:
        return pa.table({name: pa.array([value]) for name, value in attributes.items()})
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        return None


def test_the_vectors():
    """All vectors whose context can be a row."""
    checked = skipped = 0
    for vector in load_vectors("evaluate"):
        context = vector["context"]
        properties = not isinstance(context, str) and context.get("custom_properties", {})
        # In a table, null is an absent value.
        if not context or "read" in vector or not isinstance(properties, dict) or "null" in json.dumps(context):
            skipped += 1
            continue
        row = as_table(context)
        if row is None:
            skipped += 1
            continue
        options = {"overrides": vector["overrides"]} if "overrides" in vector else {}
        client = rows.client(flags_text(vector["flags"]), **options)
        only_keys = {name: name for name in context if name != "custom_properties"}
        (found,) = pa.table(client.evaluate_table(row, [vector["key"]], columns=only_keys))[vector["key"]].to_pylist()
        single = rows.Singles(client)(vector["key"], context)
        assert rows.fields(found) == single, vector["name"]
        checked += 1
    print(f"{checked} vectors, {skipped} whose context is not a row")
    assert checked > 100


def test_the_columns_of_the_result():
    result = pa.table(rows.client().evaluate_table(table(), ["half"]))
    strings = pa.dictionary(pa.int32(), pa.string())
    fields = [pa.field(name, strings, name != "reason") for name in ("variant", "value", "reason", "error")]
    assert result.schema.field("half").type == pa.struct(fields)
    plain = pa.table(rows.client().evaluate_table(table(), ["half"], dictionary=False))
    assert plain.schema.field("half").type == pa.struct([field.with_type(pa.string()) for field in fields])
    assert plain["half"].to_pylist() == result["half"].to_pylist()
    everything = pa.table(rows.client().evaluate_table(table()))
    assert everything.column_names == sorted(flag["key"] for flag in rows.FLAGS)


def test_rollouts():
    columns = rows.users(2000)
    result = pa.table(rows.client().evaluate_table(pa.table(columns), ["and5", "half"], rollouts=True))
    explained = rows.client()
    for at, struct in enumerate(result["and5"].to_pylist()):
        if columns["distinct_id"][at] is None:
            assert struct["rollout"] is None
            continue
        taken = [
            each["index"] for each in explained.explain("and5", rows.context(columns, at))["rollouts"] if each["taken"]
        ]
        assert [struct["rollout"]] == (taken or [None])
    assert result["half"][7].as_py() == {
        "variant": "on",
        "value": '"on"',
        "reason": "TARGETING_MATCH",
        "error": None,
        "rollout": None,
    }


def test_columns_are_placed():
    users = pa.table({"id": ["user-7"], "tier": ["premium"], "plan": ["free"]})
    places = {"id": "distinct_id", "tier": "custom_properties.plan", "plan": None}
    client = rows.client(
        {
            "flags": [
                rows.flag("eq", "on", rollout=[{"rollout_percentage": 1, "runtime_evaluation_rule": rows.workload.EQ}])
            ]
        }
    )
    (struct,) = pa.table(client.evaluate_table(users, ["eq"], columns=places))["eq"].to_pylist()
    assert struct["variant"] == "on"
    (struct,) = pa.table(client.evaluate_table(users, ["eq"], columns={"id": "distinct_id", "tier": None}))[
        "eq"
    ].to_pylist()
    assert struct["variant"] is None


def test_anything_with_a_stream_or_an_array_is_read():
    client = rows.client()
    batch = table().to_batches()[0]

    class OnlyArray:
        def __arrow_c_array__(self, requested_schema=None):
            return batch.__arrow_c_array__(requested_schema)

    expected = pa.table(client.evaluate_table(table(), ["half"]))
    for data in (batch, OnlyArray(), reader([batch]), client.evaluate_table(table(), [], keep=["distinct_id"])):
        assert pa.table(client.evaluate_table(data, ["half"])) == expected


@pytest.mark.parametrize(
    ("data", "arguments", "message"),
    [
        ([{"distinct_id": "u"}], {}, "data: expected an object with __arrow_c_stream__, .* got list"),
        ({"distinct_id": ["u"]}, {}, "got dict"),
        (table(), {"flags": "half"}, "flags: expected a list of strings, got the string 'half'"),
        (table(), {"keep": "distinct_id"}, "keep: expected a list of strings, got the string 'distinct_id'"),
        (table(), {"keep": ["name"]}, "name"),
        (table(), {"columns": {"name": "distinct_id"}}, "name"),
        (table(half=[1] * 10), {"flags": ["half"], "keep": ["half"]}, "half"),
        (table(), {"flags": [{1}]}, r"evaluate_table.flags\[0\]"),
    ],
)
def test_bad_arguments_are_named(data, arguments, message):
    with pytest.raises(InvalidArgument, match=message):
        # Whether a column exists may only be known when the stream is read.
        pa.table(rows.client().evaluate_table(data, **arguments))


def test_a_column_that_cannot_be_a_context_is_named():
    client, data = rows.client(), table(plan=[b"x"] * 10)
    with pytest.raises(InvalidArgument, match=r"column `plan`: values of type Binary cannot be read, and flag `eq`"):
        client.evaluate_table(data, ["half", "eq"])
    # Only flags that read it fail.
    assert pa.table(client.evaluate_table(data, ["half"])).num_rows == 10


def test_a_remote_client_refuses():
    with pytest.raises(InvalidArgument):
        Client.remote("token").evaluate_table(table(), ["half"])


def test_batches_are_read_one_by_one():
    read = []

    def batches():
        for at in range(100):
            read.append(at)
            yield pa.record_batch({"distinct_id": [f"user-{at}"]})

    results = rows.client().evaluate_table(reader(batches()), ["half"])
    stream = pa.RecordBatchReader.from_stream(results)
    stream.read_next_batch()
    assert len(read) <= 3
    assert sum(batch.num_rows for batch in stream) == 99
    assert len(read) == 100


def test_an_error_of_the_producer_reaches_the_reader():
    def batches():
        yield pa.record_batch({"distinct_id": ["user-1"]})
        raise RuntimeError("the disk is gone")

    stream = pa.RecordBatchReader.from_stream(rows.client().evaluate_table(reader(batches()), ["half"]))
    stream.read_next_batch()
    with pytest.raises((OSError, pa.ArrowException, RuntimeError), match="the disk is gone"):
        stream.read_all()


def test_results_are_read_once():
    results = rows.client().evaluate_table(table(), ["half"])
    assert pa.schema(results).names == ["half"]
    pa.table(results)
    with pytest.raises(InvalidArgument, match="were read already"):
        pa.table(results)
    with pytest.raises(InvalidArgument, match="were read already"):
        pa.schema(results)


def test_results_outlive_the_client():
    client = rows.client()
    expected = pa.table(client.evaluate_table(table(), ["half"]))
    results = client.evaluate_table(table(), ["half"])
    stream = pa.RecordBatchReader.from_stream(client.evaluate_table(table(), ["half"]))
    client.shutdown()
    del client
    gc.collect()
    assert pa.table(results) == expected
    assert stream.read_all() == expected


class Watched:
    """A source that says when its stream is released: the generator inside is closed then."""

    def __init__(self):
        self.released = threading.Event()

    def __arrow_c_stream__(self, requested_schema=None):
        def batches():
            try:
                while True:
                    yield pa.record_batch({"distinct_id": ["user-1"]})
            finally:
                self.released.set()

        source = batches()
        next(source)
        return pa.RecordBatchReader.from_batches(pa.schema([("distinct_id", pa.string())]), source).__arrow_c_stream__()


def unread(results):
    del results


def capsule_unread(results):
    capsule = results.__arrow_c_stream__()
    del capsule, results


def lost_in_an_exception(results):
    def fail(results):
        capsule = results.__arrow_c_stream__()
        assert capsule
        raise ValueError("the program's own")

    with pytest.raises(ValueError, match="the program's own"):
        fail(results)


def half_read(results):
    pa.RecordBatchReader.from_stream(results).read_next_batch()


def schema_only(results):
    pa.schema(results)


@pytest.mark.parametrize("use", [unread, capsule_unread, lost_in_an_exception, half_read, schema_only])
def test_what_is_not_read_is_released(use):
    source = Watched()
    use(rows.client().evaluate_table(source, ["half"]))
    gc.collect()
    assert source.released.is_set()
    assert not _native._CAPSULES._made


def test_what_is_refused_is_released():
    source = Watched()
    with pytest.raises(InvalidArgument):
        rows.client().evaluate_table(source, ["half"], columns={"nobody": None})
    gc.collect()
    assert source.released.is_set()


def test_a_capsule_that_is_used_later():
    """Nothing but the capsule is left."""
    capsule = rows.client().evaluate_table(table(), ["half"]).__arrow_c_stream__()
    gc.collect()
    rows.client().evaluate_table(table(), ["half"])

    class Holder:
        def __arrow_c_stream__(self, requested_schema=None):
            return capsule

    assert pa.table(Holder()).num_rows == 10


def test_threads_read_their_own_results():
    client, expected, failures = rows.client(), None, []
    expected = pa.table(client.evaluate_table(table(), ["half"]))

    def work():
        try:
            for _ in range(100):
                assert pa.table(client.evaluate_table(table(), ["half"])) == expected
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_exposures_are_reported_if_asked_for():
    client = Client.local("token", definitions=rows.DEFINITIONS, enable_polling=False, event_sink=True)
    events = []
    client.on_item(lambda item: events.append(json.loads(item.message)) if item.kind == "event" else None)
    with client:
        pa.table(client.evaluate_table(table(), ["half"]))
        pa.table(client.evaluate_table(table(), ["eq", "half"], report_exposures=True))
    reported = sorted(event["properties"]["distinct_id"] for event in events)
    # A tester makes one too.
    assert reported == sorted(f"user-{at}" for at in range(10))


PROGRAM = """
import gc, os, sys
import pyarrow as pa
from mpflags import Client

client = Client.local("t", definitions={definitions!r}, enable_polling=False, report_exposures=False)
users = pa.table({{"distinct_id": ["a", "b"]}})
results = client.evaluate_table(users, ["half"])
stream = pa.RecordBatchReader.from_stream(client.evaluate_table(users, ["half"]))
capsule = client.evaluate_table(users, ["half"]).__arrow_c_stream__()
cycle = [client.evaluate_table(users, ["half"])]
cycle.append(cycle)
{more}
"""


@pytest.mark.parametrize(
    "more",
    [
        "",
        "pid = os.fork()\nassert stream.read_all().num_rows == 2\nassert pa.table(results).num_rows == 2\n"
        "if pid: assert os.waitpid(pid, 0)[1] == 0",
        "sys.stdout.keep = (results, stream, capsule, cycle)",
    ],
    ids=["at exit", "after a fork", "kept to the end"],
)
@pytest.mark.parametrize("flags", run_program.INTERPRETERS)
def test_the_end_of_the_process(more, flags):
    done = subprocess.run(
        [
            sys.executable,
            *flags,
            *run_program.OF_FORKS,
            "-c",
            PROGRAM.format(definitions={"flags": rows.FLAGS[:1]}, more=more),
        ],
        env={**os.environ, **run_program.SOURCES},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
