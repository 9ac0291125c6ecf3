"""Mixpanel's flags interface, local and remote, against `mpflags-dev`; logging, closing, overrides, events."""

import asyncio
import functools
import gc
import logging
import os
import subprocess
import sys
import threading
import time
import weakref

import pytest
from run_program import SOURCES
from stand_in import DEFINITIONS, flag

import mpflags
from mpflags import (
    Client,
    Closed,
    Context,
    CredentialsRefused,
    InvalidArgument,
    LocalFlagsConfig,
    RemoteFlagsConfig,
    SelectedVariant,
    Timeout,
)

TOKEN = "demo-token"
USER = {"distinct_id": "user-1"}
FAST = {"polling_interval_ms": 50, "retry_base_ms": 10}


def offline(*flags, **options):
    options = {"api_host": "http://127.0.0.1:9", "report_exposures": False, **options}
    return Client.local(TOKEN, definitions={"flags": list(flags)}, enable_polling=False, **options)


def exposures(dev, at_least=1):
    return [
        (event["json"]["properties"]["Experiment name"], event["json"]["properties"]["Variant name"])
        for event in dev.events(at_least=at_least)["events"]
        if event["json"]["event"] == "$experiment_started"
    ]


@pytest.fixture
def our_threads():
    """Names of the library's threads that were started during this test."""
    before = set(threading.enumerate())
    return lambda: [
        thread.name for thread in threading.enumerate() if thread.name.startswith("mpflags") and thread not in before
    ]


@pytest.fixture(params=["local", "remote"])
def client(request, dev):
    """A started client of each kind, with the sample definitions."""
    make = getattr(Client, request.param)
    with make(TOKEN, api_host=dev.url) as made:
        yield made


# -- evaluation


def test_a_variant(client):
    found = client.get_variant("button-color", SelectedVariant("none"), USER)
    assert (found.variant_value, found.variant_key) == ("#6e7781", "control")
    assert found.variant_source == ("local" if client.is_local else "remote")
    assert (found.experiment_id, found.is_experiment_active) == ("dfaddebb-c615-55eb-9a05-5b817e5ace7b", True)
    assert found.fallback_reason is None
    assert client.get_variant_value("ranking-boost", 0.0, USER) == 1.35
    assert client.is_enabled("new-checkout", USER) is True
    # Any value but true is not enabled.
    assert client.is_enabled("search-page-size", USER) is False
    assert client.is_enabled("nope", USER) is False


def test_a_qa_tester(client):
    assert client.get_variant("new-checkout", SelectedVariant(None), {"distinct_id": "qa-1"}).is_qa_tester is True
    assert client.get_variant("new-checkout", SelectedVariant(None), USER).is_qa_tester in (None, False)


def test_a_fallback_says_why(client):
    fallback = SelectedVariant("fallback", "mine")
    found = client.get_variant("nope", fallback, USER)
    assert (found.variant_value, found.variant_key, found.variant_source) == ("fallback", "mine", "fallback")
    assert found.fallback_reason.kind == "FLAG_NOT_FOUND"
    assert fallback.variant_source is None
    without = client.get_variant("new-checkout", fallback, {"custom_properties": {}})
    assert without.fallback_reason.kind == ("MISSING_CONTEXT_KEY" if client.is_local else "BACKEND_ERROR")
    assert client.get_variant("new-checkout", fallback, {"distinct_id": {1}}).fallback_reason.kind == "INVALID_CONTEXT"
    assert client.get_variant("a\0b", fallback, USER).fallback_reason.kind == "FLAG_NOT_FOUND"
    assert client.get_variant(["a"], fallback, USER).fallback_reason.kind == "FLAG_NOT_FOUND"


