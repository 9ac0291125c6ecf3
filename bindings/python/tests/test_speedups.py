"""The accelerator: the same results as without it, for any context, and no crash or leak whatever the context holds."""

from __future__ import annotations

import ctypes
import gc
import json
import math
import os
import random
import re
import subprocess
import sys
import threading
import tracemalloc
import typing

import conftest
import pytest
import run_program
import stand_in
from openfeature.evaluation_context import EvaluationContext
from stand_in import flag

import mpflags
from mpflags import Client, Context, SelectedVariant, _native, abi, context, speedups
from mpflags.openfeature import MixpanelProvider

# How many contexts are compared. `make check-speedups` does more.
CONTEXTS = int(os.environ.get("SPEEDUPS_CONTEXTS", "400"))
EVALUATIONS = int(os.environ.get("LEAKS_EVALUATIONS", "200000")) // 2
accelerated = pytest.mark.skipif(speedups.MODULE is None, reason="MPFLAGS_PURE is set")


def test_it_is_there_unless_it_is_not_wanted() -> None:
    assert (speedups.MODULE is None) is bool(os.environ.get("MPFLAGS_PURE"))


def test_without_it_everything_works() -> None:
    program = (
        "import mpflags, sys\n"
        "client = mpflags.Client.local('t', definitions={'flags': []}, enable_polling=False, overrides={'f': 7})\n"
        "print(client.get_variant_value('f', 0, {'distinct_id': 'u'}), 'mpflags._speedups' in sys.modules)\n"
    )
    for pure, wanted in (("1", "7 False\n"), ("", f"7 {speedups.MODULE is not None}\n")):
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, **run_program.SOURCES, **({"MPFLAGS_PURE": pure} if pure else {})},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert (done.stdout, done.stderr) == (wanted, "")


@accelerated
def test_the_example_of_the_specification() -> None:
    page = (stand_in.ROOT / "docs" / "binary.md").read_text()
    given = re.search(r"^`(\{.*\})` is$", page, re.MULTILINE)
    block = re.search(r"```hex\n(.*?)```", page, re.DOTALL)
    assert given is not None
    assert block is not None
    # What stands before the text of each line, after at least two spaces.
    hexadecimal = "".join(re.split(r"   +(?=\S)", line.strip())[0] for line in block.group(1).splitlines())
    assert encoded(abi.loads(given.group(1))) == bytes.fromhex(hexadecimal)


def encoded(attributes: object) -> bytes | None:
    assert speedups.MODULE is not None
    form: bytes | None = speedups.MODULE.encode(attributes)
    return form


@accelerated
@pytest.mark.parametrize(
    ("attributes", "form"),
    [
        ({}, "01"),
        ({"a": 1}, "01 03 01 61 01000000000000000000"),
        ({"a": -1}, "01 03 01 61 7f7f7f7f7f7f7f7f7f01"),
        ({"a": 2**63}, "01 04 01 61 00000000000000000001"),
        ({"a": 2.0}, "01 03 01 61 02000000000000000000"),
        ({"a": -0.0}, "01 03 01 61 00000000000000000000"),
        ({"a": 2.0**63}, "01 04 01 61 00000000000000000001"),
        ({"a": [2.0]}, "01 07 01 61 0b 05 00000000000000004000"),
        ({"a": True, "b": False, "c": None}, "01 02 01 61 01 01 62 00 01 63"),
        ({"a": ()}, "01 07 01 61 00"),
        ({"a": "x" * 126}, "01 06 01 61 7e" + "78" * 126),
        ({"a": "x" * 127}, "01 06 01 61 7f 7f00000000" + "78" * 127),
        ({"a": {"b": "x" * 122}}, "01 08 01 61 7e 06 01 62 7a" + "78" * 122),
        ({"a": {"b": "x" * 123}}, "01 08 01 61 7f 7f00000000 06 01 62 7b" + "78" * 123),
    ],
)
def test_a_form(attributes: object, form: str) -> None:
    assert encoded(attributes) == bytes.fromhex(form)


class Text(str):
    __slots__ = ()


class Attributes(dict[str, object]):
    pass


CIRCLE: list[object] = []
CIRCLE += [CIRCLE, CIRCLE]


