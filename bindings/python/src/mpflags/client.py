"""The client: Mixpanel's flags interface, local and remote, for plain and for asynchronous code."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
import weakref

from ._native import NativeClient
from .abi import ANY, BOOLEAN, DISABLED, NO_MATCH, Outcome, asking
from .config import INIT_TIMEOUT_MS, SHUTDOWN_TIMEOUT_MS, FlagsConfig, LocalFlagsConfig, RemoteFlagsConfig, configured
from .context import Context, encode_exactly, encode_value, fastest, known_key
from .context import flag_key as encoded_key
from .errors import InvalidArgument, InvalidContext, MpflagsError, SystemFailure, Timeout
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
    from .context import Attributes
    from .items import Listener, Run, Watcher
    from .pool import Pool

    Ask: TypeAlias = ctypes.c_uint32
    _T = TypeVar("_T")

_REPORT, _QUIET, _BOOLEAN = asking(ANY), asking(ANY, quiet=True), asking(BOOLEAN)
_DISABLED = SelectedVariant(False)
# So that Ctrl-C ends a wait.
_SLICE_MS = 200
# A definition that changes gets new numbers; the old ones are never asked for again.
_MOST_ANSWERS = 20_000
_LONGEST_MS = 2**32 - 2
# What threads may take to end, beyond the time that the library had.
_GRACE = 1.0

_clients: weakref.WeakSet[Client] = weakref.WeakSet()


class Client:
    """Evaluates the flags of one Mixpanel project. Usable from any thread.

    `Client.local` and `Client.remote` make one; it opens no connection before it is started. As a context manager it
    starts, waits for the first definitions, and shuts down.
    """

    def __init__(self, config: FlagsConfig, token: str | None = None) -> None:
        self._native = NativeClient(config.to_json(token))
        self._config = config
        self._is_local = config.mode == "local"
        self._source = VariantSource.LOCAL if self._is_local else VariantSource.REMOTE
        self._answers: dict[int, Prepared] = {}
        self._pump = Pump(self._native)
        self._pool: Pool | None = None
        self._started = self._ended = self._is_child = False
        self._lock = threading.Lock()
        self._shutdown_ms = config.milliseconds("shutdown_timeout_ms", SHUTDOWN_TIMEOUT_MS)
        #: What a local evaluation does: encodes the context, and crosses once. For this package.
        self.encode = fastest()
        self.packed = self._native.packed()
        # Ends the threads of a client that nobody shuts down and nobody holds.
        self._finalizer = weakref.finalize(self, _end_unheld, self._native, self._pump, self._shutdown_ms)
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
        """Starts the threads, and returns at once. Starting a started client does nothing."""
        with self._lock:
            self._native.start()
            self._pump.start()
            self._started, self._ended = True, False

    def wait_ready(self, timeout: float | None = None) -> None:
        """Waits until there is something to evaluate, at most `timeout` seconds (`init_timeout_ms`).

        Raises `Timeout`, `CredentialsRefused` or `Closed`, with the last fetch's error. Polling goes on.
        """
        if timeout is None:
            timeout = self._config.milliseconds("init_timeout_ms", INIT_TIMEOUT_MS) / 1000
        deadline = time.monotonic() + timeout
        while True:
            left = _milliseconds(deadline - time.monotonic())
            try:
                return self._native.wait_ready(min(left, _SLICE_MS))
            except Timeout:
                if left <= _SLICE_MS:
                    raise

    def start_polling_for_definitions(self) -> None:
        """Starts, and waits for the first definitions. A failure is logged, and polling goes on."""
        self.start()
        if self._is_local:
            try:
                self.wait_ready()
            except MpflagsError as error:
                log("warning", f"no definitions yet: {error}")

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

    def shutdown(self, timeout: float | None = None) -> None:
        """Delivers what is queued and ends all threads, within `timeout` seconds (`shutdown_timeout_ms`).

        May be called twice, from any thread, beside calls that run, and within a running event loop. Evaluations go on with
        the definitions held, without exposures. `start` starts the client again.
        """
        milliseconds = self._shutdown_ms if timeout is None else _milliseconds(timeout)
        with self._lock:
            pool, self._pool = self._pool, None
            self._started, self._ended = False, True
            if self._is_child:
                # Shut down before its first call: that one starts nothing.
                self._is_child = False
                self.packed = self._native.packed()
            # A start beside this one makes a thread of its own.
            run = self._pump.take()
        _end(self._native, run, milliseconds)
        if pool is not None:
            pool.close(milliseconds / 1000 + _GRACE)

    close = shutdown

    def flush(self, timeout: float = 5.0) -> int:
        """Sends what is queued, and waits for it, at most `timeout` seconds. Gives how many events are still queued."""
        return self._native.flush(_milliseconds(timeout))

    def statistics(self) -> dict[str, Any]:
        """What became of events: `enqueued`, `sent`, `dropped` by cause and so on."""
        return self._native.statistics()

    def listen(self, listener: Listener) -> None:
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
        from .pool import Pool  # noqa: PLC0415 - asyncio costs more than this package

        pool = Pool(1)
        try:
            await pool.run(self.shutdown)
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
                if outcome.error_code == "INVALID_CONTEXT" and not isinstance(context, Context):
                    # The library says where in the text; this says which key.
                    encode_exactly(context)
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

    def track(self, distinct_id: str, event_name: str, properties: Attributes | None = None) -> None:
        """Queues an event, as `mixpanel.Mixpanel.track` sends one. Raises `InvalidArgument`, `QueueFull` and `Closed`.

        `""` for `distinct_id` means that no user is known: the properties must have a `$device_id` then. `time` among them
        is a datetime, or a number of seconds or milliseconds since 1970.
        """
        self._resume()
        self._native.track(event_name.encode(), str(distinct_id).encode(), encode_exactly(properties or {}))

    def people_update(self, distinct_id: str, operation: str, value: Any) -> None:
        """Queues a profile update: `$set`, `$set_once`, `$add`, `$append`, `$union` or `$remove` with a dict, `$unset` with
        a list of names, `$delete` with None. Raises `InvalidArgument`, `QueueFull` and `Closed`."""
        self._resume()
        self._native.people_update(operation.encode(), str(distinct_id).encode(), encode_value(value))

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
            return context.encoded
        return self.encode(context) if self._is_local else encode_exactly(context)

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
        if not distinct_id:
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
        self._native.track(b"$experiment_started", str(distinct_id).encode(), encode_value(told))

    def _resume(self) -> None:
        """Before what is not a local evaluation: Mixpanel's remote interface has no call that starts it, and in the child of
        a fork the thread that pulls items is not there."""
        if self._is_child or not (self._started or self._ended or self._is_local):
            self._is_child = False
            self.start()

    def _after_fork_in_child(self) -> None:
        # Whoever held the lock, and the threads, are not here.
        self._lock = threading.Lock()
        self._pool = None
        self._pump.take()
        if self._started:
            self._is_child = True
            packed = self._native.packed()

            def first(key: bytes, context: bytes, ask: Ask) -> int:
                # The library starts its threads with the child's first call, and so does this. No later call pays for it.
                self.packed = packed
                self._resume()
                return packed(key, context, ask)

            self.packed = first


def _end(native: NativeClient, run: Run | None, milliseconds: int) -> None:
    try:
        native.shutdown(milliseconds)
    except Timeout as error:
        log("warning", str(error))
    if run is not None:
        run.end(milliseconds / 1000 + _GRACE)


def _end_unheld(native: NativeClient, pump: Pump, milliseconds: int) -> None:
    _end(native, pump.take(), milliseconds)


def _milliseconds(seconds: float) -> int:
    """A time as the library takes it. The highest number means something else there."""
    return round(min(seconds * 1000, _LONGEST_MS)) if seconds > 0 else 0


def _after_fork_in_child() -> None:
    for client in list(_clients):
        client._after_fork_in_child()
    # A process of multiprocessing ends with its own finalizers and without those of the interpreter. They can be registered
    # when its bootstrap has cleared the parent's.
    util = sys.modules.get("multiprocessing.util")
    if util is not None:
        util.register_after_fork(_at_exit, lambda at_exit: util.Finalize(None, at_exit, exitpriority=0))


def _at_exit() -> None:
    """Delivers what clients that nobody shut down have queued. All of them share the time of the most patient one."""
    clients = list(_clients)
    deadline = time.monotonic() + max((client._shutdown_ms for client in clients), default=0) / 1000
    for client in clients:
        client.shutdown(min(client._shutdown_ms / 1000, max(0.0, deadline - time.monotonic())))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
atexit.register(_at_exit)
