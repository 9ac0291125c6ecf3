"""The program of deadlines/run.py for Python: the client, `Mixpanel`, the OpenFeature provider, and the end of the interpreter.

deadlines.py URL
deadlines.py URL exit    ends with two clients that run, and prints when it begins to end
"""

import asyncio
import contextlib
import ctypes
import logging
import subprocess
import sys
import threading
import time

from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import OpenFeatureError
from openfeature.track import TrackingEventDetails

from mpflags import Client, LocalFlagsConfig, Mixpanel, MpflagsError, RemoteFlagsConfig, SelectedVariant
from mpflags.openfeature import MixpanelProvider

# In ms: of calls; of requests; what a client that nothing limits would take; and the default of `flush`.
LIMIT, REQUEST, LONG, FLUSH = 600, 900, 30_000, 5000
URL = sys.argv[1]
OPTIONS = {"api_host": URL, "allow_insecure_http": True, "proxy": "", "init_timeout_ms": LIMIT, "shutdown_timeout_ms": LIMIT,
           "request_timeout_in_seconds": REQUEST / 1000}  # fmt: skip
VARIANT = {"key": "a", "value": True, "split": 1.0}
FLAG = {
    "key": "f",
    "context": "distinct_id",
    "ruleset": {"variants": [VARIANT], "rollout": [{"rollout_percentage": 1.0}]},
}
DEFINITIONS = {"flags": [FLAG]}
USER = {"distinct_id": "u"}
FALLBACK = SelectedVariant(variant_key="none", variant_value=False)
# A call may fail, since nothing responds, and since a few are refused. Any other error is a mistake in this program.
EXPECTED = (MpflagsError, NotImplementedError, OpenFeatureError)
# How often each local evaluation is measured.
TIMES = 100


def done(limit, name, begun):
    print(limit, round((time.perf_counter() - begun) * 1e6), name, flush=True)


def call(limit, name, function, *arguments, **named):
    """Calls a function, prints how long it took, and returns its result."""
    begun = time.perf_counter()
    result = None
    with contextlib.suppress(*EXPECTED):
        result = function(*arguments, **named)
    done(limit, name, begun)
    return result


async def acall(limit, name, function, *arguments):
    begun = time.perf_counter()
    result = None
    with contextlib.suppress(*EXPECTED):
        result = await function(*arguments)
    done(limit, name, begun)
    return result


class Table:
    """A table without columns and rows, in Arrow's format."""

    class Struct(ctypes.Structure):
        # The schema and the array have their releases at other places.
        _fields_ = [("words", ctypes.c_void_p * 10)]

    class Stream(ctypes.Structure):
        _fields_ = [("get_schema", ctypes.c_void_p), ("get_next", ctypes.c_void_p), ("get_last_error", ctypes.c_void_p),
                    ("release", ctypes.c_void_p), ("private", ctypes.c_void_p)]  # fmt: skip

    def __init__(self):
        filler = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(self.Struct))
        releaser = ctypes.CFUNCTYPE(None, ctypes.POINTER(self.Struct))
        self.format, self.kept = ctypes.create_string_buffer(b"+s"), []

        def release_schema(schema):
            schema.contents.words[7] = None

        def release_stream(stream):
            stream.contents.words[3] = None

        def get_schema(_, schema):
            # Without name, metadata, flags, children and dictionary.
            for at, word in enumerate([ctypes.addressof(self.format), *[None] * 6, released, None]):
                schema.contents.words[at] = word
            return 0

        released = self.pointer(releaser(release_schema))

        def get_next(_, array):
            array.contents.words[8] = None
            return 0

        pointers = [
            self.pointer(filler(get_schema)),
            self.pointer(filler(get_next)),
            None,
            self.pointer(releaser(release_stream)),
            None,
        ]
        self.stream = self.Stream(*pointers)

    def pointer(self, function):
        self.kept.append(function)
        return ctypes.cast(function, ctypes.c_void_p).value

    def __arrow_c_stream__(self, requested_schema=None):
        new = ctypes.pythonapi.PyCapsule_New
        new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
        return new(ctypes.addressof(self.stream), b"arrow_array_stream", None)


