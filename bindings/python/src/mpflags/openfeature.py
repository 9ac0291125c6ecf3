"""The OpenFeature provider. Needs `openfeature-sdk`: `pip install 'mpflags[openfeature]'`."""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping, Sequence

from openfeature.exception import ErrorCode, GeneralError, ProviderNotReadyError
from openfeature.flag_evaluation import FlagResolutionDetails, Reason
from openfeature.provider import AbstractProvider, Metadata

from .abi import (
    BOOLEAN,
    DISABLED,
    DOUBLE,
    INT64,
    NO_MATCH,
    NO_PROPERTIES,
    OBJECT_OR_ARRAY,
    STRING,
    NotCopyable,
    evaluate_options,
)
from .client import Client
from .config import LocalFlagsConfig, RemoteFlagsConfig
from .details import Prepared, details, prepared, without
from .errors import CredentialsRefused, InvalidArgument, InvalidConfig, InvalidContext, MpflagsError, Timeout
from .foreign import FlagsProvider, check_flags_provider, resolve_foreign
from .items import log
from .lifecycle import Lifecycle
from .mixpanel import Mixpanel

if typing.TYPE_CHECKING:
    from openfeature.evaluation_context import EvaluationContext
    from openfeature.track import TrackingEventDetails

    from .options import LocalFlagsConfigLike, RemoteFlagsConfigLike


_METADATA = Metadata(name="mixpanel-provider")
_MAX_ANSWERS = 20_000
_T = typing.TypeVar("_T")
_Config = typing.TypeVar("_Config")

_Object = Sequence[typing.Any] | Mapping[str, typing.Any]