@accelerated
@pytest.mark.parametrize(
    "attributes",
    [
        [],
        Attributes(a=1),
        {1: "a"},
        {Text("a"): 1},
        {"a": Text("a")},
        {"a": {"b": [Attributes()]}},
        {"a": math.nan},
        {"a": [math.inf]},
        {"a": 2**64},
        {"a": -(2**63) - 1},
        {"a": 10**5000},
        {"a": "\ud800"},
        {"\udfff": 1},
        {"a": b"bytes"},
        {"a": {1, 2}},
        {"a": CIRCLE},
        {"a": object()},
    ],
)
def test_what_is_left_to_python(attributes: object) -> None:
    before = sys.getrefcount(attributes)
    assert encoded(attributes) is None
    assert sys.getrefcount(attributes) == before


# -- the same results


def rule(logic: object) -> dict[str, object]:
    variants = [{"key": f"v{number}", "value": number, "split": 0.1} for number in range(10)]
    return {"variants": variants, "rollout": [{"rollout_percentage": 1.0, "runtime_evaluation_rule": logic}]}


def text_of(name: str) -> dict[str, object]:
    """A rule that reads all of a property: its text, in which no two values of JSON are the same unless rules treat them so."""
    return {"!=": [{"cat": [{"var": name}]}, "no such text"]}


def text_is(name: str, text: str) -> dict[str, object]:
    return {"==": [{"cat": [{"var": name}]}, text]}


FLAGS = {
    "flags": [
        flag("by user", ruleset=rule(None)),
        flag("by value", ruleset=rule(None), context="value"),
        flag("by key", ruleset=rule(None), context="targetingKey"),
        flag("reads", ruleset=rule(text_of("value"))),
        flag("reads deep", ruleset=rule(text_of("deep.value"))),
        flag("one", ruleset=rule(text_is("value", "1"))),
        flag("large", ruleset=rule(text_is("value", "9007199254740992"))),
        flag("truth", ruleset=rule({"!!": [{"var": "value"}]})),
        flag("less", ruleset=rule({"<": [{"var": "value"}, 3]})),
        flag("inverse", ruleset=rule({"<": [{"/": [1, {"var": "value"}]}, 0]})),
        flag("disabled", status="archived"),
        flag("object", {"a": [1]}),
    ]
}
KEYS = [*(each["key"] for each in FLAGS["flags"]), "overridden", "no such flag", "nul\0", "\ud800", 3]
NUMBERS = (
    0,
    1,
    -1,
    2**31,
    2**53,
    2**53 + 1,
    2**63 - 1,
    2**63,
    2**64 - 1,
    2**64,
    -(2**63),
    -(2**63) - 1,
    10**30,
    10**400,
)
FLOATS = (
    0.0,
    -0.0,
    1.0,
    1.5,
    0.1 + 0.2,
    1e-7,
    5e-324,
    1e16,
    2.0**53,
    2.0**63,
    2.0**64,
    1e21,
    1.7e308,
    math.nan,
    -math.inf,
)
TEXTS = ("", "a", "1", "täg", "😀", "a\0b", '"\\\n', "x" * 130, "\ud800")


def some_value(chance: random.Random, depth: int) -> object:
    kind = chance.randrange(12)
    if kind < 3:
        return chance.choice(TEXTS[:-1] if chance.random() < 0.95 else TEXTS)
    if kind == 3:
        return chance.choice(NUMBERS)
    if kind == 4:
        return chance.choice(FLOATS)
    if kind == 5:
        return chance.randrange(-1000, 1000)
    if kind == 6:
        return chance.choice((True, False, None))
    if kind == 7 and chance.random() < 0.2:
        return chance.choice((Text("own"), Attributes(a=1.0), {1: 2.0}, {3}, b"b", (1.0, [2.0])))
    if depth > 4:
        return chance.random() * 1000
    if kind < 10:
        return {
            chance.choice(("value", "b", "täg", "k" * 128)): some_value(chance, depth + 1)
            for _ in range(chance.randrange(4))
        }
    made = [some_value(chance, depth + 1) for _ in range(chance.randrange(5))]
    return tuple(made) if kind == 11 else made


def some_attributes(chance: random.Random) -> dict[str, object]:
    value = some_value(chance, 0)
    made = {
        "distinct_id": chance.choice(("u", "user-2", 7, 7.0, "", None))
        if chance.random() < 0.3
        else f"u{chance.random()}",
        "value": value,
        "targetingKey": chance.choice(("t", 5, None)),
        "custom_properties": {"value": value, "deep": {"value": some_value(chance, 2)}},
        "more": some_value(chance, 0),
    }
    return {key: made[key] for key in chance.sample(sorted(made), chance.randrange(len(made) + 1))}


