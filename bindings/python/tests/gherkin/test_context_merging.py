"""OpenFeature's contextMerging.feature. The merged context is the one that a remote provider sends to Mixpanel."""

from __future__ import annotations

import json
import typing

import pytest
from openfeature import api, transaction_context
from openfeature.evaluation_context import EvaluationContext
from openfeature.flag_evaluation import FlagEvaluationOptions
from openfeature.hook import Hook, HookContext
from pytest_bdd import given, parsers, scenarios, then, when
from scenarios import ABSENT, SHARED, check_counts
from stand_in import StandIn

from mpflags import RemoteFlagsConfig
from mpflags.openfeature import MixpanelProvider

if not SHARED.is_dir():
    pytest.skip(ABSENT, allow_module_level=True)
scenarios(str(SHARED / "contextMerging.feature"))


class Before(Hook):
    def __init__(self, context: EvaluationContext) -> None:
        self.context = context

    def before(self, hook_context: HookContext, hints: typing.Any) -> EvaluationContext:
        return self.context


class Levels:
    """The entries of each level's context, and the context that arrives at Mixpanel."""

    def __init__(self, server: StandIn) -> None:
        self.server = server
        self.entries: dict[str, dict[str, str]] = {}
        self.precedence: list[str] = []
        self.merged: dict[str, typing.Any] = {}

    def add(self, level: str, key: str, value: str) -> None:
        self.entries.setdefault(level, {})[key] = value

    def context(self, level: str) -> EvaluationContext:
        return EvaluationContext(attributes=dict(self.entries.get(level, {})))

    def evaluate(self) -> None:
        self.add("API", "distinct_id", "user-1")
        api.set_evaluation_context(self.context("API"))
        api.set_transaction_context_propagator(transaction_context.ContextVarsTransactionContextPropagator())
        api.set_transaction_context(self.context("Transaction"))
        client = api.get_client("merging")
        client.context = self.context("Client")
        hooks = FlagEvaluationOptions(hooks=[Before(self.context("Before Hooks"))])
        self.server.forget()
        client.get_boolean_details("some-flag", False, self.context("Invocation"), hooks)
        [request] = self.server.requests(at_least=1)["requests"]
        self.merged = json.loads(request["query"]["context"])


@pytest.fixture(scope="module")
def server() -> typing.Iterator[StandIn]:
    with StandIn() as server:
        yield server


@pytest.fixture
def levels(server: StandIn) -> typing.Iterator[Levels]:
    yield Levels(server)
    api.clear_providers()
    api.set_evaluation_context(EvaluationContext())
    transaction_context.clear_transaction_context_propagator()


def test_counts(server: StandIn) -> None:
    """Defined below the scenarios, so it runs after them."""
    check_counts("own", "contextMerging.feature")


@given("a stable provider with retrievable context is registered")
def _(levels: Levels) -> None:
    provider = MixpanelProvider.from_remote_config("token", RemoteFlagsConfig(api_host=levels.server.url))
    api.set_provider_and_wait(provider, "merging")


@given(parsers.parse('A context entry with key "{key}" and value "{value}" is added to the "{level}" level'))
def _(levels: Levels, key: str, value: str, level: str) -> None:
    levels.add(level, key, value)


@given("A table with levels of increasing precedence")
def _(levels: Levels, datatable: list[list[str]]) -> None:
    levels.precedence = [level for [level] in datatable]


@given(
    parsers.parse(
        'Context entries for each level from API level down to the "{last}" level, with key "{key}" and value "{value}"'
    )
)
def _(levels: Levels, last: str, key: str, value: str) -> None:
    """Each level gets its own name as the value, so the last one must win."""
    assert value == last
    for level in levels.precedence[: levels.precedence.index(last) + 1]:
        levels.add(level, key, level)


@when("Some flag was evaluated")
def _(levels: Levels) -> None:
    levels.evaluate()


@then(parsers.parse('The merged context contains an entry with key "{key}" and value "{value}"'))
def _(levels: Levels, key: str, value: str) -> None:
    assert levels.merged.get(key) == value, f"the context is {levels.merged}"
