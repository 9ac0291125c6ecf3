"""The client: Mixpanel's flags interface, local and remote, for plain and for asynchronous code."""

from __future__ import annotations

import atexit
import functools
import os
import sys
import threading
import time
import weakref

from ._native import NativeClient
from .abi import ANY, BOOLEAN, DISABLED, NO_MATCH, Outcome, Uncopied, asking
from .config import INIT_TIMEOUT_MS, SHUTDOWN_TIMEOUT_MS, FlagsConfig, LocalFlagsConfig, RemoteFlagsConfig, configured
from .context import (
    Context,
    encode_exactly,
    encode_value,
    encoded_name,
    event_properties,
    fastest,
    identity,
    json_argument,
    known_key,
    usable,
)
from .context import flag_key as encoded_key
from .errors import InvalidArgument, InvalidContext, MpflagsError, SystemFailure, Timeout
from .host import Lock, in_background
from .items import Pump, log
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
    import ctypes
    from collections.abc import Callable
    from typing import Any, TypeAlias, TypeVar

    from .config import ServiceAccountCredentials
    from .context import Attributes, Unusable
    from .items import Listener, Run, Watcher
    from .pool import Pool

    Ask: TypeAlias = ctypes.c_uint32
    _T = TypeVar("_T")

_REPORT, _QUIET, _BOOLEAN = asking(ANY), asking(ANY, quiet=True), asking(BOOLEAN)
_DISABLED = SelectedVariant(False)
# A definition that changes gets new numbers; the old ones are never asked for again.
_MOST_ANSWERS = 20_000
_MOST_NOTED = 100
_LONGEST_MS = 2**32 - 2
# Instead of a time: as long as the client's own option says.
_CONFIGURED = 2**32 - 1
# What threads may take to end, beyond the time that the library had.
_GRACE = 1.0
_GRACE_INTERRUPTED = 0.2
# A finalizer that has no thread to deliver on blocks somebody who knows nothing of it.
_LONGEST_BLOCKED_MS = 500

_clients: weakref.WeakSet[Client] = weakref.WeakSet()


