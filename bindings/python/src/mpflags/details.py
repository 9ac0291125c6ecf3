"""The SDK's details of a flag, from what an evaluation returned."""

from __future__ import annotations

import functools
import typing
from collections.abc import Callable

from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import FlagResolutionDetails, Reason

from .abi import DOUBLE, OBJECT_OR_ARRAY, Outcome

_REASONS = {reason.value: reason for reason in Reason}
CODES = {code.value: code for code in ErrorCode}

# Makes the details of a result. Called once for each evaluation.
Prepared = Callable[[], FlagResolutionDetails[typing.Any]]


def without(
    default: typing.Any, kind: int, reason: Reason, code: ErrorCode | None = None, message: str | None = None
) -> FlagResolutionDetails[typing.Any]:
    """The details of a result without a value. The SDK checks the type of the default too, and an int is not a float to it."""
    value = float(default) if kind == DOUBLE and type(default) is int else default
    return FlagResolutionDetails(value, code, message, reason)


def prepared(kind: int, outcome: Outcome) -> Prepared:
    """Each caller gets its own metadata and its own object. Without metadata, the SDK makes the empty dict."""
    rest = (None, None, _REASONS.get(outcome.reason, Reason.UNKNOWN), outcome.variant)
    metadata = outcome.metadata
    if kind == OBJECT_OR_ARRAY:
        return lambda: FlagResolutionDetails(outcome.value, *rest, metadata.copy())
    value = outcome.read(kind)
    if metadata:
        return lambda: FlagResolutionDetails(value, *rest, metadata.copy())
    return functools.partial(FlagResolutionDetails, value, *rest)


def details(default: typing.Any, kind: int, outcome: Outcome) -> FlagResolutionDetails[typing.Any]:
    reason = _REASONS.get(outcome.reason, Reason.UNKNOWN)
    if outcome.error_code is not None:
        code = CODES.get(outcome.error_code, ErrorCode.GENERAL)
        return without(default, kind, reason, code, outcome.message)
    if not outcome.has_value:
        return without(default, kind, reason)
    return prepared(kind, outcome)()
