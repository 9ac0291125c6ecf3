"""Measures tables against loops over single evaluations, memory, and Spark; prints one JSON object per line: `make tables`.

    python tables.py [--short]

* Rows per second of processor time, of all threads: the table call, from Arrow to Arrow; a loop over `get_variant_value` of our
  client; the same over Mixpanel's SDK. Contexts for the loops are made before. Ratios are taken within a round.
* The peak memory of a process that evaluates batches from a generator, for one number of rows and ten times as many.
* The wall-clock time of a Spark job with two local workers, and the engine's share of their time.
"""

import json
import resource
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
RULES = {"eq": workload.EQ, "and5": workload.AND5}
DEFINITIONS = {
    "flags": [
        rows.flag(key, "off", "on", rollout=[{"rollout_percentage": 1, "runtime_evaluation_rule": rule}])
        for key, rule in RULES.items()
    ]
}


def batch(start, count):
    """Users whom every rule matches."""
    columns = {"distinct_id": [f"user-{start + at:011}" for at in range(count)]}
    for name, value in workload.PROPERTIES.items():
        columns[name] = pa.array([value] * count)
    return pa.record_batch(columns)


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
        "median": round(statistics.median(samples), digits),
        "from": round(min(samples), digits),
        "to": round(max(samples), digits),
    }


def rates():
    """Every case once in each round."""
    size, loops, rounds = (262_144, 5_000, 5) if SHORT else (1_048_576, 20_000, 11)
    users = pa.Table.from_batches([batch(start, BATCH) for start in range(0, size, BATCH)])
    known = [{"distinct_id": f"user-{at:011}", "custom_properties": dict(workload.PROPERTIES)} for at in range(loops)]
    client, peer = rows.client(DEFINITIONS), official()
    for key in RULES:
        found = pa.table(client.evaluate_table(users, [key]))[key].slice(0, loops).to_pylist()
        assert [json.loads(row["value"]) for row in found] == [peer(key, None, context) for context in known]
        table, ours, theirs = [], [], []
        for _ in range(rounds + 1):
            table.append(rate(size, lambda key=key: pa.table(client.evaluate_table(users, [key]))))
            ours.append(rate(loops, lambda key=key: [client.get_variant_value(key, None, user) for user in known]))
            theirs.append(rate(loops, lambda key=key: [peer(key, None, user) for user in known]))
        del table[0], ours[0], theirs[0]
        times = {"ours": ours, "official": theirs}
        print(
            json.dumps(
                {
                    "rows per second": key,
                    "table": spread(table),
                    **{name: spread(samples) for name, samples in times.items()},
                    **{
                        f"table / {name}": spread([one / other for one, other in zip(table, samples, strict=True)], 1)
                        for name, samples in times.items()
                    },
                }
            ),
            flush=True,
        )


def peak_memory(count):
    """Runs in a process of its own."""
    schema = batch(0, 1).schema
    batches = (batch(start, BATCH) for start in range(0, count, BATCH))
    users = pa.RecordBatchReader.from_batches(schema, batches)
    results = pa.RecordBatchReader.from_stream(rows.client(DEFINITIONS).evaluate_table(users, ["eq", "and5"]))
    seen = sum(each.num_rows for each in results)
    assert seen >= count
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def memory():
    counts = (100_000, 1_000_000) if SHORT else (1_000_000, 10_000_000)
    for count in counts:
        done = subprocess.run(
            [sys.executable, __file__, "--peak", str(count)], check=True, capture_output=True, text=True
        )
        print(json.dumps({"peak memory": f"{count} rows", "MiB": round(int(done.stdout) / 2**20, 1)}), flush=True)


def spark():
    import rows_spark

    from mpflags.spark import map_in_arrow

    count, repeats = (100_000, 2) if SHORT else (10_000_000, 3)
    evaluate = map_in_arrow(DEFINITIONS, ["eq"], keep=["distinct_id"])
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