class Client(Uncopied):
    """Evaluates the flags of one Mixpanel project. Usable from any thread.

    `Client.local` and `Client.remote` make one; it opens no connection before it is started. As a context manager it
    starts, waits for the first definitions, and shuts down. It can be neither copied nor pickled: threads share one, and
    another process makes one from the token and the configuration.
    """

    _instead = (
        "share it between threads; make another one from the token and the configuration in another process instead"
    )

    def __init__(self, config: FlagsConfig, token: str | None = None) -> None:
        self._pid = os.getpid()
        self._library = NativeClient(config.to_json(token))
        self._config = config
        self._is_local = config.mode == "local"
        self._source = VariantSource.LOCAL if self._is_local else VariantSource.REMOTE
        self._answers: dict[int, Prepared] = {}
        # Attributes of contexts that were logged as unusable.
        self._noted: dict[str, object] = {}
        self._pump = Pump(self._library)
        self._pump.is_noted = functools.partial(_is_noted, self._noted)
        self._pool: Pool | None = None
        self._started = self._ended = self._polled = False
        # Held for moments: no thread starts, and no greenlet switches, under it.
        self._lock = Lock()
        self._shutdown_ms = config.milliseconds("shutdown_timeout_ms", SHUTDOWN_TIMEOUT_MS)
        #: What a local evaluation does: encodes the context, and crosses once. For this package.
        self.encode = fastest()
        self.packed = self._library.packed()
        # Ends the threads of a client that nobody shuts down and nobody holds.
        self._finalizer = weakref.finalize(self, _end_unheld, self._library, self._pump, self._shutdown_ms)
        self._finalizer.atexit = False
        _clients.add(self)

    @classmethod
    def local(
        cls,
        token: str | None = None,
        config: LocalFlagsConfig | None = None,
        *,
        credentials: ServiceAccountCredentials | None = None,
        **options: Any,
    ) -> Client:
        """A client that polls definitions and evaluates in process. `options` are those of `LocalFlagsConfig`."""
        return cls(configured(LocalFlagsConfig, config, credentials, options), token)

    @classmethod
    def remote(
        cls,
        token: str | None = None,
        config: RemoteFlagsConfig | None = None,
        *,
        credentials: ServiceAccountCredentials | None = None,
        **options: Any,
    ) -> Client:
        """A client that asks Mixpanel, with one request per evaluation."""
        return cls(configured(RemoteFlagsConfig, config, credentials, options), token)

    # -- life

    def start(self) -> None:
        """Starts the threads, and returns at once. Starting a started client does nothing.

        Raises `SystemFailure` when the process may not start one; then none is left, and the client is as it was.
        """
        native = self._native
        spare = None
        try:
            while True:
                with self._lock:
                    if spare is not None or self._pump.is_running:
                        native.start()
                        if spare is not None and not self._pump.is_running:
                            self._pump.take_up(spare)
                            spare = None
                        self._started, self._ended = True, False
                        return
                # First of all, and without the lock: this is what a process can refuse.
                spare = self._pump.prepare()
        finally:
            if spare is not None:
                spare.end(_GRACE)

    def wait_ready(self, timeout: float | None = None) -> None:
        """Waits until there is something to evaluate, at most `timeout` seconds (`init_timeout_ms`).

        Raises `Timeout`, `CredentialsRefused` or `Closed`, with the last fetch's error. Polling goes on.
        """
        if timeout is None:
            timeout = self._config.milliseconds("init_timeout_ms", INIT_TIMEOUT_MS) / 1000
        self._native.wait_ready(_milliseconds(timeout))

    def refresh(self, timeout: float | None = None) -> None:
        """Fetches the definitions now, with polling or without, and waits until that fetch has ended.

        For a function that is frozen between its calls, and for a job that wants the newest flags once. Takes at most `timeout`
        seconds (`request_timeout_in_seconds`); 0 starts the fetch and does not wait. Threads that wait at the same time share
        one fetch. A remote client holds no definitions: for it this does nothing.

        Raises `BackendError`, `CredentialsRefused`, `Timeout`, `Closed`, and `InvalidArgument` before `start`; the definitions
        held stay in service.
        """
        self._resume()
        self._native.refresh(_CONFIGURED if timeout is None else _milliseconds(timeout))

    async def arefresh(self, timeout: float | None = None) -> None:
        """`refresh`, without blocking the loop."""
        if self._ended or not self._is_local:
            # Neither waits.
            self.refresh(timeout)
        else:
            await self._in_pool(lambda: self.refresh(timeout))

    def start_polling_for_definitions(self) -> None:
        """Starts, and waits for the first definitions. Called again it fetches again, and waits for that, as Mixpanel's does.

        Takes at most `init_timeout_ms`. A failure is logged, and polling goes on.
        """
        again = self._started and (self._polled or self.are_flags_ready())
        self.start()
        self._polled = True
        if not self._is_local:
            return
        try:
            if again:
                self.refresh(self._config.milliseconds("init_timeout_ms", INIT_TIMEOUT_MS) / 1000)
            else:
                self.wait_ready()
        except MpflagsError as error:
            log("warning", f"{'definitions were not fetched again' if again else 'no definitions yet'}: {error}")

    def stop_polling_for_definitions(self) -> None:
        """Does nothing: polling ends with `shutdown`, which delivers the exposures too."""

    async def astart_polling_for_definitions(self) -> None:
        """`start_polling_for_definitions`, without blocking the loop."""
        self.start()
        if self._is_local:
            await self._in_pool(self.start_polling_for_definitions)

    async def astop_polling_for_definitions(self) -> None:
        """Does nothing, as `stop_polling_for_definitions`."""

    def are_flags_ready(self) -> bool:
        """Whether there is something to evaluate."""
        return not self._is_local or self._native.state() in ("READY", "STALE")

    @property
    def state(self) -> str:
        """`"NOT_READY"`, `"READY"`, `"STALE"` or `"ERROR"`."""
        return self._native.state()

    @property
    def is_local(self) -> bool:
        """Whether it evaluates in process."""
        return self._is_local

    def shutdown(self, timeout: float | None = None) -> int:
        """Delivers what is queued and ends all threads, within `timeout` seconds (`shutdown_timeout_ms`).

        Gives how many events were not delivered; they are lost, and a line in the log says so, with the reason. 0 for a client
        that is shut down already. Ctrl-C ends it at once, as if the time were over.

        May be called twice, from any thread, beside calls that run, and within a running event loop. Evaluations go on with
        the definitions held, without exposures. `start` starts the client again.
        """
        milliseconds = self._shutdown_ms if timeout is None else _milliseconds(timeout)
        with self._lock:
            # The child of a fork that does this before its first call starts nothing.
            self._started, self._ended, self._polled = False, True, False
        native = self._native
        with self._lock:
            pool, self._pool = self._pool, None
            # A start beside this one makes a thread of its own.
            run = self._pump.take()
        return _end(native, self._pump, run, pool, milliseconds)

    close = shutdown

    def flush(self, timeout: float = 5.0) -> int:
        """Sends what is queued, and waits for it, at most `timeout` seconds. Gives how many events are still queued.

        Ctrl-C ends the wait at once, and what is queued stays queued.
        """
        return self._native.flush(_milliseconds(timeout))

    def statistics(self) -> dict[str, Any]:
        """What became of events: `enqueued`, `sent`, `dropped` by cause and so on."""
        return self._native.statistics()

    def on_item(self, listener: Listener) -> None:
        """Calls `listener` with each item but log lines: states, changes, and events with `event_sink`.

        It is called on the thread that pulls the items. Log lines go to the logger `mpflags`.
        """
        self._pump.listeners.append(listener)

    def __enter__(self) -> Client:
        self.start_polling_for_definitions()
        return self

    def __exit__(self, *exc: object) -> None:
        self.shutdown()

    async def __aenter__(self) -> Client:
        await self.astart_polling_for_definitions()
        return self

    async def __aexit__(self, *exc: object) -> None:
        import asyncio  # noqa: PLC0415 - it costs more than this package

        from .pool import Pool  # noqa: PLC0415

        pool = Pool(1)
        try:
            await pool.run(self.shutdown)
        except asyncio.CancelledError:
            # As Ctrl-C in `shutdown`: the one that goes on ends with this one, at once.
            self.shutdown(0)
            raise
        finally:
            pool.close(_GRACE)

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
        """The variant of one flag. Never raises: without one it is `fallback_value`, marked with the reason."""
        report = report_exposure if reportExposure is None else reportExposure
        return self._select(flag_key, fallback_value, context, _REPORT if report else _QUIET)

    def _select(
        self, flag_key: str, fallback_value: SelectedVariant, context: Attributes | Context, ask: Ask
    ) -> SelectedVariant:
        try:
            key = known_key(flag_key) or encoded_key(flag_key)
            encoded = self._encoded(context)
            if not self._is_local:
                return self._asked(key, encoded, ask, fallback_value)
            number = self.packed(key, encoded, ask)
            prepared = self._answers.get(number)
            if prepared is None:
                if number == NO_MATCH:
                    return fallback_value.as_fallback(NO_ROLLOUT_MATCH)
                if number == DISABLED:
                    return fallback_value.as_fallback(FLAG_DISABLED)
                outcome = self.resolve(key, encoded, ask, number)
                if outcome.error_code == "INVALID_CONTEXT":
                    raise self.invalid_context(context, outcome.message)
                if not outcome.has_value:
                    return fallback_value.as_fallback(fallback_reason(outcome))
                prepared = self._remember(outcome)
            return prepared.selected()
        except InvalidContext as error:
            return fallback_value.as_fallback(FallbackReason("INVALID_CONTEXT", str(error)))
        # A key that no flag can have; a TypeError is one that cannot even be looked up.
        except (InvalidArgument, TypeError) as error:
            return fallback_value.as_fallback(FallbackReason("FLAG_NOT_FOUND", str(error)))
        # A RuntimeError, too: no thread can be started.
        except Exception as error:
            return fallback_value.as_fallback(FallbackReason("BACKEND_ERROR", str(error)))

    def get_variant_value(self, flag_key: str, fallback_value: _T, context: Attributes | Context) -> _T:
        """The value of the variant, or `fallback_value`."""
        value: _T = self.get_variant(flag_key, SelectedVariant(fallback_value), context).variant_value
        return value

    def is_enabled(self, flag_key: str, context: Attributes | Context) -> bool:
        """Whether the variant's value is true. A value of another type is no exposure: the user is shown the default."""
        return self._select(flag_key, _DISABLED, context, _BOOLEAN).variant_value is True

    def get_all_variants(self, context: Attributes | Context) -> Any:
        """The variants of all flags that the user is in, by key. Reports no exposure.

        Without definitions or an answer it is empty; of a remote client None, as Mixpanel's has it.
        """
        nothing: dict[str, SelectedVariant] | None = {} if self._is_local else None
        try:
            encoded = self._encoded(context)
            self._resume()
            evaluations = self._native.evaluate_all(encoded, 0, waits=not self._is_local)
        except Exception as error:
            log("warning", f"all variants: {error}")
            return nothing
        variants: dict[str, SelectedVariant] = {}
        known = self._answers.get
        for index, number in enumerate(evaluations.answers()):
            prepared = known(number)
            if prepared is None:
                if number in (NO_MATCH, DISABLED):
                    continue
                outcome = evaluations.outcome(index)
                if not outcome.has_value:
                    continue
                prepared = self._remember(outcome)
            variant = prepared.selected()
            # What `track_exposure_event` reports.
            variant._shown = (evaluations, prepared.key.encode(), encoded)
            variants[prepared.key] = variant
        if evaluations.failure is not None:
            log("warning", f"all variants: {evaluations.message}")
            return variants or nothing
        return variants

    def track_exposure_event(self, flag_key: str, variant: SelectedVariant, context: Attributes | Context) -> None:
        """Reports that `variant` was shown, unless the same exposure was reported in `exposure_window_ms`. Only enqueues."""
        try:
            self._track_exposure(encoded_key(flag_key), variant, context)
        except MpflagsError as error:
            log("warning", f"the exposure of flag {flag_key!r} was not reported: {error}")

    def explain(self, flag_key: str, context: Attributes | Context) -> dict[str, Any]:
        """How a flag comes to what it gives: each rollout asked, with salt, bucket, percentage and rule, and what decided.

        For people and tools. Reports no exposure. Raises `InvalidArgument` for a remote client, for which Mixpanel decides.
        """
        return self._native.explain(encoded_key(flag_key), self._encoded(context))

    async def aget_variant(
        self,
        flag_key: str,
        fallback_value: SelectedVariant,
        context: Attributes | Context,
        report_exposure: bool = True,
        *,
        reportExposure: bool | None = None,  # noqa: N803 - the spelling of Mixpanel's remote interface
    ) -> SelectedVariant:
        """`get_variant`: at once for a local client, on a thread of the pool for a remote one."""
        report = report_exposure if reportExposure is None else reportExposure
        try:
            return await self.in_pool(lambda: self.get_variant(flag_key, fallback_value, context, report))
        except SystemFailure as error:
            return fallback_value.as_fallback(FallbackReason("BACKEND_ERROR", str(error)))

    async def aget_variant_value(self, flag_key: str, fallback_value: _T, context: Attributes | Context) -> _T:
        """`get_variant_value`, without blocking the loop."""
        value: _T = (await self.aget_variant(flag_key, SelectedVariant(fallback_value), context)).variant_value
        return value

    async def ais_enabled(self, flag_key: str, context: Attributes | Context) -> bool:
        """`is_enabled`, without blocking the loop."""
        try:
            return await self.in_pool(lambda: self.is_enabled(flag_key, context))
        except SystemFailure:
            return False

    async def aget_all_variants(self, context: Attributes | Context) -> Any:
        """`get_all_variants`, without blocking the loop."""
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
        """Gives a flag this value from now on, whatever Mixpanel says."""
        self._native.set_override(encoded_key(flag_key), encode_value(value))

    def clear_override(self, flag_key: str) -> None:
        """Takes back an override, one of the configuration too."""
        self._native.clear_override(encoded_key(flag_key))

    def track(self, distinct_id: str | int, event_name: str, properties: Attributes | None = None) -> None:
        """Queues an event, as `mixpanel.Mixpanel.track` sends one.

        `distinct_id` is a string, or an integer, which goes as its text; `""` where the properties have a `$device_id`. A `time`
        among the properties is a number, seconds or milliseconds since 1970, or a `datetime`: one without a time zone is in
        local time.

        Raises `InvalidArgument`, which names what is wrong, `QueueFull` and `Closed`.
        """
        self._resume()
        self._native.track(encoded_name("event_name", event_name), identity(distinct_id), event_properties(properties))

    def people_update(self, distinct_id: str | int, operation: str, value: Any) -> None:
        """Queues a profile update: `$set`, `$set_once`, `$add`, `$append`, `$union` or `$remove` with a dict, `$unset` with
        a list of names, `$delete` with None. Raises `InvalidArgument`, `QueueFull` and `Closed`."""
        self._resume()
        self._native.people_update(
            encoded_name("operation", operation), identity(distinct_id), json_argument("value", value)
        )

    # -- for this package

    def resolve(self, key: bytes, context: bytes, ask: Ask, number: int) -> Outcome:
        """What a packed number stands for."""
        outcome = self._native.resolve(key, number) if number else None
        if outcome is not None:
            return outcome
        # Misuse, or a definition that was replaced meanwhile. What is shown is reported; what was reported is not again.
        return self._native.evaluate(key, context, ask, 0, waits=False)[0]

    def ask_mixpanel(self, key: bytes, context: bytes, ask: Ask) -> Outcome:
        """A remote evaluation. Other threads run meanwhile."""
        self._resume()
        return self._native.evaluate(key, context, ask, 0, waits=True)[0]

    def watch(self, watcher: Watcher) -> None:
        """Hands items to `watcher`, for as long as somebody else keeps it."""
        self._pump.watcher = weakref.ref(watcher)

    def unwatch(self, watcher: Watcher) -> None:
        """Hands items to it no more, if they are handed to it."""
        watched = self._pump.watcher
        if watched is not None and watched() is watcher:
            self._pump.watcher = None

    def option(self, name: str) -> Any:
        """An option of the configuration, None where it was not given."""
        return self._config.options.get(name)

    async def in_pool(self, work: Callable[[], _T]) -> _T:
        """Evaluates on a thread of the pool where that waits for Mixpanel; else at once."""
        self._notice_fork()
        return work() if self._ended or self._is_local else await self._in_pool(work)

    async def _in_pool(self, work: Callable[[], _T]) -> _T:
        pool = self._pool
        if pool is None:
            from .pool import Pool  # noqa: PLC0415 - asyncio costs more than this package

            with self._lock:
                pool = self._pool = self._pool or Pool(self._config.async_threads)
        done: _T = await pool.run(work)
        return done

    def _encoded(self, context: Attributes | Context) -> bytes:
        if isinstance(context, Context):
            if context.unusable:
                self._note_unusable(context.unusable)
                if not self._is_local:
                    raise InvalidContext(str(context.unusable[0]))
            return context.encoded
        if self._is_local:
            try:
                return self.encode(context)
            except InvalidContext:
                pass
        return self.encode_with_care(context)

    def encode_with_care(self, context: Attributes) -> bytes:
        """A context that `encode` does not take: what cannot be sent spoils only flags that read it. Of a remote client all of
        it is sent, so it must be possible to send all of it; that raises `InvalidContext`. Either is logged, once for each
        attribute: an evaluation does not raise, and `is_enabled` gives no reason."""
        try:
            if not self._is_local:
                return encode_exactly(context)
            encoded, unusable = usable(context)
        except InvalidContext as error:
            try:
                self._note_unusable(usable(context)[1])
            except InvalidContext:
                self._note(str(error), f"{error}. Every flag gives its default")
            raise
        self._note_unusable(unusable)
        return encoded

    def invalid_context(self, context: Attributes | Context, message: str | None) -> InvalidContext:
        """For an outcome: the library says where in the text, this says what is wrong there."""
        kept = isinstance(context, Context)
        found = context.unusable if isinstance(context, Context) else usable(context)[1]
        if not found:
            return InvalidContext(message or "the context cannot be read")
        said = (message or "").lower()
        named = [each for each in found if each.path and each.path.lower() in said]
        chosen = max(named, key=lambda each: len(each.path), default=found[0])
        if chosen is found[0] and not kept:
            try:
                encode_exactly(context)  # type: ignore[arg-type]
            except InvalidContext as error:
                return error
        return InvalidContext(str(chosen))

    def _note_unusable(self, unusable: list[Unusable]) -> None:
        effect = "Flags that read it give their default" if self._is_local else "Every flag gives its default"
        for each in unusable:
            self._note(each.attribute.lower(), f"{each}. {effect}; this is logged once for each attribute")

    def _note(self, what: str, line: str) -> None:
        """Logs a line the first time."""
        noted = self._noted
        if what not in noted and len(noted) <= _MOST_NOTED:
            mine = object()
            if noted.setdefault(what, mine) is mine:
                log(
                    "warning",
                    line if len(noted) <= _MOST_NOTED else "More attributes cannot be sent, which are not logged",
                )

    def _asked(self, key: bytes, encoded: bytes, ask: Ask, fallback: SelectedVariant) -> SelectedVariant:
        self._resume()
        outcome, evaluation = self._native.evaluate(key, encoded, ask, 0, waits=True)
        if not outcome.has_value:
            return fallback.as_fallback(fallback_reason(outcome))
        variant = Prepared(outcome, self._source).selected()
        # One that was reported, too: the library leaves out what it has reported, where it is asked with the evaluation.
        variant._shown = (evaluation, key, encoded)
        return variant

    def _remember(self, outcome: Outcome) -> Prepared:
        prepared = Prepared(outcome, self._source)
        if outcome.answer:
            if len(self._answers) >= _MOST_ANSWERS:
                self._answers.clear()
            self._answers[outcome.answer] = prepared
        return prepared

    def _track_exposure(self, key: bytes, variant: SelectedVariant, context: Attributes | Context) -> None:
        if variant.variant_source == VariantSource.FALLBACK or variant.variant_key is None:
            raise InvalidArgument("a fallback is no exposure")
        self._resume()
        encoded = self._encoded(context)
        shown, *of = getattr(variant, "_shown", None) or (None,)
        if of != [key, encoded]:
            # The evaluation of another flag or user, as before a login.
            shown = None
        if shown is None and self._is_local:
            outcome, evaluation = self._native.evaluate(key, encoded, _QUIET, 0, waits=False)
            shown = evaluation if outcome.variant == variant.variant_key else None
        if shown is not None:
            self._native.track_shown(shown, key)
            return
        # A variant that this client did not give, or gives no more: an event like any other.
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
        told = {name: value for name, value in properties.items() if value is not None}
        self._native.track(b"$experiment_started", identity(distinct_id), encode_value(told))

    @property
    def _native(self) -> NativeClient:
        """The library's client: for everything but a local evaluation whose answer is known, which `packed` does alone."""
        self._notice_fork()
        return self._library

    def _notice_fork(self) -> None:
        """In the child of a fork the threads of this package are not there, and not every `fork` runs Python's hooks: uWSGI's
        does not. So the process is compared instead. A local evaluation comes here too, since the first one in a child has
        no answer that is known."""
        if self._pid == os.getpid():
            return
        with self._lock:
            if self._pid == os.getpid():
                return
            self._pid = os.getpid()
            self._pool = None
        if self._started:
            try:
                self.start()
            except MpflagsError as error:
                log("error", f"after a fork: {error}")

    def _resume(self) -> None:
        """Before what is not a local evaluation: Mixpanel's remote interface has no call that starts it."""
        if not (self._started or self._ended or self._is_local):
            self.start()


