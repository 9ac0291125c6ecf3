"""Configurations with the names of Mixpanel's own package, and every option of the library as a keyword argument.

The defaults here are those of Mixpanel's signatures. All other defaults are the library's.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping

from .errors import InvalidConfig

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

VERSION = "0.1.0"


class ServiceAccountCredentials:
    """A Mixpanel service account, which authenticates requests in place of the project token."""

    def __init__(self, username: str, secret: str, project_id: str) -> None:
        self.username = username
        self.secret = secret
        self.project_id = project_id

    def __repr__(self) -> str:
        return f"ServiceAccountCredentials(username={self.username!r}, project_id={self.project_id!r})"


class FlagsConfig:
    """The options that local and remote evaluation share.

    `async_threads` limits the threads on which the remote evaluations of coroutines wait. `options` are the library's, as
    docs/configuration.md lists them: `init_timeout_ms=`, `definitions=`, `targeting_key_as=` and so on. They are passed on
    as they are and checked when the client is made. `definitions` is a dict or JSON text.
    """

    #: "local" or "remote".
    mode = ""

    def __init__(
        self,
        api_host: str = "api.mixpanel.com",
        request_timeout_in_seconds: float = 10,
        exposure_executor: Any = None,
        *,
        token: str | None = None,
        credentials: ServiceAccountCredentials | None = None,
        async_threads: int = 128,
        **options: Any,
    ) -> None:
        if exposure_executor is not None:
            warnings.warn(
                "exposure_executor is ignored: exposures are queued and sent by a thread of the library",
                UserWarning,
                stacklevel=2 if type(self).__init__ is FlagsConfig.__init__ else 3,
            )
        self.api_host = api_host
        self.request_timeout_in_seconds = request_timeout_in_seconds
        self.exposure_executor = None
        self.token = token
        self.credentials = credentials
        self.async_threads = async_threads
        self.options = options

    def _core(self) -> dict[str, Any]:
        core: dict[str, Any] = {
            "mode": self.mode,
            "api_host": self.api_host,
            "request_timeout_ms": _milliseconds("request_timeout_in_seconds", self.request_timeout_in_seconds),
            "wrapper": f"python/{VERSION}",
        }
        if self.credentials is not None:
            # By attribute, so that Mixpanel's own class works too.
            account = self.credentials
            core["service_account"] = {
                "username": account.username,
                "secret": account.secret,
                "project_id": str(account.project_id),
            }
        return core

    def to_json(self, token: str | None) -> bytes:
        """The configuration as the library reads it. Raises `InvalidConfig`."""
        import json  # noqa: PLC0415 - as late as possible, see `abi.loads`

        if token is None and self.token is None:
            raise InvalidConfig("token: missing; pass the project token to the call or in the configuration")
        if token is not None and self.token is not None and token != self.token:
            raise InvalidConfig("token: the call and the configuration have different tokens; pass one of them")
        core = {"token": self.token if token is None else token, **self._core(), **self.options}
        # JSON text is passed on unparsed: Python's numbers and dicts cannot hold everything that JSON can.
        texts = {
            name: core.pop(name) for name in ("definitions", "overrides") if isinstance(core.get(name), (str, bytes))
        }
        try:
            encoded = json.dumps(core, allow_nan=False, default=_unwrap)
        except (TypeError, ValueError) as error:
            raise InvalidConfig(f"the configuration cannot be written as JSON: {error}") from error
        for name, document in texts.items():
            content = document.decode() if isinstance(document, bytes) else document
            if not content.strip().startswith("{"):
                raise InvalidConfig(f"{name}: expected a dict, or JSON text of an object")
            encoded = f"{encoded[:-1]}, {json.dumps(name)}: {content}}}"
        return encoded.encode("utf-8", "surrogatepass")

    def __repr__(self) -> str:
        shown = {name: value for name, value in vars(self).items() if name not in ("token", "credentials", "options")}
        listed = [f"{name}={value!r}" for name, value in shown.items() if not name.startswith("_")]
        return f"{type(self).__name__}({', '.join([*listed, *sorted(self.options)])})"


class LocalFlagsConfig(FlagsConfig):
    """For evaluation in process, from definitions that a background thread polls."""

    mode = "local"

    def __init__(
        self,
        api_host: str = "api.mixpanel.com",
        request_timeout_in_seconds: float = 10,
        exposure_executor: Any = None,
        enable_polling: bool = True,
        polling_interval_in_seconds: float = 60,
        *,
        poll_interval: float | None = None,
        token: str | None = None,
        credentials: ServiceAccountCredentials | None = None,
        **options: Any,
    ) -> None:
        super().__init__(
            api_host, request_timeout_in_seconds, exposure_executor, token=token, credentials=credentials, **options
        )
        self.enable_polling = enable_polling
        # Mixpanel's documentation writes `poll_interval`, its package `polling_interval_in_seconds`.
        self.polling_interval_in_seconds = polling_interval_in_seconds if poll_interval is None else poll_interval

    def _core(self) -> dict[str, Any]:
        interval = _milliseconds("polling_interval_in_seconds", self.polling_interval_in_seconds)
        return {**super()._core(), "enable_polling": self.enable_polling, "polling_interval_ms": interval}


class RemoteFlagsConfig(FlagsConfig):
    """For evaluation by Mixpanel's servers, with one request for each evaluation."""

    mode = "remote"


def configured(
    kind: type[FlagsConfig],
    config: FlagsConfig | None,
    credentials: ServiceAccountCredentials | None,
    options: dict[str, Any],
) -> FlagsConfig:
    """`config`, or a configuration made of `options`."""
    if config is None:
        return kind(credentials=credentials, **options)
    if options or credentials is not None:
        raise InvalidConfig(f"pass options in the {kind.__name__} or as keyword arguments, not both")
    if not isinstance(config, kind):
        raise InvalidConfig(
            f"config: expected {kind.__module__.partition('.')[0]}.{kind.__name__},"
            f" got {type(config).__module__}.{type(config).__qualname__}"
        )
    return config


def _milliseconds(name: str, seconds: float) -> int:
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds < 1e9:
        raise InvalidConfig(f"{name}: expected a number of seconds from 0 to 1e9, got {seconds!r}")
    return round(seconds * 1000)


def _unwrap(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "__fspath__"):
        return value.__fspath__()
    raise TypeError(f"a value of type {type(value).__name__}")
