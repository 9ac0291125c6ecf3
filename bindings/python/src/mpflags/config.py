"""Configurations with the names and defaults of Mixpanel's own package, and every option of the library by keyword."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

from .errors import InvalidConfig

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

VERSION = "0.1.0"
#: What the library's options of these names default to: the binding waits that long itself.
INIT_TIMEOUT_MS = 10_000
SHUTDOWN_TIMEOUT_MS = 5_000


class ServiceAccountCredentials:
    """A service account of Mixpanel, instead of the project token alone."""

    def __init__(self, username: str, secret: str, project_id: str) -> None:
        self.username = username
        self.secret = secret
        self.project_id = project_id

    def __repr__(self) -> str:
        return f"ServiceAccountCredentials(username={self.username!r}, project_id={self.project_id!r})"


class FlagsConfig:
    """What local and remote evaluation have in common.

    `async_threads` bounds the threads on which remote evaluations of coroutines wait. `options` are the library's, as the
    project's README lists them: `init_timeout_ms=`, `definitions=`, `targeting_key_as=` and so on. They pass as they are,
    and the library says what is wrong with them when the client is made. `definitions` may be a dict or a text of JSON.
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

    def milliseconds(self, option: str, default: int) -> int:
        """A duration that the binding itself needs, as the options have it."""
        value = self.options.get(option)
        return value if isinstance(value, int) else default

    def _core(self) -> dict[str, Any]:
        core: dict[str, Any] = {
            "mode": self.mode,
            "api_host": self.api_host,
            "request_timeout_ms": _milliseconds("request_timeout_in_seconds", self.request_timeout_in_seconds),
            "wrapper": f"python/{VERSION}",
        }
        if self.credentials is not None:
            # By name: Mixpanel's own class will do.
            account = self.credentials
            core["service_account"] = {
                "username": account.username,
                "secret": account.secret,
                "project_id": str(account.project_id),
            }
        return core

    def to_json(self, token: str | None) -> bytes:
        """The configuration as the library reads it."""
        import json  # noqa: PLC0415 - as late as it is needed, see `abi.loads`

        if token is None and self.token is None:
            raise InvalidConfig("token: a project token is needed")
        if token is not None and self.token is not None and token != self.token:
            raise InvalidConfig("token: the configuration has another token than the call")
        core = {"token": self.token if token is None else token, **self._core(), **self.options}
        # Texts stay what they are: what they hold need not be what Python's numbers and dicts can.
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
                raise InvalidConfig(f"{name}: expected an object, as a dict or a text of JSON")
            encoded = f"{encoded[:-1]}, {json.dumps(name)}: {content}}}"
        return encoded.encode("utf-8", "surrogatepass")

    def __repr__(self) -> str:
        shown = {name: value for name, value in vars(self).items() if name not in ("token", "credentials", "options")}
        listed = [f"{name}={value!r}" for name, value in shown.items() if not name.startswith("_")]
        return f"{type(self).__name__}({', '.join([*listed, *sorted(self.options)])})"


class LocalFlagsConfig(FlagsConfig):
    """For evaluation in process, with definitions that are polled."""

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
    """For evaluation by Mixpanel, with one request for each."""

    mode = "remote"


def configured(
    kind: type[FlagsConfig],
    config: FlagsConfig | None,
    credentials: ServiceAccountCredentials | None,
    options: dict[str, Any],
) -> FlagsConfig:
    """The configuration given, or one of the options that stand alone."""
    if config is None:
        return kind(credentials=credentials, **options)
    if options or credentials is not None:
        raise InvalidConfig(f"options go into the {kind.__name__}, or stand alone")
    if not isinstance(config, kind):
        raise InvalidConfig(f"expected a {kind.__name__}, not a {type(config).__name__}")
    return config


def _milliseconds(name: str, seconds: float) -> int:
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds < 1e9:
        raise InvalidConfig(f"{name}: expected a number of seconds, not {seconds!r}")
    return round(seconds * 1000)


def _unwrap(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "__fspath__"):
        return value.__fspath__()
    raise TypeError(f"a value of type {type(value).__name__}")
