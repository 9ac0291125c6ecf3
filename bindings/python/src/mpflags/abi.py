"""The C interface's numbers, and copies of what it tells. No pointers: those are in `_native.py` alone."""

from __future__ import annotations

from ctypes import c_uint32

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: `MPFLAGS_ABI_VERSION` and `MPFLAGS_ABI_REVISION` of the header that this package was written for.
ABI_VERSION = 0
ABI_REVISION = 3

ANY, BOOLEAN, STRING, INT64, DOUBLE, OBJECT, OBJECT_OR_ARRAY = range(7)
NO_EXPOSURE = 1
#: Packed answers that stand for no variant.
NO_MATCH, DISABLED = 1, 3
REASONS = ("UNKNOWN", "STATIC", "DEFAULT", "TARGETING_MATCH", "SPLIT", "DISABLED", "ERROR")
ERROR_CODES = (
    None,
    "PROVIDER_NOT_READY",
    "FLAG_NOT_FOUND",
    "PARSE_ERROR",
    "TYPE_MISMATCH",
    "TARGETING_KEY_MISSING",
    "INVALID_CONTEXT",
    "PROVIDER_FATAL",
    "GENERAL",
)
STATES = ("NONE", "NOT_READY", "READY", "STALE", "ERROR")
KINDS = ("none", "log", "state", "change", "event")
LEVELS = ("none", "debug", "info", "warning", "error")
ENCODING_JSON = 1


def loads(text: str) -> Any:
    """`json.loads`, which is imported when the first client is made: with what it needs it takes as long as this package."""
    import json  # noqa: PLC0415

    return json.loads(text)


def name_of(names: tuple[str, ...], number: int) -> str:
    """The name of a number; the first one, which says that there is none, for a number that this package does not know."""
    return names[number] if 0 <= number < len(names) else names[0]


def asking(value_type: int, quiet: bool = False) -> c_uint32:
    """What is asked for, made once: ctypes takes 0.1 µs to turn an int into an argument."""
    return c_uint32(value_type | (NO_EXPOSURE << 8 if quiet else 0))


class Uncopied:
    """Base of what owns memory, threads or connections: a second owner would free or end them twice.

    `copy`, `deepcopy`, `pickle` and `multiprocessing` get a TypeError, and what they were given is unharmed.
    """

    __slots__ = ()
    _instead = "share this one instead"

    def __reduce__(self) -> Any:
        raise TypeError(
            f"{type(self).__name__} can be neither copied nor pickled: it owns memory or threads of the library; {self._instead}"
        )


class Record:
    """Equal to what holds the same. (`dataclasses` and `typing` take longer to import than all this package.)"""

    __slots__: tuple[str, ...] = ()

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    def __hash__(self) -> int:
        return hash(tuple(getattr(self, name) for name in self.__slots__))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in self.__slots__)})"


class Outcome(Record):
    """A copy of what an evaluation tells. `json` is the value as text: an object is parsed anew for each caller.

    `answer` is the number that stands for it in this client, 0 where none does.
    """

    __slots__ = ("answer", "error_code", "json", "key", "message", "metadata", "reason", "variant")

    def __init__(
        self,
        key: str,
        json: str | None,
        variant: str | None,
        reason: str,
        error_code: str | None,
        message: str | None,
        metadata: dict[str, Any],
        answer: int,
    ) -> None:
        self.key = key
        self.json = json
        self.variant = variant
        self.reason = reason
        self.error_code = error_code
        self.message = message
        self.metadata = metadata
        self.answer = answer

    @property
    def has_value(self) -> bool:
        return self.json is not None

    @property
    def value(self) -> Any:
        return None if self.json is None else loads(self.json)

    def read(self, value_type: int) -> Any:
        """The value as the type that was asked for: a whole number as an int, any number as a float."""
        value = self.value
        if value_type == INT64:
            return int(value)
        return float(value) if value_type == DOUBLE else value


class Item(Record):
    """Something that a client tells.

    `kind` is `"log"`, `"state"`, `"change"` or, with `event_sink`, `"event"`. A log line has a `level` (`"debug"`, `"info"`,
    `"warning"`, `"error"`), a state is `"NOT_READY"`, `"READY"`, `"STALE"` or `"ERROR"`, a change has the `keys` of the flags.
    `message` is the log line, what led to the state, or the event as JSON.
    """

    __slots__ = ("keys", "kind", "level", "message", "state")

    def __init__(self, kind: str, level: str, state: str, message: str, keys: tuple[str, ...]) -> None:
        self.kind = kind
        self.level = level
        self.state = state
        self.message = message
        self.keys = keys
