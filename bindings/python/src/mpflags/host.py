"""Waiting and locking in a host process that may fork, with or without Python's hooks, and may run greenlets as threads."""

from __future__ import annotations

import _thread
import functools
import os
import sys
import threading
import typing

from .errors import Closed, SystemFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_T = typing.TypeVar("_T")


class Lock:
    """A lock that is open in the child of a fork, even if a thread of the parent held it.

    Greenlets must not switch while it is held: a lock that was made before gevent patches `threading` blocks all of them.
    """

    def __init__(self) -> None:
        self._locks: dict[int, threading.Lock] = {}

    def __enter__(self) -> None:
        pid = os.getpid()
        lock = self._locks.get(pid)
        if lock is None:
            # `setdefault`, so that two threads that get here at once share one.
            lock = self._locks.setdefault(pid, threading.Lock())
            for other in list(self._locks):
                if other != pid:
                    self._locks.pop(other, None)
        lock.acquire()

    def __exit__(self, *exc: object) -> None:
        self._locks[os.getpid()].release()


# The longest that a signal handler waits for the main thread to notice the signal, in seconds.
_NOTICE = 0.2


def in_background(work: Callable[[], object]) -> None:
    """Does `work` on a thread that nothing joins, or on a greenlet. Raises RuntimeError if none can be started.

    Unlike `threading.Thread` it takes no lock, so a finalizer may call it wherever it happens to run.
    """
    _thread.start_new_thread(work, ())


def wait(call: Callable[[], _T], in_slices: Callable[[], _T] | None = None) -> _T:
    """Runs `call`, which waits in native code. `call` must reference everything that it uses.

    Python runs signal handlers on the main thread. If one raises there, as Ctrl-C does, the wait ends at once with that
    exception, and `call` continues on its own thread. Where no thread can be started, such as while the interpreter ends from
    Python 3.12 on, `in_slices` runs instead, as a series of short waits. A greenlet waits for a real thread, so that other
    greenlets keep running; if it is killed, the thread continues until its timeout.

    Raises what `call` raises, `SystemFailure` if no thread can be started for a greenlet, and `Closed` in the child of a fork
    that happened during the wait.
    """
    greenlets = _greenlets()
    if greenlets is None:
        return _on_another_thread(call, in_slices or call)
    wait_readable, start_thread = greenlets
    results: list[tuple[_T | None, BaseException | None]] = []
    # A pipe rather than a lock or a watcher of the hub: it works the same for gevent and eventlet, and after a fork.
    read, write = os.pipe()
    sides = [None]

    def leave() -> None:
        """Closes the reading end once neither side needs it, so that the other side never writes to a closed pipe."""
        try:
            sides.pop()
        except IndexError:
            os.close(read)

    def work() -> None:
        try:
            results.append((call(), None))
        except BaseException as error:
            results.append((None, error))
        os.write(write, b"!")
        os.close(write)
        leave()

    try:
        start_thread(work, ())
    except RuntimeError as error:
        os.close(read)
        os.close(write)
        # From Python 3.12 on no thread can start once the interpreter ends. No greenlet needs to run then either.
        if "shutdown" in str(error):
            return (in_slices or call)()
        raise SystemFailure(f"cannot start a thread for a greenlet that waits: {error}") from error
    try:
        wait_readable(read)
    finally:
        leave()
    if not results:
        raise Closed("the process was forked during the wait")
    result, raised = results[0]
    if raised is not None:
        raise raised
    return typing.cast("_T", result)


def _on_another_thread(call: Callable[[], _T], in_slices: Callable[[], _T]) -> _T:
    """Runs `call` on another thread if this is the main thread, so that signal handlers can run here."""
    if _are_patched() or threading.get_ident() != threading.main_thread().ident:
        return call()
    results: list[tuple[typing.Any, BaseException | None]] = []
    done = _thread.allocate_lock()
    done.acquire()

    def work() -> None:
        try:
            results.append((call(), None))
        except BaseException as error:
            results.append((None, error))
        finally:
            done.release()

    try:
        in_background(work)
    except RuntimeError:
        return in_slices()
    # A signal that another thread gets, or that comes just before this one begins to wait, does not end an `acquire`.
    while not done.acquire(timeout=_NOTICE):
        pass
    result, raised = results.pop()
    if raised is not None:
        try:
            raise raised
        finally:
            # Its traceback references this frame.
            del raised
    return typing.cast("_T", result)


def _are_patched() -> bool:
    monkey, patcher = sys.modules.get("gevent.monkey"), sys.modules.get("eventlet.patcher")
    return (monkey is not None and bool(monkey.is_module_patched("threading"))) or (
        patcher is not None and bool(patcher.is_monkey_patched("thread"))
    )


def _greenlets() -> tuple[Callable[[int], object], Callable[..., object]] | None:
    """How the current greenlet waits until a descriptor is readable, and how to start a real thread.

    None where native waiting is right: on a thread without greenlets, and in the hub, which has no other way to wait. Imports
    nothing that the process has not imported, and creates no hub.
    """
    monkey = sys.modules.get("gevent.monkey")
    if monkey is not None and monkey.is_module_patched("threading"):
        from gevent import getcurrent  # noqa: PLC0415
        from gevent._hub_local import get_hub_if_exists  # noqa: PLC0415
        from gevent.socket import wait_read  # noqa: PLC0415

        hub = get_hub_if_exists()
        if hub is None or getcurrent() is hub:
            return None
        return wait_read, monkey.get_original("_thread", "start_new_thread")
    patcher = sys.modules.get("eventlet.patcher")
    if patcher is not None and patcher.is_monkey_patched("thread"):
        from eventlet import hubs  # noqa: PLC0415
        from greenlet import getcurrent  # noqa: PLC0415

        hub = getattr(hubs._threadlocal, "hub", None)
        if hub is None or getcurrent() is hub.greenlet:
            return None
        return functools.partial(hubs.trampoline, read=True), patcher.original("_thread").start_new_thread
    return None
