"""What the flags interface gives: the variant that a user has, where it comes from, and why there is none."""

from __future__ import annotations

import typing
from dataclasses import dataclass, replace


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
