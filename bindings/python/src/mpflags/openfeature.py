"""The OpenFeature provider. Needs `openfeature-sdk`: `pip install mpflags[openfeature]`."""

from __future__ import annotations

import json
import typing
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from openfeature.exception import ErrorCode, GeneralError, ProviderNotReadyError
from openfeature.flag_evaluation import FlagResolutionDetails, Reason
from openfeature.provider import AbstractProvider, Metadata

from .abi import BOOLEAN, DISABLED, DOUBLE, INT64, NO_MATCH, OBJECT, STRING, Outcome, asking
from .client import Client
from .config import LocalFlagsConfig, RemoteFlagsConfig
from .context import encode_exactly, known_key
from .context import flag_key as encoded_key
from .errors import CredentialsRefused, InvalidArgument, InvalidContext, MpflagsError, Timeout
from .items import log
from .lifecycle import Lifecycle

if typing.TYPE_CHECKING:
    from openfeature.evaluation_context import EvaluationContext
    from openfeature.track import TrackingEventDetails


_METADATA = Metadata(name="mixpanel-provider")
# Read-only and shared: making one for each answer costs as much as the rest of the details.
_EMPTY: Mapping[str, typing.Any] = MappingProxyType({})
_REASONS = {reason.value: reason for reason in Reason}
_CODES = {code.value: code for code in ErrorCode}
_MOST_ANSWERS = 20_000

_Object = Sequence[typing.Any] | Mapping[str, typing.Any]
# Value, text of a value that is copied for each caller, reason, variant, metadata.
_Prepared = tuple[typing.Any, str | None, Reason, str | None, Mapping[str, typing.Any]]
# Type of value, what asks for it, what answers stand for.
_Read = tuple[int, typing.Any, dict[int, _Prepared]]