def _end(native: NativeClient, pump: Pump, run: Run | None, pool: Pool | None, milliseconds: int) -> int:
    grace = _GRACE_INTERRUPTED
    try:
        undelivered = _delivered(native, milliseconds)
        grace = milliseconds / 1000 + _GRACE
        return undelivered
    finally:
        # Interrupted, too: the threads end.
        if run is not None:
            run.end(grace)
        pump.drain()
        if pool is not None:
            pool.close(grace)


def _delivered(native: NativeClient, milliseconds: int) -> int:
    """How many events were not delivered. The library logs how many and why."""
    before = native.statistics()["dropped"]["shutdown"]
    try:
        return native.shutdown(milliseconds)
    except Timeout as error:
        # A thread was left behind. The rest of the message is what the library logs.
        log("warning", str(error).rpartition("; ")[0] or str(error))
        lost: int = native.statistics()["dropped"]["shutdown"] - before
        return lost


# Clients that nobody holds any more, until they have ended.
_unheld: dict[threading.Lock, tuple[int, NativeClient]] = {}


def _end_unheld(native: NativeClient, pump: Pump, milliseconds: int) -> None:
    """The finalizer of a client. It may run wherever the last reference goes, so delivering must not happen there."""
    run = pump.take()
    ended = threading.Lock()
    ended.acquire()
    _unheld[ended] = (os.getpid(), native)

    def end() -> None:
        try:
            _end(native, pump, run, None, milliseconds)
        finally:
            _unheld.pop(ended, None)
            ended.release()

    try:
        in_background(end)
    except RuntimeError:
        milliseconds = min(milliseconds, _LONGEST_BLOCKED_MS)
        end()


