"""A provider's events: which of the client's items become one, and when."""

from __future__ import annotations

import concurrent.futures.thread
import contextlib
import os
import threading
import time
import typing
import weakref
from collections import deque

from openfeature import _event_support
from openfeature.event import ProviderEventDetails

from .abi import Uncopied

if typing.TYPE_CHECKING:
    from collections.abc import Iterator

    from .abi import Item
    from .openfeature import MixpanelProvider

# The SDK tells the end of `initialize` itself, after it has returned. An event that overtakes it would be overwritten.
_HEAD_START = 0.1
_LOOK_AGAIN_MS = 50


class Lifecycle(Uncopied):
    """Turns items into events. READY and ERROR of `initialize` are the SDK's; what comes after is told here.

    `take` and `tick` run on the thread that pulls the items, `initializing` and `end` on the SDK's.
    """

    def __init__(self, provider: MixpanelProvider) -> None:
        # The thread that pulls must not keep the provider alive.
        self._provider = weakref.ref(provider)
        self._waiting: deque[Item] = deque()
        #: What the SDK takes the provider for: None before `initialize` and after `shutdown`.
        self._told: str | None = None
        self._opens = float("inf")
        # Whether the client's state is still to be compared with what the SDK has told.
        self._to_compare = False

    @contextlib.contextmanager
    def initializing(self) -> Iterator[None]:
        self._opens = float("inf")
        self._told = None
        self._waiting.clear()
        self._to_compare = True
        told = "ERROR"
        try:
            yield
            told = "READY"
        finally:
            self._told = told
            self._opens = time.monotonic() + _HEAD_START

    def end(self) -> None:
        self._opens = float("inf")
        self._told = None
        self._to_compare = False
        self._waiting.clear()

    def take(self, item: Item) -> None:
        if item.kind in ("state", "change"):
            self._waiting.append(item)

    def tick(self) -> int | None:
        _handlers_of_this_process()
        if not self._waiting and not self._to_compare:
            return None
        left = self._opens - time.monotonic()
        if left > 0:
            return min(_LOOK_AGAIN_MS, int(left * 1000) + 1) if left != float("inf") else _LOOK_AGAIN_MS
        # `end` may empty it meanwhile.
        with contextlib.suppress(IndexError):
            while True:
                self._tell(self._waiting.popleft())
        if self._to_compare:
            self._to_compare = False
            self._compare()
        return None

    def _compare(self) -> None:
        """Of a client that was STALE before `initialize`, no item says so."""
        provider = self._provider()
        if provider is not None and self._told == "READY" and provider.client.state == "STALE":
            self._stale(provider, None)

    def _tell(self, item: Item) -> None:
        provider = self._provider()
        if provider is None or self._told is None:
            return
        if item.kind == "change":
            # Never before READY: it would tell of definitions that nobody may use yet.
            if self._told != "ERROR":
                provider.emit_provider_configuration_changed(ProviderEventDetails(flags_changed=list(item.keys)))
        elif item.state == "READY":
            self._ready(provider)
        elif item.state == "STALE":
            if self._told == "ERROR":
                # Definitions from the cache: first there are some, then they are old.
                self._ready(provider)
            self._stale(provider, item.message or None)
        # NOT_READY and ERROR come before there are definitions, when the SDK has told it, or never.

    def _stale(self, provider: MixpanelProvider, message: str | None) -> None:
        if self._told != "STALE":
            self._told = "STALE"
            provider.emit_provider_stale(ProviderEventDetails(message=message))

    def _ready(self, provider: MixpanelProvider) -> None:
        if self._told != "READY":
            self._told = "READY"
            provider.emit_provider_ready(ProviderEventDetails())


_pid = os.getpid()


def _handlers_of_this_process() -> None:
    """Once in the child of a fork: makes the SDK's threads for event handlers anew.

    The SDK keeps them in one pool of the process, which believes in the child that they are still there: an event waits for
    a thread that never comes, and, after a fork without Python's hooks, so does the interpreter's end.
    """
    global _pid
    if _pid == os.getpid():
        return
    _pid = os.getpid()
    inherited = getattr(_event_support, "_event_executor", None)
    if not isinstance(inherited, concurrent.futures.ThreadPoolExecutor):
        return
    _event_support._event_executor = concurrent.futures.ThreadPoolExecutor(
        thread_name_prefix="openfeature-event-handler"
    )
    threads: typing.Any = inherited._threads
    queues: typing.Any = concurrent.futures.thread._threads_queues
    for thread in list(threads):
        queues.pop(thread, None)
        _is_over(thread)
    threads.clear()


def _is_over(thread: typing.Any) -> None:
    """What `threading` notes of a thread that a fork has left behind, where its own hook runs. From Python 3.13 on it is not
    to be reached: there uWSGI needs `py-call-osafterfork`, or `lazy-apps`."""
    if hasattr(thread, "_tstate_lock"):
        getattr(threading, "_shutdown_locks", set()).discard(thread._tstate_lock)
        thread._tstate_lock = None
        thread._is_stopped = True


# Before the interpreter waits for them at its end, for a child in which nothing else has called it.
_before_threads_end = getattr(threading, "_register_atexit", None)
if _before_threads_end is not None:
    _before_threads_end(_handlers_of_this_process)