def test_the_fallbacks_that_only_a_local_client_tells():
    client = offline(
        flag("nobody", ruleset={"variants": [{"key": "on"}], "rollout": []}),
        flag("disabled", status="disabled"),
        flag("broken", ruleset={"variants": [], "rollout": []}),
    )
    kinds = {}
    for key in ("nobody", "disabled", "broken"):
        kinds[key] = client.get_variant(key, SelectedVariant(None), USER).fallback_reason.kind
    assert kinds == {"nobody": "NO_ROLLOUT_MATCH", "disabled": "DISABLED", "broken": "PARSE_ERROR"}
    unstarted = Client.local(TOKEN)
    assert unstarted.get_variant("f", SelectedVariant(None), USER).fallback_reason.kind == "PROVIDER_NOT_READY"
    assert unstarted.are_flags_ready() is False


def test_a_backend_error(dev):
    dev.faults({"path": "/flags", "kind": "status", "status": 503})
    with Client.remote(TOKEN, api_host=dev.url) as client:
        reason = client.get_variant("new-checkout", SelectedVariant(None), USER).fallback_reason
        assert (reason.kind, "HTTP 503" in reason.message) == ("BACKEND_ERROR", True)
        assert client.get_all_variants(USER) is None


def test_a_context_that_is_kept(client):
    kept = Context(USER)
    assert client.get_variant_value("ranking-boost", 0, kept) == 1.35
    assert client.get_all_variants(kept) == client.get_all_variants(USER)


def test_all_variants(client):
    variants = client.get_all_variants(USER)
    assert sorted(variants) == ["banner", "button-color", "new-checkout", "ranking-boost", "search-page-size"]
    for _ in range(2):
        for key, variant in client.get_all_variants(USER).items():
            assert variant == client.get_variant(key, SelectedVariant(None), USER, report_exposure=False)
    # Each caller gets its own objects.
    variants["banner"].variant_value["title"] = "changed"
    assert client.get_all_variants(USER)["banner"].variant_value["title"] == "Autumn sale"


def test_all_variants_with_overrides_and_without_definitions():
    client = offline(flag("f", 1), flag("g", 2), overrides={"g": 3, "h": None})
    variants = client.get_all_variants(USER)
    values = {key: (variant.variant_value, variant.variant_key) for key, variant in variants.items()}
    assert values == {"f": (1, "on"), "g": (3, "override"), "h": (None, "override")}
    assert Client.local(TOKEN).get_all_variants(USER) == {}
    assert offline(flag("f")).get_all_variants({"distinct_id": {1}}) == {}


def test_a_value_is_exact():
    values = [
        2**53 + 1,
        -(2**63),
        2**63 - 1,
        0.1,
        1e300,
        "é\0",
        [1, [2.5, {"a": None}]],
        {"a": {"b": [True]}},
        None,
        False,
    ]
    client = offline(*(flag(str(index), value) for index, value in enumerate(values)))
    for index, value in enumerate(values):
        found = client.get_variant_value(str(index), "fallback", USER)
        assert (found, type(found)) == (value, type(value))


def test_an_explanation(client):
    if client.is_local:
        told = client.explain("button-color", USER)
        assert (told["variant"], told["value"], told["reason"]) == ("control", "#6e7781", "SPLIT")
        assert client.explain("nope", USER)["error_code"] == "FLAG_NOT_FOUND"
    else:
        with pytest.raises(InvalidArgument):
            client.explain("button-color", USER)
    if client.is_local:
        assert client.explain("button-color", {"distinct_id": {1}})["error_code"] == "INVALID_CONTEXT"
    else:
        with pytest.raises(mpflags.InvalidContext, match="distinct_id"):
            client.explain("button-color", {"distinct_id": {1}})


# -- exposures


def test_an_exposure_is_reported_once(dev, client):
    for _ in range(3):
        client.get_variant("button-color", SelectedVariant(None), USER)
        client.get_variant("banner", SelectedVariant(None), USER, report_exposure=False)
        client.get_variant("banner", SelectedVariant(None), USER, reportExposure=False)
        client.get_all_variants(USER)
    assert client.flush() == 0
    assert exposures(dev) == [("button-color", "control")]


