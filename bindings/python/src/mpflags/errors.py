"""What goes wrong, as exceptions: one class per status of the library that a program can act on."""

from __future__ import annotations


class MpflagsError(Exception):
    """Base of all errors of this package. `status` is the library's number, 0 where the library was not asked."""

    status = 0


class LibraryError(MpflagsError, ImportError):
    """`libmpflags` is missing, cannot be loaded, or is of another version than this package."""


class InvalidArgument(MpflagsError, ValueError):
    """An argument is not what the call takes, or the client is not in the state that it needs."""

    status = 12


class InvalidConfig(MpflagsError, ValueError):
    """The configuration has an unknown option, a wrong type or a value out of range. The message names the option."""

    status = 20


class InvalidContext(MpflagsError, ValueError):
    """A context holds what cannot be sent. The message names the key."""

    status = 21


class InvalidDefinitions(MpflagsError, ValueError):
    """Flag definitions cannot be read as a whole."""

    status = 22


class CredentialsRefused(MpflagsError):
    """Mixpanel answered 401 or 403."""

    status = 30


class BackendError(MpflagsError):
    """Mixpanel could not be reached, or its answer was of no use."""

    status = 31


class QueueFull(MpflagsError):
    """The event queue is full: the event was dropped and counted."""

    status = 32


class Timeout(MpflagsError, TimeoutError):
    """The time given has passed."""

    status = 40


class Closed(MpflagsError):
    """The client is shut down."""

    status = 41


class SystemFailure(MpflagsError, OSError):
    """The operating system refused a thread, a file or memory."""

    status = 50


_BY_STATUS: dict[int, type[MpflagsError]] = {
    kind.status: kind
    for kind in (
        InvalidArgument,
        InvalidConfig,
        InvalidContext,
        InvalidDefinitions,
        CredentialsRefused,
        BackendError,
        QueueFull,
        Timeout,
        Closed,
        SystemFailure,
    )
}
# What only this package itself could cause (NULL, bad UTF-8, an unknown bit) is no class of its own.


def of_status(status: int, message: str) -> MpflagsError:
    """The exception for a status. One that this package does not know is an `MpflagsError` with its number."""
    error = _BY_STATUS.get(status, MpflagsError)(message)
    error.status = status
    return error
