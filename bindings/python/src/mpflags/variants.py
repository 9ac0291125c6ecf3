"""Results of the flags interface: the variant of a user, where it comes from, and why there is none."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field

from .abi import loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .abi import Outcome


class VariantSource:
    """Where a `SelectedVariant` comes from."""

    LOCAL = "local"
    REMOTE = "remote"
    FALLBACK = "fallback"


@dataclass(frozen=True, slots=True)
class FallbackReason:
    """Why the caller's fallback was returned.

    `kind` is one of Mixpanel's four, `FLAG_NOT_FOUND`, `MISSING_CONTEXT_KEY`, `NO_ROLLOUT_MATCH` and `BACKEND_ERROR`, or a case
    that Mixpanel's SDK does not distinguish: `DISABLED`, `PROVIDER_NOT_READY`, `PROVIDER_FATAL`, `PARSE_ERROR`,
    `INVALID_CONTEXT`. `message` is for people, and reasons are equal whatever it says.
    """

    kind: str
    message: str | None = field(default=None, compare=False)

    @classmethod
    def flag_not_found(cls) -> FallbackReason:
        """No flag has this key."""
        return cls("FLAG_NOT_FOUND")

    @classmethod
    def no_rollout_match(cls) -> FallbackReason:
        """No rollout includes the user."""
        return cls("NO_ROLLOUT_MATCH")

    @classmethod
    def missing_context_key(cls, key: str) -> FallbackReason:
        """The context has no attribute `key`, by which the flag is bucketed."""
        return cls("MISSING_CONTEXT_KEY", key)

    @classmethod
    def backend_error(cls, message: str) -> FallbackReason:
        """Mixpanel could not be reached or its response was an error."""
        return cls("BACKEND_ERROR", message)


@dataclass
class SelectedVariant:
    """A flag's variant for a user. For a fallback, `variant_source` is `"fallback"` and `fallback_reason` says why."""

    variant_value: Any
    variant_key: str | None = None
    experiment_id: str | None = None
    is_experiment_active: bool | None = None
    is_qa_tester: bool | None = None
    variant_source: str | None = None
    fallback_reason: FallbackReason | None = None

    # Not a field. The evaluation behind the variant, the flag's key and the context, kept for `track_exposure_event`.
    _evaluation = None  # type: Any

    @classmethod
    def from_dict(cls, payload: Mapping[str, Any]) -> SelectedVariant:
        """A variant from a response of Mixpanel, or from `dataclasses.asdict`. Ignores names that it does not know."""
        known = {name: payload[name] for name in cls.__match_args__ if name in payload}
        reason = known.get("fallback_reason")
        if isinstance(reason, Mapping):
            known["fallback_reason"] = FallbackReason(reason["kind"], reason.get("message"))
        return cls(**known)

    def __getstate__(self) -> dict[str, Any]:
        # Copies, pickled ones too, leave the evaluation behind.
        return {name: value for name, value in vars(self).items() if name != "_evaluation"}

    def with_source(self, source: str) -> SelectedVariant:
        """A copy with this source and no fallback reason."""
        return self._from(source, None)

    def as_fallback(self, reason: FallbackReason) -> SelectedVariant:
        """A copy that is a fallback for this reason."""
        return self._from(VariantSource.FALLBACK, reason)

    def _from(self, source: str, reason: FallbackReason | None) -> SelectedVariant:
        return SelectedVariant(
            self.variant_value,
            self.variant_key,
            self.experiment_id,
            self.is_experiment_active,
            self.is_qa_tester,
            source,
            reason,
        )


NO_ROLLOUT_MATCH = FallbackReason("NO_ROLLOUT_MATCH")
FLAG_DISABLED = FallbackReason("DISABLED")
# Mixpanel's kinds for the outcomes that its own package knows; all others keep OpenFeature's name.
_KINDS = {
    "FLAG_NOT_FOUND": "FLAG_NOT_FOUND",
    "TARGETING_KEY_MISSING": "MISSING_CONTEXT_KEY",
    "GENERAL": "BACKEND_ERROR",
}


def fallback_reason(outcome: Outcome) -> FallbackReason:
    """Why an outcome has no value."""
    if outcome.error_code is None:
        return FLAG_DISABLED if outcome.reason == "DISABLED" else FallbackReason("NO_ROLLOUT_MATCH", outcome.message)
    # Mixpanel's kind has the name of the attribute as its message.
    message = outcome.context_key if outcome.error_code == "TARGETING_KEY_MISSING" else None
    return FallbackReason(_KINDS.get(outcome.error_code, outcome.error_code), message or outcome.message)


def copier(outcome: Outcome) -> Callable[[], Any] | None:
    """A function that copies the value if it is an array or an object, None for any other value."""
    value = outcome.value
    if not isinstance(value, (dict, list)):
        return None
    for item in value.values() if isinstance(value, dict) else value:
        if isinstance(item, (dict, list)):
            # Cheaper than a deep copy in Python.
            return functools.partial(loads, outcome.json or "null")
    copy: Callable[[], Any] = value.copy
    return copy


class Prepared:
    """An outcome with a value, ready to become a `SelectedVariant` for each caller."""

    __slots__ = ("_arguments", "_evaluation", "copy", "encoded_key", "key", "value")

    def __init__(self, outcome: Outcome, source: str, evaluation: Any = None) -> None:
        value, metadata = outcome.value, outcome.metadata.get
        self.key = outcome.key
        self.encoded_key = outcome.key.encode()
        self.value = value
        #: Copies an array or an object, because each caller gets a new one. None for other values.
        self.copy = copier(outcome)
        self._evaluation = evaluation
        self._arguments = (
            value,
            outcome.variant,
            metadata("experiment_id"),
            metadata("is_experiment_active"),
            metadata("is_qa_tester"),
            source,
        )

    def selected(self) -> SelectedVariant:
        variant = SelectedVariant(*self._arguments)
        if self.copy is not None:
            variant.variant_value = self.copy()
        if self._evaluation is not None:
            variant._evaluation = self._evaluation
        return variant
