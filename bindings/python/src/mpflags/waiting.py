"""Waits that Ctrl-C ends: a call into the library cannot be interrupted, so the main thread lets another one make it."""

from __future__ import annotations

import _thread
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    _T = TypeVar("_T")


def in_background(work: Callable[[], object]) -> None:
    """Does `work` on a thread that nobody joins. Raises RuntimeError when none can be started.

    Takes no lock, as `threading.Thread` does, so a finalizer may call it wherever it happens to run.
    """
    _thread.start_new_thread(work, ())


def wait(call: Callable[[], _T], in_slices: Callable[[], _T] | None = None) -> _T:
    """The result of `call`, which waits in the library. Raises what it raises.

    Signals arrive at the main thread: there an exception of their handlers, as KeyboardInterrupt, ends the wait at once, and
    `call` goes on alone. It must hold what it uses. Where no thread can be started, as from Python 3.12 on while the
    interpreter ends, `in_slices` takes its place: it waits for short times, one after the other.
    """
    if threading.get_ident() != threading.main_thread().ident:
        return call()
    came: list[tuple[Any, BaseException | None]] = []
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
        return (in_slices or call)()
    done.acquire()
    result, raised = came.pop()
    if raised is not None:
        try:
            raise raised
        finally:
            # Its traceback holds this frame.
            del raised
    value: _T = result
    return value
