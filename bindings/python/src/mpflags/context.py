"""Contexts and values as JSON: with orjson where it is installed, with the standard library otherwise, to the same end.

Encoding is what an evaluation costs in Python, so there are two ways. `encode` takes the fast one: it hands the attributes
to a prepared encoder. Whatever that cannot take goes to `_Walk`, which goes through the attributes, converts what it knows,
and names what it does not. `usable` does so too, with `UNUSABLE` in the place of what JSON has nothing for: the library
refuses only flags that read it.
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


class _NotJson(TypeError):
    """What a value lacks, in words that do not repeat the value."""


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
    raise _NotJson(f"a value of type {type(value).__name__} cannot be written as JSON")


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
        raise _NotJson("a Decimal that is not finite")
    if decimal.adjusted() > _MOST_DIGITS:
        raise _NotJson(f"a Decimal beyond 1e{_MOST_DIGITS}")
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
#
# `except Exception`: what is in a context may be the program's own classes, which raise what they like.


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
        except Exception:
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
        except Exception:
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


#: In the place of a value that JSON has nothing for. The library takes it as part of the text and as no value: it is a number
#: beyond a double.
UNUSABLE = 10**400


def encode_exactly(attributes: Attributes) -> bytes:
    """A context as it is sent to Mixpanel: whole floats are integers at any depth, as the official provider has them."""
    return _encoded(_mapping(attributes), _Walk())


class Unusable:
    """A value of a context that cannot be sent: the attribute that it is in, its path, and what is wrong with it."""

    __slots__ = ("attribute", "path", "why")

    def __init__(self, attribute: str, path: str, why: str) -> None:
        self.attribute = attribute
        self.path = path
        self.why = why

    def __str__(self) -> str:
        return f"attribute {self.path!r}: {self.why}" if self.path else f"the context: {self.why}"


def usable(attributes: Attributes) -> tuple[bytes, list[Unusable]]:
    """The same with `UNUSABLE` where a value cannot be sent, and these values.

    Raises `InvalidContext` when nothing can be sent at all.
    """
    walk = _Walk([])
    return _encoded(_mapping(attributes), walk), walk.found or []


def _mapping(attributes: Attributes) -> Attributes:
    if not isinstance(attributes, Mapping):
        raise InvalidContext(
            f"the context is of type {type(attributes).__name__}: expected a mapping of names to values"
        )
    return attributes


def _encoded(attributes: Attributes, walk: _Walk) -> bytes:
    try:
        return stdlib_dumps(walk.plain(attributes, "", 1))
    except InvalidContext:
        raise
    except Exception as error:
        # Of the mapping itself: a class of the program's own, whose words may repeat values.
        raise InvalidContext(f"the context cannot be read: {type(error).__name__}") from error


def encode_value(value: Any, name: str = "value") -> bytes:
    """Any value as JSON: an override, a profile's properties. Errors call it `name`."""
    return stdlib_dumps(_Walk().plain(value, name, 1))


class _TooDeep(InvalidContext):
    pass


