"""Contexts and values as the library reads them: in the binary form if the accelerator can write it, otherwise as JSON. The
results are the same.

Encoding dominates the cost of an evaluation in Python, so there are three ways. The accelerator writes plain values in the
binary form, whose first byte distinguishes it from JSON. Other values go to a prepared JSON encoder, and attributes that it
refuses to `_Converter`, which visits every value, converts the types that it knows and names the values that it cannot convert.
`encode_usable` puts `UNUSABLE` in their place, and the library then refuses only flags that read them.
"""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Mapping, Sequence

from .abi import loads
from .errors import InvalidArgument, InvalidContext
from .speedups import MODULE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    Attributes: TypeAlias = Mapping[str, Any]

# The library's own limit. Python's is higher, and a context that contains itself would reach it.
_MAX_DEPTH = 127
# The library does not accept larger numbers, and converting them is slow.
_MAX_BITS = 1023
_MAX_DIGITS = 400
_TOO_DEEP = f"nested more than {_MAX_DEPTH} levels deep, or it contains itself"


def _loaded(module: str, name: str) -> Any:
    """A class of a module, without importing it: unless the program has, no value can be of that class. `()` matches nothing."""
    return getattr(sys.modules.get(module), name, ())


class _NotJson(TypeError):
    """Says why a value has no JSON, without repeating the value."""


def _convert(value: Any) -> Any:
    """Converts a value that an encoder does not know into one that it does. Raises `_NotJson` for other types."""
    if isinstance(value, _loaded("enum", "Enum")):
        return value.value
    # Subclasses, which only one of the encoders accepts.
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
    # `item` turns a scalar into Python's own type.
    if isinstance(value, _loaded("numpy", "generic")) and value.item().__class__ is not value.__class__:
        return value.item()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray, memoryview)):
        return list(value)
    raise _NotJson(f"a value of type {type(value).__name__} cannot be written as JSON")


def _rfc3339(moment: Any) -> str:
    """A date and time as RFC 3339. Without a time zone it is taken as UTC, as in Mixpanel's events."""
    offset = moment.utcoffset()
    utc = sys.modules["datetime"].timezone.utc
    if offset is None:
        moment = moment.replace(tzinfo=utc)
    elif offset.seconds % 60 or offset.microseconds:
        # RFC 3339 offsets have no seconds.
        moment = moment.astimezone(utc)
    return str(moment.isoformat())


def _number(decimal: Any) -> int | float:
    if not decimal.is_finite():
        raise _NotJson("a Decimal that is not finite")
    if decimal.adjusted() > _MAX_DIGITS:
        raise _NotJson(f"a Decimal beyond 1e{_MAX_DIGITS}")
    return int(decimal) if decimal == decimal.to_integral_value() else float(decimal)


@functools.cache
def _prepared() -> Callable[[Any], bytes]:
    """The standard library's encoder, made once: `json.dumps` with options makes one for each call."""
    import json  # noqa: PLC0415 - as late as possible, see `abi.loads`

    prepared = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_convert)

    def slower(value: Any) -> bytes:
        return prepared.encode(value).encode()

    try:
        # Private to CPython, and half the cost. Without `markers` it does not detect cycles; a RecursionError ends them.
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


def dumps(value: Any) -> bytes:
    """A value as JSON. NaN and the infinities are errors."""
    return _prepared()(value)


# The digits of an integer that the library may refuse.
_MANY_DIGITS = 308


def encode_as_json(attributes: Attributes) -> bytes:
    """Attributes for a local evaluation, as JSON. Raises `InvalidContext`, which names an attribute that cannot be sent."""
    try:
        for value in attributes.values():
            if value.__class__ is float and value.is_integer():
                # A flag can be bucketed by it, and it has to have an integer's text then. Deeper ones are only compared by
                # rules, where 1.0 equals 1.
                attributes = {key: _as_integer(value) for key, value in attributes.items()}
                break
        encoded = _prepared()(attributes)
        if len(encoded) < _MANY_DIGITS or len(encoded) - len(encoded.translate(None, b"0123456789")) < _MANY_DIGITS:
            return encoded
    # A context may hold the program's own classes, which can raise anything.
    except Exception:
        pass
    return encode_exactly(attributes)


