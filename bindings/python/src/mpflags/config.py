"""Configurations with the names of Mixpanel's own package, and every option of the library as a keyword argument.

The defaults here are those of Mixpanel's signatures. All other defaults are the library's.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from .errors import InvalidConfig
from .items import logs_debug

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, TypeVar

    # Known to type checkers without being installed.
    from typing_extensions import Unpack

    from .options import CoreOptions

    _Config = TypeVar("_Config", bound="FlagsConfig")

VERSION = "0.1.0"
# In place of 0, with which Mixpanel's package polls without a pause: the smallest `polling_interval_ms` of docs/configuration.md.
_SMALLEST_INTERVAL_MS = 50


@dataclass
class ServiceAccountCredentials:
    """A Mixpanel service account, which authenticates requests in place of the project token."""

    username: str
    secret: str = field(repr=False)
    project_id: str


# Generated constructors cannot take `**options`.
@dataclass(init=False, repr=False)
class FlagsConfig:
    """The options that local and remote evaluation share.

    `async_threads` limits the threads on which the remote evaluations of coroutines wait. `options` are the library's, as
    docs/configuration.md lists them: `init_timeout_ms=`, `definitions=`, `targeting_key_as=` and so on. They are passed on
    as they are and checked when the client is made. `definitions` is a dict or JSON text. The attribute `options` holds them;
    the argument of that name is for `dataclasses.replace`.
    """

    #: "local" or "remote".
    mode = ""

    api_host: str | Sequence[str]
    request_timeout_in_seconds: float
    exposure_executor: Any
    token: str | None = field(kw_only=True)
    credentials: ServiceAccountCredentials | None = field(kw_only=True)
    async_threads: int = field(kw_only=True)
    options: Mapping[str, Any] = field(kw_only=True)

    def __init__(
        self,
        api_host: str | Sequence[str] = "api.mixpanel.com",
        request_timeout_in_seconds: float = 10,
        exposure_executor: Any = None,
        *,
        token: str | None = None,
        credentials: ServiceAccountCredentials | None = None,
        async_threads: int = 128,
        options: Mapping[str, Any] | None = None,
        **more: Unpack[CoreOptions],
    ) -> None:
        if exposure_executor is not None:
            warnings.warn(
                "exposure_executor is ignored: exposures are queued and sent by a thread of the library",
                UserWarning,
                stacklevel=_level_of_caller(),
            )
        self.api_host = api_host
        self.request_timeout_in_seconds = request_timeout_in_seconds
        self.exposure_executor = None
        self.token = token
        self.credentials = credentials
        self.async_threads = async_threads
        self.options = {**(options or {}), **more}

    def _core(self) -> dict[str, Any]:
        core: dict[str, Any] = {
            "mode": self.mode,
            "api_host": self.api_host,
            "request_timeout_ms": _milliseconds("request_timeout_in_seconds", self.request_timeout_in_seconds),
            "wrapper": f"python/{VERSION}",
        }
        if logs_debug():
            core["log_level"] = "debug"
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


@dataclass(init=False, repr=False)
class LocalFlagsConfig(FlagsConfig):
    """For evaluation in process, from definitions that a background thread polls."""

    mode = "local"

    enable_polling: bool
    polling_interval_in_seconds: float

    def __init__(
        self,
        api_host: str | Sequence[str] = "api.mixpanel.com",
        request_timeout_in_seconds: float = 10,
        exposure_executor: Any = None,
        enable_polling: bool = True,
        polling_interval_in_seconds: float = 60,
        *,
        poll_interval: float | None = None,
        token: str | None = None,
        credentials: ServiceAccountCredentials | None = None,
        async_threads: int = 128,
        options: Mapping[str, Any] | None = None,
        **more: Unpack[CoreOptions],
    ) -> None:
        super().__init__(
            api_host,
            request_timeout_in_seconds,
            exposure_executor,
            token=token,
            credentials=credentials,
            async_threads=async_threads,
            options=options,
            **more,
        )
        self.enable_polling = enable_polling
        # Mixpanel's documentation writes `poll_interval`, its package `polling_interval_in_seconds`.
        self.polling_interval_in_seconds = polling_interval_in_seconds if poll_interval is None else poll_interval

    def _core(self) -> dict[str, Any]:
        interval = (
            _milliseconds("polling_interval_in_seconds", self.polling_interval_in_seconds) or _SMALLEST_INTERVAL_MS
        )
        return {**super()._core(), "enable_polling": self.enable_polling, "polling_interval_ms": interval}


@dataclass(init=False, repr=False)
class RemoteFlagsConfig(FlagsConfig):
    """For evaluation by Mixpanel's servers, with one request for each evaluation."""

    mode = "remote"


