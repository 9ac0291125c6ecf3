"""The SDK's details of a flag, from what an evaluation returned."""

from __future__ import annotations

import typing

from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import FlagResolutionDetails, Reason

from .abi import DOUBLE, OBJECT_OR_ARRAY, Outcome
from .variants import copier

_REASONS = {reason.value: reason for reason in Reason}
CODES = {code.value: code for code in ErrorCode}

# What the details of an answer have in common for all users: the value, for an object a function that copies it for each caller;
# the reason; the variant; the metadata without `contextId`, and the attribute that holds it, None for no such metadata.
# A plain tuple, because it is unpacked in each evaluation, and Python is slower with any other.
Prepared = tuple[typing.Any, Reason, str | None, dict[str, typing.Any], str | None]


def without(
    default: typing.Any, kind: int, reason: Reason, code: ErrorCode | None = None, message: str | None = None
) -> FlagResolutionDetails[typing.Any]:
    """The details of a result without a value. The SDK checks the type of the default too, and an int is not a float to it."""
    value = float(default) if kind == DOUBLE and type(default) is int else default
    return FlagResolutionDetails(value, code, message, reason)


def prepared(kind: int, outcome: Outcome) -> Prepared:
    metadata = {name: value for name, value in outcome.metadata.items() if name != "contextId"}
    value = copier(outcome) if kind == OBJECT_OR_ARRAY else outcome.read(kind)
    return value, _REASONS.get(outcome.reason, Reason.UNKNOWN), outcome.variant, metadata, outcome.context_key


def details(default: typing.Any, kind: int, outcome: Outcome) -> FlagResolutionDetails[typing.Any]:
    reason = _REASONS.get(outcome.reason, Reason.UNKNOWN)
    if outcome.error_code is not None:
        code = CODES.get(outcome.error_code, ErrorCode.GENERAL)
        return without(default, kind, reason, code, outcome.message)
    if not outcome.has_value:
        return without(default, kind, reason, None, outcome.message)
    return FlagResolutionDetails(outcome.read(kind), None, None, reason, outcome.variant, outcome.metadata)