class MixpanelProvider(AbstractProvider):
    """Evaluates Mixpanel's flags for OpenFeature, local or remote.

    `from_local_config` and `from_remote_config` make a client of their own; the constructor takes one that exists.
    """

    def __init__(self, client: Client, mixpanel_instance: Client | None = None) -> None:
        super().__init__()
        self._client = client
        self._mixpanel = mixpanel_instance
        self._is_local = client.is_local
        self._lifecycle = Lifecycle(self)
        self._reads_boolean: _Read = (BOOLEAN, asking(BOOLEAN), {})
        self._reads_string: _Read = (STRING, asking(STRING), {})
        self._reads_integer: _Read = (INT64, asking(INT64), {})
        self._reads_float: _Read = (DOUBLE, asking(DOUBLE), {})
        self._reads_object: _Read = (OBJECT, asking(OBJECT), {})
        self._told_untracked = False

    @classmethod
    def from_local_config(
        cls, token: str | LocalFlagsConfig | None = None, config: LocalFlagsConfig | None = None
    ) -> MixpanelProvider:
        """A provider that evaluates in process. The token may stand in the configuration instead."""
        if isinstance(token, LocalFlagsConfig):
            token, config = None, token
        client = Client.local(token, config)
        return cls(client, client)

    @classmethod
    def from_remote_config(
        cls, token: str | RemoteFlagsConfig | None = None, config: RemoteFlagsConfig | None = None
    ) -> MixpanelProvider:
        """A provider that asks Mixpanel for each evaluation."""
        if isinstance(token, RemoteFlagsConfig):
            token, config = None, token
        client = Client.remote(token, config)
        return cls(client, client)

    @property
    def client(self) -> Client:
        """The client behind the provider."""
        return self._client

    @property
    def mixpanel(self) -> Client | None:
        """The client when the provider made it, None when it was handed one."""
        return self._mixpanel

    def get_metadata(self) -> Metadata:
        return _METADATA

    def initialize(self, evaluation_context: EvaluationContext) -> None:
        """Starts the client, and waits for the first definitions. A failure is no end: polling goes on."""
        with self._lifecycle.initializing():
            self._client.watch(self._lifecycle)
            try:
                self._client.start()
                if self._is_local:
                    self._client.wait_ready()
            # Neither is FATAL: the SDK would answer by itself from then on, while this may heal.
            except (Timeout, CredentialsRefused) as error:
                raise ProviderNotReadyError(str(error)) from error
            except MpflagsError as error:
                raise GeneralError(str(error)) from error

    def shutdown(self) -> None:
        """Delivers what is queued and ends all threads, within `shutdown_timeout_ms`. The provider can start again."""
        self._lifecycle.end()
        self._client.shutdown()

    def track(
        self,
        tracking_event_name: str,
        evaluation_context: EvaluationContext | None = None,
        tracking_event_details: TrackingEventDetails | None = None,
    ) -> None:
        """Queues a Mixpanel event with the details' attributes and value. Never raises, never waits."""
        try:
            distinct_id = self._distinct_id(evaluation_context)
            if distinct_id is None:
                if not self._told_untracked:
                    self._told_untracked = True
                    log("warning", "events are not tracked for contexts without distinct_id")
                return
            properties: dict[str, typing.Any] = {}
            if tracking_event_details is not None:
                properties.update(tracking_event_details.attributes)
                if tracking_event_details.value is not None:
                    properties["value"] = tracking_event_details.value
            self._client.track(distinct_id, tracking_event_name, properties)
        except Exception as error:
            log("warning", f"the event {tracking_event_name!r} was not tracked: {error}")

    def _distinct_id(self, context: EvaluationContext | None) -> str | None:
        if context is None:
            return None
        distinct_id = context.attributes.get("distinct_id")
        if distinct_id is None and self._client.option("targeting_key_as") == "distinct_id":
            distinct_id = context.targeting_key
        return None if distinct_id is None else str(distinct_id)

    def resolve_boolean_details(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        return self._resolve(flag_key, default_value, evaluation_context, self._reads_boolean)

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        return self._resolve(flag_key, default_value, evaluation_context, self._reads_string)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        return self._resolve(flag_key, default_value, evaluation_context, self._reads_integer)

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        return self._resolve(flag_key, _as_float(default_value), evaluation_context, self._reads_float)

    def resolve_object_details(
        self, flag_key: str, default_value: _Object, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[_Object]:
        return self._resolve(flag_key, default_value, evaluation_context, self._reads_object)

    async def resolve_boolean_details_async(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        return await self._resolve_async(flag_key, default_value, evaluation_context, self._reads_boolean)

    async def resolve_string_details_async(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        return await self._resolve_async(flag_key, default_value, evaluation_context, self._reads_string)

    async def resolve_integer_details_async(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        return await self._resolve_async(flag_key, default_value, evaluation_context, self._reads_integer)

    async def resolve_float_details_async(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        return await self._resolve_async(flag_key, _as_float(default_value), evaluation_context, self._reads_float)

    async def resolve_object_details_async(
        self, flag_key: str, default_value: _Object, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[_Object]:
        return await self._resolve_async(flag_key, default_value, evaluation_context, self._reads_object)

    def _resolve(
        self, flag_key: str, default: typing.Any, context: EvaluationContext | None, read: _Read
    ) -> FlagResolutionDetails[typing.Any]:
        # The way of every local evaluation: one crossing, one look-up, one object.
        try:
            key = known_key(flag_key) or encoded_key(flag_key)
            attributes = context.attributes if context is not None else _EMPTY
            if context is not None and context.targeting_key:
                attributes = {**attributes, "targetingKey": context.targeting_key}
            kind, ask, known = read
            if not self._is_local:
                return _details(default, kind, self._client.ask_mixpanel(key, encode_exactly(attributes), ask))
            encoded = self._client.encode(attributes)
            number = self._client.packed(key, encoded, ask)
            prepared = known.get(number)
            if prepared is None:
                if number == NO_MATCH:
                    return FlagResolutionDetails(default, None, None, Reason.DEFAULT, None, _EMPTY)
                if number == DISABLED:
                    return FlagResolutionDetails(default, None, None, Reason.DISABLED, None, _EMPTY)
                outcome = self._client.resolve(key, encoded, ask, number)
                if outcome.answer and outcome.json != "null":
                    if len(known) >= _MOST_ANSWERS:
                        known.clear()
                    known[outcome.answer] = _prepared(kind, outcome)
                return _details(default, kind, outcome)
            value, text, reason, variant, metadata = prepared
            if text is not None:
                value = json.loads(text)
            return FlagResolutionDetails(value, None, None, reason, variant, metadata)
        except InvalidContext as error:
            return _failed(default, ErrorCode.INVALID_CONTEXT, str(error))
        except InvalidArgument as error:
            return _failed(default, ErrorCode.FLAG_NOT_FOUND, str(error))
        except Exception as error:
            return _failed(default, ErrorCode.GENERAL, str(error))

    async def _resolve_async(
        self, flag_key: str, default: typing.Any, context: EvaluationContext | None, read: _Read
    ) -> FlagResolutionDetails[typing.Any]:
        if self._is_local:
            return self._resolve(flag_key, default, context, read)
        return await self._client.in_pool(lambda: self._resolve(flag_key, default, context, read))


def _as_float(default: typing.Any) -> typing.Any:
    # The SDK checks the default's type, too, and an int is no float to it.
    return float(default) if type(default) is int else default


def _failed(default: typing.Any, code: ErrorCode, message: str | None) -> FlagResolutionDetails[typing.Any]:
    return FlagResolutionDetails(default, code, message, Reason.ERROR, None, _EMPTY)


def _prepared(kind: int, outcome: Outcome) -> _Prepared:
    metadata = MappingProxyType(outcome.metadata) if outcome.metadata else _EMPTY
    reason = _REASONS.get(outcome.reason, Reason.UNKNOWN)
    if kind == OBJECT:
        return None, outcome.json, reason, outcome.variant, metadata
    return outcome.read(kind), None, reason, outcome.variant, metadata


def _details(default: typing.Any, kind: int, outcome: Outcome) -> FlagResolutionDetails[typing.Any]:
    if outcome.error_code is not None:
        return _failed(default, _CODES.get(outcome.error_code, ErrorCode.GENERAL), outcome.message)
    if not outcome.has_value:
        reason = _REASONS.get(outcome.reason, Reason.UNKNOWN)
        return FlagResolutionDetails(default, None, None, reason, None, _EMPTY)
    if outcome.json == "null":
        # An object to the library; the SDK takes None for no type at all.
        return _failed(default, ErrorCode.TYPE_MISMATCH, "expected object, the variant holds null")
    value, text, reason, variant, metadata = _prepared(kind, outcome)
    return FlagResolutionDetails(value if text is None else json.loads(text), None, None, reason, variant, metadata)
