"""The events of a provider: which items of the client become one, and when."""

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

from .abi import NotCopyable

if typing.TYPE_CHECKING:
    from collections.abc import Iterator

    from openfeature.provider import AbstractProvider

    from .abi import Item
    from .client import Client

# The SDK emits its event about `initialize` only after that has returned, and would overwrite an earlier event of ours.
_HEAD_START = 0.1
_RETRY_MS = 50
_NEVER = float("inf")


class Lifecycle(NotCopyable):
    """Turns items into events. READY and ERROR for `initialize` are the SDK's; later events are emitted here.

    `on_item` and `on_tick` run on the thread that pulls items, `initializing` and `end` on the SDK's.
    """

    def __init__(self, provider: AbstractProvider, client: Client) -> None:
        # Weak, so that the thread that pulls items does not keep the provider alive.
        self._provider = weakref.ref(provider)
        self._client = client
        self._items: deque[Item] = deque()
        #: The last state that the SDK knows: None before `initialize` and after `shutdown`.
        self._emitted: str | None = None
        self._emit_from = _NEVER
        # Whether to look at the client's state: no item reports that it was STALE before `initialize`.
        self._check_stale = False

    @contextlib.contextmanager
    def initializing(self) -> Iterator[None]:
        self._emit_from = _NEVER
        self._emitted = None
        self._items.clear()
        self._check_stale = True
        state = "ERROR"
        try:
            yield
            state = "READY"
        finally:
            self._emitted = state
            self._emit_from = time.monotonic() + _HEAD_START

    def end(self) -> None:
        self._emit_from = _NEVER
        self._emitted = None
        self._check_stale = False
        self._items.clear()

    def on_item(self, item: Item) -> None:
        if item.kind in ("state", "change"):
            self._items.append(item)

    def on_tick(self) -> int | None:
        _renew_handler_threads()
        if not self._items and not self._check_stale:
            return None
        left = self._emit_from - time.monotonic()
        if left > 0:
            return _RETRY_MS if left == _NEVER else min(_RETRY_MS, int(left * 1000) + 1)
        # `end` may empty the queue meanwhile.
        with contextlib.suppress(IndexError):
            while True:
                self._emit(self._items.popleft())
        if self._check_stale:
            self._check_stale = False
            provider = self._provider()
            if provider is not None and self._emitted == "READY" and self._client.state == "STALE":
                self._emit_stale(provider, None)
        return None

    def _emit(self, item: Item) -> None:
        provider = self._provider()
        if provider is None or self._emitted is None:
            return
        if item.kind == "change":
            # Not before READY, because the changed definitions cannot be used yet.
            if self._emitted != "ERROR":
                provider.emit_provider_configuration_changed(ProviderEventDetails(flags_changed=list(item.keys)))
        elif item.state == "READY":
            self._emit_ready(provider)
        elif item.state == "STALE":
            if self._emitted == "ERROR":
                # Definitions from the cache: READY because there are some, then STALE because they are old.
                self._emit_ready(provider)
            self._emit_stale(provider, item.message or None)
        # NOT_READY and ERROR only occur before there are definitions, and the SDK has emitted an event for that itself.

    def _emit_stale(self, provider: AbstractProvider, message: str | None) -> None:
        if self._emitted != "STALE":
            self._emitted = "STALE"
            provider.emit_provider_stale(ProviderEventDetails(message=message))

    def _emit_ready(self, provider: AbstractProvider) -> None:
        if self._emitted != "READY":
            self._emitted = "READY"
            provider.emit_provider_ready(ProviderEventDetails())


_pid = os.getpid()


def _renew_handler_threads() -> None:
    """In the child of a fork, once: replaces the SDK's threads for event handlers.

    The SDK has one pool of them in a process, and in the child the pool believes that its threads still exist. An event would
    wait forever for one of them, and after a fork that does not run Python's hooks, so would the end of the interpreter.
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
        _mark_as_ended(thread)
    threads.clear()


def _mark_as_ended(thread: typing.Any) -> None:
    """Does to a thread of the parent what Python's own fork hook does. Python 3.13 and newer have no access to this; there,
    uWSGI needs `py-call-osafterfork` or `lazy-apps`."""
    if hasattr(thread, "_tstate_lock"):
        getattr(threading, "_shutdown_locks", set()).discard(thread._tstate_lock)
        thread._tstate_lock = None
        thread._is_stopped = True


# The interpreter waits for these threads when it ends, also in a child in which nothing else has renewed them.
_before_threads_end = getattr(threading, "_register_atexit", None)
if _before_threads_end is not None:
    _before_threads_end(_renew_handler_threads)
