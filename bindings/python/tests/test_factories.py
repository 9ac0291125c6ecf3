"""The factories start at once, as Mixpanel's do: a program that only changes its imports gets its flags."""

import logging
import os
import subprocess
import sys
import time

import pytest
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEvent
from openfeature.exception import ErrorCode
from openfeature.provider.no_op_provider import NoOpProvider
from run_program import SOURCES
from stand_in import flag

from mpflags import Client, LocalFlagsConfig, RemoteFlagsConfig
from mpflags.openfeature import MixpanelProvider

USER = EvaluationContext(attributes={"distinct_id": "u1"})
RUNS = 100


@pytest.fixture
def domain(request):
    name = request.node.name
    yield name
    api.set_provider(NoOpProvider(), name)


def make(kind, server, **options):
    if kind == "local":
        return MixpanelProvider.from_local_config("token", LocalFlagsConfig(server.url, **options))
    return MixpanelProvider.from_remote_config("token", RemoteFlagsConfig(server.url, **options))


@pytest.mark.parametrize("kind", ["local", "remote"])
def test_an_evaluation_right_after_set_provider(dev, domain, kind):
    dev.define({"flags": [flag("a")]})
    client = api.get_client(domain)
    found = []
    for _ in range(RUNS):
        provider = make(kind, dev, report_exposures=False)
        api.set_provider(provider, domain)
        found.append(client.get_boolean_details("a", False, USER))
        api.set_provider(NoOpProvider(), domain)
    errors = {(details.error_code, details.error_message) for details in found if details.value is not True}
    assert (sum(details.value is True for details in found), errors) == (RUNS, set())


PROGRAM = """
import sys
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from mpflags import LocalFlagsConfig, RemoteFlagsConfig
from mpflags.openfeature import MixpanelProvider
kind, url = sys.argv[1:]
if kind == "local":
    provider = MixpanelProvider.from_local_config("token", LocalFlagsConfig(url))
else:
    provider = MixpanelProvider.from_remote_config("token", RemoteFlagsConfig(url))
api.set_provider(provider)
print(api.get_client().get_boolean_value("a", False, EvaluationContext(attributes={"distinct_id": "u1"})))
api.shutdown()
"""


@pytest.mark.parametrize("kind", ["local", "remote"])
def test_a_fresh_process(dev, kind):
    dev.define({"flags": [flag("a")]})
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, kind, dev.url],
            env={**os.environ, **SOURCES},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.stdout, done.stderr) == ("True\n", "")


@pytest.mark.parametrize("kind", ["local", "remote"])
def test_set_provider_emits_ready_once(dev, domain, eventually, kind):
    came = []
    client = api.get_client(domain)
    handlers = {event: lambda _, event=event: came.append(event.name) for event in ProviderEvent}
    for event, handler in handlers.items():
        client.add_handler(event, handler)
    eventually(lambda: came == ["PROVIDER_READY"])  # of the SDK's own provider
    came.clear()
    provider = make(kind, dev)
    api.set_provider(provider, domain)
    eventually(lambda: came)
    time.sleep(0.3)
    assert came == ["PROVIDER_READY"]
    for event, handler in handlers.items():
        client.remove_handler(event, handler)


@pytest.mark.parametrize("kind", ["local", "remote"])
def test_a_provider_without_the_api(dev, kind):
    dev.define({"flags": [flag("a")]})
    provider = make(kind, dev)
    assert provider.resolve_boolean_details("a", False, USER).value is True
    provider.shutdown()
    assert dev.events(at_least=1)["counts"]["total"] == 1


def test_a_factory_logs_why_there_are_no_definitions_and_polling_continues(dev, caplog, eventually):
    dev.fail_fetches("status", status=503)
    with caplog.at_level(logging.WARNING, "mpflags"):
        provider = make("local", dev, init_timeout_ms=100, retry_base_ms=10, polling_interval_ms=50)
    assert any("503" in record.message for record in caplog.records)
    details = provider.resolve_boolean_details("new-checkout", False, USER)
    assert details.error_code is ErrorCode.PROVIDER_NOT_READY
    dev.heal()
    eventually(lambda: provider.resolve_float_details("ranking-boost", 0.0, USER).value == 1.35)
    provider.shutdown()


def test_a_factory_and_initialize_share_one_deadline(dev, domain, eventually):
    dev.fail_fetches("status", status=503)
    begin = time.monotonic()
    provider = make("local", dev, init_timeout_ms=1000, retry_base_ms=10, polling_interval_ms=50)
    waited = time.monotonic() - begin
    assert waited > 0.9
    with pytest.raises(Exception, match="503") as raised:
        api.set_provider_and_wait(provider, domain)
    assert time.monotonic() - begin < waited + 0.7
    assert raised.value.error_code is ErrorCode.PROVIDER_NOT_READY
    # Its own deadline again, once the provider was shut down.
    provider.shutdown()
    begin = time.monotonic()
    with pytest.raises(Exception, match="503"):
        provider.initialize(EvaluationContext())
    assert time.monotonic() - begin > 0.9
    dev.heal()
    eventually(lambda: provider.client.state == "READY")
    provider.shutdown()


def test_the_constructor_opens_nothing(dev):
    provider = MixpanelProvider(Client.local("token", api_host=dev.url))
    details = provider.resolve_boolean_details("new-checkout", False, USER)
    assert details.error_code is ErrorCode.PROVIDER_NOT_READY
    assert dev.requests()["requests"] == []
    # And waits its full time in `initialize`.
    provider.initialize(EvaluationContext())
    assert provider.client.state == "READY"
    provider.shutdown()