def _resolver(kind: int) -> typing.Any:
    """The method that resolves one type of value. A local evaluation costs one call of the client, one look-up, one object."""
    options = evaluate_options(kind)
    is_object = kind == OBJECT_OR_ARRAY

    def resolve(
        self: MixpanelProvider,
        flag_key: str,
        default_value: typing.Any,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[typing.Any]:
        try:
            if evaluation_context is None:
                attributes, targeting_key = _NO_ATTRIBUTES, None
            else:
                attributes, targeting_key = evaluation_context.attributes, evaluation_context.targeting_key
            evaluate = self._evaluate
            if evaluate is None:
                return self._resolve_elsewhere(kind, flag_key, default_value, _context(attributes, targeting_key))
            number = evaluate(flag_key, attributes, targeting_key, options)
            found = self._known[kind].get(number)
            if found is None:
                return self._read(kind, flag_key, default_value, _context(attributes, targeting_key), number)
            value, reason, variant, metadata, context_key = found
            metadata = metadata.copy()
            if context_key is not None:
                subject = attributes.get(context_key)
                if subject.__class__ is str and context_key != "targetingKey":
                    metadata["contextId"] = subject
                else:
                    self._add_context_id(metadata, flag_key, _context(attributes, targeting_key), context_key)
            # The same as by its constructor, without the cost of calling it.
            made: FlagResolutionDetails[typing.Any] = _new(FlagResolutionDetails)
            made.value = value() if is_object else value
            made.error_code = made.error_message = None
            made.reason, made.variant, made.flag_metadata = reason, variant, metadata
            return made
        except InvalidContext as error:
            return without(default_value, kind, Reason.ERROR, ErrorCode.INVALID_CONTEXT, str(error))
        except InvalidArgument as error:
            return without(default_value, kind, Reason.ERROR, ErrorCode.FLAG_NOT_FOUND, str(error))
        except Exception as error:
            return without(default_value, kind, Reason.ERROR, ErrorCode.GENERAL, str(error))

    return resolve


_new: typing.Any = object.__new__
_NO_ATTRIBUTES: Mapping[str, typing.Any] = {}


def _context(attributes: Mapping[str, typing.Any], targeting_key: str | None) -> Mapping[str, typing.Any]:
    return {**attributes, "targetingKey": targeting_key} if targeting_key else attributes


def _token_and_config(token: str | _Config | None, config: _Config | None) -> tuple[str | None, _Config | None]:
    """The arguments of a factory, of which a configuration with a token may be the only one."""
    if token is None or isinstance(token, str):
        return token, config
    if config is not None:
        raise InvalidConfig(f"token: expected a string, got {type(token).__module__}.{type(token).__qualname__}")
    return None, token


class MixpanelProvider(NotCopyable, AbstractProvider):
    """An OpenFeature provider for Mixpanel's flags, local or remote.

    `from_local_config` and `from_remote_config` make a new client and start it, as Mixpanel's do. The constructor takes a
    `Client`, or any other object with Mixpanel's flags interface, and opens nothing; it raises TypeError for an object that has
    no `get_variant`. The provider can be neither copied nor pickled, because the client cannot.
    """

    _instead = Client._instead

    _client: Client
    _lifecycle: Lifecycle

    def __init__(self, flags_provider: FlagsProvider, mixpanel_instance: Mixpanel | None = None) -> None:
        super().__init__()
        self._mixpanel = mixpanel_instance
        self._foreign: FlagsProvider | None = None
        self._is_local = False
        if isinstance(flags_provider, Client):
            self._client = flags_provider
            self._is_local = flags_provider.is_local
            self._lifecycle = Lifecycle(self, flags_provider)
        else:
            check_flags_provider(flags_provider)
            self._foreign = flags_provider
        # Results, by the type of the read and by the number of the answer.
        self._known: tuple[dict[int, Prepared], ...] = ({}, {}, {}, {}, {}, {}, {})
        # The evaluation of a local client.
        self._evaluate = self._client.evaluate if self._is_local else None
        self._logged_untracked = False
        # Whether the factory has already waited for the definitions, so that `initialize` must not wait as long again.
        self._has_waited = False

    @classmethod
    def from_local_config(
        cls, token: str | LocalFlagsConfigLike | None = None, config: LocalFlagsConfigLike | None = None
    ) -> MixpanelProvider:
        """A provider that evaluates in process. Pass the token here or in the configuration.

        Starts polling and waits for the first definitions, for at most `init_timeout_ms`. If none arrive, this is logged, and
        polling continues. The configuration is one of mpflags or of Mixpanel's package. Raises `InvalidConfig`.
        """
        token, config = _token_and_config(token, config)
        mixpanel = Mixpanel(token, local_flags_config=LocalFlagsConfig() if config is None else config)
        return cls._started(mixpanel.local_flags, mixpanel)

    @classmethod
    def from_remote_config(
        cls, token: str | RemoteFlagsConfigLike | None = None, config: RemoteFlagsConfigLike | None = None
    ) -> MixpanelProvider:
        """A provider that sends a request to Mixpanel for each evaluation. Pass the token here or in the configuration.

        It is ready at once. The configuration is one of mpflags or of Mixpanel's package. Raises `InvalidConfig`.
        """
        token, config = _token_and_config(token, config)
        mixpanel = Mixpanel(token, remote_flags_config=RemoteFlagsConfig() if config is None else config)
        return cls._started(mixpanel.remote_flags, mixpanel)

    @classmethod
    def _started(cls, client: Client, mixpanel: Mixpanel) -> MixpanelProvider:
        provider = cls(client, mixpanel)
        try:
            client.start_polling_for_definitions()
            provider._has_waited = True
        except MpflagsError as error:
            # The process cannot start a thread. `initialize` tries again.
            log("error", f"the client was not started: {error}")
        return provider

    @property
    def client(self) -> Client:
        """The client behind the provider. Raises AttributeError if the constructor was given another object."""
        if self._foreign is not None:
            held = type(self._foreign)
            raise AttributeError(
                f"this provider has no mpflags.Client: it was made with a {held.__module__}.{held.__qualname__}"
            )
        return self._client

    @property
    def mixpanel(self) -> Mixpanel | None:
        """For events and profile updates, if a factory made the provider. Otherwise what the constructor was given."""
        return self._mixpanel

    def get_metadata(self) -> Metadata:
        return _METADATA

    def initialize(self, evaluation_context: EvaluationContext) -> None:
        """Starts the client and waits for the first definitions, for at most `init_timeout_ms`. OpenFeature's SDK calls this.

        Does not wait if `from_local_config` has done so already. Raises an OpenFeature error if there are no definitions then.
        Polling continues, and READY follows the first success.
        """
        if self._foreign is not None:
            return
        with self._lifecycle.initializing():
            self._client.observe(self._lifecycle)
            try:
                self._client.start()
                if not self._client.are_flags_ready():
                    self._client.wait_ready(0 if self._has_waited else None)
            # Not FATAL, although credentials were refused: the SDK would never call the provider again, and this may recover.
            except (Timeout, CredentialsRefused) as error:
                raise ProviderNotReadyError(str(error)) from error
            except MpflagsError as error:
                raise GeneralError(str(error)) from error
            finally:
                self._has_waited = False

    def shutdown(self) -> None:
        """Delivers queued events and ends all threads, within `shutdown_timeout_ms`. The provider can be initialised again.

        Calls `shutdown` of an object that is not a `Client`.
        """
        if self._foreign is not None:
            getattr(self._foreign, "shutdown", lambda: None)()
            return
        self._has_waited = False
        self._lifecycle.end()
        self._client.stop_observing(self._lifecycle)
        self._client.shutdown()

    def track(
        self,
        tracking_event_name: str,
        evaluation_context: EvaluationContext | None = None,
        tracking_event_details: TrackingEventDetails | None = None,
    ) -> None:
        """Queues a Mixpanel event with the attributes and the value of the details. Never raises, never waits for Mixpanel."""
        try:
            distinct_id = None if self._foreign is not None else self._distinct_id(evaluation_context)
            if distinct_id is None:
                if not self._logged_untracked:
                    self._logged_untracked = True
                    why = (
                        "the context has no distinct_id"
                        if self._foreign is None
                        else "the provider has no mpflags.Client"
                    )
                    log("warning", f"the event {tracking_event_name!r} was not tracked: {why}. This is logged once")
                return
            properties: dict[str, typing.Any] = {}
            if tracking_event_details is not None:
                properties.update(tracking_event_details.attributes)
                if tracking_event_details.value is not None:
                    properties["value"] = tracking_event_details.value
            self._client.track(distinct_id, tracking_event_name, properties)
        except Exception as error:
            log("warning", f"the event {tracking_event_name!r} was not tracked: {error}")

    def _distinct_id(self, context: EvaluationContext | None) -> typing.Any:
        if context is None:
            return None
        distinct_id = context.attributes.get("distinct_id")
        if distinct_id is None and self._client.option("targeting_key_as") == "distinct_id":
            distinct_id = context.targeting_key
        return distinct_id

    def _resolve_elsewhere(
        self, kind: int, flag_key: str, default: typing.Any, context: Mapping[str, typing.Any]
    ) -> FlagResolutionDetails[typing.Any]:
        """By Mixpanel, or by an object that is not a client."""
        if self._foreign is not None:
            return resolve_foreign(self._foreign, kind, flag_key, default, context)
        return details(default, kind, self._client.evaluate_remotely(flag_key, context, evaluate_options(kind)))

    def _read(
        self, kind: int, flag_key: str, default: typing.Any, context: Mapping[str, typing.Any], number: int
    ) -> FlagResolutionDetails[typing.Any]:
        """What a number stands for that is not among the known answers."""
        client = self._client
        if number == NO_MATCH:
            return without(default, kind, Reason.DEFAULT)
        if number == DISABLED:
            return without(default, kind, Reason.DISABLED)
        if number == NO_PROPERTIES:
            return without(default, kind, Reason.DEFAULT, None, client.why_no_properties(flag_key, context))
        outcome = client.resolve(flag_key, context, evaluate_options(kind), number)
        if outcome.error_code == "INVALID_CONTEXT":
            raise client.encoder.invalid_context(context, outcome.message)
        if outcome.answer and outcome.has_value:
            known = self._known[kind]
            if len(known) >= _MAX_ANSWERS:
                known.clear()
            known[outcome.answer] = prepared(kind, outcome)
            if outcome.context_key is not None:
                self._add_context_id(outcome.metadata, flag_key, context, outcome.context_key)
        return details(default, kind, outcome)

    def _add_context_id(
        self,
        metadata: dict[str, typing.Any],
        flag_key: str,
        context: Mapping[str, typing.Any],
        context_key: str,
    ) -> None:
        """Adds `contextId` as the library writes it. Most types of an attribute need no call into the library."""
        value = context.get(context_key)
        if value is None:
            # There is a variant, so this was used in its place: the option `targeting_key_as`.
            value = context.get("targetingKey")
        if type(value) is int and value.bit_length() < 64:
            value = str(value)
        elif type(value) is not str:
            value = self._client.context_id(flag_key, context)
        if value is not None:
            metadata["contextId"] = value

    if typing.TYPE_CHECKING:

        def resolve_boolean_details(
            self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
        ) -> FlagResolutionDetails[bool]: ...

        def resolve_string_details(
            self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
        ) -> FlagResolutionDetails[str]: ...

        def resolve_integer_details(
            self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
        ) -> FlagResolutionDetails[int]: ...

        def resolve_float_details(
            self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
        ) -> FlagResolutionDetails[float]: ...

        def resolve_object_details(
            self, flag_key: str, default_value: _Object, evaluation_context: EvaluationContext | None = None
        ) -> FlagResolutionDetails[_Object]: ...

    else:
        resolve_boolean_details = _resolver(BOOLEAN)
        resolve_string_details = _resolver(STRING)
        resolve_integer_details = _resolver(INT64)
        resolve_float_details = _resolver(DOUBLE)
        # The SDK does not accept None as an object.
        resolve_object_details = _resolver(OBJECT_OR_ARRAY)

    async def resolve_boolean_details_async(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        return await self._resolve_async(
            BOOLEAN, self.resolve_boolean_details, flag_key, default_value, evaluation_context
        )

    async def resolve_string_details_async(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        return await self._resolve_async(
            STRING, self.resolve_string_details, flag_key, default_value, evaluation_context
        )

    async def resolve_integer_details_async(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        return await self._resolve_async(
            INT64, self.resolve_integer_details, flag_key, default_value, evaluation_context
        )

    async def resolve_float_details_async(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        return await self._resolve_async(
            DOUBLE, self.resolve_float_details, flag_key, default_value, evaluation_context
        )

    async def resolve_object_details_async(
        self, flag_key: str, default_value: _Object, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[_Object]:
        return await self._resolve_async(
            OBJECT_OR_ARRAY, self.resolve_object_details, flag_key, default_value, evaluation_context
        )

    async def _resolve_async(
        self,
        kind: int,
        resolve: Callable[[str, _T, EvaluationContext | None], FlagResolutionDetails[_T]],
        flag_key: str,
        default: _T,
        context: EvaluationContext | None,
    ) -> FlagResolutionDetails[_T]:
        """A remote evaluation waits on a thread of the client's pool. Others are resolved at once, as in Mixpanel's provider."""
        if self._is_local or self._foreign is not None:
            return resolve(flag_key, default, context)
        try:
            return await self._client.in_pool(lambda: resolve(flag_key, default, context))
        except Exception as error:
            return without(default, kind, Reason.ERROR, ErrorCode.GENERAL, str(error))
