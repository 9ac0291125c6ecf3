"""The OpenFeature provider. Needs `openfeature-sdk`: `pip install mpflags[openfeature]`."""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from openfeature.exception import ErrorCode, GeneralError, ProviderNotReadyError
from openfeature.flag_evaluation import FlagResolutionDetails, Reason
from openfeature.provider import AbstractProvider, Metadata

from .client import Client
from .config import LocalFlagsConfig, RemoteFlagsConfig
from .context import encode, encode_exactly
from .context import flag_key as encoded_key
from .errors import CredentialsRefused, InvalidArgument, InvalidContext, MpflagsError, Timeout
from .items import log
from .lifecycle import Lifecycle

if typing.TYPE_CHECKING:
    from openfeature.evaluation_context import EvaluationContext
    from openfeature.track import TrackingEventDetails

    from ._native import Outcome

_METADATA = Metadata(name="mixpanel-provider")
# Read-only and shared: making one for each answer costs as much as the rest of the details.
_EMPTY: Mapping[str, typing.Any] = MappingProxyType({})
_REASONS = {reason.value: reason for reason in Reason}
_CODES = {code.value: code for code in ErrorCode}
# The C interface's types of values.
_BOOLEAN, _STRING, _INT64, _DOUBLE, _OBJECT = range(1, 6)
_NO_MATCH, _DISABLED = 1, 3
_MOST_ANSWERS = 20_000

_Object = Sequence[typing.Any] | Mapping[str, typing.Any]
# Value, text of a value that is copied for each caller, reason, variant, metadata.
_Prepared = tuple[typing.Any, str | None, Reason, str | None, Mapping[str, typing.Any]]


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
        self._tables: tuple[dict[int, _Prepared], ...] = ({}, {}, {}, {}, {}, {})
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
            attributes = evaluation_context.attributes if evaluation_context is not None else {}
            distinct_id = attributes.get("distinct_id")
            properties: dict[str, typing.Any] = {}
            if tracking_event_details is not None:
                properties.update(tracking_event_details.attributes)
                if tracking_event_details.value is not None:
                    properties["value"] = tracking_event_details.value
            self._client.track(typing.cast(str, distinct_id), tracking_event_name, properties)
        except Exception as error:
            log("warning", f"the event {tracking_event_name!r} was not tracked: {error}")

    def resolve_boolean_details(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        return self._resolve(flag_key, default_value, evaluation_context, _BOOLEAN)

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        return self._resolve(flag_key, default_value, evaluation_context, _STRING)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        return self._resolve(flag_key, default_value, evaluation_context, _INT64)

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        return self._resolve(flag_key, _as_float(default_value), evaluation_context, _DOUBLE)

    def resolve_object_details(
        self, flag_key: str, default_value: _Object, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[_Object]:
        return self._resolve(flag_key, default_value, evaluation_context, _OBJECT)

    async def resolve_boolean_details_async(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        return await self._resolve_async(flag_key, default_value, evaluation_context, _BOOLEAN)

    async def resolve_string_details_async(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        return await self._resolve_async(flag_key, default_value, evaluation_context, _STRING)

    async def resolve_integer_details_async(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        return await self._resolve_async(flag_key, default_value, evaluation_context, _INT64)

    async def resolve_float_details_async(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        return await self._resolve_async(flag_key, _as_float(default_value), evaluation_context, _DOUBLE)

    async def resolve_object_details_async(
        self, flag_key: str, default_value: _Object, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[_Object]:
        return await self._resolve_async(flag_key, default_value, evaluation_context, _OBJECT)

    def _resolve(
        self, flag_key: str, default: typing.Any, context: EvaluationContext | None, kind: int
    ) -> FlagResolutionDetails[typing.Any]:
        # The way of every local evaluation: one crossing, one look-up, one object.
        try:
            attributes = context.attributes if context is not None else _EMPTY
            if context is not None and context.targeting_key:
                attributes = {**attributes, "targetingKey": context.targeting_key}
            key = encoded_key(flag_key)
            if not self._is_local:
                outcome = self._client.ask_remote(key, encode_exactly(attributes), kind)
                return _details(default, kind, outcome)
            encoded = encode(attributes)
            number = self._client._packed(key, encoded, kind)
            table = self._tables[kind]
            prepared = table.get(number)
            if prepared is None:
                if number == _NO_MATCH:
                    return FlagResolutionDetails(default, None, None, Reason.DEFAULT, None, _EMPTY)
                if number == _DISABLED:
                    return FlagResolutionDetails(default, None, None, Reason.DISABLED, None, _EMPTY)
                outcome = self._client.outcome(key, encoded, kind, number)
                if not (number & 1 and outcome.has_value):
                    return _details(default, kind, outcome)
                prepared = _prepared(kind, outcome)
                if prepared is None:
                    return _details(default, kind, outcome)
                if len(table) >= _MOST_ANSWERS:
                    table.clear()
                table[number] = prepared
            value, text, reason, variant, metadata = prepared
            if text is not None:
                value = _object(text)
            return FlagResolutionDetails(value, None, None, reason, variant, metadata)
        except InvalidContext as error:
            return _failed(default, ErrorCode.INVALID_CONTEXT, str(error))
        except InvalidArgument as error:
            return _failed(default, ErrorCode.FLAG_NOT_FOUND, str(error))
        except Exception as error:
            return _failed(default, ErrorCode.GENERAL, str(error))

    async def _resolve_async(
        self, flag_key: str, default: typing.Any, context: EvaluationContext | None, kind: int
    ) -> FlagResolutionDetails[typing.Any]:
        if self._is_local:
            return self._resolve(flag_key, default, context, kind)
        details: FlagResolutionDetails[typing.Any] = await self._client.in_pool(
            lambda: self._resolve(flag_key, default, context, kind)
        )
        return details


def _as_float(default: typing.Any) -> typing.Any:
    # The SDK checks the default's type, too, and an int is no float to it.
    return float(default) if type(default) is int else default


def _object(text: str) -> typing.Any:
    import json  # noqa: PLC0415

    return json.loads(text)


def _failed(default: typing.Any, code: ErrorCode, message: str | None) -> FlagResolutionDetails[typing.Any]:
    return FlagResolutionDetails(default, code, message, Reason.ERROR, None, _EMPTY)


def _prepared(kind: int, outcome: Outcome) -> _Prepared | None:
    """What is handed out for an outcome with a value. None for null: the SDK takes it for no type."""
    value: typing.Any = outcome.value
    text = None
    if kind == _OBJECT:
        if value is None:
            return None
        text, value = outcome.json, None
    elif kind == _INT64:
        value = int(value)
    elif kind == _DOUBLE:
        value = float(value)
    metadata = MappingProxyType(outcome.metadata) if outcome.metadata else _EMPTY
    return value, text, _REASONS.get(outcome.reason, Reason.UNKNOWN), outcome.variant, metadata


def _details(default: typing.Any, kind: int, outcome: Outcome) -> FlagResolutionDetails[typing.Any]:
    if outcome.error_code is not None:
        return _failed(default, _CODES.get(outcome.error_code, ErrorCode.GENERAL), outcome.message)
    if not outcome.has_value:
        reason = _REASONS.get(outcome.reason, Reason.UNKNOWN)
        return FlagResolutionDetails(default, None, None, reason, None, _EMPTY)
    prepared = _prepared(kind, outcome)
    if prepared is None:
        return _failed(default, ErrorCode.TYPE_MISMATCH, "expected object, the variant holds null")
    value, text, reason, variant, metadata = prepared
    return FlagResolutionDetails(_object(text) if text is not None else value, None, None, reason, variant, metadata)
