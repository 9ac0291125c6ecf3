"""Exceptions: one class for each status of the library that a program can act on."""

from __future__ import annotations


class MpflagsError(Exception):
    """Base of all errors of this package. `status` is the library's number, 0 for an error that the library did not raise."""

    status = 0


class LibraryError(MpflagsError, ImportError):
    """`libmpflags` is missing, cannot be loaded, or does not match this package's version."""


class InvalidArgument(MpflagsError, ValueError):
    """An argument is invalid, or the client is in a state that does not allow the call. The message says which."""

    status = 12


class InvalidConfig(MpflagsError, ValueError):
    """The configuration has an unknown option, a wrong type or a value out of range. The message names the option."""

    status = 20


class InvalidContext(MpflagsError, ValueError):
    """A context holds a value that cannot be sent. The message names the attribute."""

    status = 21


class InvalidDefinitions(MpflagsError, ValueError):
    """The definitions document cannot be read. A single malformed flag does not raise this."""

    status = 22


class CredentialsRefused(MpflagsError):
    """Mixpanel responded with 401 or 403."""

    status = 30


class BackendError(MpflagsError):
    """Mixpanel could not be reached, or its response was an error or could not be read."""

    status = 31


class QueueFull(MpflagsError):
    """The event queue is full: the event was dropped and counted."""

    status = 32


class Timeout(MpflagsError, TimeoutError):
    """The call did not finish within its timeout."""

    status = 40


class Closed(MpflagsError):
    """The client has been shut down."""

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
# Statuses that only a bug in this package could cause (NULL, invalid UTF-8, an unknown bit) have no class.


def of_status(status: int, message: str) -> MpflagsError:
    """The exception for a status; a plain `MpflagsError` with the number for a status that this package does not know."""
    error = _BY_STATUS.get(status, MpflagsError)(message)
    error.status = status
    return error