class Ways:
    """One client with the accelerator, one without. `provider` and `client` results have to be equal."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **options: typing.Any) -> None:
        options = {"definitions": FLAGS, "overrides": {"overridden": [1]}, "enable_polling": False, **options}
        self.fast = Client.local("token", report_exposures=False, **options)
        with monkeypatch.context() as without:
            without.setattr(_native, "MODULE", None)
            self.pure = Client.local("token", report_exposures=False, **options)
        self.monkeypatch = monkeypatch
        self.providers = [MixpanelProvider(self.fast), MixpanelProvider(self.pure)]

    def outcomes(
        self, client: Client, provider: MixpanelProvider, attributes: typing.Any, targeting_key: str | None
    ) -> object:
        given = EvaluationContext(targeting_key, attributes)
        resolve = (provider.resolve_integer_details, provider.resolve_string_details, provider.resolve_object_details)
        kept = Context(attributes)
        return [
            [
                *(vars(each(key, default, given)) for each, default in zip(resolve, (0, "", {}), strict=True)),
                client.get_variant(key, SelectedVariant(None), attributes),
                client.get_variant_value(key, None, attributes),
                client.get_variant_value(key, None, kept),
                client.is_enabled(key, attributes),
            ]
            for key in typing.cast("list[str]", KEYS)
        ] + [client.get_all_variants(attributes), client.get_all_variants(kept)]

    def compare(self, attributes: typing.Any, targeting_key: str | None) -> None:
        # Twice, because the first result of an answer is made in another way than the next.
        for _ in range(2):
            fast = self.outcomes(self.fast, self.providers[0], attributes, targeting_key)
            with self.monkeypatch.context() as without:
                for module in ("client", "encoder"):
                    without.setattr(f"mpflags.{module}.encode", context.encode_as_json)
                without.setattr(context, "MODULE", None)
                assert fast == self.outcomes(self.pure, self.providers[1], attributes, targeting_key), attributes


@accelerated
@pytest.mark.parametrize("options", [{}, {"targeting_key_as": "distinct_id", "attributes_as_custom_properties": True}])
def test_contexts_at_random(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, options: dict[str, typing.Any]
) -> None:
    caplog.set_level("CRITICAL", "mpflags")
    ways = Ways(monkeypatch, **options)
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    print(f"seed {seed}")
    encodable = 0
    for _ in range(CONTEXTS // 2):
        attributes = some_attributes(chance)
        encodable += encoded(attributes) is not None
        ways.compare(attributes, chance.choice((None, "", "t", "täg")))
    # The comparison would be empty if the accelerator refused everything.
    assert encodable > CONTEXTS // 5


@accelerated
def test_whole_floats_at_every_depth(monkeypatch: pytest.MonkeyPatch) -> None:
    ways = Ways(monkeypatch)
    for value in FLOATS:
        for made in (value, [value], {"value": value}, [[value], {"value": (value,)}]):
            ways.compare(
                {"distinct_id": "u", "value": made, "custom_properties": {"value": made, "deep": {"value": made}}}, None
            )


# -- no crash


@pytest.fixture
def client() -> Client:
    return Client.local("token", definitions=FLAGS, enable_polling=False, report_exposures=False)


def test_a_context_of_a_hundred_thousand_keys(client: Client) -> None:
    properties: dict[str, object] = {f"key-{number}": number for number in range(100_000)}
    properties["value"] = 1
    for attributes in ({"distinct_id": "u", "custom_properties": properties}, {**properties, "distinct_id": "u"}):
        assert client.get_variant("by user", SelectedVariant(None), attributes).variant_key is not None
    assert client.get_variant(
        "one", SelectedVariant(None), {"distinct_id": "u", "custom_properties": properties}
    ).variant_key


@pytest.mark.parametrize("levels", [60, 64, 65, 66, 120, 124, 125, 126, 127, 128, 200, 5000])
def test_nested_values(client: Client, levels: int) -> None:
    """The limit is the library's, wherever the accelerator stops."""
    value: object = 1
    for _ in range(levels):
        value = [value]
    attributes = {"distinct_id": "u", "custom_properties": {"value": value}}
    assert client.get_variant("by user", SelectedVariant(None), attributes).fallback_reason is None
    reason = client.get_variant("truth", SelectedVariant(None), attributes).fallback_reason
    # The context and its properties are two levels.
    assert (reason is None) is (levels <= 125)


