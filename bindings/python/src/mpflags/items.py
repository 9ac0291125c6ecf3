"""The thread that pulls what a client tells: log lines to `logging`, the rest to whoever listens."""

from __future__ import annotations

import threading
import weakref

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


class Pump:
    """Pulls the items of one client. Started with it, and ended by its shutdown."""

    def __init__(self, native: NativeClient) -> None:
        self._native = native
        self._thread: threading.Thread | None = None
        self.listeners: list[Listener] = []
        # Weak: the thread must not keep a provider alive that nobody uses any more.
        self.watcher: weakref.ref[Watcher] | None = None

    @property
    def running(self) -> bool:
        return self._thread is not None

    def start(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="mpflags-items", daemon=True)
            self._thread.start()

    def join(self, timeout: float) -> None:
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)
        self._thread = None

    def forget(self) -> None:
        """In the child of a fork, where the thread does not exist."""
        self._thread = None

    def _run(self) -> None:
        wait = _LONGEST_WAIT_MS
        while True:
            try:
                item = self._native.next(wait)
            except MpflagsError:
                # Shut down. Anything else would be a bug of the library, and no reason to spin.
                return
            if item is not None:
                self._hand_out(item)
            wait = self._tick()

    def _tick(self) -> int:
        watcher = self.watcher() if self.watcher is not None else None
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
            log(item.level, item.message)
            return
        watcher = self.watcher() if self.watcher is not None else None
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
