"""Encodes the contexts of one client, and logs attributes that cannot be sent."""

from __future__ import annotations

from .context import Context, encode, encode_exactly, encode_usable
from .errors import InvalidContext
from .items import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .context import Attributes, Unusable

_MAX_LOGGED = 100


class ContextEncoder:
    """A local client drops values that cannot be sent, and only flags that read them are affected. A remote client sends the
    whole context, so any such value raises `InvalidContext`. Either is logged once for each attribute, because an evaluation
    does not raise and `is_enabled` does not return a reason."""

    def __init__(self, is_local: bool) -> None:
        self._is_local = is_local
        # Lower-case attributes, and messages, that have been logged.
        self._logged: dict[str, object] = {}

    def encode(self, context: Attributes | Context) -> bytes:
        if isinstance(context, Context):
            if context.unusable:
                self._log_unusable(context.unusable)
                if not self._is_local:
                    raise InvalidContext(str(context.unusable[0]))
            return (self._is_local and context.form) or context.encoded
        if self._is_local:
            try:
                return encode(context)
            except InvalidContext:
                pass
        return self._encode_with_care(context)

    def _encode_with_care(self, context: Attributes) -> bytes:
        """Encodes a context for a remote client, or one that `encode` has refused."""
        try:
            if not self._is_local:
                return encode_exactly(context)
            encoded, unusable = encode_usable(context)
        except InvalidContext as error:
            try:
                self._log_unusable(encode_usable(context)[1])
            except InvalidContext:
                self._log_once(str(error), f"{error}. Every flag returns its default")
            raise
        self._log_unusable(unusable)
        return encoded

    def invalid_context(self, context: Attributes | Context, message: str | None) -> InvalidContext:
        """The exception for a context that the library refused. The library's message has the path in the JSON; this one adds
        what is wrong with the value there."""
        is_encoded = isinstance(context, Context)
        found = context.unusable if isinstance(context, Context) else encode_usable(context)[1]
        if not found:
            return InvalidContext(message or "the context cannot be read")
        lowered = (message or "").lower()
        named = [each for each in found if each.path and each.path.lower() in lowered]
        chosen = max(named, key=lambda each: len(each.path), default=found[0])
        if chosen is found[0] and not is_encoded:
            try:
                encode_exactly(context)  # type: ignore[arg-type]
            except InvalidContext as error:
                return error
        return InvalidContext(str(chosen))

    def has_logged(self, line: str) -> bool:
        """Whether a line of the library is about an attribute that was logged here already, in more detail."""
        before, _, rest = line.partition("context: attribute `")
        return not before and rest.partition("` cannot be used")[0].lower() in self._logged

    def _log_unusable(self, unusable: list[Unusable]) -> None:
        effect = "Flags that read it return their default" if self._is_local else "Every flag returns its default"
        for each in unusable:
            self._log_once(each.attribute.lower(), f"{each}. {effect}; this is logged once for each attribute")

    def _log_once(self, subject: str, line: str) -> None:
        logged = self._logged
        if subject not in logged and len(logged) <= _MAX_LOGGED:
            mine = object()
            # Of several threads, one logs.
            if logged.setdefault(subject, mine) is mine:
                more = "Further attributes that cannot be sent are not logged"
                log("warning", line if len(logged) <= _MAX_LOGGED else more)
