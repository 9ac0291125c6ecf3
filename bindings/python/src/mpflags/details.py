"""The SDK's details of a flag, from what an evaluation returned."""

from __future__ import annotations

import typing
from collections.abc import Callable

from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import FlagResolutionDetails, Reason

from .abi import DOUBLE, OBJECT_OR_ARRAY, Outcome

_REASONS = {reason.value: reason for reason in Reason}
CODES = {code.value: code for code in ErrorCode}

# Makes the details of a result for the user with this `contextId`, and the attribute that holds it. None for no such metadata.
Prepared = tuple[Callable[[str | None], FlagResolutionDetails[typing.Any]], str | None]


def without(
    default: typing.Any, kind: int, reason: Reason, code: ErrorCode | None = None, message: str | None = None
) -> FlagResolutionDetails[typing.Any]:
    """The details of a result without a value. The SDK checks the type of the default too, and an int is not a float to it."""
    value = float(default) if kind == DOUBLE and type(default) is int else default
    return FlagResolutionDetails(value, code, message, reason)


def prepared(kind: int, outcome: Outcome) -> Prepared:
    """Each caller gets its own metadata and its own object."""
    reason, variant = _REASONS.get(outcome.reason, Reason.UNKNOWN), outcome.variant
    metadata = {name: value for name, value in outcome.metadata.items() if name != "contextId"}
    value = outcome.read(kind)

    def make(context_id: str | None) -> FlagResolutionDetails[typing.Any]:
        own = metadata.copy()
        if context_id is not None:
            own["contextId"] = context_id
        return FlagResolutionDetails(value, None, None, reason, variant, own)

    def make_object(context_id: str | None) -> FlagResolutionDetails[typing.Any]:
        made = make(context_id)
        made.value = outcome.value
        return made

    return make_object if kind == OBJECT_OR_ARRAY else make, outcome.context_key


def details(default: typing.Any, kind: int, outcome: Outcome) -> FlagResolutionDetails[typing.Any]:
    reason = _REASONS.get(outcome.reason, Reason.UNKNOWN)
    if outcome.error_code is not None:
        code = CODES.get(outcome.error_code, ErrorCode.GENERAL)
        return without(default, kind, reason, code, outcome.message)
    if not outcome.has_value:
        return without(default, kind, reason, None, outcome.message)
    make, _ = prepared(kind, outcome)
    return make(outcome.metadata.get("contextId"))
