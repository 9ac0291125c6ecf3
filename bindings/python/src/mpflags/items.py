"""The thread that pulls what a client tells: log lines to `logging`, the rest to whoever listens."""

from __future__ import annotations

import os
import threading
import weakref

from .abi import Uncopied
from .errors import Closed, MpflagsError, SystemFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol, TypeAlias

    from ._native import NativeClient
    from .abi import Item

    #: Called with each item but log lines, on the thread that pulls them.
    Listener: TypeAlias = Callable[[Item], None]

    class Watcher(Protocol):
        """A listener that also wants to be called when some time has passed."""

        def take(self, item: Item) -> None: ...

        def tick(self) -> int | None:
            """Does what is due, and tells in how many milliseconds there is more to do."""


_LONGEST_WAIT_MS = 10_000


class Run(Uncopied):
    """The thread, from one start of the client to its shutdown. It begins to pull with `go`.

    A greenlet where gevent or eventlet puts them in the place of threads, so that listeners and log handlers run among the
    program's own. Not a subclass: patching replaces the class, too.
    """

    def __init__(self, pump: Pump) -> None:
        self._pump = pump
        self._begin = threading.Event()
        self._pid = os.getpid()
        self._ending = False
        self._thread = threading.Thread(target=self._pull, name="mpflags-items", daemon=True)
        self._thread.start()

    def _pull(self) -> None:
        self._begin.wait()
        try:
            self._pump.pull(self)
        finally:
            _leave(self._thread)

    @property
    def is_here(self) -> bool:
        """Whether it runs in this process. After a fork `is_alive` may go on saying so of a thread that was left behind."""
        return self._pid == os.getpid() and self._thread.is_alive()

    @property
    def is_ending(self) -> bool:
        return self._ending or self._pid != os.getpid()

    def go(self) -> None:
        self._begin.set()

    def end(self, timeout: float) -> None:
        self._ending = True
        self._begin.set()
        if self._thread is not threading.current_thread():
            self._thread.join(timeout)


def _leave(thread: threading.Thread) -> None:
    """gevent changes what threads are known by. One that was started before takes its name out of the list under the new
    one, and fails with a traceback on standard error if it is not there."""
    known: Any = getattr(threading, "_active", {})
    if thread.ident in known and thread.ident != threading.get_ident():
        known[threading.get_ident()] = known.pop(thread.ident)


class Pump(Uncopied):
    """Pulls the items of one client. Started with it, and ended by its shutdown."""

    def __init__(self, native: NativeClient) -> None:
        self._native = native
        self._run: Run | None = None
        self.listeners: list[Listener] = []
        # Weak: the thread must not keep a provider alive that nobody uses any more.
        self.watcher: weakref.ref[Watcher] | None = None
        #: Whether a line was logged already, in words of the binding's.
        self.is_noted: Callable[[str], bool] | None = None

    @property
    def is_running(self) -> bool:
        return self._run is not None and self._run.is_here

    def prepare(self) -> Run:
        """A thread that is there and does nothing yet. Raises `SystemFailure` when there cannot be one."""
        try:
            return Run(self)
        except RuntimeError as error:
            raise SystemFailure(
                f"cannot start the thread mpflags-items: {error}: start the client where threads are allowed, as in the main"
                " interpreter and before it ends, or raise the limit of threads (ulimit -u, pids.max)"
            ) from error

    def take_up(self, run: Run) -> None:
        self._run = run
        run.go()

    def take(self) -> Run | None:
        """The thread, for whoever ends it. A start from now on makes another one. In the child of a fork there is none."""
        run, self._run = self._run, None
        return run if run is not None and run.is_here else None

    def pull(self, run: Run) -> None:
        wait = self._tick()
        while not run.is_ending:
            try:
                # First without waiting, for which a greenlet needs a thread.
                item = self._native.next(0) or self._native.next(wait)
            except Closed:
                return
            except MpflagsError as error:
                _logger().error("log lines, states and changes of a client are no longer passed on: %s", error)
                return
            if item is not None:
                self._hand_out(item)
            wait = self._tick()

    def drain(self) -> None:
        """Hands out what waits, once the client is shut down and the thread has ended: the lines that say what was lost."""
        try:
            while (item := self._native.next(0)) is not None:
                self._hand_out(item)
        except MpflagsError:
            # Closed: that was all.
            pass

    def _watching(self) -> Watcher | None:
        # Read once: another thread may take it away.
        watcher = self.watcher
        return watcher() if watcher is not None else None

    def _tick(self) -> int:
        watcher = self._watching()
        if watcher is None:
            return _LONGEST_WAIT_MS
        try:
            due = watcher.tick()
        except Exception:
            _logger().exception("a provider failed in handling an event")
            return _LONGEST_WAIT_MS
        return _LONGEST_WAIT_MS if due is None else min(due, _LONGEST_WAIT_MS)

    def _hand_out(self, item: Item) -> None:
        if item.kind == "log":
            if self.is_noted is None or not self.is_noted(item.message):
                log(item.level, item.message)
            return
        watcher = self._watching()
        listeners = [*self.listeners, *([watcher.take] if watcher is not None else [])]
        for listener in listeners:
            try:
                listener(item)
            except Exception:
                _logger().exception("a listener failed")


def _logger() -> Any:
    # Imported when there is something to log: it costs as much as the rest of this package.
    import logging  # noqa: PLC0415

    return logging.getLogger("mpflags")


_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def log(level: str, message: str) -> None:
    _logger().log(_LEVELS.get(level, 20), "%s", message)
