"""Shared by the steps of OpenFeature's suites: a provider, a client, the context and the last evaluation."""

from __future__ import annotations

import asyncio
import copy
import json
import time
import typing

from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.flag_evaluation import FlagEvaluationDetails, FlagEvaluationOptions
from openfeature.hook import Hook, HookContext
from stand_in import StandIn

from mpflags import Client, LocalFlagsConfig
from mpflags.openfeature import MixpanelProvider

DOMAIN = "suites"
PATIENCE = 20.0

#: The two ways to pass the user and the properties (conformance/openfeature/README.md, Contexts).
CUSTOM_PROPERTIES = "custom_properties"
OPTIONS = "options"


def text_of(quoted: str) -> str:
    """The text of a cell. Within quotes, the features escape a quote with a backslash."""
    return quoted.replace('\\"', '"')


def value_of(kind: str, text: str) -> typing.Any:
    kind = kind.lower()
    if text == "null":
        return None
    if kind == "boolean":
        return {"true": True, "false": False}[text]
    if kind == "integer":
        return int(text)
    if kind == "float":
        return float(text)
    return json.loads(text_of(text)) if kind == "object" else text_of(text)


class Recorder(Hook):
    """A hook that records each stage."""

    def __init__(self, name: str, log: list[tuple[str, str, typing.Any]]) -> None:
        self.name = name
        self.log = log

    def before(self, hook_context: HookContext, hints: typing.Any) -> None:
        self.log.append((self.name, "before", None))

    def after(self, hook_context: HookContext, details: typing.Any, hints: typing.Any) -> None:
        self.log.append((self.name, "after", details))

    def error(self, hook_context: HookContext, exception: Exception, hints: typing.Any) -> None:
        self.log.append((self.name, "error", exception))

    def finally_after(self, hook_context: HookContext, details: typing.Any, hints: typing.Any) -> None:
        self.log.append((self.name, "finally", details))


class Suite:
    def __init__(self, server: StandIn, contexts: str) -> None:
        self.server = server
        self.contexts = contexts
        self.provider: MixpanelProvider | None = None
        self.failure: Exception | None = None
        self.attributes: dict[str, typing.Any] = {}
        self.given_context: EvaluationContext | None = None
        self.flag: tuple[str, str, typing.Any] = ("", "", None)
        self.hooks: list[tuple[str, str, typing.Any]] = []
        self.hook_options: FlagEvaluationOptions | None = None
        self.details: FlagEvaluationDetails[typing.Any] | None = None
        self.ticks = 0
        if contexts == OPTIONS:
            api.set_evaluation_context(EvaluationContext("suite-user"))
        else:
            api.set_evaluation_context(EvaluationContext(attributes={"distinct_id": "suite-user"}))
        self.client: OpenFeatureClient = api.get_client(DOMAIN)

    # Providers

    def make(self, **options: typing.Any) -> MixpanelProvider:
        return MixpanelProvider.from_local_config("token", self.config(**options))

    def config(self, **options: typing.Any) -> LocalFlagsConfig:
        if self.contexts == OPTIONS:
            options |= {"targeting_key_as": "distinct_id", "attributes_as_custom_properties": True}
        return LocalFlagsConfig(api_host=self.server.url, **options)

    def provide(self, provider: MixpanelProvider, wait: bool = True) -> None:
        self.provider = provider
        self.failure = None
        try:
            (api.set_provider_and_wait if wait else api.set_provider)(provider, DOMAIN)
        except Exception as error:
            self.failure = error

    def stable(self) -> None:
        self.server.heal()
        self.provide(self.make())
        assert self.failure is None, self.failure

    def not_ready(self) -> None:
        self.server.fail_fetches("hang")
        self.provide(MixpanelProvider(Client.local("token", self.config())), wait=False)

    def failed(self, status: int) -> None:
        self.server.fail_fetches("status", status=status)
        self.provide(self.make(init_timeout_ms=200))
        assert self.failure is not None

    def stale(self) -> None:
        self.server.heal()
        self.provide(self.make(polling_interval_ms=50, retry_base_ms=10))
        assert self.failure is None, self.failure
        self.server.fail_fetches("status", status=500)
        end = time.monotonic() + PATIENCE
        while self.status() == "READY":
            assert time.monotonic() < end, "the provider did not become stale"
            time.sleep(0.005)

    def status(self) -> str:
        return self.client.get_provider_status().value

    def close(self) -> None:
        self.server.heal()
        if self.provider:
            self.provider.shutdown()
        api.set_evaluation_context(EvaluationContext())

    # Evaluations

    def context(self) -> EvaluationContext:
        if self.given_context is not None:
            return self.given_context
        attributes = copy.deepcopy(self.attributes)
        if attributes and self.contexts == CUSTOM_PROPERTIES:
            attributes = {"custom_properties": attributes}
        return EvaluationContext(attributes=attributes)

    def evaluate(self, options: FlagEvaluationOptions | None = None) -> None:
        self.details = self.asked(*self.flag, options)

    def asked(
        self, kind: str, key: str, default: typing.Any, options: FlagEvaluationOptions | None = None
    ) -> FlagEvaluationDetails[typing.Any]:
        ask = getattr(self.client, f"get_{kind.lower()}_details")
        return typing.cast("FlagEvaluationDetails[typing.Any]", ask(key, default, self.context(), options))

    def evaluate_in_loop(self) -> None:
        """Evaluates in a running event loop, beside another coroutine."""
        kind, key, default = self.flag

        async def tick() -> None:
            while True:
                self.ticks += 1
                await asyncio.sleep(0)

        async def ask() -> FlagEvaluationDetails[typing.Any]:
            beside = asyncio.create_task(tick())
            await asyncio.sleep(0)
            ask = getattr(self.client, f"get_{kind.lower()}_details_async")
            details = await asyncio.wait_for(ask(key, default, self.context()), PATIENCE)
            await asyncio.sleep(0)
            beside.cancel()
            return typing.cast("FlagEvaluationDetails[typing.Any]", details)

        self.details = asyncio.run(ask())

    def got(self) -> FlagEvaluationDetails[typing.Any]:
        assert self.details is not None, "nothing was evaluated"
        return self.details

    def wants_value(self, kind: str, text: str) -> None:
        wanted, value = value_of(kind, text), self.got().value
        assert (type(value), value) == (type(wanted), wanted), f"the value is {value!r}"
