"""Types of the keyword arguments, for type checkers. Nothing imports this module at run time.

`CoreOptions` are the rows of docs/configuration.md that have no other name in Python. A test compares them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypedDict


class CoreOptions(TypedDict, total=False):
    """Options of the library that `FlagsConfig` passes on as they are."""

    allow_insecure_http: bool
    token_in_query: bool
    request_timeout_ms: int
    retry_base_ms: int
    init_timeout_ms: int
    shutdown_timeout_ms: int
    definitions: Mapping[str, Any] | str | bytes
    definitions_path: str | os.PathLike[str]
    definitions_cache_dir: str | os.PathLike[str]
    ready_from_cache: bool
    overrides: Mapping[str, Any] | str | bytes
    targeting_key_as: str
    attributes_as_custom_properties: bool
    proxy: str
    report_exposures: bool
    exposure_window_ms: int
    exposure_dedupe_capacity: int
    event_queue_capacity: int
    event_batch_size: int
    event_flush_interval_ms: int
    event_retry_base_ms: int
    event_retry_max_ms: int
    event_sink: bool
    log_level: str
    ca_file: str | os.PathLike[str]
    # A remote client does not poll, and ignores it.
    polling_interval_ms: int


class RemoteOptions(CoreOptions, total=False):
    """Keyword arguments of `Client.remote`."""

    api_host: str | Sequence[str]
    request_timeout_in_seconds: float
    exposure_executor: Any
    async_threads: int


class LocalOptions(RemoteOptions, total=False):
    """Keyword arguments of `Client.local`."""

    enable_polling: bool
    polling_interval_in_seconds: float
    poll_interval: float | None


class RemoteFlagsConfigLike(Protocol):
    """Mixpanel's `RemoteFlagsConfig`, or ours."""

    @property
    def api_host(self) -> str | Sequence[str]: ...
    @property
    def request_timeout_in_seconds(self) -> float: ...


class LocalFlagsConfigLike(RemoteFlagsConfigLike, Protocol):
    """Mixpanel's `LocalFlagsConfig`, or ours."""

    @property
    def enable_polling(self) -> bool: ...
    @property
    def polling_interval_in_seconds(self) -> float: ...