def test_is_enabled_of_another_type_is_no_exposure(dev, client):
    for _ in range(2):
        # A string, a number and an object.
        for key in ("button-color", "search-page-size", "banner"):
            assert client.is_enabled(key, USER) is False
            assert asyncio.run(client.ais_enabled(key, USER)) is False
    assert client.flush() == 0
    assert client.statistics()["enqueued"] == 0
    assert client.is_enabled("new-checkout", USER) is True
    assert asyncio.run(client.ais_enabled("new-checkout", USER)) is True
    assert client.flush() == 0
    assert exposures(dev) == [("new-checkout", "On")]


def test_one_user_in_two_companies_is_exposed_twice(dev):
    dev.define({"flags": [flag("by-company", context="company_id")]})
    with Client.local(TOKEN, api_host=dev.url) as client:
        for _ in range(3):
            for company in ("a", "b"):
                context = {"distinct_id": "u1", "company_id": company}
                variant = client.get_variant("by-company", SelectedVariant(None), context)
                client.track_exposure_event("by-company", variant, context)
                client.track_exposure_event("by-company", client.get_all_variants(context)["by-company"], context)
        assert client.flush() == 0
        assert exposures(dev, at_least=2) == [("by-company", "on")] * 2
        assert client.statistics()["enqueued"] == 2


def test_an_exposure_by_hand(dev, client):
    variants = client.get_all_variants(USER)
    client.track_exposure_event("banner", variants["banner"], USER)
    one = client.get_variant("new-checkout", SelectedVariant(None), USER, report_exposure=False)
    client.track_exposure_event("new-checkout", one, USER)
    # Also by a variant that the program made itself.
    client.track_exposure_event("ranking-boost", SelectedVariant(1.0, "control"), {"distinct_id": "user-2"})
    asyncio.run(client.atrack_exposure_event("search-page-size", variants["search-page-size"], USER))
    client.flush()
    found = exposures(dev, at_least=4)
    assert sorted(found) == [
        ("banner", "config"),
        ("new-checkout", "On"),
        ("ranking-boost", "control"),
        ("search-page-size", "large"),
    ]
    modes = {event["json"]["properties"]["Flag evaluation mode"] for event in dev.events()["events"]}
    assert modes == {"local" if client.is_local else "remote"}


def test_an_exposure_is_of_the_context_that_it_is_tracked_with(dev, client):
    anonymous = {"$device_id": "device-1", "distinct_id": "device-1"}
    of_all = client.get_all_variants(anonymous)["banner"]
    one = client.get_variant("ranking-boost", SelectedVariant(None), anonymous, report_exposure=False)
    client.track_exposure_event("banner", of_all, USER)
    client.track_exposure_event("ranking-boost", one, USER)
    client.flush()
    told = [event["json"]["properties"] for event in dev.events(at_least=2)["events"]]
    assert sorted((event["Experiment name"], event["distinct_id"]) for event in told) == [
        ("banner", "user-1"),
        ("ranking-boost", "user-1"),
    ]


def test_an_exposure_by_hand_of_what_was_reported_is_left_out(dev, client):
    variant = client.get_variant("button-color", SelectedVariant(None), USER)
    for _ in range(3):
        client.track_exposure_event("button-color", variant, Context(USER))
    assert client.flush() == 0
    assert exposures(dev) == [("button-color", "control")]


def test_what_is_no_exposure_is_said(client, caplog):
    with caplog.at_level(logging.WARNING, "mpflags"):
        fallback = client.get_variant("nope", SelectedVariant(1, "x"), USER)
        client.track_exposure_event("nope", fallback, USER)
        client.track_exposure_event("nope", SelectedVariant(1), USER)
        client.track_exposure_event("elsewhere", SelectedVariant(1, "on"), {"custom_properties": {}})
    told = [record.getMessage() for record in caplog.records if "was not reported" in record.getMessage()]
    assert len(told) == 3


# -- lifecycle


def test_it_polls_and_sees_a_change(dev, eventually):
    with Client.local(TOKEN, LocalFlagsConfig(dev.url, polling_interval_in_seconds=0.05)) as client:
        seen = []
        client.on_item(seen.append)
        assert client.get_variant_value("f", 0, USER) == 0
        for value in (1, {"a": 1}, "text"):
            dev.define({"flags": [flag("f", value)]})
            eventually(lambda value=value: client.get_variant_value("f", 0, USER) == value)
        eventually(lambda: any(item.kind == "change" and "f" in item.keys for item in seen))


