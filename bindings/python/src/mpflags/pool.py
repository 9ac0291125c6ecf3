"""Threads on which the remote evaluations of coroutines wait: a limited number, started as needed, ended with the client.

Not a `ThreadPoolExecutor`: the interpreter joins its threads at exit, before this package could end their waits.
"""

from __future__ import annotations

import asyncio
import threading
import time
import typing
from collections import deque

from .abi import NotCopyable
from .errors import SystemFailure

_Work = typing.Callable[[], typing.Any]


class Pool(NotCopyable):
    def __init__(self, size: int) -> None:
        self._size = size
        self._tasks: deque[tuple[asyncio.AbstractEventLoop, asyncio.Future[typing.Any], _Work]] = deque()
        self._has_work = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._closed = False

    async def run(self, work: _Work) -> typing.Any:
        """The result of `work`, which runs on a thread of the pool. Cancelling returns at once; work that has begun continues.

        Raises `SystemFailure` if the pool has no thread and cannot start one.
        """
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        with self._has_work:
            if self._closed:
                # The client is shut down, so the library does not wait.
                return work()
            self._tasks.append((loop, future, work))
            if self._idle >= len(self._tasks) or len(self._threads) >= self._size:
                self._has_work.notify()
            else:
                self._grow()
        return await future

    def _grow(self) -> None:
        """Starts a thread for the newest task. If that fails, one of the existing threads does it."""
        thread = threading.Thread(target=self._serve, name="mpflags-remote", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            if not self._threads:
                self._tasks.pop()
                raise SystemFailure(f"cannot start a thread for a remote evaluation: {error}") from error
            self._has_work.notify()
        else:
            self._threads.append(thread)

    def close(self, timeout: float) -> None:
        """Ends the threads, within `timeout` seconds. Queued work is still done."""
        deadline = time.monotonic() + timeout
        with self._has_work:
            self._closed = True
            self._has_work.notify_all()
            threads = list(self._threads)
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, deadline - time.monotonic()))

    def _serve(self) -> None:
        while True:
            with self._has_work:
                self._idle += 1
                while not self._tasks and not self._closed:
                    self._has_work.wait()
                self._idle -= 1
                if not self._tasks:
                    return
                loop, future, work = self._tasks.popleft()
            if future.cancelled():
                continue
            result, error = None, None
            try:
                result = work()
            except BaseException as raised:
                error = raised
            try:
                loop.call_soon_threadsafe(_settle, future, result, error)
            except RuntimeError:
                # The loop is closed, so nothing waits for the result.
                pass
            # Keep nothing of a task alive until the next one.
            del loop, future, work, result, error


def _settle(future: asyncio.Future[typing.Any], result: typing.Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)