class Hostile:
    """Changes the dict that holds it, wherever it is asked anything."""

    def __init__(self, held_by: dict[typing.Any, typing.Any]) -> None:
        self.held_by = held_by

    def act(self, *_: object) -> typing.Any:
        for number in range(100):
            self.held_by[f"more-{number}"] = number
        self.held_by.clear()
        gc.collect()
        raise RuntimeError("no")

    __str__ = __repr__ = __iter__ = __len__ = __float__ = __index__ = act
    __hash__ = act  # type: ignore[assignment]


def test_values_that_change_what_holds_them(client: Client) -> None:
    for place in ("value", "custom_properties"):
        attributes: dict[typing.Any, typing.Any] = {f"key-{number}": number for number in range(10)}
        attributes[place] = {"value": Hostile(attributes)}
        assert client.get_variant("by value", SelectedVariant("mine"), attributes).variant_value == "mine"
        provider = MixpanelProvider(client)
        attributes = {"distinct_id": "u"}
        attributes[place] = {"value": [Hostile(attributes)]}
        assert provider.resolve_integer_details("truth", 5, EvaluationContext(None, attributes)).value == 5


def test_a_key_that_cannot_be_hashed(client: Client) -> None:
    key: typing.Any = Hostile({})
    assert client.get_variant(key, SelectedVariant("mine"), {"distinct_id": "u"}).variant_value == "mine"
    details = MixpanelProvider(client).resolve_boolean_details(key, True, EvaluationContext())
    assert (details.value, details.error_code is None) == (True, False)


def test_garbage_that_is_collected_during_the_walk(client: Client) -> None:
    """An error of the walk allocates, and so may run finalizers, which change the context."""
    attributes: dict[str, typing.Any] = {}

    class Garbage:
        def __del__(self) -> None:
            attributes.clear()

    for _ in range(200):
        attributes.update({f"key-{number}": "text" for number in range(20)})
        attributes["value"] = "\ud800"
        garbage: list[object] = [Garbage()]
        garbage.append(garbage)
        del garbage
        # A collection at the next allocations.
        gc.set_threshold(1)
        try:
            client.get_variant("by user", SelectedVariant(None), attributes)
        finally:
            gc.set_threshold(700)


def test_threads_that_change_a_context(client: Client) -> None:
    properties: dict[str, object] = {}
    attributes = {"distinct_id": "u", "custom_properties": properties}
    ended = threading.Event()

    def change() -> None:
        while not ended.is_set():
            properties.update({f"key-{number}": ["text", 1.5] for number in range(100)})
            properties.clear()

    thread = threading.Thread(target=change)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread.start()
    try:
        for _ in range(5000):
            # Without the accelerator, `dict changed size during iteration` is an error of the context.
            client.get_variant("by user", SelectedVariant(None), attributes)
    finally:
        ended.set()
        thread.join()
        sys.setswitchinterval(interval)


@accelerated
def test_wrong_arguments_are_errors(client: Client) -> None:
    assert speedups.MODULE is not None
    evaluator = client.evaluate.__self__  # type: ignore[attr-defined]
    for arguments in (
        (),
        ("f", {}, None),
        ("f", {}, None, "0"),
        ("f", {}, None, -1),
        ("f", {}, None, 2**70),
        ("f",) * 5,
    ):
        with pytest.raises((TypeError, OverflowError)):
            evaluator.evaluate(*arguments)
    for arguments in ((), ("f", b"{}", 0), (b"f", {}, 0), (b"f", b"{}", None), (b"f", b"{}", 0, 0)):
        with pytest.raises((TypeError, OverflowError)):
            evaluator.evaluate_packed(*arguments)
    with pytest.raises(TypeError):
        speedups.MODULE.Evaluator(1)
    with pytest.raises(TypeError):
        speedups.MODULE.encode()
    # Unknown options, and no form: the library's failures.
    assert evaluator.evaluate("f", {}, None, 99) == 0
    for encoded in (b"", b"\1\7", b"\2"):
        number = evaluator.evaluate_packed(b"by user", encoded, 0)
        assert number == 0 or client._native.resolve(b"by user", number).error_code == "INVALID_CONTEXT"


