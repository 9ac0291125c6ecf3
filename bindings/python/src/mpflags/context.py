"""Contexts and values as JSON: with orjson where it is installed, with the standard library otherwise, to the same end.

Encoding is what an evaluation costs in Python, so there are two ways. `encode` takes the fast one: it hands the attributes
to a prepared encoder. Whatever that cannot take goes to `_plain`, which walks the attributes, converts what it knows, and
names the key of what it does not.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence

from .abi import loads
from .errors import InvalidArgument, InvalidContext

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    Attributes: TypeAlias = Mapping[str, Any]

# The library refuses more; Python's own limit is higher, and a context that contains itself would reach it.
_DEEPEST = 127
# What is larger is no number to the library, and only costs.
_MOST_BITS = 1023
_MOST_DIGITS = 400


def _loaded(module: str, name: str) -> Any:
    """A class of a module that need not be imported: where nobody has, no value is of that class. `()` is no class."""
    return getattr(sys.modules.get(module), name, ())


def _convert(value: Any) -> Any:
    """What JSON has for a value that an encoder does not know. Raises TypeError for what nothing is known about."""
    if isinstance(value, _loaded("enum", "Enum")):
        return value.value
    # Subclasses, which one encoder takes and the other does not.
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, _loaded("datetime", "datetime")):
        return _rfc3339(value)
    if isinstance(value, _loaded("datetime", "date")):
        return value.isoformat()
    if isinstance(value, _loaded("decimal", "Decimal")):
        return _number(value)
    if isinstance(value, _loaded("uuid", "UUID")):
        return str(value)
    # `item` of a scalar gives Python's own; an array is none.
    if isinstance(value, _loaded("numpy", "generic")) and value.item().__class__ is not value.__class__:
        return value.item()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray, memoryview)):
        return list(value)
    raise TypeError(f"a value of type {type(value).__name__} is no JSON")


def _rfc3339(moment: Any) -> str:
    """A date and time as RFC 3339. Without a time zone it is UTC, as in Mixpanel's events."""
    offset = moment.utcoffset()
    utc = sys.modules["datetime"].timezone.utc
    if offset is None:
        moment = moment.replace(tzinfo=utc)
    elif offset.seconds % 60 or offset.microseconds:
        # RFC 3339 has no seconds in an offset.
        moment = moment.astimezone(utc)
    return str(moment.isoformat())


def _number(decimal: Any) -> int | float:
    if not decimal.is_finite():
        raise ValueError(f"the number {decimal} is not finite")
    if decimal.adjusted() > _MOST_DIGITS:
        raise ValueError(f"a Decimal beyond 1e{_MOST_DIGITS} is no number of JSON")
    return int(decimal) if decimal == decimal.to_integral_value() else float(decimal)


def _stdlib() -> Callable[[Any], bytes]:
    """The standard library's encoder, made once: `json.dumps` with options makes one for each call."""
    import json  # noqa: PLC0415 - as late as it is needed, see `abi.loads`

    prepared = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_convert)

    def slower(value: Any) -> bytes:
        return prepared.encode(value).encode()

    try:
        # Private to CPython, and half the cost. Without `markers` it does not look for circles: a RecursionError ends them.
        make, string = json.encoder.c_make_encoder, json.encoder.encode_basestring  # type: ignore[attr-defined]
        pieces = make(None, _convert, string, None, ":", ",", False, False, False)
        join = "".join

        def faster(value: Any) -> bytes:
            return join(pieces(value, 0)).encode()

        probe = {"a": ["b", 1, 2.5, None, True, {}]}
        if faster(probe) == slower(probe):
            return faster
    except (AttributeError, TypeError):  # pragma: no cover - another implementation
        pass
    return slower  # pragma: no cover - another implementation


_prepared: list[Callable[[Any], bytes]] = []


def stdlib_dumps(value: Any) -> bytes:
    """A value as JSON by the standard library. NaN and the infinities are errors."""
    if not _prepared:
        _prepared.append(_stdlib())
    return _prepared[0](value)


# A flag may be bucketed by an attribute: the text of a whole float is then an integer's, so the encoders leave contexts with
# one to `encode_exactly`. Deeper ones only take part in rules, where 1.0 is 1.
_EXPECTED = (TypeError, ValueError, RecursionError, AttributeError)


def encode_with_stdlib() -> Callable[[Attributes], bytes]:
    """What makes of attributes a context for a local evaluation. That raises `InvalidContext`, which names the key that
    cannot be sent."""

    prepared = _stdlib()

    def encode(attributes: Attributes, _dumps: Any = prepared) -> bytes:
        try:
            for value in attributes.values():
                if value.__class__ is float and value.is_integer():
                    return encode_exactly(attributes)
            encoded: bytes = _dumps(attributes)
            return encoded
        except _EXPECTED:
            return encode_exactly(attributes)

    return encode