def test_starting_waits_for_the_first_definitions(dev):
    dev.faults({"path": DEFINITIONS, "kind": "delay", "delay_ms": 300})
    client = Client.local(TOKEN, api_host=dev.url)
    assert (client.state, client.are_flags_ready()) == ("NOT_READY", False)
    client.start_polling_for_definitions()
    assert (client.state, client.are_flags_ready()) == ("READY", True)
    client.stop_polling_for_definitions()
    asyncio.run(client.astop_polling_for_definitions())
    assert client.is_enabled("new-checkout", USER)
    client.close()


def test_a_start_that_fails_is_logged_and_polling_goes_on(dev, eventually, caplog):
    dev.fail_fetches("status", status=503)
    client = Client.local(TOKEN, api_host=dev.url, init_timeout_ms=100, **FAST)
    with caplog.at_level(logging.WARNING, "mpflags"):
        client.start_polling_for_definitions()
    assert any("flags have their defaults for now" in record.getMessage() for record in caplog.records)
    assert not client.are_flags_ready()
    with pytest.raises(Timeout, match="HTTP 503"):
        client.wait_ready(0)
    dev.heal()
    eventually(client.are_flags_ready)
    client.close()


def test_refused_credentials(dev):
    dev.fail_fetches("status", status=401)
    with Client.local("wrong", api_host=dev.url) as client:
        with pytest.raises(CredentialsRefused, match="HTTP 401"):
            client.wait_ready()
        reason = client.get_variant("f", SelectedVariant(None), USER).fallback_reason
        assert reason.kind == "PROVIDER_FATAL"


def test_closing_is_idempotent_and_evaluations_go_on(client, our_threads):
    client.get_variant("button-color", SelectedVariant(None), USER)
    before = threading.active_count()
    client.close()
    client.close()
    client.shutdown(timeout=0)
    assert threading.active_count() < before
    found = client.get_variant("button-color", SelectedVariant("none"), USER)
    assert found.variant_source == ("local" if client.is_local else "fallback")
    with pytest.raises(Closed):
        client.track("u", "event")
    with pytest.raises(Closed):
        client.flush()
    assert asyncio.run(client.aget_variant("button-color", SelectedVariant("none"), USER)) == found
    assert not our_threads()
    # It can start again.
    client.start_polling_for_definitions()
    assert client.get_variant_value("button-color", "none", USER) == "#6e7781"


def test_closing_beside_calls_that_run(dev, eventually):
    dev.faults({"path": "/flags", "kind": "delay", "delay_ms": 100})
    remote = Client.remote(TOKEN, api_host=dev.url, shutdown_timeout_ms=200)
    local = offline(flag("f"))
    local.start()
    stop, failed = threading.Event(), []

    def work(call):
        while not stop.is_set():
            try:
                call()
            except Exception as error:
                failed.append(error)
                return

    calls = [
        functools.partial(remote.get_variant, "new-checkout", SelectedVariant(None), USER),
        functools.partial(local.get_variant_value, "f", False, USER),
        functools.partial(local.get_all_variants, USER),
        local.statistics,
    ]
    threads = [threading.Thread(target=work, args=(call,)) for call in calls for _ in range(2)]
    for thread in threads:
        thread.start()
    eventually(lambda: dev.requests()["requests"])
    for _ in range(5):
        local.close()
        remote.close()
        local.start()
    local.close()
    # Dropping the references frees nothing that a call still uses.
    del local, remote, calls
    gc.collect()
    stop.set()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    assert not failed


def test_a_client_that_nobody_holds_ends_by_itself(dev, eventually, our_threads):
    client = Client.local(TOKEN, api_host=dev.url)
    client.start_polling_for_definitions()
    client.get_variant("button-color", SelectedVariant(None), USER)
    gone = weakref.ref(client)
    del client
    gc.collect()
    assert gone() is None
    assert exposures(dev) == [("button-color", "control")]
    eventually(lambda: not our_threads())


