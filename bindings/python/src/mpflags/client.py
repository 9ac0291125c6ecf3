"""The client: Mixpanel's flags interface, local and remote, for plain code and for coroutines."""

from __future__ import annotations

import weakref

from .abi import (
    ANY,
    BOOLEAN,
    DISABLED,
    NO_MATCH,
    NO_PROPERTIES,
    TIMEOUT_CONFIGURED,
    TIMEOUT_INIT,
    NotCopyable,
    evaluate_options,
)
from .config import FlagsConfig, LocalFlagsConfig, RemoteFlagsConfig, configured, use_own_names
from .context import Context, encode, encode_value, encoded_name, event_properties, identity, json_argument, known_key
from .context import flag_key as encoded_key
from .encoder import ContextEncoder
from .errors import InvalidArgument, InvalidConfig, InvalidContext, MpflagsError, SystemFailure
from .items import log
from .runtime import Runtime
from .variants import (
    FLAG_DISABLED,
    NO_ROLLOUT_MATCH,
    FallbackReason,
    Prepared,
    SelectedVariant,
    VariantSource,
    fallback_reason,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, TypeVar

    from typing_extensions import Unpack

    from ._native import Evaluate, EvaluatedTable, NativeClient
    from .abi import Outcome
    from .config import ServiceAccountCredentials
    from .context import Attributes
    from .items import Listener, Observer
    from .options import LocalFlagsConfigLike, LocalOptions, RemoteFlagsConfigLike, RemoteOptions

    _T = TypeVar("_T")

_REPORT, _QUIET = evaluate_options(ANY), evaluate_options(ANY, report_exposure=False)
_BOOLEAN = evaluate_options(BOOLEAN)
# A definition that changes gets new numbers, and the old ones are never looked up again.
_MAX_ANSWERS = 20_000


class Client(NotCopyable):
    """Evaluates the flags of one Mixpanel project. Usable from any thread.

    Make one with `Client.local` or `Client.remote`. It opens no connection before it is started. As a context manager it
    starts, waits for the first definitions, and shuts down at the end. It can be neither copied nor pickled: share it between
    threads, and make another one in another process.
    """

    _instead = (
        "share it between threads; make another one from the token and the configuration in another process instead"
    )

    def __init__(self, config: FlagsConfig, token: str | None = None) -> None:
        self._config = config
        self._is_local = config.mode == "local"
        self._source = VariantSource.LOCAL if self._is_local else VariantSource.REMOTE
        encoder = ContextEncoder(self._is_local)
        try:
            self._runtime = Runtime(config.to_json(token), config.async_threads, encoder.has_logged)
        except InvalidConfig as error:
            use_own_names(error)
            raise
        #: These two are for the provider.
        self.encoder = encoder
        self.evaluate = _evaluator(self._runtime.library, encoder)
        self._evaluate_packed = self._runtime.library.evaluate_packed()
        self._answers: dict[int, Prepared] = {}
        self._polled = False
        self._no_properties: str | None = None

    def __repr__(self) -> str:
        # Not by `_native`, which would start threads in the child of a fork.
        found = self._runtime.library.statistics()
        definitions = found["definitions"]
        flags = "" if definitions is None or definitions["flags"] is None else f", {definitions['flags']} flags"
        return f"<mpflags.Client {self._config.mode} {self._config.api_host} {found['state']}{flags}>"

    @classmethod
    def local(
        cls,
        token: str | None = None,
        config: LocalFlagsConfigLike | None = None,
        *,
        credentials: ServiceAccountCredentials | None = None,
        **options: Unpack[LocalOptions],
    ) -> Client:
        """A client that polls definitions and evaluates in process. `options` are those of `LocalFlagsConfig`.

        `config` is a `LocalFlagsConfig`, of mpflags or of Mixpanel's package.

        Raises `InvalidConfig`, which names the option.
        """
        return cls(configured(LocalFlagsConfig, config, credentials, options), token)

    @classmethod
    def remote(
        cls,
        token: str | None = None,
        config: RemoteFlagsConfigLike | None = None,
        *,
        credentials: ServiceAccountCredentials | None = None,
        **options: Unpack[RemoteOptions],
    ) -> Client:
        """A client that sends a request to Mixpanel for each evaluation. `options` are those of `RemoteFlagsConfig`.

        `config` is a `RemoteFlagsConfig`, of mpflags or of Mixpanel's package.

        Raises `InvalidConfig`, which names the option.
        """
        return cls(configured(RemoteFlagsConfig, config, credentials, options), token)

    # -- lifecycle

    def start(self) -> None:
        """Starts the threads and returns at once. Does nothing if the client is started already.

        Raises `SystemFailure` if the process cannot start a thread. The client is then as it was, and none of its threads runs.
        """
        self._runtime.start()

    def wait_ready(self, timeout: float | None = None) -> None:
        """Waits until the client has definitions, for at most `timeout` seconds (default: the option `init_timeout_ms`).

        Raises `Timeout`, `CredentialsRefused` or `Closed`, with the error of the last fetch. Polling continues.
        """
        native = self._native
        native.wait_ready(native.timeout_ms(TIMEOUT_INIT) if timeout is None else _milliseconds(timeout))

    def refresh(self, timeout: float | None = None) -> None:
        """Fetches the definitions now, whether the client polls or not, and waits for the result.

        For serverless functions that are frozen between calls, and jobs that need the latest flags once. Waits for at most
        `timeout` seconds (default: `request_timeout_in_seconds`); 0 starts the fetch without waiting. Threads that call this at
        the same time share one fetch. A remote client has no definitions, so this does nothing.

        Raises `BackendError`, `CredentialsRefused`, `Timeout`, `Closed`, or, before `start`, `InvalidArgument`. After a failure
        the client keeps the definitions that it has.
        """
        self._start_remote()
        self._native.refresh(TIMEOUT_CONFIGURED if timeout is None else _milliseconds(timeout))

    async def arefresh(self, timeout: float | None = None) -> None:
        """`refresh`, without blocking the event loop."""
        if self._runtime.ended or not self._is_local:
            # A client that has ended or is remote does not wait.
            self.refresh(timeout)
        else:
            await self._runtime.in_pool(lambda: self.refresh(timeout))

    def start_polling_for_definitions(self) -> None:
        """Starts the client and waits for the first definitions. Called again, it fetches and waits again, as Mixpanel's does.

        Waits for at most `init_timeout_ms`. A failure is logged, and polling continues.
        """
        again = self._runtime.started and (self._polled or self.are_flags_ready())
        self.start()
        self._polled = True
        if not self._is_local:
            return
        try:
            if again:
                native = self._native
                native.refresh(native.timeout_ms(TIMEOUT_INIT))
            else:
                self.wait_ready()
        except MpflagsError as error:
            what = (
                "definitions were not fetched again"
                if again
                else "flags have their defaults for now, and polling continues"
            )
            log("warning", f"{what}: {error}")

    def stop_polling_for_definitions(self) -> None:
        """Does nothing. `shutdown` ends polling and delivers exposures."""

    async def astart_polling_for_definitions(self) -> None:
        """`start_polling_for_definitions`, without blocking the event loop."""
        self.start()
        if self._is_local:
            await self._runtime.in_pool(self.start_polling_for_definitions)

    async def astop_polling_for_definitions(self) -> None:
        """Does nothing, like `stop_polling_for_definitions`."""

    def are_flags_ready(self) -> bool:
        """Whether the client can evaluate: a local client once it has definitions, a remote client always."""
        return not self._is_local or self._native.state() in ("READY", "STALE")

    @property
    def state(self) -> str:
        """`"NOT_READY"`, `"READY"`, `"STALE"` or `"ERROR"`."""
        return self._native.state()

    @property
    def is_local(self) -> bool:
        """Whether the client evaluates in process."""
        return self._is_local

    def shutdown(self, timeout: float | None = None) -> int:
        """Delivers queued events and ends all threads, within `timeout` seconds (default: the option `shutdown_timeout_ms`).

        Returns the number of events that were not delivered. They are lost, and a log line gives the reason. Returns 0 if the
        client is shut down already. Ctrl-C ends the wait at once, as if the time were over.

        May be called twice, from any thread, during other calls, and in a running event loop. Evaluations keep working with the
        definitions that the client has, without exposures. `start` starts it again.
        """
        self._polled = False
        return self._runtime.shutdown(self._runtime.shutdown_ms if timeout is None else _milliseconds(timeout))

    close = shutdown

    def flush(self, timeout: float = 5.0) -> int:
        """Sends queued events and waits for the delivery, for at most `timeout` seconds.

        Returns the number of events that are still queued. Ctrl-C ends the wait at once; the events stay queued.
        """
        return self._native.flush(_milliseconds(timeout))

    def statistics(self) -> dict[str, Any]:
        """State, definitions and counts of events, for a health page: docs/operations.md describes them."""
        return self._native.statistics()

    def on_item(self, listener: Listener) -> None:
        """Calls `listener` with each state, change of flags and, with the option `event_sink`, event.

        Calls it on the thread that pulls items, one item at a time. Log lines go to the logger `mpflags` instead.
        """
        self._runtime.pump.listeners.append(listener)

    def __enter__(self) -> Client:
        self.start_polling_for_definitions()
        return self

    def __exit__(self, *exc: object) -> None:
        self.shutdown()

    async def __aenter__(self) -> Client:
        await self.astart_polling_for_definitions()
        return self

    async def __aexit__(self, *exc: object) -> None:
        # Cancelling ends the wait, as Ctrl-C does in `shutdown`.
        await self._runtime.in_own_thread(self.shutdown, on_cancel=lambda: self.shutdown(0))

    # -- evaluation

    def get_variant(
        self,
        flag_key: str,
        fallback_value: SelectedVariant,
        context: Attributes | Context,
        report_exposure: bool = True,
        *,
        reportExposure: bool | None = None,  # noqa: N803 - the spelling of Mixpanel's remote interface
    ) -> SelectedVariant:
        """The variant of a flag. Reports an exposure. Never raises: without a variant it returns the fallback and the reason."""
        report = report_exposure if reportExposure is None else reportExposure
        found = self._find(flag_key, context, _REPORT if report else _QUIET)
        return found.selected() if isinstance(found, Prepared) else fallback_value.as_fallback(found)

    def get_variant_value(self, flag_key: str, fallback_value: _T, context: Attributes | Context) -> _T:
        """The value of the variant, or `fallback_value`. Reports an exposure."""
        found = self._find(flag_key, context, _REPORT)
        if type(found) is not Prepared:
            return fallback_value
        value: _T = found.value if found.copy is None else found.copy()
        return value

    def is_enabled(self, flag_key: str, context: Attributes | Context) -> bool:
        """Whether the variant's value is true. Reports an exposure, unless the value is not a boolean."""
        found = self._find(flag_key, context, _BOOLEAN)
        return type(found) is Prepared and found.value is True

    def _find(self, flag_key: str, context: Attributes | Context, options: int) -> Prepared | FallbackReason:
        """The variant of a flag, or why there is none."""
        try:
            if not self._is_local:
                return self._find_remotely(encoded_key(flag_key), self.encoder.encode(context), options)
            if isinstance(context, Context):
                key = known_key(flag_key) or encoded_key(flag_key)
                number = self._evaluate_packed(key, self.encoder.encode(context), options)
            else:
                number = self.evaluate(flag_key, context, None, options)
            return self._answers.get(number) or self._read(flag_key, context, options, number)
        except InvalidContext as error:
            return FallbackReason("INVALID_CONTEXT", str(error))
        # No flag can have such a key. A TypeError means that it is not even hashable.
        except (InvalidArgument, TypeError) as error:
            return FallbackReason("FLAG_NOT_FOUND", str(error))
        # For example a RuntimeError, if no thread can be started.
        except Exception as error:
            return FallbackReason("BACKEND_ERROR", str(error))

    def _read(
        self, flag_key: str, context: Attributes | Context, options: int, number: int
    ) -> Prepared | FallbackReason:
        """What a number stands for that is not among the known answers."""
        if number == NO_MATCH:
            return NO_ROLLOUT_MATCH
        if number == DISABLED:
            return FLAG_DISABLED
        if number == NO_PROPERTIES:
            return FallbackReason(NO_ROLLOUT_MATCH.kind, self.why_no_properties(flag_key, context))
        outcome = self.resolve(flag_key, context, options, number)
        if outcome.error_code == "INVALID_CONTEXT":
            raise self.encoder.invalid_context(context, outcome.message)
        return self._prepare(outcome) if outcome.has_value else fallback_reason(outcome)

    def _find_remotely(self, key: bytes, encoded: bytes, options: int) -> Prepared | FallbackReason:
        self._start_remote()
        outcome, evaluation = self._native.evaluate(key, encoded, options, 0, waits=True)
        if not outcome.has_value:
            return fallback_reason(outcome)
        # Kept even if the exposure was reported: the evaluation tells the library so, and it does not report it again.
        return Prepared(outcome, self._source, (evaluation, key, encoded))

    def get_all_variants(self, context: Attributes | Context) -> Any:
        """The variant of every flag that has one for this context, by flag key. Reports no exposures.

        Empty without definitions. On failure a remote client returns None, as in Mixpanel's SDK.
        """
        nothing: dict[str, SelectedVariant] | None = {} if self._is_local else None
        try:
            encoded = self.encoder.encode(context)
            self._start_remote()
            evaluations = self._native.evaluate_all(encoded, 0, waits=not self._is_local)
        except Exception as error:
            log("warning", f"all variants: {error}")
            return nothing
        variants: dict[str, SelectedVariant] = {}
        known = self._answers.get
        for index, number in enumerate(evaluations.answers()):
            prepared = known(number)
            if prepared is None:
                if number in (NO_MATCH, NO_PROPERTIES, DISABLED):
                    continue
                outcome = evaluations.outcome(index)
                if not outcome.has_value:
                    continue
                prepared = self._prepare(outcome)
            variant = prepared.selected()
            # Kept for `track_exposure_event`.
            variant._evaluation = (evaluations, prepared.encoded_key, encoded)
            variants[prepared.key] = variant
        if evaluations.failure is not None:
            log("warning", f"all variants: {evaluations.message}")
            return variants or nothing
        return variants

    def evaluate_table(
        self,
        data: Any,
        flags: Iterable[str] | None = None,
        *,
        columns: Mapping[str, str | None] | None = None,
        keep: Iterable[str] = (),
        report_exposures: bool = False,
        rollouts: bool = False,
        dictionary: bool = True,
    ) -> EvaluatedTable:
        """Evaluates flags for each row of a table: `flags`, or all flags of the definitions. docs/tables.md describes it.

        `data` is anything with `__arrow_c_stream__`: a table or a reader of pyarrow, a DataFrame of polars or pandas, a relation
        of DuckDB. So is the result. It has the columns that `keep` names, then for each flag a column of structs with `variant`,
        `value` as JSON, `reason` and `error`. It reads a batch of `data` whenever a batch of it is read, and can be read once.

        A column `distinct_id` identifies the user, and every column is a custom property of its name. `columns` changes that: it
        maps a column's name to a place such as `"distinct_id"` or `"custom_properties.plan"`, or to None for a column that is to
        be ignored. All rows are evaluated with the definitions that the client has now. With `report_exposures`, each row
        reports an exposure. With `rollouts`, the structs have the position of the rollout that
        gave the variant, too. `dictionary=False` makes plain strings, for programs that cannot read dictionaries, such as Spark.

        Raises `InvalidArgument`, which names the argument or the column, and for a remote client.
        """
        arguments = {"flags": flags, "keep": keep}
        for name, given in arguments.items():
            if isinstance(given, str):
                raise InvalidArgument(f"{name}: expected a list of strings, got the string {given!r}")
        options: dict[str, Any] = {"keep": list(keep), "report_exposures": report_exposures, "dictionary": dictionary}
        if rollouts:
            options["rollouts"] = True
        if flags is not None:
            options["flags"] = list(flags)
        if columns is not None:
            options["columns"] = columns
        encoded = json_argument("evaluate_table", options)
        return self._native.evaluate_table(_arrow_stream(data), encoded)

    def track_exposure_event(self, flag_key: str, variant: SelectedVariant, context: Attributes | Context) -> None:
        """Queues an exposure of `variant`, unless the same one was reported within `exposure_window_ms`.

        Never raises and does not wait for Mixpanel. A failure is logged.
        """
        try:
            self._track_exposure(encoded_key(flag_key), variant, context)
        except MpflagsError as error:
            log("warning", f"the exposure of flag {flag_key!r} was not reported: {error}")

    def explain(self, flag_key: str, context: Attributes | Context) -> dict[str, Any]:
        """Explains how a flag evaluates for this context: each rollout's salt, bucket, percentage and rule, and what decided.

        For people and tools; not fast. Reports no exposure. Raises `InvalidArgument` for a remote client, where Mixpanel decides.
        """
        return self._native.explain(encoded_key(flag_key), self.encoder.encode(context))

    async def aget_variant(
        self,
        flag_key: str,
        fallback_value: SelectedVariant,
        context: Attributes | Context,
        report_exposure: bool = True,
        *,
        reportExposure: bool | None = None,  # noqa: N803 - the spelling of Mixpanel's remote interface
    ) -> SelectedVariant:
        """`get_variant`, without blocking the event loop: a remote client waits on a thread of its pool."""
        report = report_exposure if reportExposure is None else reportExposure
        try:
            return await self.in_pool(lambda: self.get_variant(flag_key, fallback_value, context, report))
        except SystemFailure as error:
            return fallback_value.as_fallback(FallbackReason("BACKEND_ERROR", str(error)))

    async def aget_variant_value(self, flag_key: str, fallback_value: _T, context: Attributes | Context) -> _T:
        """`get_variant_value`, without blocking the event loop."""
        value: _T = (await self.aget_variant(flag_key, SelectedVariant(fallback_value), context)).variant_value
        return value

    async def ais_enabled(self, flag_key: str, context: Attributes | Context) -> bool:
        """`is_enabled`, without blocking the event loop."""
        try:
            return await self.in_pool(lambda: self.is_enabled(flag_key, context))
        except SystemFailure:
            return False

    async def aget_all_variants(self, context: Attributes | Context) -> Any:
        """`get_all_variants`, without blocking the event loop."""
        try:
            return await self.in_pool(lambda: self.get_all_variants(context))
        except SystemFailure as error:
            log("warning", f"all variants: {error}")
            return None

    async def atrack_exposure_event(
        self, flag_key: str, variant: SelectedVariant, context: Attributes | Context
    ) -> None:
        """`track_exposure_event`, which never blocks."""
        self.track_exposure_event(flag_key, variant, context)

    # -- overrides, events, profiles

    def set_override(self, flag_key: str, value: Any) -> None:
        """Makes a flag return this value to every user from now on, regardless of its definition."""
        self._native.set_override(encoded_key(flag_key), encode_value(value))

    def clear_override(self, flag_key: str) -> None:
        """Removes an override, including one from the configuration."""
        self._native.clear_override(encoded_key(flag_key))

    def track(self, distinct_id: str | int, event_name: str, properties: Attributes | None = None) -> None:
        """Queues an event, as `mixpanel.Mixpanel.track` sends one.

        `distinct_id` is a string or an integer, or `""` if the properties have a `$device_id`. The property `time` is a number of
        seconds or milliseconds since 1970, or a `datetime`, which is in local time if it has no time zone.

        Raises `InvalidArgument`, which names the argument, `QueueFull` or `Closed`.
        """
        self._start_remote()
        self._native.track(encoded_name("event_name", event_name), identity(distinct_id), event_properties(properties))

    def people_update(self, distinct_id: str | int, operation: str, value: Any) -> None:
        """Queues a profile update: `$set`, `$set_once`, `$add`, `$append`, `$union` or `$remove` with a dict, `$unset` with a
        list of names, `$delete` with None. Raises `InvalidArgument`, `QueueFull` or `Closed`."""
        self._start_remote()
        self._native.people_update(
            encoded_name("operation", operation), identity(distinct_id), json_argument("value", value)
        )

    def group_update(self, group_key: str, group_id: str | int, operation: str, value: Any) -> None:
        """Queues an update of the profile of the group whose property `group_key`, such as `company`, is `group_id`: as
        `people_update`, without `$add` and `$append`. Raises `InvalidArgument`, `QueueFull` or `Closed`."""
        self._start_remote()
        self._native.group_update(
            encoded_name("operation", operation),
            encoded_name("group_key", group_key),
            identity(group_id, "group_id"),
            json_argument("value", value),
        )

    # -- for the provider and `Mixpanel`

    def start_once(self) -> None:
        """Starts the client unless it is started or was shut down."""
        if not (self._runtime.started or self._runtime.ended):
            self.start()

    @property
    def has_credentials(self) -> bool:
        """Whether it authenticates with a service account."""
        return self._config.credentials is not None

    @property
    def shutdown_timeout(self) -> float:
        """The option `shutdown_timeout_ms`, in seconds."""
        return self._runtime.shutdown_ms / 1000

    def resolve(self, flag_key: str, context: Attributes | Context, options: int, number: int) -> Outcome:
        """The outcome behind the number of an evaluation."""
        key = encoded_key(flag_key)
        # First of all, because the number may be a pointer that is to be freed.
        outcome = self._native.resolve(key, number) if number else None
        # Otherwise the definition was replaced since, or the client is gone. An exposure is not reported again.
        return outcome or self._evaluated(key, self.encoder.encode(context), options)

    def why_no_properties(self, flag_key: str, context: Attributes | Context) -> str | None:
        """The library's message behind the number `NO_PROPERTIES`."""
        if self._no_properties is None:
            self._no_properties = self._evaluated(encoded_key(flag_key), self.encoder.encode(context), _QUIET).message
        return self._no_properties

    def context_id(self, flag_key: str, context: Attributes) -> str | None:
        """The metadata `contextId`, as the library writes it for an attribute that is not a string. Slower than an evaluation."""
        outcome = self._evaluated(encoded_key(flag_key), self.encoder.encode(context), _QUIET)
        subject: str | None = outcome.metadata.get("contextId")
        return subject

    def evaluate_remotely(self, flag_key: str, context: Attributes, options: int) -> Outcome:
        """Sends a request to Mixpanel. Other threads run while it waits."""
        key, encoded = encoded_key(flag_key), self.encoder.encode(context)
        self._start_remote()
        return self._native.evaluate(key, encoded, options, 0, waits=True)[0]

    def observe(self, observer: Observer) -> None:
        """Passes items to `observer`, in place of the one before, as long as something else references it."""
        self._runtime.pump.observer = weakref.ref(observer)

    def stop_observing(self, observer: Observer) -> None:
        """Passes no more items to `observer`. Does nothing if another one took its place."""
        observing = self._runtime.pump.observer
        if observing is not None and observing() is observer:
            self._runtime.pump.observer = None

    def option(self, name: str) -> Any:
        """An option of the configuration, None if it was not given."""
        return self._config.options.get(name)

    async def in_pool(self, work: Callable[[], _T]) -> _T:
        """The result of an evaluation: on a thread of the pool if it waits for Mixpanel, otherwise at once."""
        self._runtime.notice_fork()
        return work() if self._runtime.ended or self._is_local else await self._runtime.in_pool(work)

    # -- private

    def _evaluated(self, key: bytes, encoded: bytes, options: int) -> Outcome:
        return self._native.evaluate(key, encoded, options, 0, waits=False)[0]

    @property
    def _native(self) -> NativeClient:
        return self._runtime.native

    def _start_remote(self) -> None:
        """Before every call but a local evaluation, because Mixpanel's remote interface has no call that starts it."""
        if not self._is_local:
            self.start_once()

    def _prepare(self, outcome: Outcome) -> Prepared:
        prepared = Prepared(outcome, self._source)
        if outcome.answer:
            if len(self._answers) >= _MAX_ANSWERS:
                self._answers.clear()
            self._answers[outcome.answer] = prepared
        return prepared

    def _track_exposure(self, key: bytes, variant: SelectedVariant, context: Attributes | Context) -> None:
        if variant.variant_source == VariantSource.FALLBACK or variant.variant_key is None:
            raise InvalidArgument("a fallback has no variant to report")
        self._start_remote()
        encoded = self.encoder.encode(context)
        evaluation, *arguments = getattr(variant, "_evaluation", None) or (None,)
        if arguments != [key, encoded]:
            # It was evaluated for another flag or user, before a login for example.
            evaluation = None
        if evaluation is None and self._is_local:
            outcome, evaluated = self._native.evaluate(key, encoded, _QUIET, 0, waits=False)
            evaluation = evaluated if outcome.variant == variant.variant_key else None
        if evaluation is not None:
            self._native.track_exposure(evaluation, key)
            return
        # This client did not select the variant, or would not any more. The exposure is then an event like any other.
        attributes = context.attributes if isinstance(context, Context) else context
        distinct_id = attributes.get("distinct_id")
        if distinct_id is None or distinct_id == "":
            raise InvalidContext("the context has no distinct_id")
        properties = {
            "Experiment name": key.decode(),
            "Variant name": variant.variant_key,
            "$experiment_type": "feature_flag",
            "Flag evaluation mode": self._source,
            "$experiment_id": variant.experiment_id,
            "$is_experiment_active": variant.is_experiment_active,
            "$is_qa_tester": variant.is_qa_tester,
        }
        present = {name: value for name, value in properties.items() if value is not None}
        self._native.track(b"$experiment_started", identity(distinct_id), encode_value(present))


def _evaluator(library: NativeClient, encoder: ContextEncoder) -> Evaluate:
    """A function for local evaluations: in Python, by way of the accelerator if there is one."""
    evaluate_packed = library.evaluate_packed()

    def evaluate(flag_key: str, context: Attributes, targeting_key: str | None, options: int) -> int:
        key = known_key(flag_key) or encoded_key(flag_key)
        if targeting_key:
            context = {**context, "targetingKey": targeting_key}
        try:
            encoded = encode(context)
        except InvalidContext:
            encoded = encoder.encode(context)
        return evaluate_packed(key, encoded, options)

    return library.accelerated(evaluate)


def _arrow_stream(data: Any) -> Any:
    """The capsule of a table's Arrow stream."""
    if not hasattr(data, "__arrow_c_stream__") and hasattr(data, "__arrow_c_array__"):
        try:
            import pyarrow  # noqa: PLC0415 - optional
        except ImportError:
            raise InvalidArgument(
                f"data: {type(data).__name__} has __arrow_c_array__ only, which needs pyarrow: pip install pyarrow"
            ) from None
        data = pyarrow.record_batch(data)
    try:
        stream = data.__arrow_c_stream__
    except AttributeError:
        raise InvalidArgument(
            "data: expected an object with __arrow_c_stream__, such as a table of pyarrow, polars, pandas or DuckDB,"
            f" got {type(data).__name__}"
        ) from None
    return stream()


def _milliseconds(seconds: float) -> int:
    """A timeout as the library takes it. Its highest number, `TIMEOUT_CONFIGURED`, is not a time."""
    return round(min(seconds * 1000, TIMEOUT_CONFIGURED - 1)) if seconds > 0 else 0
