"""Contexts as the library reads them: the same from each encoder, the JSON of each value, errors that name the attribute."""

import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import json
import math
import subprocess
import sys
import types
import uuid

import numpy
import pytest
from stand_in import flag

import mpflags
from mpflags import Client, Context, InvalidArgument, InvalidContext, SelectedVariant, abi, context
from mpflags.speedups import MODULE


class Color(enum.Enum):
    RED = "red"
    NUMBER = 3
    NESTED = ("a", 1.5)


class Text(str, enum.Enum):
    A = "a"


class Number(enum.IntEnum):
    SEVEN = 7


class OwnText(str):
    __slots__ = ()


class OwnInt(int):
    pass


class OwnFloat(float):
    pass


class OwnDict(dict):
    pass


Pair = collections.namedtuple("Pair", ["left", "right"])


@dataclasses.dataclass
class Data:
    a: int


UTC = datetime.timezone.utc
BERLIN = datetime.timezone(datetime.timedelta(hours=2))
ODD = datetime.timezone(datetime.timedelta(hours=1, minutes=2, seconds=3))

# Each value and its JSON.
GOOD = {
    "text": ("a", "a"),
    "empty": ("", ""),
    "unicode": ("Sulisław 😀\u2028", "Sulisław 😀\u2028"),
    "control": ('\0\n\x1f"\\\x7f', '\0\n\x1f"\\\x7f'),
    "true": (True, True),
    "false": (False, False),
    "none": (None, None),
    "int": (42, 42),
    "negative": (-1, -1),
    "i64": (2**63 - 1, 2**63 - 1),
    "u64": (2**64 - 1, 2**64 - 1),
    "beyond u64": (2**64, 2**64),
    "bignum": (10**30, 10**30),
    "as large as a float": (10**307, 10**307),
    "float": (1.5, 1.5),
    "small": (1e-7, 1e-7),
    "tiny": (5e-324, 5e-324),
    "seventeen digits": (0.1 + 0.2, 0.1 + 0.2),
    "whole": (1.0, 1),
    "negative zero": (-0.0, 0),
    "whole and large": (1e16, 10**16),
    "whole and beyond 2^53": (1.2345678901234567e18, 1234567890123456768),
    "list": ([1, "a", None, [True]], [1, "a", None, [True]]),
    "tuple": ((1, (2, 3)), [1, [2, 3]]),
    "named tuple": (Pair(1, "b"), [1, "b"]),
    "deque": (collections.deque([1, 2]), [1, 2]),
    "range": (range(3), [0, 1, 2]),
    "dict": ({"a": {"b": [{}]}}, {"a": {"b": [{}]}}),
    "ordered dict": (collections.OrderedDict(a=1), {"a": 1}),
    "default dict": (collections.defaultdict(list, a=[1]), {"a": [1]}),
    "own dict": (OwnDict(a=1), {"a": 1}),
    "proxy": (types.MappingProxyType({"a": 1}), {"a": 1}),
    "chain map": (collections.ChainMap({"a": 1}, {"b": 2}), {"b": 2, "a": 1}),
    "int keys": ({1: "a", 20: "b"}, {"1": "a", "20": "b"}),
    "float key": ({1.5: "a"}, {"1.5": "a"}),
    "none key": ({None: "a"}, {"null": "a"}),
    "boolean key": ({False: "a"}, {"false": "a"}),
    "enum key": ({Text.A: 1}, {"a": 1}),
    "own text key": ({OwnText("k"): 1}, {"k": 1}),
    "utc": (datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02T03:04:05+00:00"),
    "offset": (datetime.datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=BERLIN), "2026-01-02T03:04:05.000678+02:00"),
    "offset with seconds": (datetime.datetime(2026, 1, 2, 3, tzinfo=ODD), "2026-01-02T01:57:57+00:00"),
    "naive": (datetime.datetime(2026, 1, 2), "2026-01-02T00:00:00+00:00"),
    "date": (datetime.date(2026, 1, 2), "2026-01-02"),
    "decimal": (decimal.Decimal("19.99"), 19.99),
    "whole decimal": (decimal.Decimal("12.00"), 12),
    "large decimal": (decimal.Decimal("1e30"), 10**30),
    "uuid": (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
    "enum": (Color.RED, "red"),
    "enum of a number": (Color.NUMBER, 3),
    "enum of a tuple": (Color.NESTED, ["a", 1.5]),
    "text enum": (Text.A, "a"),
    "int enum": (Number.SEVEN, 7),
    "own text": (OwnText("own"), "own"),
    "own int": (OwnInt(9), 9),
    "own float": (OwnFloat(2.5), 2.5),
    "numpy int": (numpy.int64(5), 5),
    "numpy unsigned": (numpy.uint8(255), 255),
    "numpy float": (numpy.float64(2.5), 2.5),
    "numpy half": (numpy.float16(0.5), 0.5),
    "numpy boolean": (numpy.bool_(True), True),
    "numpy text": (numpy.str_("x"), "x"),
    "numpy time": (numpy.datetime64("2026-01-02T03:04:05", "us"), "2026-01-02T03:04:05+00:00"),
    "null as text": ("null", "null"),
    "looks like a whole float": ("1.0", "1.0"),
}
CIRCLE: list[object] = []
CIRCLE.append(CIRCLE)
DEEP: object = 1
for _ in range(5000):
    DEEP = [DEEP]
# Each value and the part of the message that says why.
BAD = {
    "nan": (math.nan, "not finite"),
    "infinity": (math.inf, "not finite"),
    "minus infinity": (-math.inf, "not finite"),
    "numpy nan": (numpy.float64("nan"), "not finite"),
    "own nan": (OwnFloat("nan"), "not finite"),
    "decimal nan": (decimal.Decimal("NaN"), "not finite"),
    "decimal infinity": (decimal.Decimal("-Infinity"), "not finite"),
    "huge decimal": (decimal.Decimal("1e999999"), "1e400"),
    "set": ({1, 2}, "set"),
    "frozen set": (frozenset([1]), "frozenset"),
    "bytes": (b"a", "bytes"),
    "bytearray": (bytearray(b"a"), "bytearray"),
    "complex": (1j, "complex"),
    "fraction": (fractions.Fraction(1, 3), "Fraction"),
    "object": (object(), "object"),
    "function": (len, "builtin_function_or_method"),
    "time": (datetime.time(1, 2), "time"),
    "time delta": (datetime.timedelta(1), "timedelta"),
    "dataclass": (Data(1), "Data"),
    "numpy array": (numpy.array([1, 2]), "ndarray"),
    "surrogate": ("\ud800", "surrogate"),
    "surrogate key": ({"\ud800": 1}, "surrogate"),
    "tuple key": ({(1, 2): 1}, "key of type tuple"),
    "bytes key": ({b"a": 1}, "key of type bytes"),
    "circle": (CIRCLE, "contains itself"),
    "deep": (DEEP, "127 levels"),
    "int of a million digits": (10**5000, "beyond the range"),
}


FASTEST = context.encode
AS_JSON = context.encode_as_json
EXACTLY = context.encode_exactly
# Both flags read the unusable value.
READERS = {
    "flags": [
        flag("f", context="value"),
        flag(
            "rule",
            ruleset={
                "variants": [{"key": "on", "value": True, "split": 1.0}],
                "rollout": [{"rollout_percentage": 1.0, "runtime_evaluation_rule": {"var": "list"}}],
            },
        ),
    ]
}
BARE = Client.local("t", definitions=READERS, enable_polling=False, report_exposures=False)


def test_a_plain_context_is_in_the_binary_form_if_the_accelerator_is_there():
    assert FASTEST({"a": 1}).startswith(b'{"' if MODULE is None else b"\1")
    assert FASTEST({"a": uuid.UUID(int=5)}) == AS_JSON({"a": uuid.UUID(int=5)})


@pytest.mark.parametrize("name", GOOD)
def test_a_value(name):
    value, wanted = GOOD[name]
    for attributes, want in (
        ({"distinct_id": "u", "value": value}, {"distinct_id": "u", "value": wanted}),
        ({"custom_properties": {"value": [value]}}, {"custom_properties": {"value": [wanted]}}),
    ):
        exact = json.loads(context.encode_exactly(attributes))
        assert exact == want
        assert repr(exact) == repr(want)
        # At the top level every encoder writes a whole float as an integer. Deeper down it makes no difference to rules.
        assert json.loads(AS_JSON(attributes)) == want


@pytest.mark.parametrize("name", BAD)
def test_a_value_that_cannot_be_sent(name):
    value, why = BAD[name]
    for key, attributes, path in (
        ("f", {"distinct_id": "u", "value": value}, "value"),
        (
            "rule",
            {"distinct_id": "u", "custom_properties": {"list": [1, {"value": value}]}},
            "custom_properties.list[1].value",
        ),
    ):
        messages = set()
        for encode in (FASTEST, AS_JSON, EXACTLY):
            try:
                encoded = encode(attributes)
            except InvalidContext as error:
                messages.add(str(error))
            else:
                # Too deep for the library but not for every release of Python: the library refuses it.
                assert name == "deep"
                assert encode is not EXACTLY
                outcome, _ = BARE._native.evaluate(key.encode(), encoded, abi.evaluate_options(0), 0, waits=False)
                assert outcome.error_code == "INVALID_CONTEXT"
        messages.add(BARE.get_variant(key, SelectedVariant(None), attributes).fallback_reason.message)
        assert len(messages) == 1, messages
        (message,) = messages
        assert path in message
        assert why in message


# The binary form of {"shared": {"a": 1}, "again": {"a": 1}}.
FORM = bytes.fromhex(
    "01 08 06 736861726564 0d 03 01 61 01000000000000000000 08 05 616761696e 0d 03 01 61 01000000000000000000"
)


def test_an_error_leaves_the_encoder_as_it_was():
    for encode in (FASTEST, AS_JSON):
        shared = {"a": object()}
        for _ in range(3):
            with pytest.raises(Exception, match=r"shared\.a"):
                encode({"shared": shared})
        shared["a"] = 1
        wanted = b'{"shared":{"a":1},"again":{"a":1}}'
        assert encode({"shared": shared, "again": shared}) == (wanted if encode is AS_JSON or MODULE is None else FORM)


def test_what_is_no_mapping_is_refused():
    for given in (None, 3, "text", [("a", 1)]):
        with pytest.raises(InvalidContext, match="expected a mapping"):
            FASTEST(given)
        with pytest.raises(InvalidContext, match="expected a mapping"):
            AS_JSON(given)


def test_every_encoder_gives_the_same_result():
    """Every value, as a flag's subject and as a property that a rule reads."""
    rule = {"==": [{"cat": [{"var": "value"}]}, {"cat": [{"var": "value"}, ""]}]}
    flags = [
        {
            "key": key,
            "context": bucketed,
            "hash_salt": "s",
            "ruleset": {
                "variants": [{"key": f"v{i}", "value": i, "split": 0.1} for i in range(10)],
                "rollout": [{"rollout_percentage": 1, "runtime_evaluation_rule": rule if key == "rule" else None}],
            },
        }
        for key, bucketed in (("subject", "value"), ("rule", "distinct_id"))
    ]
    client = Client.local("token", definitions={"flags": flags}, enable_polling=False, report_exposures=False)
    for name, (value, _) in GOOD.items():
        attributes = {"distinct_id": "u", "value": value, "custom_properties": {"value": value}}
        answers = set()
        for encoded in (FASTEST(attributes), AS_JSON(attributes), EXACTLY(attributes)):
            for key in (b"subject", b"rule"):
                outcome, _ = client._native.evaluate(key, encoded, mpflags.abi.evaluate_options(0), 0, waits=False)
                answers.add((key, outcome.error_code, outcome.variant))
        assert len(answers) == 2, (name, answers)


def test_a_flag_key(monkeypatch):
    assert context.flag_key("täg") == "täg".encode()
    assert context.known_key("täg") == "täg".encode()
    for key in ("a\0", "\ud800", 3, None, b"a", ["a"]):
        with pytest.raises(InvalidArgument, match="the flag key"):
            context.flag_key(key)
    monkeypatch.setattr(context, "_MAX_KEYS", 10)
    for number in range(50):
        context.flag_key(f"many-{number}")
    assert len(context._keys) <= 10


def test_a_context_that_is_kept():
    attributes = {"distinct_id": "u", "custom_properties": {"when": datetime.date(2026, 1, 2)}}
    kept = Context(attributes)
    attributes["distinct_id"] = "other"
    assert kept.encoded == b'{"distinct_id":"u","custom_properties":{"when":"2026-01-02"}}'
    assert kept.form == (None if MODULE is None else FASTEST(json.loads(kept.encoded)))
    assert repr(kept) == "Context({'distinct_id': 'u', 'custom_properties': {'when': '2026-01-02'}})"
    spoiled = Context({"distinct_id": {1}, "list": [1, {2}], "plan": "pro"})
    assert [str(each) for each in spoiled.unusable] == [
        "attribute 'distinct_id': a value of type set cannot be written as JSON",
        "attribute 'list[1]': a value of type set cannot be written as JSON",
    ]
    assert spoiled.attributes == {"list": [1, None], "plan": "pro"}
    with pytest.raises(InvalidContext, match="expected a mapping"):
        Context(None)


def test_neither_numpy_nor_datetime_is_imported_for_it():
    program = (
        "import sys, mpflags\n"
        "client = mpflags.Client.local('t', definitions={'flags': []}, enable_polling=False)\n"
        "client.is_enabled('f', {'distinct_id': 'u'})\n"
        "print([name for name in ('numpy', 'decimal', 'datetime', 'logging', 'asyncio', 'openfeature') if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path), "MPFLAGS_LIBRARY": mpflags._native.LIB.path},
    )
    assert done.stdout.strip() in ("[]", "['datetime']"), done.stdout