def test_letting_go_of_a_client_blocks_nobody(dev, eventually):
    dev.faults({"path": "/track", "kind": "hang"})
    client = Client.local(TOKEN, api_host=dev.url, shutdown_timeout_ms=30_000, request_timeout_in_seconds=300)
    client.start_polling_for_definitions()
    client.get_variant("button-color", SelectedVariant(None), USER)
    began = time.monotonic()
    del client
    gc.collect()
    assert time.monotonic() - began < 10
    # It keeps delivering in the background, as a shutdown does.
    eventually(lambda: dev.requests()["in_flight"])
    dev.heal()
    assert len(mpflags.runtime._unheld) == 1
    for *_, native in list(mpflags.runtime._unheld.values()):
        native.shutdown(0)
    eventually(lambda: not mpflags.runtime._unheld)


def test_without_a_thread_letting_go_of_a_client_is_bounded(dev, monkeypatch):
    dev.faults({"path": "/track", "kind": "hang"})
    client = Client.local(TOKEN, api_host=dev.url, shutdown_timeout_ms=30_000, request_timeout_in_seconds=300)
    client.start_polling_for_definitions()
    client.get_variant("button-color", SelectedVariant(None), USER)

    def refuse(work):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(mpflags.runtime, "in_background", refuse)
    monkeypatch.setattr(mpflags.host, "in_background", refuse)
    began = time.monotonic()
    del client
    gc.collect()
    assert time.monotonic() - began < 10
    assert not mpflags.runtime._unheld


def test_async_context_manager(dev, our_threads):
    async def use(make):
        async with make(TOKEN, api_host=dev.url) as client:
            assert await client.ais_enabled("new-checkout", USER)
            assert await client.aget_variant_value("ranking-boost", 0, USER) == 1.35
            assert (await client.aget_variant("button-color", SelectedVariant(None), USER)).variant_key == "control"
            assert len(await client.aget_all_variants(USER)) == 5

    asyncio.run(use(Client.local))
    asyncio.run(use(Client.remote))
    assert not our_threads()


# -- logging


def test_log_lines_go_to_logging_one_per_problem(dev, caplog, eventually):
    dev.fail_fetches("status", status=503)
    with caplog.at_level(logging.INFO, "mpflags"):
        client = Client.local(TOKEN, api_host=dev.url, init_timeout_ms=50, **FAST)
        client.start()
        dev.await_fetches(5)
        for _ in range(50):
            client.get_variant("f", SelectedVariant(None), USER)
        lines = eventually(lambda: [r for r in caplog.records if "HTTP 503" in r.getMessage()])
        assert len(lines) == 1
        assert (lines[0].name, lines[0].levelname) == ("mpflags", "WARNING")
        dev.heal()
        eventually(client.are_flags_ready)
        # The line that says so comes later, from another thread.
        eventually(lambda: [r for r in caplog.records if r.levelname == "INFO"])
        caplog.clear()
        # Nor a line for each evaluation without a value.
        for _ in range(50):
            client.get_variant("new-checkout", SelectedVariant(None), {"custom_properties": {}})
            client.get_variant("nope", SelectedVariant(None), USER)
        client.close()
    assert len(caplog.records) <= 1


_LOGGING_IS_IMPORTED = """
import pathlib, sys, threading
sys.path.insert(0, sys.argv[1])
pathlib.Path(sys.argv[1], "logging.py").write_text(
    "import __main__; __main__.begun.set(); __main__.asked.wait(10)\\n"
    "class Logger: isEnabledFor = lambda self, level: True\\n"
    "getLogger = lambda name: Logger()\\n"
)
from mpflags.items import logs_debug
begun, asked = threading.Event(), threading.Event()
threading.Thread(target=__import__, args=("logging",)).start()
begun.wait()
threading.Timer(0.2, asked.set).start()
print(logs_debug())
"""


