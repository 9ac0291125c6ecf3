"""A process that is measured; run.py starts it: `python worker.py NAME DIRECTORY [URL]`.

NAME is `ours`, `pure`, `official`, `eppo` or `flagd`. For each line `CASE CALLS` on standard input it prints a line of JSON:
nanoseconds of processor time per call or, for the case `exposures`, the wall-clock nanoseconds of each call.
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


def flagd():
    """The flag `bench-eq` alone, in flagd's format."""
    from openfeature.contrib.provider.flagd import FlagdProvider
    from openfeature.contrib.provider.flagd.config import ResolverType

    matches = {"==": [{"var": "custom_properties.plan"}, CONTEXT["custom_properties"]["plan"]]}
    bucket = {"fractional": [{"var": "distinct_id"}, ["on", 100], ["off", 0]]}
    targeting = {"if": [matches, bucket, "off"]}
    flag = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off", "targeting": targeting}
    path = Path(DIRECTORY) / "flagd.json"
    path.write_text(json.dumps({"flags": {"bench-eq": flag}}))
    return FlagdProvider(resolver_type=ResolverType.FILE, offline_flag_source_path=str(path)), None, {}


def eppo():
    """The flag `bench-eq` alone, in Eppo's format. Eppo has no OpenFeature provider for Python: one would do at least this."""
    import eppo_client
    from openfeature.flag_evaluation import FlagResolutionDetails
    from openfeature.provider import AbstractProvider, Metadata

    condition = {"attribute": "plan", "operator": "ONE_OF", "value": [CONTEXT["custom_properties"]["plan"]]}
    shards = [{"salt": "bench", "ranges": [{"start": 0, "end": 10_000}]}]
    rollout = {
        "key": "rollout",
        "rules": [{"conditions": [condition]}],
        "splits": [{"variationKey": "on", "shards": shards}],
        "doLog": False,
    }
    flag = {
        "key": "bench-eq",
        "enabled": True,
        "variationType": "BOOLEAN",
        "totalShards": 10_000,
        "allocations": [rollout],
    }
    flag["variations"] = {key: {"key": key, "value": key == "on"} for key in ("on", "off")}
    document = {
        "createdAt": "2026-01-01T00:00:00Z",
        "format": "SERVER",
        "environment": {"name": "bench"},
        "flags": {"bench-eq": flag},
    }
    configuration = eppo_client.Configuration(flags_configuration=json.dumps(document).encode())
    client = eppo_client.init(
        eppo_client.ClientConfig(
            api_key="bench",
            assignment_logger=eppo_client.AssignmentLogger(),
            initial_configuration=configuration,
            poll_interval_seconds=None,
        )
    )

    class Provider(AbstractProvider):
        def get_metadata(self):
            return Metadata("eppo")

        def resolve_boolean_details(self, flag_key, default_value, evaluation_context=None):
            attributes = evaluation_context.attributes
            subject, properties = attributes["distinct_id"], attributes["custom_properties"]
            return FlagResolutionDetails(
                client.get_boolean_assignment(flag_key, subject, properties, default_value), variant="on"
            )

        resolve_string_details = resolve_integer_details = resolve_float_details = resolve_object_details = (
            resolve_boolean_details
        )

    provider = Provider()
    given = fresh()
    known = {
        "native": lambda _: client.get_boolean_assignment(
            "bench-eq", given["distinct_id"], given["custom_properties"], False
        )
    }
    return provider, None, known


def main():
    make = {"official": official, "flagd": flagd, "eppo": eppo}.get(NAME, ours)
    provider, reporting, known = make()
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
