"""The numbers of the C interface, and plain copies of what its functions return. Pointers stay in `_native.py`."""

from __future__ import annotations

from dataclasses import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: `MPFLAGS_ABI_VERSION` and `MPFLAGS_ABI_REVISION` of the header that this package was written for.
ABI_VERSION = 0
ABI_REVISION = 7

ANY, BOOLEAN, STRING, INT64, DOUBLE, OBJECT, OBJECT_OR_ARRAY = range(7)
NO_EXPOSURE = 1
#: Packed answers without a variant.
NO_MATCH, NO_PROPERTIES, DISABLED = 1, 5, 3
#: The timeouts that `client_timeout` returns.
TIMEOUT_INIT, TIMEOUT_SHUTDOWN = 1, 3
#: In place of a timeout: the client's configured one.
TIMEOUT_CONFIGURED = 2**32 - 1
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
ENCODING_JSON, ENCODING_BINARY = 1, 2


def loads(text: str) -> Any:
    """`json.loads`. Importing `json` costs as much as this package, so it waits until the first client is made."""
    import json  # noqa: PLC0415

    return json.loads(text)


def name_of(names: tuple[str, ...], number: int) -> str:
    """The name of a number. A number that this package does not know has the first name, which stands for none."""
    return names[number] if 0 <= number < len(names) else names[0]


def evaluate_options(value_type: int, report_exposure: bool = True) -> int:
    """A value type and option bits in one number, as an evaluation takes them."""
    return value_type | (0 if report_exposure else NO_EXPOSURE << 8)


class NotCopyable:
    """Base of everything that owns memory, threads or connections: a copy would free or end them a second time.

    `copy`, `deepcopy`, `pickle` and `multiprocessing` raise TypeError and leave the original unharmed.
    """

    __slots__ = ()
    _instead = "share this one instead"

    def __reduce__(self) -> Any:
        raise TypeError(
            f"{type(self).__name__} can be neither copied nor pickled: it owns memory or threads of the library; {self._instead}"
        )


@dataclass(slots=True)
class Outcome:
    """The result of an evaluation.

    `json` is the value as text, None without one: an object is parsed again for each caller. `answer` is the number under
    which the client can look this result up again, 0 if it cannot. A result that was looked up is the same for all users, so its
    metadata lack `contextId`, the value of the attribute `context_key`. Without a value, `context_key` is the attribute that
    is missing.
    """

    key: str
    json: str | None
    variant: str | None
    reason: str
    error_code: str | None
    message: str | None
    metadata: dict[str, Any]
    answer: int
    context_key: str | None

    @property
    def has_value(self) -> bool:
        return self.json is not None

    @property
    def value(self) -> Any:
        return None if self.json is None else loads(self.json)

    def read(self, value_type: int) -> Any:
        """The value as the requested type: a whole number as an int, any number as a float."""
        value = self.value
        if value_type == INT64:
            return int(value)
        return float(value) if value_type == DOUBLE else value


@dataclass(frozen=True, slots=True)
class Item:
    """A log line, a state, a change of flags or an event, as `Client.on_item` receives it.

    `kind` is `"log"`, `"state"`, `"change"` or, with the option `event_sink`, `"event"`. A log line has a `level` (`"debug"`,
    `"info"`, `"warning"` or `"error"`), a state is `"NOT_READY"`, `"READY"`, `"STALE"` or `"ERROR"`, and a change has the `keys`
    of the changed flags. `message` is the log line, the reason for the state, or the event as JSON.
    """

    kind: str
    level: str
    state: str
    message: str
    keys: tuple[str, ...]