class _Walk:
    """Makes plain JSON of values. With a list it goes on after what cannot be sent, and notes it there."""

    __slots__ = ("_attribute", "found")

    def __init__(self, found: list[Unusable] | None = None) -> None:
        self.found = found
        self._attribute = ""

    def _refuse(self, path: str, why: str) -> Any:
        unusable = Unusable(self._attribute, path, why)
        if self.found is None:
            raise InvalidContext(str(unusable))
        self.found.append(unusable)
        return UNUSABLE

    def plain(self, value: Any, path: str, depth: int) -> Any:
        # Not `__class__`, which a proxy of the program's may answer as it likes.
        kind = type(value)
        if kind is str:
            try:
                value.encode()
            except UnicodeEncodeError:
                return self._refuse(path, "a string with a lone surrogate")
            return value
        if value is None or kind is bool:
            return value
        if kind is int:
            bits = value.bit_length()
            return value if bits <= _MOST_BITS else self._refuse(path, "an integer beyond every number of JSON")
        if kind is float:
            if not math.isfinite(value):
                return self._refuse(path, "a number that is not finite")
            return int(value) if value.is_integer() else value
        if depth > _DEEPEST:
            raise _TooDeep(str(Unusable("", f"{path[:80]}…", _DEPTH)))
        # Nothing below is this package's alone: a class of the program's may raise what it likes.
        try:
            if isinstance(value, Mapping):
                return self._object(value, path, depth)
            if isinstance(value, (list, tuple)) and not isinstance(value, _loaded("enum", "Enum")):
                return [self.plain(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(value)]
            converted = _convert(value)
        except (InvalidContext, RecursionError):
            raise
        except _NotJson as error:
            return self._refuse(path, str(error))
        except Exception as error:
            return self._refuse(path, f"reading a value of type {type(value).__name__} raised {type(error).__name__}")
        return self.plain(converted, path, depth + 1)

    def _object(self, value: Attributes, path: str, depth: int) -> Any:
        plain: dict[str, Any] = {}
        # What flags read by name: what is too deep within one spoils that one.
        of_attributes = self.found is not None and path in ("", "custom_properties")
        for key, item in value.items():
            name = self._key(key, path)
            if name is None:
                if of_attributes:
                    # No flag can read it.
                    continue
                return UNUSABLE
            inner = f"{path}.{name}" if path else name
            if not of_attributes:
                plain[name] = self.plain(item, inner, depth + 1)
                continue
            assert self.found is not None
            before = len(self.found)
            self._attribute = inner
            try:
                plain[name] = self.plain(item, inner, depth + 1)
            except (_TooDeep, RecursionError):
                del self.found[before:]
                self._attribute = inner
                plain[name] = self._refuse(inner, _DEPTH)
            self._attribute = path
        return plain

    def _key(self, key: Any, path: str) -> str | None:
        """A key as `json.dumps` has it. None for one that there is none for."""
        if isinstance(key, str):
            text = str.__str__(key)
            try:
                text.encode()
            except UnicodeEncodeError:
                self._refuse(path, "a key with a lone surrogate")
                return None
            return text
        if key is None or isinstance(key, (bool, int, float)):
            try:
                return str(next(iter(loads(stdlib_dumps({key: 0}).decode()))))
            except ValueError:
                pass
        self._refuse(path, f"a key of type {type(key).__name__}: expected a string")
        return None


_DEPTH = f"more than {_DEEPEST} levels, or it contains itself"


class Context:
    """A context that is encoded once, for programs that evaluate many flags for it. Later changes do not reach it.

    What cannot be sent, as a set, spoils only flags that read it; `unusable` has each such value with its path and what is wrong
    with it. Raises `InvalidContext` for what is not a mapping. Can be copied and pickled.
    """

    __slots__ = ("attributes", "encoded", "unusable")

    def __init__(self, attributes: Attributes) -> None:
        self.encoded, self.unusable = usable(attributes)
        #: As JSON has them, without what is unusable.
        self.attributes: dict[str, Any] = _without_unusable(loads(self.encoded.decode()))

    def __repr__(self) -> str:
        return f"Context({self.attributes!r})"


def _without_unusable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_unusable(item) for key, item in value.items() if item != UNUSABLE}
    if isinstance(value, list):
        return [None if item == UNUSABLE else _without_unusable(item) for item in value]
    return value


def identity(distinct_id: Any) -> bytes:
    """The user of an event. An integer goes as its text, as it does in a context, and so does a UUID."""
    value = distinct_id
    if value is None:
        raise InvalidArgument("distinct_id: expected a string, got None: an event needs a user")
    if isinstance(value, (_loaded("enum", "Enum"), _loaded("uuid", "UUID"), _loaded("numpy", "generic"))):
        try:
            value = _convert(value)
        except (TypeError, ValueError):
            pass
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() <= _MOST_BITS:
        return int.__repr__(value).encode()
    if not isinstance(value, str):
        raise InvalidArgument(f"distinct_id: expected a string or an integer, got a {type(distinct_id).__name__}")
    return encoded_name("distinct_id", value)


def encoded_name(parameter: str, value: Any) -> bytes:
    """A parameter of a call that is a string."""
    if not isinstance(value, str):
        raise InvalidArgument(f"{parameter}: expected a string, got a {type(value).__name__}")
    try:
        return str.__str__(value).encode()
    except UnicodeEncodeError:
        raise InvalidArgument(f"{parameter}: the string holds a lone surrogate") from None


def event_properties(properties: Attributes | None) -> bytes:
    """The properties of an event as JSON. A `time` that is a moment goes as milliseconds since 1970."""
    if properties is None:
        return b"{}"
    if not isinstance(properties, Mapping):
        raise InvalidArgument(f"properties: expected a mapping of names to values, got {type(properties).__name__}")
    if "time" in properties:
        properties = {**properties, "time": _moment(properties["time"])}
    return json_argument("properties", properties)


def json_argument(parameter: str, value: Any) -> bytes:
    """A parameter of a call as JSON."""
    try:
        return encode_value(value, parameter)
    except InvalidContext as error:
        raise InvalidArgument(str(error)) from None


def _moment(value: Any) -> Any:
    """A date-time as milliseconds since 1970. One without a time zone is in local time, as Python has it, and a date is its
    first moment. What is no date is the library's to judge."""
    try:
        if isinstance(value, _loaded("datetime", "datetime")):
            return round(value.timestamp() * 1000)
        if isinstance(value, _loaded("datetime", "date")):
            return round(sys.modules["datetime"].datetime(value.year, value.month, value.day).timestamp() * 1000)
        if isinstance(value, _loaded("numpy", "datetime64")):
            # numpy's have no time zone, and are UTC.
            if not sys.modules["numpy"].isnat(value):
                return int(value.astype("datetime64[ms]").astype("int64"))
            raise ValueError
    except (ValueError, OverflowError, OSError):
        raise InvalidArgument(f"properties: time: a {type(value).__name__} beyond what a clock can show") from None
    return value


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