def test_logging_may_be_imported_by_another_thread_meanwhile(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", _LOGGING_IS_IMPORTED, str(tmp_path)],
        env={**os.environ, **SOURCES},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("True\n", "")


def test_debug_lines_for_a_program_that_wants_them(dev, caplog, eventually):
    def lines():
        return [(record.levelname, record.getMessage()) for record in caplog.records if record.name == "mpflags"]

    with caplog.at_level(logging.INFO, "mpflags"), Client.local(TOKEN, api_host=dev.url, **FAST):
        dev.await_fetches(2)
        (line,) = eventually(lines)
        assert (line[0], line[1][:20]) == ("INFO", "definitions: 6 flags")
    caplog.clear()
    # The level of the root counts too.
    with caplog.at_level(logging.DEBUG), Client.local(TOKEN, api_host=dev.url, **FAST):
        eventually(lambda: any(line.startswith("poll: HTTP 304 from ") for level, line in lines() if level == "DEBUG"))
    caplog.clear()
    with caplog.at_level(logging.DEBUG), Client.local(TOKEN, api_host=dev.url, log_level="warning", **FAST):
        dev.await_fetches(2)
        assert lines() == []


def test_a_missing_key_is_named_as_in_mixpanels_package():
    company = flag("a", context="company_id")
    client = Client.local(TOKEN, definitions={"flags": [company]}, enable_polling=False)
    reason = client.get_variant("a", SelectedVariant(None), USER).fallback_reason
    assert reason == mpflags.FallbackReason.missing_context_key("company_id")


def test_a_listener_that_fails_is_logged_and_the_next_is_called(dev, caplog, eventually):
    client = Client.local(TOKEN, api_host=dev.url, **FAST)
    seen = []

    def fail(item):
        raise RuntimeError("listener")

    client.on_item(fail)
    client.on_item(seen.append)
    with caplog.at_level(logging.ERROR, "mpflags"):
        client.start()
        eventually(lambda: seen)
        client.close()
    assert [item.state for item in seen if item.kind == "state"] == ["READY"]
    assert any("a listener failed" in record.getMessage() for record in caplog.records)


# -- overrides, events, profiles


def test_overrides():
    client = offline(flag("f", 1))
    client.set_override("f", {"a": [1, None]})
    client.set_override("g", True)
    assert client.get_variant_value("f", 0, USER) == {"a": [1, None]}
    found = client.get_variant("g", SelectedVariant(None), {})
    assert (found.variant_key, found.variant_source) == ("override", "local")
    client.clear_override("f")
    client.clear_override("f")
    assert client.get_variant_value("f", 0, USER) == 1
    with pytest.raises(InvalidArgument):
        client.set_override("a\0b", 1)
    with pytest.raises(mpflags.InvalidContext, match="value"):
        client.set_override("f", object())


def test_events_and_profiles(dev):
    with Client.local(TOKEN, api_host=dev.url) as client:
        client.track("user-1", "bought", {"price": 9.5, "items": ["a"]})
        client.people_update("user-1", "$set", {"plan": "pro"})
        client.people_update("user-1", "$unset", ["old"])
        with pytest.raises(InvalidArgument, match="event"):
            client.track("user-1", "")
        with pytest.raises(InvalidArgument, match="distinct_id"):
            client.track("", "bought")
        with pytest.raises(InvalidArgument):
            client.people_update("user-1", "$explode", {})
        assert client.flush() == 0
        statistics = client.statistics()
        assert (statistics["enqueued"], statistics["sent"]) == (3, 3)
    events = dev.events(at_least=3)["events"]
    assert sorted(event["endpoint"] for event in events) == ["/engage", "/engage", "/track"]
    (bought,) = [event["json"] for event in events if event["endpoint"] == "/track"]
    assert (bought["properties"]["price"], bought["properties"]["distinct_id"]) == (9.5, "user-1")


def test_an_event_sink(eventually):
    client = offline(flag("f"), event_sink=True, event_flush_interval_ms=10, report_exposures=True)
    events = []
    client.on_item(events.append)
    client.start()
    client.get_variant("f", SelectedVariant(None), USER)
    (event,) = eventually(lambda: [item for item in events if item.kind == "event"])
    assert '"$experiment_started"' in event.message
    client.close()


def test_a_queue_that_is_full(dev):
    dev.faults({"path": "/track", "kind": "hang"})
    client = Client.local(TOKEN, api_host=dev.url, event_queue_capacity=1, shutdown_timeout_ms=50)
    client.start()
    client.track("u", "first")
    with pytest.raises(mpflags.QueueFull):
        client.track("u", "second")
    began = time.monotonic()
    client.close()
    assert time.monotonic() - began < 10


def test_remote_needs_no_start(dev):
    client = Client.remote(TOKEN, RemoteFlagsConfig(dev.url))
    assert client.are_flags_ready()
    assert client.is_enabled("new-checkout", USER)
    client.close()
    assert exposures(dev) == [("new-checkout", "On")]


# -- refusals by the system


@pytest.fixture
def no_thread(monkeypatch):
    """Threads with these names cannot be started."""
    start, refused = threading.Thread.start, set()

    def refuse(thread):
        if thread.name in refused:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    return refused


def test_without_threads_an_evaluation_gives_the_fallback(dev, no_thread):
    client = Client.remote(TOKEN, api_host=dev.url, async_threads=1)
    no_thread.add("mpflags-items")
    found = client.get_variant("button-color", SelectedVariant("mine"), USER)
    assert (found.variant_value, found.fallback_reason.kind) == ("mine", "BACKEND_ERROR")
    assert client.get_all_variants(USER) is None
    no_thread.clear()
    no_thread.add("mpflags-remote")
    for _ in range(2):
        found = asyncio.run(client.aget_variant("button-color", SelectedVariant("mine"), USER))
        assert (found.variant_value, found.fallback_reason.kind) == ("mine", "BACKEND_ERROR")
        assert asyncio.run(client.aget_all_variants(USER)) is None
        assert asyncio.run(client.ais_enabled("new-checkout", USER)) is False
    # The failure leaves nothing behind: the pool starts its thread as soon as it can.
    no_thread.clear()
    assert asyncio.run(client.aget_variant_value("button-color", "mine", USER)) == "#6e7781"
    client.close()


def test_a_local_client_answers_coroutines_at_once(no_thread):
    no_thread.add("mpflags-remote")
    client = offline(flag("f", 1))
    assert asyncio.run(client.aget_variant_value("f", 0, USER)) == 1
    unstarted = asyncio.run(Client.local(TOKEN).aget_variant("f", SelectedVariant(None), USER))
    assert unstarted.fallback_reason.kind == "PROVIDER_NOT_READY"


def test_a_time_without_end(dev):
    with Client.local(TOKEN, api_host=dev.url) as client:
        for timeout in (float("inf"), 1e30, 2**32 / 1000):
            client.wait_ready(timeout)
            client.track("u", "event")
            assert client.flush(timeout) == 0
        client.flush(-1)
        client.shutdown(float("inf"))


def test_a_start_beside_a_shutdown_has_a_thread_of_its_own(dev, eventually, our_threads):
    dev.faults({"path": "/track", "kind": "delay", "delay_ms": 500})
    client = Client.local(TOKEN, api_host=dev.url, **FAST)
    client.start_polling_for_definitions()
    client.track("u", "event")
    ending = threading.Thread(target=client.shutdown)
    ending.start()
    eventually(lambda: client._runtime.ended)
    client.start()
    ending.join(20)
    client.start()
    assert "mpflags-items" in our_threads()
    client.shutdown()
    assert not our_threads()


def test_a_client_shows_mode_host_and_state(dev):
    client = Client.local("the-secret-token", LocalFlagsConfig(dev.url))
    assert repr(client) == f"<mpflags.Client local {dev.url} NOT_READY>"
    with client:
        assert repr(client) == f"<mpflags.Client local {dev.url} READY, 6 flags>"
    assert repr(client) == f"<mpflags.Client local {dev.url} {client.state}, 6 flags>"
    remote = Client.remote("the-secret-token")
    assert repr(remote) == f"<mpflags.Client remote api.mixpanel.com {remote.state}>"
