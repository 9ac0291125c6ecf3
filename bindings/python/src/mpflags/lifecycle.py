"""A provider's events: which of the client's items become one, and when."""

from __future__ import annotations

import contextlib
import time
import typing
import weakref
from collections import deque

from openfeature.event import ProviderEventDetails

if typing.TYPE_CHECKING:
    from collections.abc import Iterator

    from openfeature.provider import AbstractProvider

    from .abi import Item

# The SDK tells the end of `initialize` itself, after it has returned. An event that overtakes it would be overwritten.
_HEAD_START = 0.1
_LOOK_AGAIN_MS = 50


class Lifecycle:
    """Turns items into events. READY and ERROR of `initialize` are the SDK's; what comes after is told here.

    `take` and `tick` run on the thread that pulls the items, `initializing` and `end` on the SDK's.
    """

    def __init__(self, provider: AbstractProvider) -> None:
        # The thread that pulls must not keep the provider alive.
        self._provider = weakref.ref(provider)
        self._waiting: deque[Item] = deque()
        #: What the SDK takes the provider for: None before `initialize` and after `shutdown`.
        self._told: str | None = None
        self._opens = float("inf")

    @contextlib.contextmanager
    def initializing(self) -> Iterator[None]:
        self._opens = float("inf")
        self._told = None
        self._waiting.clear()
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
        self._waiting.clear()

    def take(self, item: Item) -> None:
        if item.kind in ("state", "change"):
            self._waiting.append(item)

    def tick(self) -> int | None:
        if not self._waiting:
            return None
        left = self._opens - time.monotonic()
        if left > 0:
            return min(_LOOK_AGAIN_MS, int(left * 1000) + 1) if left != float("inf") else _LOOK_AGAIN_MS
        while self._waiting:
            self._tell(self._waiting.popleft())
        return None

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
            if self._told != "STALE":
                self._told = "STALE"
                provider.emit_provider_stale(ProviderEventDetails(message=item.message or None))
        # NOT_READY and ERROR come before there are definitions, when the SDK has told it, or never.

    def _ready(self, provider: AbstractProvider) -> None:
        if self._told != "READY":
            self._told = "READY"
            provider.emit_provider_ready(ProviderEventDetails())
