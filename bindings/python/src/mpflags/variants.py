"""What the flags interface gives: the variant that a user has, where it comes from, and why there is none."""

from __future__ import annotations

from .abi import Record, loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .abi import Outcome


class _Fields:
    """Mixpanel's are dataclasses. So are these to `fields`, `asdict` and `replace`: whoever calls them imports `dataclasses`,
    and nobody else, since it takes longer than all this package."""

    def __get__(self, _: object, owner: type[Any]) -> dict[str, Any]:
        from dataclasses import field, make_dataclass  # noqa: PLC0415

        code, defaults = owner.__init__.__code__, owner.__init__.__defaults__ or ()
        names = code.co_varnames[1 : code.co_argcount]
        required = len(names) - len(defaults)
        fields: list[Any] = [(name, "object") for name in names[:required]]
        fields += [
            (name, "object", field(default=default)) for name, default in zip(names[required:], defaults, strict=True)
        ]
        made: dict[str, Any] = make_dataclass(owner.__name__, fields).__dataclass_fields__  # type: ignore[attr-defined]
        return made


class VariantSource:
    """Where a `SelectedVariant` comes from."""

    LOCAL = "local"
    REMOTE = "remote"
    FALLBACK = "fallback"


class FallbackReason(Record):
    """Why the caller's fallback was returned. Read-only.

    `kind` is one of Mixpanel's four, `FLAG_NOT_FOUND`, `MISSING_CONTEXT_KEY`, `NO_ROLLOUT_MATCH` and `BACKEND_ERROR`, or
    tells what Mixpanel's SDK does not distinguish: `DISABLED`, `PROVIDER_NOT_READY`, `PROVIDER_FATAL`, `PARSE_ERROR`,
    `INVALID_CONTEXT`. `message` is for a person.
    """

    __slots__ = ("kind", "message")
    __dataclass_fields__ = _Fields()
    kind: str
    message: str | None

    def __init__(self, kind: str, message: str | None = None) -> None:
        object.__setattr__(self, "kind", kind)
        object.__setattr__(self, "message", message)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a FallbackReason is read-only: {name}")

    def __reduce__(self) -> tuple[type[FallbackReason], tuple[str, str | None]]:
        return FallbackReason, (self.kind, self.message)


class SelectedVariant:
    """The variant that a user has of a flag. On a fallback `variant_source` is `"fallback"`, with the reason beside it."""

    __dataclass_fields__ = _Fields()
    # The evaluation that it was made of, the flag's key and the context, where they were kept for `track_exposure_event`.
    _shown: Any = None

    def __init__(
        self,
        variant_value: Any,
        variant_key: str | None = None,
        experiment_id: str | None = None,
        is_experiment_active: bool | None = None,
        is_qa_tester: bool | None = None,
        variant_source: str | None = None,
        fallback_reason: FallbackReason | None = None,
    ) -> None:
        self.variant_value = variant_value
        self.variant_key = variant_key
        self.experiment_id = experiment_id
        self.is_experiment_active = is_experiment_active
        self.is_qa_tester = is_qa_tester
        self.variant_source = variant_source
        self.fallback_reason = fallback_reason

    def _told(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_shown"}

    def __eq__(self, other: object) -> bool:
        return self._told() == other._told() if isinstance(other, SelectedVariant) else NotImplemented

    # It can be changed.
    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"SelectedVariant({', '.join(f'{name}={value!r}' for name, value in self._told().items())})"

    # Copies, pickled ones too, leave the evaluation behind.
    def __getstate__(self) -> dict[str, Any]:
        return self._told()

    def with_source(self, source: str) -> SelectedVariant:
        """A copy with this source and no fallback reason."""
        return SelectedVariant(**{**self._told(), "variant_source": source, "fallback_reason": None})

    def as_fallback(self, reason: FallbackReason) -> SelectedVariant:
        """A copy that is a fallback for this reason."""
        told = {**self._told(), "variant_source": VariantSource.FALLBACK, "fallback_reason": reason}
        return SelectedVariant(**told)


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


class Prepared:
    """What an answer stands for, ready to be handed out."""

    __slots__ = ("arguments", "key", "text")

    def __init__(self, outcome: Outcome, source: str) -> None:
        value, told = outcome.value, outcome.metadata.get
        self.key = outcome.key
        #: Set for a value that each caller gets a copy of.
        self.text = outcome.json if isinstance(value, (dict, list)) else None
        self.arguments = (
            value,
            outcome.variant,
            told("experiment_id"),
            told("is_experiment_active"),
            told("is_qa_tester"),
            source,
        )

    def selected(self) -> SelectedVariant:
        variant = SelectedVariant(*self.arguments)
        if self.text is not None:
            variant.variant_value = loads(self.text)
        return variant
