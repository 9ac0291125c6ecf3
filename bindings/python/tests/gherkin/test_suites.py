"""OpenFeature's evaluation.feature, evaluation_v2.feature, hooks.feature and metadata.feature, and their steps.

They run twice: once for each way to pass the user and the properties.
"""

from __future__ import annotations

import copy
import pathlib
import subprocess
import sys
import typing

import pytest
from openfeature import api
from openfeature.flag_evaluation import FlagEvaluationOptions
from pytest_bdd import given, parsers, scenarios, then, when
from scenarios import ABSENT, SHARED, SUITES, check_counts
from stand_in import ROOT, StandIn
from suite import CUSTOM_PROPERTIES, OPTIONS, Recorder, Suite, text_of, value_of

if not SHARED.is_dir():
    pytest.skip(ABSENT, allow_module_level=True)
scenarios(*(str(SHARED / name) for name in SUITES))

step = parsers.re
Table = list[list[str]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> typing.Iterator[StandIn]:
    definitions: pathlib.Path = tmp_path_factory.mktemp("openfeature") / "definitions.json"
    subprocess.run([sys.executable, ROOT / "conformance" / "openfeature" / "definitions.py", definitions], check=True)
    with StandIn(None, "--definitions", str(definitions)) as server:
        yield server


@pytest.fixture(autouse=True, params=[CUSTOM_PROPERTIES, OPTIONS])
def suite(request: pytest.FixtureRequest, server: StandIn) -> typing.Iterator[Suite]:
    suite = Suite(server, request.param)
    yield suite
    suite.close()
    api.clear_providers()


def test_counts(suite: Suite) -> None:
    """Defined below the scenarios, so it runs after them."""
    check_counts(suite.contexts, *SUITES)


# Providers


@given("a stable provider")
def _(suite: Suite) -> None:
    suite.stable()


@given("a not ready provider")
def _(suite: Suite) -> None:
    suite.not_ready()


@given("a error provider")
def _(suite: Suite) -> None:
    suite.failed(500)


@given("a fatal provider")
def _(suite: Suite) -> None:
    suite.failed(401)


@given("a stale provider")
def _(suite: Suite) -> None:
    suite.stale()


@then(step('the provider status should be "(?P<status>.*)"'))
def _(suite: Suite, status: str) -> None:
    assert suite.status() == status, f"the status is {suite.status()}"


# evaluation_v2.feature, hooks.feature, metadata.feature: flag and context


@given(step('an? (?P<kind>\\w+)-flag with key "(?P<key>.*)" and a fallback value "(?P<default>.*)"'))
def _(suite: Suite, kind: str, key: str, default: str) -> None:
    suite.flag = (kind, key, value_of(kind, default))


@given(step('a context containing a key "(?P<key>.*)", with type "(?P<kind>.*)" and with value "(?P<value>.*)"'))
def _(suite: Suite, key: str, kind: str, value: str) -> None:
    suite.attributes[key] = value_of(kind, value)


@given(step('a context containing a key "(?P<key>.*)" with null value'))
def _(suite: Suite, key: str) -> None:
    suite.attributes[key] = None


@given("an evaluation context with modifiable data")
def _(suite: Suite) -> None:
    suite.attributes = {"list": [1, {"deep": [True]}], "map": {"text": "x"}, "number": 1.0}
    suite.given_context = suite.context()
    suite.kept = copy.deepcopy(suite.given_context)  # type: ignore[attr-defined]


@given("evaluation options containing specific hooks")
def _(suite: Suite) -> None:
    first, second = Recorder("first", suite.hooks), Recorder("second", suite.hooks)
    suite.hook_options = FlagEvaluationOptions(hooks=[first, second])


@given("a client with added hook")
def _(suite: Suite) -> None:
    suite.client.add_hooks([Recorder("client", suite.hooks)])


# Evaluation


@when("the flag was evaluated with details")
def _(suite: Suite) -> None:
    suite.evaluate()


@when("the flag was evaluated with details using the evaluation options")
def _(suite: Suite) -> None:
    suite.evaluate(suite.hook_options)


@when("the flag was evaluated with details asynchronously")
def _(suite: Suite) -> None:
    suite.evaluate_in_loop()


@then("the evaluation should complete without blocking")
def _(suite: Suite) -> None:
    assert suite.ticks >= 2, f"the coroutine beside it had {suite.ticks} turns"


# Results


@then(step('the resolved details value should be "(?P<value>.*)"'))
def _(suite: Suite, value: str) -> None:
    suite.wants_value(suite.flag[0], value)


@then(step('the reason should be "(?P<reason>.*)"'))
def _(suite: Suite, reason: str) -> None:
    assert suite.got().reason == reason, f"the reason is {suite.got().reason}"


@then(step('the error-code should be "(?P<code>.*)"'))
def _(suite: Suite, code: str) -> None:
    given = suite.got().error_code
    assert given, "there is no error code"
    assert given.value == code


@then(step('the variant should be "(?P<variant>[^"]*)"'))
def _(suite: Suite, variant: str) -> None:
    assert suite.got().variant == variant, f"the variant is {suite.got().variant}"


@then(step('the flag key should be "(?P<key>.*)"'))
def _(suite: Suite, key: str) -> None:
    assert suite.got().flag_key == key


@then("the resolved metadata should contain")
def _(suite: Suite, datatable: Table) -> None:
    header, *lines = datatable
    assert header == ["key", "metadata_type", "value"]
    metadata = suite.got().flag_metadata
    for key, kind, value in lines:
        assert metadata.get(key) == value_of(kind, value), f"the metadata are {dict(metadata)}"


@then("the resolved metadata is empty")
def _(suite: Suite) -> None:
    """Apart from what every evaluation has, and OpenFeature's appendix D defines."""
    metadata = {
        name: value for name, value in suite.got().flag_metadata.items() if name not in ("contextId", "flagSetId")
    }
    assert not metadata, f"the metadata are {metadata}"


@then("the original evaluation context should remain unmodified")
def _(suite: Suite) -> None:
    assert suite.given_context == suite.kept  # type: ignore[attr-defined]


@then("the evaluation details should be immutable")
def _(suite: Suite) -> None:
    """Details are a mutable dataclass of the SDK. Changing them must not affect later evaluations."""
    details = suite.got()
    before = copy.deepcopy((details.value, details.variant, dict(details.flag_metadata)))
    try:
        typing.cast("dict[str, typing.Any]", details.flag_metadata)["planted"] = True
    except TypeError:
        pass
    details.value, details.variant = "planted", "planted"
    suite.evaluate()
    after = suite.got()
    assert (after.value, after.variant, dict(after.flag_metadata)) == before
    boxes = [suite.asked("Object", "object-flag", {}) for _ in range(2)]
    boxes[0].value["planted"] = True
    assert "planted" not in boxes[1].value
    assert "planted" not in suite.asked("Object", "object-flag", {}).value


# Hooks


@then("the specified hooks should execute during evaluation")
def _(suite: Suite) -> None:
    assert {name for name, _, _ in suite.hooks} == {"first", "second"}


@then("the hook order should be maintained")
def _(suite: Suite) -> None:
    assert [(name, stage) for name, stage, _ in suite.hooks] == [
        ("first", "before"), ("second", "before"), ("second", "after"), ("first", "after"),
        ("second", "finally"), ("first", "finally"),
    ]  # fmt: skip


@then(step('the "(?P<stage>\\w+)" hook should have been executed'))
def _(suite: Suite, stage: str) -> None:
    assert [ran for _, ran, _ in suite.hooks].count(stage) == 1


@then(step('the "(?P<stages>.*)" hooks? should be called with evaluation details'))
def _(suite: Suite, stages: str, datatable: Table) -> None:
    header, *lines = datatable
    assert header == ["data_type", "key", "value"]
    for stage in stages.split(", "):
        [details] = [details for _, ran, details in suite.hooks if ran == stage]
        for kind, key, text in lines:
            value = getattr(details, key)
            value = getattr(value, "value", value)
            assert value == value_of(kind, text), f"{stage}: {key} is {value!r}"


# evaluation.feature


@when(step('an? (?P<kind>\\w+) flag with key "(?P<key>.*)" is evaluated with default value "?(?P<default>[^"]*)"?'))
@when(
    step(
        'an? (?P<kind>\\w+) flag with key "(?P<key>.*)" is evaluated with details and default value "?(?P<default>[^"]*)"?'
    )
)
def _(suite: Suite, kind: str, key: str, default: str) -> None:
    suite.flag = (kind, key, value_of(kind, default))
    suite.evaluate()


@when(step('an object flag with key "(?P<key>.*)" is evaluated with(?: details and)? a null default value'))
def _(suite: Suite, key: str) -> None:
    suite.flag = ("object", key, None)
    suite.evaluate()


@then(step('the resolved (?P<kind>boolean|string|integer|float) value should be "?(?P<value>[^"]*)"?'))
def _(suite: Suite, kind: str, value: str) -> None:
    suite.wants_value(kind, value)


@then(
    step(
        'the resolved (?P<kind>boolean|string|integer|float) details value should be "?(?P<value>[^"]*)"?, '
        'the variant should be "(?P<variant>.*)", and the reason should be "(?P<reason>.*)"'
    )
)
def _(suite: Suite, kind: str, value: str, variant: str, reason: str) -> None:
    suite.wants_value(kind, value)
    assert (suite.got().variant, suite.got().reason) == (variant, reason)


@then(
    step(
        'the resolved object (?:details )?value should be contain fields "(?P<a>.*)", "(?P<b>.*)", and "(?P<c>.*)", '
        'with values "(?P<boolean>.*)", "(?P<text>.*)" and (?P<number>\\d+), respectively'
    )
)
def _(suite: Suite, a: str, b: str, c: str, boolean: str, text: str, number: str) -> None:
    assert suite.got().value == {a: value_of("boolean", boolean), b: text, c: int(number)}


@then(step('the variant should be "(?P<variant>.*)", and the reason should be "(?P<reason>.*)"'))
def _(suite: Suite, variant: str, reason: str) -> None:
    assert (suite.got().variant, suite.got().reason) == (variant, reason)


@when(
    step(
        'context contains keys "(?P<a>.*)", "(?P<b>.*)", "(?P<c>.*)", "(?P<d>.*)" '
        'with values "(?P<e>.*)", "(?P<f>.*)", (?P<g>\\d+), "(?P<h>.*)"'
    )
)
def _(suite: Suite, a: str, b: str, c: str, d: str, e: str, f: str, g: str, h: str) -> None:
    suite.attributes = {a: e, b: f, c: int(g), d: value_of("boolean", h)}


@when(step('a flag with key "(?P<key>.*)" is evaluated with default value "(?P<default>.*)"'))
def _(suite: Suite, key: str, default: str) -> None:
    suite.flag = ("string", key, default)
    suite.evaluate()


@then(step('the resolved string response should be "(?P<value>.*)"'))
def _(suite: Suite, value: str) -> None:
    suite.wants_value("string", value)


@then(step('the resolved flag value is "(?P<value>.*)" when the context is empty'))
def _(suite: Suite, value: str) -> None:
    suite.attributes = {}
    suite.evaluate()
    suite.wants_value("string", value)


@when(
    step(
        'a non-existent string flag with key "(?P<key>.*)" is evaluated with details and a fallback value "(?P<default>.*)"'
    )
)
def _(suite: Suite, key: str, default: str) -> None:
    suite.flag = ("string", key, text_of(default))
    suite.evaluate()


@when(
    step(
        'a string flag with key "(?P<key>.*)" is evaluated as an integer, with details and a fallback value (?P<default>\\d+)'
    )
)
def _(suite: Suite, key: str, default: str) -> None:
    suite.flag = ("integer", key, int(default))
    suite.evaluate()


@then(step("the default (?:string|integer) value should be returned"))
def _(suite: Suite) -> None:
    assert suite.got().value == suite.flag[2]


@then(step('the reason should indicate an error and the error code should indicate .* with "(?P<code>.*)"'))
def _(suite: Suite, code: str) -> None:
    given = suite.got().error_code
    assert suite.got().reason == "ERROR"
    assert given, "there is no error code"
    assert given.value == code