def _is_noted(noted: dict[str, object], line: str) -> bool:
    """Whether it is the library's line about an attribute that the client has logged, and knows more of."""
    before, _, rest = line.partition("context: attribute `")
    return not before and rest.partition("` cannot be used")[0].lower() in noted


def _milliseconds(seconds: float) -> int:
    """A time as the library takes it. The highest number means something else there."""
    return round(min(seconds * 1000, _LONGEST_MS)) if seconds > 0 else 0


def _at_exit() -> None:
    """Delivers what clients that nobody shut down have queued. All of them share the time of the most patient one."""
    clients = list(_clients)
    deadline = time.monotonic() + max((client._shutdown_ms for client in clients), default=SHUTDOWN_TIMEOUT_MS) / 1000
    try:
        for client in clients:
            client.shutdown(min(client._shutdown_ms / 1000, max(0.0, deadline - time.monotonic())))
        for ended, (pid, _) in list(_unheld.items()):
            # What ends in the parent is not waited for in the child of a fork.
            if pid == os.getpid():
                ended.acquire(timeout=max(0.0, deadline - time.monotonic()))
    except BaseException:
        # Ctrl-C: nothing more is delivered, and nothing is left half done.
        for client in clients:
            client.shutdown(0)
        raise


def _end_with_multiprocessing() -> None:
    """A child of multiprocessing ends with multiprocessing's finalizers and without those of the interpreter."""
    global _with_multiprocessing
    util = sys.modules.get("multiprocessing.util")
    if util is None:
        return
    if not _with_multiprocessing:
        # For the children that begin from now on, this process included if it is one: the finalizers that are there when
        # a child begins are its parent's, and multiprocessing clears them.
        _with_multiprocessing = True
        util.register_after_fork(_at_exit, _finalize)
    if sys.modules["multiprocessing.process"].parent_process() is not None:
        _finalize(_at_exit)


def _finalize(at_exit: Callable[[], None]) -> None:
    # Found through `sys.modules` by now.
    sys.modules["multiprocessing.util"].Finalize(None, at_exit, exitpriority=0)


_with_multiprocessing = False
_end_with_multiprocessing()
if hasattr(os, "register_at_fork"):
    # multiprocessing may be imported later than this.
    os.register_at_fork(after_in_child=_end_with_multiprocessing)
atexit.register(_at_exit)
