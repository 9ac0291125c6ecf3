"""Evaluates with any object that has Mixpanel's flags interface, as Mixpanel's own OpenFeature provider does."""

from __future__ import annotations

import typing

from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import FlagResolutionDetails, Reason

from .abi import BOOLEAN, DOUBLE, INT64, OBJECT_OR_ARRAY, STRING
from .details import CODES, without
from .variants import SelectedVariant


class FlagsProvider(typing.Protocol):
    """What `MixpanelProvider` needs: a `Client`, `local_flags` or `remote_flags` of a `Mixpanel`, ours or the official one, or
    an object of your own.

    `get_variant` returns the variant of a flag, or `fallback.as_fallback(reason)` if there is none. If the object also has
    `are_flags_ready` and `shutdown`, without parameters, the provider calls them.
    """

    def get_variant(self, flag_key: str, fallback: typing.Any, context: typing.Any, /) -> typing.Any: ...


def check_flags_provider(flags: object) -> None:
    """Raises TypeError for an object that is not a `FlagsProvider`."""
    if not isinstance(flags, type) and callable(getattr(flags, "get_variant", None)):
        return
    wrong, is_class = (flags, "the class ") if isinstance(flags, type) else (type(flags), "")
    hint = "; pass its local_flags or remote_flags" if hasattr(wrong, "local_flags") else ""
    missing = "expected an object with the method get_variant"
    raise TypeError(f"flags_provider: {missing}, got {is_class}{wrong.__module__}.{wrong.__qualname__}{hint}")


# Mixpanel's kinds of fallback. The other kinds of this package are OpenFeature's codes.
_KINDS = {
    "FLAG_NOT_FOUND": (ErrorCode.FLAG_NOT_FOUND, Reason.DEFAULT),
    "MISSING_CONTEXT_KEY": (ErrorCode.TARGETING_KEY_MISSING, Reason.ERROR),
    "BACKEND_ERROR": (ErrorCode.GENERAL, Reason.ERROR),
}
# The SDK checks objects.
_TYPES: dict[int, tuple[str, type]] = {
    BOOLEAN: ("boolean", bool),
    STRING: ("string", str),
    INT64: ("integer", int),
    DOUBLE: ("float", float),
    OBJECT_OR_ARRAY: ("object", object),
}


def resolve_foreign(
    flags: FlagsProvider, kind: int, flag_key: str, default: typing.Any, attributes: typing.Mapping[str, typing.Any]
) -> FlagResolutionDetails[typing.Any]:
    """The details of a flag. Raises what `flags` raises."""
    is_ready = getattr(flags, "are_flags_ready", None)
    if is_ready is not None and not is_ready():
        return without(default, kind, Reason.ERROR, ErrorCode.PROVIDER_NOT_READY, "the flags provider has no flags yet")
    fallback = SelectedVariant(default)
    variant = flags.get_variant(flag_key, fallback, {name: _plain(value) for name, value in attributes.items()})
    reason = getattr(variant, "fallback_reason", None)
    if reason is not None:
        return _of_reason(reason, kind, default)
    if variant is fallback:
        # Written before fallbacks had a reason.
        return without(default, kind, Reason.DEFAULT, ErrorCode.FLAG_NOT_FOUND, f"no variant of flag {flag_key!r}")
    value = variant.variant_value
    if kind == INT64 and isinstance(value, float) and value.is_integer():
        value = int(value)
    elif kind == DOUBLE and type(value) is int:
        value = float(value)
    name, wanted = _TYPES[kind]
    # In Python, a bool is an int.
    if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
        message = f"expected {name}, the variant holds a value of type {type(value).__name__}"
        return without(default, kind, Reason.ERROR, ErrorCode.TYPE_MISMATCH, message)
    return FlagResolutionDetails(value, None, None, Reason.TARGETING_MATCH, variant.variant_key, _metadata(variant))


def _metadata(variant: typing.Any) -> dict[str, typing.Any]:
    experiment, active, tester = (
        getattr(variant, name, None) for name in ("experiment_id", "is_experiment_active", "is_qa_tester")
    )
    metadata: dict[str, typing.Any] = {}
    if isinstance(experiment, str):
        metadata["experiment_id"] = experiment
    if isinstance(active, bool):
        metadata["is_experiment_active"] = active
    if tester is True:
        metadata["is_qa_tester"] = True
    return metadata


def _of_reason(reason: typing.Any, kind: int, default: typing.Any) -> FlagResolutionDetails[typing.Any]:
    """`reason` is a `FallbackReason`, ours or Mixpanel's."""
    if reason.kind == "NO_ROLLOUT_MATCH":
        return without(default, kind, Reason.DEFAULT)
    if reason.kind == "DISABLED":
        return without(default, kind, Reason.DISABLED)
    code, why = _KINDS.get(reason.kind) or (CODES.get(reason.kind, ErrorCode.GENERAL), Reason.ERROR)
    return without(
        default, kind, why, code, reason.message or f"the flags provider returned the fallback: {reason.kind}"
    )


def _plain(value: typing.Any) -> typing.Any:
    """A copy in which whole floats are integers, as Mixpanel's provider passes them."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
