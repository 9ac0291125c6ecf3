"""The thread that pulls what a client tells: log lines to `logging`, the rest to whoever listens."""

from __future__ import annotations

import threading
import weakref

from .abi import Uncopied
from .errors import MpflagsError

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


class Run(Uncopied, threading.Thread):
    """The thread, from one start of the client to its shutdown."""

    def __init__(self, pump: Pump) -> None:
        super().__init__(name="mpflags-items", daemon=True)
        self._pump = pump
        self.ending = False

    def run(self) -> None:
        self._pump.pull(self)

    def end(self, timeout: float) -> None:
        self.ending = True
        if self is not threading.current_thread():
            self.join(timeout)


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

    def start(self) -> None:
        if self._run is None or not self._run.is_alive():
            run = Run(self)
            run.start()
            self._run = run

    def take(self) -> Run | None:
        """The thread, for whoever ends it. A start from now on makes another one. In the child of a fork it does not exist."""
        run, self._run = self._run, None
        return run

    def pull(self, run: Run) -> None:
        wait = _LONGEST_WAIT_MS
        while not run.ending:
            try:
                item = self._native.next(wait)
            except MpflagsError:
                # Shut down. Anything else would be a bug of the library, and no reason to spin.
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
