"""What the flags interface gives: the variant that a user has, where it comes from, and why there is none."""

from __future__ import annotations

import json
import typing
from dataclasses import dataclass, replace

if typing.TYPE_CHECKING:
    from .abi import Outcome


class VariantSource:
    """Where a `SelectedVariant` comes from."""

    LOCAL = "local"
    REMOTE = "remote"
    FALLBACK = "fallback"


@dataclass(frozen=True)
class FallbackReason:
    """Why the caller's fallback was returned.

    `kind` is one of Mixpanel's four, `FLAG_NOT_FOUND`, `MISSING_CONTEXT_KEY`, `NO_ROLLOUT_MATCH` and `BACKEND_ERROR`, or
    tells what Mixpanel's SDK does not distinguish: `DISABLED`, `PROVIDER_NOT_READY`, `PROVIDER_FATAL`, `PARSE_ERROR`,
    `INVALID_CONTEXT`. `message` is for a person.
    """

    kind: str
    message: str | None = None


@dataclass
class SelectedVariant:
    """The variant that a user has of a flag. On a fallback `variant_source` is `"fallback"`, with the reason beside it."""

    variant_value: typing.Any
    variant_key: str | None = None
    experiment_id: str | None = None
    is_experiment_active: bool | None = None
    is_qa_tester: bool | None = None
    variant_source: str | None = None
    fallback_reason: FallbackReason | None = None

    def with_source(self, source: str) -> SelectedVariant:
        """A copy with this source and no fallback reason."""
        return replace(self, variant_source=source, fallback_reason=None)

    def as_fallback(self, reason: FallbackReason) -> SelectedVariant:
        """A copy that is a fallback for this reason."""
        return replace(self, variant_source=VariantSource.FALLBACK, fallback_reason=reason)


NO_ROLLOUT_MATCH = FallbackReason("NO_ROLLOUT_MATCH")
FLAG_DISABLED = FallbackReason("DISABLED")
# Mixpanel's kinds for the outcomes that its own package has; the others keep OpenFeature's name.
_KINDS = {
    "FLAG_NOT_FOUND": "FLAG_NOT_FOUND",
    "TARGETING_KEY_MISSING": "MISSING_CONTEXT_KEY",
    "GENERAL": "BACKEND_ERROR",
}


def fallback_reason(outcome: Outcome) -> FallbackReason:
    """Why an outcome without a value has none."""
    if outcome.error_code is None:
        return FLAG_DISABLED if outcome.reason == "DISABLED" else NO_ROLLOUT_MATCH
    return FallbackReason(_KINDS.get(outcome.error_code, outcome.error_code), outcome.message)


class Prepared(typing.NamedTuple):
    """What an answer stands for, ready to be handed out. `text` is set for a value that each caller gets a copy of."""

    key: str
    value: typing.Any
    text: str | None
    variant: str | None
    experiment_id: str | None
    is_experiment_active: bool | None
    is_qa_tester: bool | None

    @classmethod
    def of(cls, outcome: Outcome) -> Prepared:
        value, told = outcome.value, outcome.metadata.get
        return cls(
            outcome.key,
            value,
            outcome.json if isinstance(value, (dict, list)) else None,
            outcome.variant,
            told("experiment_id"),
            told("is_experiment_active"),
            told("is_qa_tester"),
        )

    def selected(self, source: str) -> SelectedVariant:
        value = self.value if self.text is None else json.loads(self.text)
        return SelectedVariant(
            value, self.variant, self.experiment_id, self.is_experiment_active, self.is_qa_tester, source
        )