def evaluations(client, limit, times=1):
    """The evaluations of a client that is local or remote."""
    for number in range(times):
        # Another user each time, so that each has an exposure to report.
        user = {"distinct_id": f"u{number}"}
        call(limit, "Client.get_variant", client.get_variant, "f", FALLBACK, user)
        call(limit, "Client.get_variant_value", client.get_variant_value, "f", False, user)
        call(limit, "Client.is_enabled", client.is_enabled, "f", user)
        call(limit, "Client.get_all_variants", client.get_all_variants, user)


async def coroutines(client, limit, times=1):
    """Evaluates at the same time in every way, while the event loop goes on."""
    for number in range(times):
        user = {"distinct_id": f"a{number}"}
        calls = [
            acall(limit, "Client.aget_variant", client.aget_variant, "f", FALLBACK, user),
            acall(limit, "Client.aget_variant_value", client.aget_variant_value, "f", False, user),
            acall(limit, "Client.ais_enabled", client.ais_enabled, "f", user),
            acall(limit, "Client.aget_all_variants", client.aget_all_variants, user),
        ]
        await asyncio.gather(*calls)


async def beside(name, work):
    """Does the work, and prints how long it kept the event loop from another task."""
    longest = 0

    async def beat():
        nonlocal longest
        while True:
            begun = time.perf_counter()
            await asyncio.sleep(0)
            longest = max(longest, time.perf_counter() - begun)
            await asyncio.sleep(0.001)

    task = asyncio.create_task(beat())
    await work
    task.cancel()
    print("none", round(longest * 1e6), f"event loop: {name}")


def resolutions(provider, limit, times=1):
    for number in range(times):
        user = EvaluationContext(attributes={"distinct_id": f"p{number}"})
        for kind, default in DEFAULTS.items():
            call(
                limit,
                f"MixpanelProvider.resolve_{kind}_details",
                getattr(provider, f"resolve_{kind}_details"),
                "f",
                default,
                user,
            )


async def aresolutions(provider, limit):
    user = EvaluationContext(attributes={"distinct_id": "q"})
    await asyncio.gather(*(
        acall(limit, name, getattr(provider, name.split(".")[1]), "f", default, user)
        for name, default in ((f"MixpanelProvider.resolve_{kind}_details_async", default) for kind, default in DEFAULTS.items())
    ))  # fmt: skip


DEFAULTS = {"boolean": False, "string": "", "integer": 0, "float": 0.0, "object": {}}


