"""What a client runs: the library's client, its threads, and how they survive a fork and end with the process."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
import weakref

from ._native import NativeClient
from .abi import TIMEOUT_SHUTDOWN, NotCopyable
from .errors import MpflagsError, Timeout
from .host import Lock, in_background
from .items import Pump, log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from .items import PumpThread
    from .pool import Pool

    _T = TypeVar("_T")

# How long threads may take to end after the library has ended, in seconds.
_GRACE = 1.0
_GRACE_INTERRUPTED = 0.2
# A finalizer without a thread to deliver on blocks code that never called this package.
_MAX_BLOCKED_MS = 500

_runtimes: weakref.WeakSet[Runtime] = weakref.WeakSet()


class Runtime(NotCopyable):
    """Belongs to one `Client`. If the client is collected without a `shutdown`, a finalizer ends all of it in the background."""

    def __init__(self, config: bytes, async_threads: int, has_logged: Callable[[str], bool]) -> None:
        self._pid = os.getpid()
        self.library = NativeClient(config)
        self.pump = Pump(self.library, has_logged)
        self.started = self.ended = False
        self.shutdown_ms = self.library.timeout_ms(TIMEOUT_SHUTDOWN)
        self._async_threads = async_threads
        self._pool: Pool | None = None
        # Held briefly: no thread is started and no greenlet switches while it is held.
        self._lock = Lock()
        self._finalizer = weakref.finalize(self, _end_unheld, self.library, self.pump, self.shutdown_ms)
        self._finalizer.atexit = False
        _runtimes.add(self)

    @property
    def native(self) -> NativeClient:
        """The library's client, for every call but a packed evaluation, which crosses without it."""
        self.notice_fork()
        return self.library

    def start(self) -> None:
        native = self.native
        if self.started and self.pump.is_running:
            return
        spare = None
        try:
            while True:
                with self._lock:
                    if spare is not None or self.pump.is_running:
                        native.start()
                        if spare is not None and not self.pump.is_running:
                            self.pump.begin(spare)
                            spare = None
                        self.started, self.ended = True, False
                        return
                # Before the library starts, and without the lock: starting a thread is what a process can refuse.
                spare = self.pump.new_thread()
        finally:
            if spare is not None:
                spare.end(_GRACE)

    def shutdown(self, milliseconds: int) -> int:
        """Returns the number of events that were not delivered."""
        with self._lock:
            # The child of a fork whose first call this is starts nothing.
            self.started, self.ended = False, True
        native = self.native
        with self._lock:
            pool, self._pool = self._pool, None
            # A concurrent start makes another thread.
            thread = self.pump.release()
        return _end(native, self.pump, thread, pool, milliseconds)

    async def in_pool(self, work: Callable[[], _T]) -> _T:
        """The result of `work`, which runs on a thread of the pool."""
        pool = self._pool
        if pool is None:
            from .pool import Pool  # noqa: PLC0415 - asyncio costs more than this package

            with self._lock:
                pool = self._pool = self._pool or Pool(self._async_threads)
        done: _T = await pool.run(work)
        return done

    async def in_own_thread(self, work: Callable[[], _T], on_cancel: Callable[[], object]) -> _T:
        """The result of `work`, which runs on a thread that is not of the pool. Calls `on_cancel` when the task is cancelled."""
        import asyncio  # noqa: PLC0415 - costs more than this package

        from .pool import Pool  # noqa: PLC0415

        pool = Pool(1)
        try:
            done: _T = await pool.run(work)
            return done
        except asyncio.CancelledError:
            on_cancel()
            raise
        finally:
            pool.close(_GRACE)

    def notice_fork(self) -> None:
        """In the child of a fork, starts again the threads of this package, which exist only in the parent.

        Compares process ids, because not every fork runs Python's hooks: uWSGI's does not. Local evaluations get here too: the
        first one in a child has no cached answer.
        """
        if self._pid == os.getpid():
            return
        with self._lock:
            if self._pid == os.getpid():
                return
            self._pid = os.getpid()
            self._pool = None
        if self.started:
            try:
                self.start()
            except MpflagsError as error:
                log("error", f"after a fork: {error}")