def _as_integer(value: Any) -> Any:
    return int(value) if value.__class__ is float and value.is_integer() else value


def _encode_as_form(attributes: Attributes, _write: Any = MODULE and MODULE.encode) -> bytes:
    return _write(attributes) or encode_as_json(attributes)


#: The fastest encoding of attributes for a local evaluation: in the binary form or as JSON.
encode = encode_as_json if MODULE is None else _encode_as_form


#: Stands for a value that has no JSON. It is a number beyond a double, which the library parses but does not use.
UNUSABLE = 10**400


def encode_exactly(attributes: Attributes) -> bytes:
    """A context as it is sent to Mixpanel: whole floats become integers at any depth, as in Mixpanel's own provider."""
    return _encoded(_mapping(attributes), _Converter())


class Unusable:
    """A value of a context that cannot be sent: the attribute that holds it, its path, and what is wrong with it."""

    __slots__ = ("attribute", "path", "why")

    def __init__(self, attribute: str, path: str, why: str) -> None:
        self.attribute = attribute
        self.path = path
        self.why = why

    def __str__(self) -> str:
        return f"attribute {self.path!r}: {self.why}" if self.path else f"the context: {self.why}"


def encode_usable(attributes: Attributes) -> tuple[bytes, list[Unusable]]:
    """A context with `UNUSABLE` in place of each value that cannot be sent, and the list of those values.

    Raises `InvalidContext` if the context as a whole cannot be read.
    """
    converter = _Converter([])
    return _encoded(_mapping(attributes), converter), converter.found or []


def _mapping(attributes: Attributes) -> Attributes:
    if not isinstance(attributes, Mapping):
        raise InvalidContext(f"the context: expected a mapping of names to values, got {type(attributes).__name__}")
    return attributes


def _encoded(attributes: Attributes, converter: _Converter) -> bytes:
    try:
        return dumps(converter.plain(attributes, "", 1))
    except InvalidContext:
        raise
    except Exception as error:
        # The mapping is of the program's own class. The error's message may hold values, so only its type is named.
        raise InvalidContext(f"the context cannot be read: reading it raised {type(error).__name__}") from error


def encode_value(value: Any, name: str = "value") -> bytes:
    """Any value as JSON: an override, a profile's properties. Errors call it `name`."""
    return dumps(_Converter().plain(value, name, 1))


class _TooDeepError(InvalidContext):
    pass


class _Converter:
    """Converts values to what JSON has. Raises on a value that cannot be sent or, if `found` is a list, appends it there."""

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
        # Not `__class__`, which a proxy can fake.
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
            return value if bits <= _MAX_BITS else self._refuse(path, "an integer beyond the range of a double")
        if kind is float:
            if not math.isfinite(value):
                return self._refuse(path, "a number that is not finite")
            return int(value) if value.is_integer() else value
        if depth > _MAX_DEPTH:
            raise _TooDeepError(str(Unusable("", f"{path[:80]}…", _TOO_DEEP)))
        # Everything below may call the program's own classes, which can raise anything.
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
        # Flags read these by name, so a value that is nested too deep spoils only the attribute that holds it.
        of_attributes = self.found is not None and path in ("", "custom_properties")
        for key, item in value.items():
            name = self._key(key, path)
            if name is None:
                if of_attributes:
                    # No flag can read an attribute without a name.
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
            except (_TooDeepError, RecursionError):
                del self.found[before:]
                self._attribute = inner
                plain[name] = self._refuse(inner, _TOO_DEEP)
            self._attribute = path
        return plain

    def _key(self, key: Any, path: str) -> str | None:
        """A key as `json.dumps` writes it, None for one that it cannot write."""
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
                return str(next(iter(loads(dumps({key: 0}).decode()))))
            except ValueError:
                pass
        self._refuse(path, f"a key of type {type(key).__name__}: expected a string")
        return None


class Context:
    """A context that is encoded once, for programs that evaluate many flags for one user. Later changes do not affect it.

    A value that cannot be sent, such as a set, only affects flags that read it. `unusable` lists these values, each with its path
    and what is wrong with it. Raises `InvalidContext` for anything but a mapping. Can be copied and pickled.
    """

    __slots__ = ("attributes", "encoded", "form", "unusable")

    def __init__(self, attributes: Attributes) -> None:
        self.encoded, self.unusable = encode_usable(attributes)
        #: As JSON holds them, without unusable values.
        self.attributes: dict[str, Any] = _without_unusable(loads(self.encoded.decode()))
        #: The binary form, None if the accelerator did not write it.
        self.form: bytes | None = None if MODULE is None or self.unusable else MODULE.encode(self.attributes)

    def __repr__(self) -> str:
        return f"Context({self.attributes!r})"


