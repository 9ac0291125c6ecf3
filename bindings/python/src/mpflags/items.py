"""The thread that pulls a client's items: log lines go to `logging`, everything else to listeners."""

from __future__ import annotations

import os
import sys
import threading
import weakref

from .abi import NotCopyable
from .errors import Closed, MpflagsError, SystemFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol, TypeAlias

    from ._native import NativeClient
    from .abi import Item

    #: Called with each item but log lines, on the thread that pulls them.
    Listener: TypeAlias = Callable[[Item], None]

    class Observer(Protocol):
        """A listener that is also called when time has passed."""

        def on_item(self, item: Item) -> None: ...

        def on_tick(self) -> int | None:
            """Does what is due. Returns the milliseconds until more is due, None if nothing is."""


_MAX_WAIT_MS = 10_000


class PumpThread(NotCopyable):
    """The thread, from a start of the client to its shutdown. It pulls nothing before `begin`.

    Under gevent or eventlet it is a greenlet, so that listeners and log handlers run among the program's own. Not a subclass
    of `threading.Thread`, because patching replaces that class.
    """

    def __init__(self, pump: Pump) -> None:
        self._pump = pump
        self._begun = threading.Event()
        self._pid = os.getpid()
        self._ending = False
        self._thread = threading.Thread(target=self._run, name="mpflags-items", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self._begun.wait()
        try:
            self._pump.pull(self)
        finally:
            _rename_in_threading(self._thread)

    @property
    def is_alive(self) -> bool:
        """Whether it runs in this process. In the child of a fork, `Thread.is_alive` may be true for a thread of the parent."""
        return self._pid == os.getpid() and self._thread.is_alive()

    @property
    def is_ending(self) -> bool:
        return self._ending or self._pid != os.getpid()

    def begin(self) -> None:
        self._begun.set()

    def end(self, timeout: float) -> None:
        self._ending = True
        self._begun.set()
        if self._thread is not threading.current_thread():
            self._thread.join(timeout)


def _rename_in_threading(thread: threading.Thread) -> None:
    """Patching by gevent changes the identifiers of threads. A thread that was started before removes itself from `threading`'s
    list under its new identifier, and prints a traceback if it is not there."""
    active: Any = getattr(threading, "_active", {})
    if thread.ident in active and thread.ident != threading.get_ident():
        active[threading.get_ident()] = active.pop(thread.ident)


class Pump(NotCopyable):
    """Pulls the items of a client, from its start to its shutdown. `has_logged` tells which log lines to drop."""

    def __init__(self, native: NativeClient, has_logged: Callable[[str], bool]) -> None:
        self._native = native
        self._has_logged = has_logged
        self._thread: PumpThread | None = None
        self.listeners: list[Listener] = []
        # Weak, so that the thread does not keep a provider alive that the program has dropped.
        self.observer: weakref.ref[Observer] | None = None

    @property
    def is_running(self) -> bool:
        return self._thread is not None and self._thread.is_alive

    def new_thread(self) -> PumpThread:
        """A thread that waits for `begin`. Raises `SystemFailure` if the process cannot start one."""
        try:
            return PumpThread(self)
        except RuntimeError as error:
            raise SystemFailure(
                f"cannot start the thread mpflags-items: {error}: start the client where threads are allowed, as in the main"
                " interpreter and before it ends, or raise the limit of threads (ulimit -u, pids.max)"
            ) from error

    def begin(self, thread: PumpThread) -> None:
        self._thread = thread
        thread.begin()

    def release(self) -> PumpThread | None:
        """The thread, for the caller to end; None in the child of a fork. The next start makes another one."""
        thread, self._thread = self._thread, None
        return thread if thread is not None and thread.is_alive else None

    def pull(self, thread: PumpThread) -> None:
        wait_ms = self._tick()
        while not thread.is_ending:
            try:
                # First without waiting: to wait, a greenlet needs a real thread.
                item = self._native.next_item(0) or self._native.next_item(wait_ms)
            except Closed:
                return
            except MpflagsError as error:
                _logger().error("log lines, states and changes of a client are no longer passed on: %s", error)
                return
            if item is not None:
                self._dispatch(item)
            wait_ms = self._tick()

    def drain(self) -> None:
        """Passes on the items that are left after the shutdown, such as the log line about lost events."""
        try:
            while (item := self._native.next_item(0)) is not None:
                self._dispatch(item)
        except MpflagsError:
            # Closed: there are no more.
            pass

    def _observing(self) -> Observer | None:
        # Read once: another thread may replace it.
        observer = self.observer
        return observer() if observer is not None else None

    def _tick(self) -> int:
        observer = self._observing()
        if observer is None:
            return _MAX_WAIT_MS
        try:
            due = observer.on_tick()
        except Exception:
            _logger().exception("a provider failed to handle an event")
            return _MAX_WAIT_MS
        return _MAX_WAIT_MS if due is None else min(due, _MAX_WAIT_MS)

    def _dispatch(self, item: Item) -> None:
        if item.kind == "log":
            if not self._has_logged(item.message):
                log(item.level, item.message)
            return
        observer = self._observing()
        listeners = [*self.listeners, *([observer.on_item] if observer is not None else [])]
        for listener in listeners:
            try:
                listener(item)
            except Exception:
                _logger().exception("a listener failed")


def _logger() -> Any:
    # `logging` costs as much as the rest of this package, so it waits until there is something to log.
    import logging  # noqa: PLC0415

    return logging.getLogger("mpflags")


_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def logs_debug() -> bool:
    """Whether the program wants debug lines. A program that has not imported `logging` does not."""
    # `_logger` imports it, and so waits for a thread that has begun to: until that is done, the module is there, but empty.
    return "logging" in sys.modules and bool(_logger().isEnabledFor(_LEVELS["debug"]))


def log(level: str, message: str) -> None:
    _logger().log(_LEVELS.get(level, 20), "%s", message)