def _end(native: NativeClient, pump: Pump, thread: PumpThread | None, pool: Pool | None, milliseconds: int) -> int:
    grace = _GRACE_INTERRUPTED
    try:
        undelivered = _deliver(native, milliseconds)
        grace = milliseconds / 1000 + _GRACE
        return undelivered
    finally:
        # The threads end even if Ctrl-C interrupts the delivery.
        if thread is not None:
            thread.end(grace)
        pump.drain()
        if pool is not None:
            pool.close(grace)


def _deliver(native: NativeClient, milliseconds: int) -> int:
    """Shuts the library's client down. Returns the number of events that were not delivered; the library logs the reason."""
    before = native.statistics()["dropped"]["shutdown"]
    try:
        return native.shutdown(milliseconds)
    except Timeout as error:
        # A thread did not end. The library logs the rest of the message itself.
        log("warning", str(error).rpartition("; ")[0] or str(error))
        lost: int = native.statistics()["dropped"]["shutdown"] - before
        return lost


# Clients that were collected and are still ending, with process and deadline, by the lock that is released when they have ended.
_unheld: dict[threading.Lock, tuple[int, float, NativeClient]] = {}


def _end_unheld(native: NativeClient, pump: Pump, milliseconds: int) -> None:
    """The finalizer. It can run wherever the last reference is dropped, so it must not wait for the delivery."""
    thread = pump.release()
    ended = threading.Lock()
    ended.acquire()
    _unheld[ended] = (os.getpid(), time.monotonic() + milliseconds / 1000, native)

    def end() -> None:
        try:
            _end(native, pump, thread, None, milliseconds)
        finally:
            _unheld.pop(ended, None)
            ended.release()

    try:
        in_background(end)
    except RuntimeError:
        milliseconds = min(milliseconds, _MAX_BLOCKED_MS)
        end()


def _at_exit() -> None:
    """Shuts down the clients that the program did not. They share the longest of their shutdown timeouts."""
    runtimes = list(_runtimes)
    deadline = time.monotonic() + max((runtime.shutdown_ms for runtime in runtimes), default=0) / 1000
    try:
        for runtime in runtimes:
            left_ms = max(0, round((deadline - time.monotonic()) * 1000))
            runtime.shutdown(min(runtime.shutdown_ms, left_ms))
        for ended, (pid, its_deadline, _) in list(_unheld.items()):
            # The child of a fork does not wait for what ends in its parent.
            if pid == os.getpid():
                ended.acquire(timeout=max(0.0, its_deadline - time.monotonic()))
    except BaseException:
        # Ctrl-C: end the rest without delivering.
        for runtime in runtimes:
            runtime.shutdown(0)
        raise


def _end_with_multiprocessing() -> None:
    """A child of multiprocessing ends by multiprocessing's finalizers, without the interpreter's."""
    global _with_multiprocessing
    util = sys.modules.get("multiprocessing.util")
    if util is None:
        return
    if not _with_multiprocessing:
        # For children that start from now on, and for this process if it is one: finalizers that exist when a child starts
        # are its parent's, and multiprocessing clears them.
        _with_multiprocessing = True
        util.register_after_fork(_at_exit, _finalize)
    if sys.modules["multiprocessing.process"].parent_process() is not None:
        _finalize(_at_exit)


def _finalize(at_exit: Callable[[], None]) -> None:
    # multiprocessing is in `sys.modules` by now.
    sys.modules["multiprocessing.util"].Finalize(None, at_exit, exitpriority=0)


_with_multiprocessing = False
_end_with_multiprocessing()
if hasattr(os, "register_at_fork"):
    # The program may import multiprocessing later.
    os.register_at_fork(after_in_child=_end_with_multiprocessing)
atexit.register(_at_exit)
