"""Definitions on demand: `refresh`, and `start_polling_for_definitions` again, as in Mixpanel's client."""

import asyncio
import logging
import signal
import threading
import time

import pytest
from stand_in import DEFINITIONS, flag

from mpflags import BackendError, Client, Closed, CredentialsRefused, InvalidArgument, Timeout

TOKEN = "demo-token"
USER = {"distinct_id": "user-1"}


def once(dev, **options):
    return Client.local(TOKEN, api_host=dev.url, enable_polling=False, **options)


def fetches(dev):
    return sum(request["path"] == DEFINITIONS for request in dev.requests()["requests"])


def test_starting_to_poll_again_fetches_again(dev):
    dev.define({"flags": [flag("f", 1)]})
    client = once(dev)
    client.start_polling_for_definitions()
    assert client.get_variant_value("f", 0, USER) == 1
    dev.define({"flags": [flag("f", 2)]})
    client.start_polling_for_definitions()
    assert client.get_variant_value("f", 0, USER) == 2
    dev.define({"flags": [flag("f", 3)]})
    asyncio.run(client.astart_polling_for_definitions())
    assert client.get_variant_value("f", 0, USER) == 3
    assert fetches(dev) == 3
    client.shutdown()
    # After a shutdown it counts as the first call.
    client.start_polling_for_definitions()
    assert client.get_variant_value("f", 0, USER) == 3
    client.shutdown()


def test_starting_to_poll_again_that_fails_is_logged(dev, caplog):
    client = once(dev, init_timeout_ms=5000)
    client.start_polling_for_definitions()
    dev.fail_fetches("status", status=503)
    with caplog.at_level(logging.WARNING, "mpflags"):
        client.start_polling_for_definitions()
    assert any("not fetched again" in record.getMessage() and "503" in record.getMessage() for record in caplog.records)
    assert client.is_enabled("new-checkout", USER)
    client.shutdown()


def test_a_refresh(dev):
    dev.define({"flags": [flag("f", 1)]})
    client = once(dev)
    client.start_polling_for_definitions()
    for value in (2, 3):
        dev.define({"flags": [flag("f", value)]})
        client.refresh()
        assert client.get_variant_value("f", 0, USER) == value
    dev.define({"flags": [flag("f", 4)]})
    asyncio.run(client.arefresh(20))
    assert client.get_variant_value("f", 0, USER) == 4
    client.shutdown()


def test_a_refresh_that_does_not_wait(dev, eventually):
    dev.define({"flags": [flag("f", 1)]})
    client = once(dev)
    client.start_polling_for_definitions()
    dev.define({"flags": [flag("f", 2)]})
    client.refresh(0)
    eventually(lambda: client.get_variant_value("f", 0, USER) == 2)
    client.shutdown()


def test_threads_that_refresh_at_once_share_fetches(dev):
    client = once(dev)
    client.start_polling_for_definitions()
    dev.faults({"path": DEFINITIONS, "kind": "delay", "delay_ms": 300})
    before = fetches(dev)
    threads = [threading.Thread(target=client.refresh, args=(30,)) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert 1 <= fetches(dev) - before < 10
    client.shutdown()


def test_a_refresh_that_fails_says_why_and_changes_nothing(dev):
    client = once(dev)
    with pytest.raises(InvalidArgument, match="not started"):
        client.refresh()
    client.start_polling_for_definitions()
    for status, error in ((503, BackendError), (401, CredentialsRefused)):
        dev.fail_fetches("status", status=status)
        with pytest.raises(error, match=f"HTTP {status}"):
            client.refresh(20)
    dev.fail_fetches("hang")
    with pytest.raises(Timeout):
        client.refresh(0.2)
    with pytest.raises(Timeout):
        asyncio.run(client.arefresh(0.2))
    assert client.is_enabled("new-checkout", USER)
    client.shutdown(0)
    with pytest.raises(Closed):
        client.refresh()
    with pytest.raises(Closed):
        asyncio.run(client.arefresh())


def test_a_remote_client_has_nothing_to_refresh(dev):
    with Client.remote(TOKEN, api_host=dev.url) as client:
        client.refresh()
        asyncio.run(client.arefresh())
        client.start_polling_for_definitions()
    assert fetches(dev) == 0


def test_ctrl_c_ends_a_refresh(dev, eventually):
    client = once(dev, request_timeout_in_seconds=300)
    client.start_polling_for_definitions()
    dev.fail_fetches("hang")
    main = threading.get_ident()

    def interrupt():
        eventually(lambda: dev.requests()["in_flight"])
        signal.pthread_kill(main, signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    thread = threading.Thread(target=interrupt)
    try:
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):  # noqa: PT012 - the signal comes meanwhile
            thread.start()
            client.refresh()
        assert time.monotonic() - began < 30
    finally:
        signal.signal(signal.SIGINT, before)
        thread.join(30)
        client.shutdown(0)
