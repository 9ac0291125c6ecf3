"""Measures tables against loops over single evaluations, memory, and Spark; prints one JSON object per line: `make tables`.

    python tables.py [--short]

* Rows per second of processor time, of all threads: the table call, from Arrow to Arrow; a loop over the rows of the same table
  that calls `get_variant_value` of our client, or of Mixpanel's SDK; and both loops without the making of contexts. Ratios are
  taken within a round, and the first round is dropped.
* The peak memory of a process that evaluates batches from a generator, for one number of rows and ten times as many.
* The wall-clock time of a Spark job with two local workers, and the engine's share of their time.
"""

import json
import re
import statistics
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import rows

sys.path.append(str(Path(__file__).resolve().parents[3] / "bench"))
import workload

SHORT = "--short" in sys.argv
BATCH = 65_536
KEYS = ("bench-eq", "bench-and5")
DEFINITIONS = {"flags": [flag for flag in workload.flags() if flag["key"] in KEYS]}


def batch(start, count):
    """Users whom every rule matches."""
    columns = {"distinct_id": [f"user-{start + at:011}" for at in range(count)]}
    for name, value in workload.PROPERTIES.items():
        columns[name] = pa.array([value] * count)
    return pa.record_batch(columns)


def contexts(table):
    """The rows of a table, as contexts."""
    for row in table.to_pylist():
        yield {"distinct_id": row.pop("distinct_id"), "custom_properties": row}


def official():
    """A function of Mixpanel's SDK; exposures go nowhere."""
    import httpx
    from mixpanel.flags.local_feature_flags import LocalFeatureFlagsProvider
    from mixpanel.flags.types import LocalFlagsConfig

    flags = LocalFeatureFlagsProvider("bench", LocalFlagsConfig(enable_polling=False), "5.4.1", lambda *_: None)
    request = httpx.Request("GET", "http://127.0.0.1/flags/definitions")
    moment = datetime.now()
    flags._handle_response(httpx.Response(200, json=DEFINITIONS, request=request), moment, moment)
    return flags.get_variant_value


def rate(count, work):
    began = time.process_time()
    work()
    return count / (time.process_time() - began)


def spread(samples, digits=0):
    return {
        "median": round(statistics.median(samples), digits or None),
        "from": round(min(samples), digits or None),
        "to": round(max(samples), digits or None),
    }


def rates():
    """Every case once in each round."""
    size, loops, rounds = (262_144, 5_000, 5) if SHORT else (1_048_576, 20_000, 11)
    users = pa.Table.from_batches([batch(start, BATCH) for start in range(0, size, BATCH)])
    some = users.slice(0, loops)
    known = list(contexts(some))
    client, peer = rows.client(DEFINITIONS), official()
    ours, table = client.get_variant_value, client.evaluate_table
    for key in KEYS:
        found = pa.table(table(some, [key]))[key].to_pylist()
        assert [json.loads(row["value"]) for row in found] == [peer(key, None, context) for context in known]
        cases = {
            "table": (size, lambda key=key: pa.table(table(users, [key]))),
            "our client": (loops, lambda key=key: [ours(key, None, user) for user in contexts(some)]),
            "official SDK": (loops, lambda key=key: [peer(key, None, user) for user in contexts(some)]),
            "our client, contexts ready": (loops, lambda key=key: [ours(key, None, user) for user in known]),
            "official SDK, contexts ready": (loops, lambda key=key: [peer(key, None, user) for user in known]),
        }
        rounds_of = [{name: rate(*case) for name, case in cases.items()} for _ in range(rounds + 1)][1:]
        for name in cases:
            rates_of = spread([each[name] for each in rounds_of])
            ratios = spread([each["table"] / each[name] for each in rounds_of], 1)
            print(
                json.dumps({"flag": key, "case": name, "rows per second": rates_of, "table / this": ratios}), flush=True
            )


def peak_memory(count):
    """Runs in a separate process."""
    schema = batch(0, 1).schema
    batches = (batch(start, BATCH) for start in range(0, count, BATCH))
    users = pa.RecordBatchReader.from_batches(schema, batches)
    results = pa.RecordBatchReader.from_stream(rows.client(DEFINITIONS).evaluate_table(users, KEYS))
    seen = sum(each.num_rows for each in results)
    assert seen >= count
    # Not `ru_maxrss`, which begins with what the parent had.
    print(re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())[1])


def memory():
    counts = (100_000, 1_000_000) if SHORT else (1_000_000, 10_000_000)
    for count in counts:
        done = subprocess.run(
            [sys.executable, __file__, "--peak", str(count)], check=True, capture_output=True, text=True
        )
        print(json.dumps({"peak memory": f"{count} rows", "MiB": round(int(done.stdout) / 1024, 1)}), flush=True)


def spark():
    import rows_spark

    from mpflags.spark import map_in_arrow

    count, repeats = (100_000, 2) if SHORT else (10_000_000, 3)
    evaluate = map_in_arrow(DEFINITIONS, KEYS[:1], keep=["distinct_id"])
    with rows_spark.session() as running:
        columns = ["format_string('user-%011d', id) distinct_id"]
        for name, value in workload.PROPERTIES.items():
            columns.append(f"{json.dumps(value)} {name}")
        df = running.range(count).selectExpr(*columns)
        inside = running.sparkContext.accumulator(0)

        def timed(batches):
            """The time of the evaluation: neither of the batches that it reads nor of what Spark does with the results."""
            spent = 0

            def watched():
                nonlocal spent
                for each in batches:
                    began = time.perf_counter_ns()
                    yield each
                    spent += time.perf_counter_ns() - began

            waited = 0
            for result in evaluate(watched()):
                gone = time.perf_counter_ns()
                yield result
                waited += time.perf_counter_ns() - gone
            inside.add(spent - waited)

        def run():
            began = time.perf_counter()
            df.mapInArrow(timed, evaluate.schema(df)).write.format("noop").mode("overwrite").save()
            return time.perf_counter() - began

        run()
        seconds, shares = [], []
        for _ in range(repeats):
            before = inside.value
            seconds.append(run())
            shares.append((inside.value - before) / 1e9 / (2 * seconds[-1]))
        print(
            json.dumps(
                {"spark local[2]": f"{count} rows", "seconds": spread(seconds, 2), "engine's share": spread(shares, 3)}
            ),
            flush=True,
        )


if __name__ == "__main__":
    if "--peak" in sys.argv:
        peak_memory(int(sys.argv[-1]))
    else:
        rates()
        memory()
        spark()