# How a configuration of Mixpanel's package is recognised, without importing that package.
_SHARED_NAMES = ("api_host", "request_timeout_in_seconds", "exposure_executor")
_LOCAL_NAMES = ("enable_polling", "polling_interval_in_seconds")


def configured(
    kind: type[_Config], config: object, credentials: ServiceAccountCredentials | None, options: Mapping[str, Any]
) -> _Config:
    """`config`, which may be one of Mixpanel's package, or a configuration made of `options`."""
    if config is None:
        return kind(credentials=credentials, **options)
    if options:
        raise InvalidConfig(f"pass options in the {kind.__name__} or as keyword arguments, not both")
    found = _of_kind(kind, config)
    if credentials is None:
        return found
    if found.credentials is not None:
        raise InvalidConfig(f"credentials: pass them in the {kind.__name__} or to the call, not both")
    return replace(found, credentials=credentials)


def _of_kind(kind: type[_Config], config: object) -> _Config:
    if isinstance(config, kind):
        return config
    is_local = all(hasattr(config, name) for name in _LOCAL_NAMES)
    if (
        isinstance(config, (type, FlagsConfig))
        or not all(hasattr(config, name) for name in _SHARED_NAMES[:2])
        or is_local is not (kind.mode == "local")
    ):
        wrong, is_class = (config, "the class ") if isinstance(config, type) else (type(config), "")
        raise InvalidConfig(
            f"config: expected {kind.__module__.partition('.')[0]}.{kind.__name__},"
            f" got {is_class}{wrong.__module__}.{wrong.__qualname__}"
        )
    names = (*_SHARED_NAMES, *(_LOCAL_NAMES if is_local else ()))
    return kind(**{name: getattr(config, name) for name in names if hasattr(config, name)})


# Options that have another name in Python, and those that the package sets.
_NAMES = {
    "request_timeout_ms": "request_timeout_in_seconds",
    "polling_interval_ms": "polling_interval_in_seconds",
    "service_account": "credentials",
    "mode": None,
    "wrapper": None,
}


# Arguments that are not options of the library under any name.
_ONLY_HERE = ("async_threads", "exposure_executor", "poll_interval")


def use_own_names(error: InvalidConfig) -> None:
    """Puts Python's names into the hint of the error for an unknown option."""
    import difflib  # noqa: PLC0415 - the package does not need them otherwise
    import re  # noqa: PLC0415

    found = re.search(r"unknown key `([^`]*)`; (did you mean `(\w+)`\?|known are (\w+(?:, \w+)*))", str(error))
    if found is None:
        return
    unknown, hint, meant, known = found.groups()
    own = [name for name in (*_NAMES.values(), *_ONLY_HERE) if name is not None]
    near = difflib.get_close_matches(unknown, own, 1, 0.8)
    name = _NAMES.get(meant, meant) or (near[0] if near else None)
    if name is not None:
        better = f"did you mean `{name}`?"
    else:
        names = [_NAMES.get(each, each) for each in (known or "").split(", ")]
        listed = ", ".join([*(each for each in names if each), *_ONLY_HERE])
        better = f"known are {listed}" if known else "docs/configuration.md lists the options"
    error.args = (str(error).replace(hint, better),)


def _level_of_caller() -> int:
    """The `stacklevel` of the first caller outside this package, as seen by the function that calls this one."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__package__") == __package__:
        level, frame = level + 1, frame.f_back
    return level


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
