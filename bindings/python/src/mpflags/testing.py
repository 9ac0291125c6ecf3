"""Flags for tests, with values that the test sets or from a definitions document, and the events that the program made.

Once mpflags is installed, pytest has the fixture `mpflags_flags`. No request is sent.
"""

from __future__ import annotations

import json
import time
import typing
from collections.abc import Iterator, Mapping, MutableSet
from dataclasses import dataclass

from .abi import Item
from .client import Client
from .config import LocalFlagsConfig

if typing.TYPE_CHECKING:
    from .openfeature import MixpanelProvider


_EXPOSURE = "$experiment_started"
# How long the events of a client may take to arrive, in seconds. They come from a queue of this process.
_MAX_WAIT = 5.0


@dataclass
class Event:
    """An event that the program tracked, or an exposure (`$experiment_started`), as Mixpanel would get it."""

    name: str
    properties: dict[str, typing.Any]


class Flags:
    """A client without a network. Values that were set take precedence over `definitions`; any other flag returns its default.

    `client` is a `Client`, and `provider()` an OpenFeature provider over it. `options` are those of `LocalFlagsConfig`.
    The client is not started before the program, or a call for its events, does that.
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
                # Events are items of the client, and nothing is sent.
                event_sink=True,
                **options,
            ),
        )
        self._items: list[str] = []
        self._closed = False
        self.client.on_item(self._on_item)
        # Not `set[str]`: the class has a method of that name, and tools evaluate the annotation where that is what `set` means.
        self._set: MutableSet[str] = set()
        self.set(values or {})

    def set(self, values: Mapping[str, typing.Any] | None = None, /, **more: typing.Any) -> Flags:
        """Sets the values of flags, for every user: `flags.set({"new-checkout": True})` or `flags.set(checkout=True)`."""
        for key, value in {**(values or {}), **more}.items():
            self.client.set_override(key, value)
            self._set.add(key)
        return self

    def __setitem__(self, key: str, value: typing.Any) -> None:
        self.set({key: value})

    def __delitem__(self, key: str) -> None:
        self._set.discard(key)
        self.client.clear_override(key)

    def reset(self) -> None:
        """Removes every value that was set."""
        for key in list(self._set):
            del self[key]

    def events(self) -> list[Event]:
        """The events so far, in the order in which they arrived, exposures among them."""
        self._collect()
        found = []
        for text in list(self._items):
            event = json.loads(text)
            # A profile update has no name.
            if "event" in event:
                found.append(Event(event["event"], event["properties"]))
        return found

    def tracked(self, name: str) -> list[Event]:
        """The events with this name: `assert flags.tracked("Bought")`."""
        return [event for event in self.events() if event.name == name]

    def exposures(self, flag_key: str | None = None) -> list[Event]:
        """The exposures so far, of one flag or of all. A flag whose value was set makes none, so this needs `definitions`.

        The properties `Experiment name` and `Variant name` are the keys of flag and variant.
        """
        found = self.tracked(_EXPOSURE)
        return [event for event in found if flag_key in (None, event.properties["Experiment name"])]

    def provider(self) -> MixpanelProvider:
        """The OpenFeature provider over these flags."""
        from .openfeature import MixpanelProvider  # noqa: PLC0415 - the SDK is optional

        return MixpanelProvider(self.client)

    def close(self) -> None:
        # Also collects the events, so that none is reported as lost.
        self._collect()
        self._closed = True
        self.client.shutdown()

    def _on_item(self, item: Item) -> None:
        if item.kind == "event":
            self._items.append(item.message)

    def _collect(self) -> None:
        """Waits until every event that the client queued is in `_items`. Starts the client if it has to."""
        statistics = self.client.statistics()
        queued = statistics["enqueued"] - statistics["dropped"]["shutdown"]
        if len(self._items) >= queued or self._closed:
            return
        self.client.start()
        self.client.flush(_MAX_WAIT)
        end = time.monotonic() + _MAX_WAIT
        while len(self._items) < queued and time.monotonic() < end:
            time.sleep(0.001)

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
    def mpflags_definitions() -> Mapping[str, typing.Any] | str | None:
        """The definitions of `mpflags_flags`. A test module, class or `conftest.py` can define this fixture anew."""
        return None

    @pytest.fixture
    def mpflags_flags(mpflags_definitions: Mapping[str, typing.Any] | str | None) -> Iterator[Flags]:
        """Flags without a network, new for each test."""
        with Flags(definitions=mpflags_definitions) as flags:
            yield flags
