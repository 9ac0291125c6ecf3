"""A process that is measured; run.py starts it: `python worker.py NAME DIRECTORY [URL]`.

NAME is `ours`, `pure` or `official`. For each line `CASE CALLS` on standard input it prints a line of JSON: nanoseconds of
processor time per call or, for the case `exposures`, the wall-clock nanoseconds of each call.
"""

import json
import os
import sys
import time
from pathlib import Path

NAME, DIRECTORY, *URL = sys.argv[1:]
if NAME == "pure":
    os.environ["MPFLAGS_PURE"] = "1"

from openfeature import api  # noqa: E402
from openfeature.evaluation_context import EvaluationContext  # noqa: E402

DEFINITIONS = Path(DIRECTORY) / "definitions.json"
CONTEXT = json.loads((Path(DIRECTORY) / "context.json").read_text())


def fresh(distinct_id=CONTEXT["distinct_id"]):
    """A context of which every part is a new object."""
    return {"distinct_id": distinct_id, "custom_properties": dict(CONTEXT["custom_properties"])}


def ours():
    from mpflags import Client, Context, LocalFlagsConfig, speedups
    from mpflags.openfeature import MixpanelProvider

    assert (speedups.MODULE is None) is (NAME == "pure")
    options = {"definitions_path": str(DEFINITIONS), "enable_polling": False}
    provider = MixpanelProvider.from_local_config("bench", LocalFlagsConfig(report_exposures=False, **options))
    kept = Context(fresh())
    client = Client.local("bench", report_exposures=False, **options)
    known = {
        "kept": lambda _: client.get_variant_value("bench-eq", False, kept),
        "native": lambda given: client.get_variant_value("bench-eq", False, given.attributes),
        "all": lambda given: client.get_all_variants(given.attributes),
    }
    reporting = None
    if URL:
        config = LocalFlagsConfig(URL[0], event_queue_capacity=1_000_000, **options)
        reporting = MixpanelProvider.from_local_config("bench", config)
    return provider, reporting, known


def official():
    import httpx
    from mixpanel import Consumer, Mixpanel
    from mixpanel.flags.local_feature_flags import LocalFeatureFlagsProvider
    from mixpanel.flags.types import LocalFlagsConfig
    from mixpanel_openfeature import MixpanelProvider

    def made(track):
        from datetime import datetime

        flags = LocalFeatureFlagsProvider("bench", LocalFlagsConfig(enable_polling=False), "5.4.1", track)
        request = httpx.Request("GET", "http://127.0.0.1/flags/definitions")
        moment = datetime.now()
        flags._handle_response(httpx.Response(200, content=DEFINITIONS.read_bytes(), request=request), moment, moment)
        # The methods that the SDK's client calls. Without a server nothing has to be started.
        flags.shutdown = lambda: None
        return MixpanelProvider(flags)

    provider = made(lambda *_: None)
    reporting = None
    if URL:
        consumer = Consumer(events_url=f"{URL[0]}/track")
        reporting = made(Mixpanel("bench", consumer=consumer).track)
    known = {
        "native": lambda given: provider._flags_provider.get_variant_value("bench-eq", False, given.attributes),
        "all": lambda given: provider._flags_provider.get_all_variants(given.attributes),
    }
    return provider, reporting, known


def main():
    provider, reporting, known = official() if NAME == "official" else ours()
    api.set_provider_and_wait(provider)
    client = api.get_client()
    direct = provider.resolve_boolean_details
    known["direct"] = lambda given: direct("bench-eq", False, given)
    known["through"] = lambda given: client.get_boolean_value("bench-eq", False, given)
    given = EvaluationContext(None, fresh())
    assert direct("bench-eq", False, given).variant is not None
    assert client.get_boolean_details("bench-eq", False, given).variant is not None
    if reporting is not None:
        api.set_provider_and_wait(reporting, "exposures")
        exposing = api.get_client("exposures")
    for line in sys.stdin:
        case, calls = line.split()
        if case == "exposures":
            # Another user for each call, so that each reports an exposure.
            users = [EvaluationContext(None, fresh(f"{time.time_ns()}-{number}")) for number in range(int(calls))]
            samples = []
            for user in users:
                began = time.perf_counter_ns()
                exposing.get_boolean_value("bench-eq", False, user)
                samples.append(time.perf_counter_ns() - began)
            print(json.dumps(samples), flush=True)
            continue
        call = known[case]
        spent, left = 0, int(calls)
        while left > 0:
            # A realistic number of recent contexts: more would measure the memory instead.
            contexts = [EvaluationContext(None, fresh()) for _ in range(min(left, 100))]
            began = time.thread_time_ns()
            for one in contexts:
                call(one)
            spent += time.thread_time_ns() - began
            left -= len(contexts)
        print(spent / int(calls), flush=True)
    api.shutdown()


if __name__ == "__main__":
    main()
