"""A provider under a domain of the SDK, a server as Mixpanel, and every event that handlers of the client receive."""

from __future__ import annotations

import concurrent.futures
import threading
import time
import typing

import threads_left
from openfeature import _event_support, api
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import EventDetails, ProviderEvent
from openfeature.provider.no_op_provider import NoOpProvider
from stand_in import StandIn, flag

from mpflags import LocalFlagsConfig
from mpflags.openfeature import MixpanelProvider

NAMES = {
    ProviderEvent.PROVIDER_READY: "READY",
    ProviderEvent.PROVIDER_ERROR: "ERROR",
    ProviderEvent.PROVIDER_STALE: "STALE",
    ProviderEvent.PROVIDER_CONFIGURATION_CHANGED: "CONFIGURATION_CHANGED",
}
USER = EvaluationContext(attributes={"distinct_id": "user-1"})
OPTIONS = {"polling_interval_ms": 50, "retry_base_ms": 10, "init_timeout_ms": 200}
PATIENCE = 20.0


def order_handlers() -> None:
    """Gives the SDK's pool for handlers a single thread: with several, handlers run in no fixed order."""
    pool = _event_support._event_executor
    if pool._max_workers != 1:
        _event_support._event_executor = concurrent.futures.ThreadPoolExecutor(1, "openfeature-event-handler")
        _event_support._event_executor.submit(int).result()
        pool.shutdown()


class Lifecycle:
    def __init__(self, domain: str, server: StandIn) -> None:
        order_handlers()
        self.server = server
        self.domain = domain
        self.client = api.get_client(domain)
        self.provider: MixpanelProvider | None = None
        self.failure: Exception | None = None
        self.events: list[tuple[str, EventDetails]] = []
        self.changed = threading.Condition()
        for event, name in NAMES.items():
            self.client.add_handler(event, self.handler(name))

    def handler(self, name: str) -> typing.Callable[[EventDetails], None]:
        def handle(details: EventDetails) -> None:
            # A new handler is called at once for the state of its domain: READY, by the SDK's own provider.
            if details.provider_name == "mixpanel-provider":
                with self.changed:
                    self.events.append((name, details))
                    self.changed.notify_all()

        return handle

    def begin(self) -> None:
        self.server.define({"flags": [flag("boolean-flag"), flag("other-flag")]})
        self.server.heal()
        self.flush()
        self.events.clear()
        self.failure = None

    def flush(self) -> None:
        """Waits for the handlers of every event so far."""
        _event_support._event_executor.submit(int).result()

    def set_provider(self, provider: MixpanelProvider | None = None) -> None:
        if provider is None:
            config = LocalFlagsConfig(api_host=self.server.url, **OPTIONS)
            provider = MixpanelProvider.from_local_config("token", config)
        self.provider = provider
        try:
            api.set_provider_and_wait(self.provider, self.domain)
        except Exception as error:
            self.failure = error

    def unset_provider(self) -> None:
        """Sets another provider, and waits until the SDK has shut this one down, which it does on a thread."""
        assert self.provider is not None
        api.set_provider_and_wait(NoOpProvider(), self.domain)
        end = time.monotonic() + PATIENCE
        while hasattr(self.provider, "_on_emit"):
            assert time.monotonic() < end, "the SDK did not let go of the provider"
            time.sleep(0.002)

    def expect(self, *names: str) -> None:
        """Waits for this many events, and checks that they are these, in this order."""
        with self.changed:
            self.changed.wait_for(lambda: len(self.events) >= len(names), PATIENCE)
        self.only(*names)

    def only(self, *names: str) -> None:
        with self.changed:
            came = [name for name, _ in self.events]
        assert came == list(names), f"{', '.join(came)} came, {', '.join(names)} was expected"

    def no_other(self) -> list[str]:
        with self.changed:
            names = [name for name, _ in self.events]
        self.server.await_fetches(3)
        self.flush()
        self.only(*names)
        return names

    def status(self, wanted: str) -> None:
        status = self.client.get_provider_status().value
        assert status == wanted, f"the status is {status}"

    def gives_variant(self, value: bool = True) -> None:
        details = self.client.get_boolean_details("boolean-flag", not value, USER)
        assert (details.value, details.variant, details.error_code) == (value, "on", None), details

    def gives_default(self, code: str) -> None:
        details = self.client.get_boolean_details("boolean-flag", False, USER)
        assert (details.value, details.variant) == (False, None), details
        assert details.error_code, details
        assert details.error_code.value == code, details

    def awaits_value(self, value: bool) -> None:
        end = time.monotonic() + PATIENCE
        while self.client.get_boolean_value("boolean-flag", not value, USER) != value:
            assert time.monotonic() < end, f"boolean-flag did not become {value}"
            time.sleep(0.005)

    def shut_down(self) -> None:
        assert self.provider is not None
        self.provider.shutdown()
        self.flush()

    def no_thread(self, before: dict[str, str]) -> None:
        left = threads_left.left(before)
        assert not left, f"threads are left: {left}"