def local_client():
    """What a local client waits for."""
    client = call("none", "Client.local", Client.local, "t", **OPTIONS)
    call("none", "Client.start", client.start)
    call(LIMIT, "Client.wait_ready", client.wait_ready)
    call(LIMIT // 2, "Client.wait_ready", client.wait_ready, LIMIT / 2000)
    call(REQUEST, "Client.refresh", client.refresh)
    call(LIMIT, "Client.refresh", client.refresh, LIMIT / 1000)
    call(LIMIT, "Client.start_polling_for_definitions", client.start_polling_for_definitions)
    client.track("u", "E")
    call(LIMIT, "Client.flush", client.flush, LIMIT / 1000)
    call(FLUSH, "Client.flush", client.flush)
    call(LIMIT // 2, "Client.shutdown", client.shutdown, LIMIT / 2000)

    # Started again, with events to deliver at the end.
    call(LIMIT, "Client.__enter__", client.__enter__)
    client.track("u", "E")
    call(LIMIT, "Client.__exit__", client.__exit__)
    client.start()
    client.track("u", "E")
    call(LIMIT, "Client.shutdown", client.shutdown)
    client.start()
    client.track("u", "E")
    call(LIMIT, "Client.close", client.close)

    async def session():
        await beside("a local client", work())

    async def work():
        await acall(LIMIT, "Client.astart_polling_for_definitions", client.astart_polling_for_definitions)
        await acall(LIMIT, "Client.arefresh", client.arefresh, LIMIT / 1000)
        await acall("none", "Client.astop_polling_for_definitions", client.astop_polling_for_definitions)
        client.track("u", "E")
        await acall(LIMIT, "Client.__aexit__", client.__aexit__)
        await acall(LIMIT, "Client.__aenter__", client.__aenter__)
        client.track("u", "E")
        await acall(LIMIT, "Client.__aexit__", client.__aexit__)

    asyncio.run(session())


def busy_client():
    """What a local client does not wait for, while other threads wait in it."""
    config = LocalFlagsConfig(token="t", definitions=DEFINITIONS, **OPTIONS)
    client = call("none", "Client.__init__", Client, config)
    call("none", "Client.start", client.start)
    client.track("u", "E")
    threads = [
        threading.Thread(target=wait, args=(LONG / 1000,)) for wait in map(quietly, (client.refresh, client.flush))
    ]
    for thread in threads:
        thread.start()
    evaluations(client, "evaluation", TIMES)
    asyncio.run(beside("local evaluations", coroutines(client, "evaluation", TIMES)))
    variant = client.get_variant("f", FALLBACK, {"distinct_id": "other"}, report_exposure=False)
    call("none", "Client.track_exposure_event", client.track_exposure_event, "f", variant, {"distinct_id": "other"})
    asyncio.run(
        acall(
            "none", "Client.atrack_exposure_event", client.atrack_exposure_event, "f", variant, {"distinct_id": "other"}
        )
    )
    for _ in range(TIMES):
        call("evaluation", "Client.evaluate_table", client.evaluate_table, Table())
    call("none", "Client.explain", client.explain, "f", USER)
    call("none", "Client.wait_ready", client.wait_ready)
    call("none", "Client.start", client.start)
    call("none", "Client.stop_polling_for_definitions", client.stop_polling_for_definitions)
    call("none", "Client.are_flags_ready", client.are_flags_ready)
    call("none", "Client.state", lambda: client.state)
    call("none", "Client.is_local", lambda: client.is_local)
    call("none", "Client.statistics", client.statistics)
    call("none", "Client.__repr__", repr, client)
    call("none", "Client.on_item", client.on_item, lambda _: None)
    call("none", "Client.set_override", client.set_override, "o", True)
    call("none", "Client.clear_override", client.clear_override, "o")
    call("none", "Client.track", client.track, "u", "E", {"a": 1})
    call("none", "Client.people_update", client.people_update, "u", "$set", {"a": 1})
    call("none", "Client.group_update", client.group_update, "company", "a", "$set", {"a": 1})
    call("none", "Client.refresh", client.refresh, 0)
    call("none", "Client.flush", client.flush, 0)

    provider = call("none", "MixpanelProvider.__init__", MixpanelProvider, client)
    call("none", "MixpanelProvider.initialize", provider.initialize, EvaluationContext())
    resolutions(provider, "evaluation", TIMES)
    asyncio.run(beside("local evaluations of the provider", aresolutions(provider, "evaluation")))
    call("none", "MixpanelProvider.client", lambda: provider.client)
    call("none", "MixpanelProvider.mixpanel", lambda: provider.mixpanel)
    call("none", "MixpanelProvider.get_metadata", provider.get_metadata)
    user = EvaluationContext(attributes=USER)
    call("none", "MixpanelProvider.track", provider.track, "E", user, TrackingEventDetails(1.0, {"a": 1}))
    call(LIMIT, "MixpanelProvider.shutdown", provider.shutdown)
    for thread in threads:
        thread.join()


def quietly(function):
    def run(*arguments):
        with contextlib.suppress(MpflagsError):
            function(*arguments)

    return run


def remote_client():
    client = call("none", "Client.remote", Client.remote, "t", **OPTIONS)
    call("none", "Client.start_polling_for_definitions", client.start_polling_for_definitions)
    call("none", "Client.wait_ready", client.wait_ready)
    call("none", "Client.refresh", client.refresh)
    evaluations(client, REQUEST)
    asyncio.run(beside("remote evaluations", coroutines(client, REQUEST)))
    # Refused, since it would send a request for each row.
    call("none", "Client.evaluate_table", client.evaluate_table, Table())
    client.track("u", "E")
    call(LIMIT, "Client.shutdown", client.shutdown)


def provider():
    config = LocalFlagsConfig(token="t", **OPTIONS)
    local = call(LIMIT, "MixpanelProvider.from_local_config", MixpanelProvider.from_local_config, config)
    # The factory has waited already.
    call("none", "MixpanelProvider.initialize", local.initialize, EvaluationContext())
    call(LIMIT, "MixpanelProvider.initialize", local.initialize, EvaluationContext())
    local.track("E", EvaluationContext(attributes=USER))
    call(LIMIT, "MixpanelProvider.shutdown", local.shutdown)

    config = RemoteFlagsConfig(token="t", **OPTIONS)
    remote = call("none", "MixpanelProvider.from_remote_config", MixpanelProvider.from_remote_config, config)
    call("none", "MixpanelProvider.initialize", remote.initialize, EvaluationContext())
    resolutions(remote, REQUEST)
    asyncio.run(beside("remote evaluations of the provider", aresolutions(remote, REQUEST)))
    remote.track("E", EvaluationContext(attributes=USER))
    call(LIMIT, "MixpanelProvider.shutdown", remote.shutdown)


def mixpanel():
    configs = {"local_flags_config": LocalFlagsConfig(**OPTIONS), "remote_flags_config": RemoteFlagsConfig(**OPTIONS)}
    mixpanel = call("none", "Mixpanel.__init__", Mixpanel, "t", **configs)
    for name in ("local_flags", "remote_flags"):
        call("none", f"Mixpanel.{name}", getattr, mixpanel, name)
    call("none", "Mixpanel.track", mixpanel.track, "u", "E")
    call("none", "Mixpanel.import_data", mixpanel.import_data, None, "u", "E", 1.0)
    call("none", "Mixpanel.alias", mixpanel.alias, "v", "u")
    call("none", "Mixpanel.merge", mixpanel.merge, "", "u", "v")
    values = {"increment": {"a": 1}, "append": {"a": 1}, "union": {"a": [1]}, "unset": ["a"], "remove": {"a": 1}}
    for name in ("set", "set_once", *values):
        call("none", f"Mixpanel.people_{name}", getattr(mixpanel, f"people_{name}"), "u", values.get(name, {"a": 1}))
    call("none", "Mixpanel.people_delete", mixpanel.people_delete, "u")
    call("none", "Mixpanel.people_track_charge", mixpanel.people_track_charge, "u", 1)
    call("none", "Mixpanel.people_clear_charges", mixpanel.people_clear_charges, "u")
    call("none", "Mixpanel.people_update", mixpanel.people_update, {"$distinct_id": "u", "$set": {"a": 1}})
    for name in ("set", "set_once", "union", "unset", "remove"):
        call(
            "none",
            f"Mixpanel.group_{name}",
            getattr(mixpanel, f"group_{name}"),
            "company",
            "a",
            values.get(name, {"a": 1}),
        )
    call("none", "Mixpanel.group_delete", mixpanel.group_delete, "company", "a")
    update = {"$group_key": "company", "$group_id": "a", "$set": {"a": 1}}
    call("none", "Mixpanel.group_update", mixpanel.group_update, update)

    # Both clients have something to deliver.
    def fill():
        mixpanel.track("u", "E")
        mixpanel.remote_flags.track("u", "E")

    fill()
    call(LIMIT, "Mixpanel.flush", mixpanel.flush, LIMIT / 1000)
    call(LIMIT // 2, "Mixpanel.shutdown", mixpanel.shutdown, LIMIT / 2000)
    for client in (mixpanel.local_flags, mixpanel.remote_flags):
        client.start()
    fill()
    call(LIMIT, "Mixpanel.shutdown", mixpanel.shutdown)
    call("none", "Mixpanel.__enter__", mixpanel.__enter__)
    for client in (mixpanel.local_flags, mixpanel.remote_flags):
        client.start()
    fill()
    call(LIMIT, "Mixpanel.__exit__", mixpanel.__exit__)

    async def session():
        await acall("none", "Mixpanel.__aenter__", mixpanel.__aenter__)
        for client in (mixpanel.local_flags, mixpanel.remote_flags):
            client.start()
        fill()
        await acall(LIMIT, "Mixpanel.__aexit__", mixpanel.__aexit__)

    asyncio.run(beside("Mixpanel.__aexit__", session()))


def exits():
    """The end of an interpreter that has two clients with an event each to deliver."""
    child = subprocess.Popen([sys.executable, __file__, URL, "exit"], stdout=subprocess.PIPE)
    child.stdout.readline()
    begun = time.perf_counter()
    child.wait(timeout=60)
    done(LIMIT, "exit of the interpreter", begun)


def end():
    # Still referenced when the interpreter ends.
    global kept
    kept = [Client.local("t", **OPTIONS), Client.remote("t", **OPTIONS)]
    for client in kept:
        client.start()
        client.track("u", "E")
    print("ends", flush=True)


def main():
    logging.getLogger("mpflags").setLevel(logging.CRITICAL)
    if len(sys.argv) > 2:
        return end()
    for part in (local_client, busy_client, remote_client, provider, mixpanel, exits):
        part()
    return None


main()
