"""What a host process does with threads: it forks, with Python's hooks or without; it has greenlets in their place."""

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
    """A lock that each process finds open: what a thread of the parent holds is never released in the child of a fork.

    Greenlets must not switch while it is held: one that is made before gevent patches `threading` blocks them all.
    """

    def __init__(self) -> None:
        self._locks: dict[int, threading.Lock] = {}

    def __enter__(self) -> None:
        pid = os.getpid()
        lock = self._locks.get(pid)
        if lock is None:
            # Of two threads that come here at once, both get the same.
            lock = self._locks.setdefault(pid, threading.Lock())
            for other in list(self._locks):
                if other != pid:
                    self._locks.pop(other, None)
        lock.acquire()

    def __exit__(self, *exc: object) -> None:
        self._locks[os.getpid()].release()


def in_background(work: Callable[[], object]) -> None:
    """Does `work` on a thread that nobody joins, or on a greenlet. Raises RuntimeError when none can be started.

    Takes no lock, as `threading.Thread` does, so a finalizer may call it wherever it happens to run.
    """
    _thread.start_new_thread(work, ())


def wait(call: Callable[[], _T], in_slices: Callable[[], _T] | None = None) -> _T:
    """Does `call`, which waits in native code, and must hold what it uses.

    Signals arrive at the main thread: there an exception of their handlers, as KeyboardInterrupt, ends the wait at once, and
    `call` goes on alone. Where no thread can be started, as from Python 3.12 on while the interpreter ends, `in_slices` takes
    its place: it waits for short times, one after the other. A greenlet has it done on a real thread, so that the others go
    on meanwhile.

    Raises what `call` raises, `SystemFailure` when there is no thread to be had for a greenlet, and `Closed` in the child of
    a fork when it was the parent that waited. A greenlet that is killed meanwhile leaves the thread to its time limit.
    """
    greenlets = _greenlets()
    if greenlets is None:
        return _apart(call, in_slices or call)
    wait_readable, start_thread = greenlets
    came: list[tuple[_T | None, BaseException | None]] = []
    # A pipe and not a lock or a watcher of the hub: it works in the same way for gevent and eventlet, and after a fork.
    read, write = os.pipe()
    leaving = [None]

    def leave() -> None:
        """Closes the end that is read from, when neither side needs it: writing must never meet a closed pipe."""
        try:
            leaving.pop()
        except IndexError:
            os.close(read)

    def work() -> None:
        try:
            came.append((call(), None))
        except BaseException as error:
            came.append((None, error))
        os.write(write, b"!")
        os.close(write)
        leave()

    try:
        start_thread(work, ())
    except RuntimeError as error:
        os.close(read)
        os.close(write)
        # From Python 3.12 on no thread starts once the interpreter ends. Then nothing else is to go on, either.
        if "shutdown" in str(error):
            return (in_slices or call)()
        raise SystemFailure(f"a thread for a greenlet that waits: {error}") from error
    try:
        wait_readable(read)
    finally:
        leave()
    if not came:
        raise Closed("the process was forked while the parent waited")
    result, raised = came[0]
    if raised is not None:
        raise raised
    return typing.cast("_T", result)


def _apart(call: Callable[[], _T], in_slices: Callable[[], _T]) -> _T:
    """`call` on another thread if this one is where signals arrive, and threads are what they say."""
    if _are_patched() or threading.get_ident() != threading.main_thread().ident:
        return call()
    came: list[tuple[typing.Any, BaseException | None]] = []
    done = _thread.allocate_lock()
    done.acquire()

    def work() -> None:
        try:
            came.append((call(), None))
        except BaseException as error:
            came.append((None, error))
        finally:
            done.release()

    try:
        in_background(work)
    except RuntimeError:
        return in_slices()
    done.acquire()
    result, raised = came.pop()
    if raised is not None:
        try:
            raise raised
        finally:
            # Its traceback holds this frame.
            del raised
    return typing.cast("_T", result)


def _are_patched() -> bool:
    monkey, patcher = sys.modules.get("gevent.monkey"), sys.modules.get("eventlet.patcher")
    return (monkey is not None and bool(monkey.is_module_patched("threading"))) or (
        patcher is not None and bool(patcher.is_monkey_patched("thread"))
    )


def _greenlets() -> tuple[Callable[[int], object], Callable[..., object]] | None:
    """How the current greenlet waits until a descriptor is readable, and how a real thread is started.

    None where waiting natively is right: on a thread that runs no greenlets, and in the hub, which cannot wait otherwise.
    Nothing is imported that the process has not imported, and no hub is made.
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