def encode_with_orjson() -> Callable[[Attributes], bytes]:
    """The same with orjson, which halves the cost of an evaluation. Raises ImportError where it is not installed."""
    import orjson  # noqa: PLC0415 - takes as long as all of this package

    passed = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS

    def encode(attributes: Attributes, _dumps: Any = orjson.dumps, _pass: int = passed) -> bytes:
        try:
            for value in attributes.values():
                if value.__class__ is float and value.is_integer():
                    return encode_exactly(attributes)
            encoded: bytes = _dumps(attributes, _convert, _pass)
            # NaN and the infinities become null without a word: where there is a null, the other encoder looks.
            return encoded if encoded.find(b"null") < 0 else stdlib_dumps(attributes)
        except _EXPECTED:
            return encode_exactly(attributes)

    return encode


_fastest: list[Callable[[Attributes], bytes]] = []


def fastest() -> Callable[[Attributes], bytes]:
    """What encodes contexts: decided when the first client is made."""
    if not _fastest:
        try:
            _fastest.append(encode_with_orjson())
        except ImportError:
            _fastest.append(encode_with_stdlib())
    return _fastest[0]


def encode_exactly(attributes: Attributes) -> bytes:
    """A context as it is sent to Mixpanel: whole floats are integers at any depth, as the official provider has them."""
    if not isinstance(attributes, Mapping):
        raise InvalidContext(
            f"the context is of type {type(attributes).__name__}: expected a mapping of names to values"
        )
    try:
        return stdlib_dumps(_plain(attributes, "", 1))
    except (TypeError, ValueError, RecursionError) as error:
        if isinstance(error, InvalidContext):
            raise
        raise InvalidContext(f"the context cannot be written as JSON: {error}") from error


def encode_value(value: Any) -> bytes:
    """Any value as JSON: an override, a profile's properties."""
    return stdlib_dumps(_plain(value, "value", 1))


def _plain(value: Any, path: str, depth: int) -> Any:
    kind = value.__class__
    if kind is str:
        try:
            value.encode()
        except UnicodeEncodeError:
            raise InvalidContext(f"attribute {path!r}: the string holds a lone surrogate") from None
        return value
    if value is None or kind is bool:
        return value
    if kind is int:
        if value.bit_length() > _MOST_BITS:
            raise InvalidContext(
                f"attribute {path!r}: an integer of {value.bit_length()} bits is beyond every number of JSON"
            )
        return value
    if kind is float:
        if not math.isfinite(value):
            raise InvalidContext(f"attribute {path!r}: the number {value} is not finite")
        return int(value) if value.is_integer() else value
    if depth > _DEEPEST:
        raise InvalidContext(f"attribute {path[:80]!r}…: more than {_DEEPEST} levels, or it contains itself")
    if isinstance(value, Mapping):
        return {_key(key, path): _plain(item, _join(path, key), depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)) and not isinstance(value, _loaded("enum", "Enum")):
        return [_plain(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(value)]
    try:
        converted = _convert(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidContext(f"attribute {path!r}: {error}") from None
    return _plain(converted, path, depth + 1)


def _join(path: str, key: Any) -> str:
    return f"{path}.{key}" if path else str(key)


def _key(key: Any, path: str) -> str:
    if isinstance(key, str):
        text: str = _plain(str.__str__(key), _join(path, key), 1)
        return text
    # As `json.dumps` has it.
    if key is None or isinstance(key, (bool, int, float)):
        return str(next(iter(loads(stdlib_dumps({key: 0}).decode()))))
    raise InvalidContext(f"attribute {path!r}: a key of type {type(key).__name__}: expected a string")


class Context:
    """A context that is encoded once, for programs that evaluate many flags for it. Later changes do not reach it.

    Raises `InvalidContext`, which names the key that cannot be sent.
    """

    __slots__ = ("attributes", "encoded")

    def __init__(self, attributes: Attributes) -> None:
        self.encoded = encode_exactly(attributes)
        self.attributes: dict[str, Any] = loads(self.encoded.decode())

    def __repr__(self) -> str:
        return f"Context({self.attributes!r})"


_keys: dict[str, bytes] = {}
#: The bytes of a flag key that was asked for before, None for any other: for the way of every evaluation.
known_key = _keys.get
_MOST_KEYS = 10_000


def flag_key(key: str) -> bytes:
    """A flag's key as the library takes it. Raises `InvalidArgument` for one that no flag can have."""
    if not isinstance(key, str):
        raise InvalidArgument(f"the flag key is of type {type(key).__name__}: expected a string")
    known = _keys.get(key)
    if known is not None:
        return known
    if "\0" in key:
        raise InvalidArgument(f"the flag key {key!r} holds a NUL")
    try:
        encoded = key.encode()
    except UnicodeEncodeError:
        raise InvalidArgument(f"the flag key {key!r} holds a lone surrogate") from None
    if len(_keys) >= _MOST_KEYS:
        _keys.clear()
    _keys[str.__str__(key)] = encoded
    return encoded