def test_a_client_that_was_freed_does_not_evaluate() -> None:
    client = Client.local("token", definitions=FLAGS, enable_polling=False, report_exposures=False)
    client._runtime._finalizer.detach()
    client._native.handle.__del__()
    for given in ({"distinct_id": "u"}, Context({"distinct_id": "u"})):
        reason = client.get_variant("by user", SelectedVariant(None), given).fallback_reason
        assert reason is not None
        assert reason.kind == "BACKEND_ERROR"


def test_the_evaluation_alone_keeps_the_client(eventually: conftest.Eventually) -> None:
    client = Client.local("token", definitions=FLAGS, enable_polling=False, report_exposures=False)
    evaluate, handle = client.evaluate, client._native.handle
    pointer = handle.pointer
    del client, handle
    gc.collect()
    number = evaluate("by user", {"distinct_id": "u"}, None, abi.evaluate_options(abi.ANY))
    assert number & 1
    assert pointer.value is not None
    del evaluate
    assert isinstance(pointer, ctypes.c_void_p)
    # The thread that pulls items references it for a moment.
    eventually(lambda: pointer.value is None)


# -- no leak


@pytest.mark.parametrize("kind", ["attributes", "error", "override", "kept", "left to Python", "key", "object", "all"])
def test_references_and_memory(client: Client, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL", "mpflags")
    client.set_override("overridden", "mine")
    provider = MixpanelProvider(client)
    plain = {"distinct_id": "u", "value": 1.0, "custom_properties": {"value": ["täg", None, 2**64 - 1, 1.5]}}
    attributes: dict[str, typing.Any] = {**plain, "more": {1}} if kind == "left to Python" else plain
    kept = Context(plain)
    given = EvaluationContext("t", attributes)
    calls: dict[str, typing.Callable[[], object]] = {
        "attributes": lambda: provider.resolve_integer_details("by user", 0, given),
        "error": lambda: provider.resolve_integer_details("no such flag", 0, given),
        "override": lambda: client.get_variant_value("overridden", None, attributes),
        "kept": lambda: client.get_variant_value("by user", None, kept),
        "left to Python": lambda: client.get_variant_value("by user", None, attributes),
        "key": lambda: provider.resolve_string_details("by key", "", given),
        "object": lambda: provider.resolve_object_details("object", {}, given),
        "all": lambda: client.get_all_variants(attributes),
    }
    call = calls[kind]
    watched = (attributes, plain["custom_properties"], plain["distinct_id"], "täg", kept, given)
    for _ in range(200):
        call()
    gc.collect()
    before = [sys.getrefcount(each) for each in watched]
    tracemalloc.start()
    try:
        first, _ = tracemalloc.get_traced_memory()
        for _ in range(2000):
            call()
        gc.collect()
        last, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [sys.getrefcount(each) for each in watched] == before
    assert last - first < 20_000


def resident() -> int:
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_evaluations_that_return_a_pointer_free_it(client: Client) -> None:
    """Errors and overrides return an evaluation of the library, which tracemalloc does not see. 60 bytes each would be seen."""
    client.set_override("overridden", "mine" * 20)
    user = {"distinct_id": "u", "custom_properties": {"value": [1, "text"]}}
    grown = []
    for _ in range(3):
        before = resident()
        for _ in range(max(EVALUATIONS // 3, 20_000)):
            assert client.get_variant_value("overridden", None, user) is not None
            assert client.get_variant_value("no such flag", None, user) is None
        grown.append(resident() - before)
    assert min(grown) < 500_000


# In a program of its own: other packages warn about a fork of the test process.
FORK = """
import json, os, sys
from mpflags import Client, Context
user = {"distinct_id": "u", "value": 1}
client = Client.local("token", definitions=json.loads(sys.argv[1]), enable_polling=False, report_exposures=False)
wanted = client.get_variant_value("by user", None, user)
kept = Context(user)
child = os.fork()
same = all(client.get_variant_value("by user", None, given) == wanted for _ in range(3) for given in (user, kept))
if child == 0:
    os._exit(0 if same and wanted is not None else 1)
print(same, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_it_survives_a_fork() -> None:
    done = subprocess.run(
        [sys.executable, *run_program.OF_FORKS, "-c", FORK, json.dumps(FLAGS)],
        env={**os.environ, **run_program.SOURCES},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("True 0\n", "")


def test_the_version_is_the_packages() -> None:
    assert mpflags.__version__ == mpflags.version()
