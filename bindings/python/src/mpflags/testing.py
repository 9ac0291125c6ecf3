"""Flags for tests, with values that the test sets or from a definitions document. No network, no threads, no exposures.

With `pytest_plugins = ["mpflags.testing"]` in `conftest.py`, pytest finds the fixture `mpflags_flags`.
"""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping

from .client import Client
from .config import LocalFlagsConfig

if typing.TYPE_CHECKING:
    from .openfeature import MixpanelProvider


class Flags:
    """A client without a network. Values that were set take precedence over `definitions`; any other flag returns its default.

    `client` is a `Client`, and `provider()` an OpenFeature provider over it. `options` are those of `LocalFlagsConfig`.
    """

    def __init__(
        self,
        values: Mapping[str, typing.Any] | None = None,
        *,
        definitions: Mapping[str, typing.Any] | str | None = None,
        **options: typing.Any,
    ) -> None:
        self.client = Client.local(
            "test",
            LocalFlagsConfig(
                # Nothing listens there, so a test that does send a request fails.
                api_host="http://127.0.0.1:9",
                enable_polling=False,
                definitions={"flags": []} if definitions is None else definitions,
                report_exposures=False,
                **options,
            ),
        )
        self._set: set[str] = set()
        self.set(**(values or {}))

    def set(self, **values: typing.Any) -> Flags:
        """Sets the values of flags, for every user: `flags.set(checkout=True)`."""
        for key, value in values.items():
            self.client.set_override(key, value)
            self._set.add(key)
        return self

    def __setitem__(self, key: str, value: typing.Any) -> None:
        self.set(**{key: value})

    def __delitem__(self, key: str) -> None:
        self._set.discard(key)
        self.client.clear_override(key)

    def reset(self) -> None:
        """Removes every value that was set."""
        for key in list(self._set):
            del self[key]

    def provider(self) -> MixpanelProvider:
        """The OpenFeature provider over these flags."""
        from .openfeature import MixpanelProvider  # noqa: PLC0415 - the SDK is optional

        return MixpanelProvider(self.client)

    def close(self) -> None:
        self.client.shutdown()

    def __enter__(self) -> Flags:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


try:
    import pytest
except ImportError:
    pass
else:

    @pytest.fixture
    def mpflags_flags() -> Iterator[Flags]:
        """Flags without a network, new for each test."""
        with Flags() as flags:
            yield flags