def _without_unusable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_unusable(item) for key, item in value.items() if item != UNUSABLE}
    if isinstance(value, list):
        return [None if item == UNUSABLE else _without_unusable(item) for item in value]
    return value


def identity(identifier: Any, parameter: str = "distinct_id") -> bytes:
    """The user or group of an event. Integers and UUIDs become their text, as in a context."""
    value = identifier
    if value is None and parameter == "distinct_id":
        raise InvalidArgument("distinct_id: expected a string, got None; an event needs a user")
    if isinstance(value, (_loaded("enum", "Enum"), _loaded("uuid", "UUID"), _loaded("numpy", "generic"))):
        try:
            value = _convert(value)
        except (TypeError, ValueError):
            pass
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() <= _MAX_BITS:
        return int.__repr__(value).encode()
    if not isinstance(value, str):
        raise InvalidArgument(f"{parameter}: expected a string or an integer, got {type(identifier).__name__}")
    return encoded_name(parameter, value)


def encoded_name(parameter: str, value: Any) -> bytes:
    """A string parameter of a call."""
    if not isinstance(value, str):
        raise InvalidArgument(f"{parameter}: expected a string, got {type(value).__name__}")
    try:
        return str.__str__(value).encode()
    except UnicodeEncodeError:
        raise InvalidArgument(f"{parameter}: the string contains a lone surrogate") from None


def event_properties(properties: Attributes | None) -> bytes:
    """The properties of an event as JSON. A date or datetime as `time` becomes milliseconds since 1970."""
    if properties is None:
        return b"{}"
    if not isinstance(properties, Mapping):
        raise InvalidArgument(f"properties: expected a mapping of names to values, got {type(properties).__name__}")
    if "time" in properties:
        properties = {**properties, "time": _unix_milliseconds(properties["time"])}
    return json_argument("properties", properties)


def json_argument(parameter: str, value: Any) -> bytes:
    """A parameter of a call, as JSON."""
    try:
        return encode_value(value, parameter)
    except InvalidContext as error:
        raise InvalidArgument(str(error)) from None


def _unix_milliseconds(value: Any) -> Any:
    """A datetime as milliseconds since 1970. Without a time zone it is in local time, as in `datetime.timestamp`; a date is its
    midnight. Other values are returned as they are, and the library checks them."""
    try:
        if isinstance(value, _loaded("datetime", "datetime")):
            return round(value.timestamp() * 1000)
        if isinstance(value, _loaded("datetime", "date")):
            return round(sys.modules["datetime"].datetime(value.year, value.month, value.day).timestamp() * 1000)
        if isinstance(value, _loaded("numpy", "datetime64")):
            # numpy's have no time zone and are UTC.
            if not sys.modules["numpy"].isnat(value):
                return int(value.astype("datetime64[ms]").astype("int64"))
            raise ValueError
    except (ValueError, OverflowError, OSError):
        raise InvalidArgument(f"properties: time: the {type(value).__name__} is out of range") from None
    return value


_keys: dict[str, bytes] = {}
#: The encoded form of a flag key that was used before, None for any other key. Every evaluation looks here first.
known_key = _keys.get
_MAX_KEYS = 10_000


def flag_key(key: str) -> bytes:
    """A flag's key as the library takes it. Raises `InvalidArgument` for a key that no flag can have."""
    if not isinstance(key, str):
        raise InvalidArgument(f"the flag key: expected a string, got {type(key).__name__}")
    known = _keys.get(key)
    if known is not None:
        return known
    if "\0" in key:
        raise InvalidArgument(f"the flag key {key!r} contains a NUL")
    try:
        encoded = key.encode()
    except UnicodeEncodeError:
        raise InvalidArgument(f"the flag key {key!r} contains a lone surrogate") from None
    if len(_keys) >= _MAX_KEYS:
        _keys.clear()
    _keys[str.__str__(key)] = encoded
    return encoded
