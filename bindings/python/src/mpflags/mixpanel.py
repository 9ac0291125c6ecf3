"""`Mixpanel`: the class of Mixpanel's own package, over the clients of this one."""

from __future__ import annotations

import time
from collections.abc import Mapping

from .abi import NotCopyable
from .client import Client
from .errors import InvalidArgument, InvalidConfig, MpflagsError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typing_extensions import Unpack

    from .config import ServiceAccountCredentials
    from .context import Attributes
    from .options import LocalFlagsConfigLike, RemoteFlagsConfigLike, RemoteOptions

#: The name in Mixpanel's package, for programs that catch it.
MixpanelException = MpflagsError

# Parts of a profile update that change how Mixpanel applies it.
_MODIFIERS = ("$time", "$ip", "$ignore_time", "$ignore_alias")
_NOT_OPERATIONS = ("$token", "$distinct_id", "$group_key", "$group_id", *_MODIFIERS)


def _unsupported(name: str) -> Any:
    def refuse(self: Mixpanel, *arguments: Any, **named: Any) -> None:
        raise NotImplementedError(f"{name}: mpflags does not send this; use {name} of mixpanel.Mixpanel")

    return refuse


def _merged(method: str, message: Mapping[str, Any], meta: Mapping[str, Any] | None) -> dict[str, Any]:
    if not isinstance(message, Mapping):
        raise InvalidArgument(f"message: expected a mapping, got {type(message).__name__}")
    update = {**message, **(meta or {})}
    for name in _MODIFIERS:
        if update.get(name) not in (None, *((0, "0") if name == "$ip" else ())):
            raise NotImplementedError(
                f"{method}: `{name}` cannot be sent; leave it out, or use {method} of mixpanel.Mixpanel"
            )
    return update


def _operations(update: Mapping[str, Any]) -> list[tuple[str, Any]]:
    found = [(name, None if name == "$delete" else update[name]) for name in update if name not in _NOT_OPERATIONS]
    if not found:
        raise InvalidArgument("message: there is no operation, such as $set")
    return found


class Mixpanel(NotCopyable):
    """Feature flags, events and profile updates of one project, with the methods of `mixpanel.Mixpanel`.

    Events and updates are checked, queued, and sent in batches by a thread of the library, where Mixpanel's class sends each
    before the call returns. `flush` waits for them; `shutdown`, the end of a `with` block and the end of the interpreter deliver
    them. They share the queue of the local flags, or of the remote flags without local ones; the first one starts that client.
    A call raises `InvalidArgument`, `QueueFull` or `Closed`, and NotImplementedError for what mpflags cannot send.

    `local_flags_config` and `remote_flags_config` are configurations of mpflags or of Mixpanel's package. Without either,
    `options` are those of `RemoteFlagsConfig`, such as `api_host`. Usable from any thread; can be neither copied nor pickled.
    Raises `InvalidConfig`.
    """

    _instead = Client._instead

    def __init__(
        self,
        token: str | None = None,
        consumer: None = None,
        serializer: None = None,
        local_flags_config: LocalFlagsConfigLike | None = None,
        remote_flags_config: RemoteFlagsConfigLike | None = None,
        credentials: ServiceAccountCredentials | None = None,
        **options: Unpack[RemoteOptions],
    ) -> None:
        if consumer is not None:
            raise NotImplementedError(
                "consumer: mpflags sends events itself; pass api_host, or event_sink to get them as items"
            )
        if serializer is not None:
            raise NotImplementedError("serializer: mpflags writes JSON itself; convert the values before you pass them")
        self._local = self._remote = None
        if local_flags_config is not None:
            self._local = Client.local(token, local_flags_config, credentials=credentials)
        if remote_flags_config is not None:
            self._remote = Client.remote(token, remote_flags_config, credentials=credentials)
        flags = self._local or self._remote
        if flags is not None and options:
            raise InvalidConfig(f"{next(iter(options))}: pass options in the configuration of the flags")
        # A remote client fetches nothing by itself.
        self._events = flags or Client.remote(token, credentials=credentials, **options)

    @property
    def local_flags(self) -> Client:
        """The flags that are evaluated in process. Call `start_polling_for_definitions`, as with Mixpanel's class.

        Raises `InvalidArgument` without a `local_flags_config`.
        """
        if self._local is None:
            raise InvalidArgument("local_flags: there are none; pass local_flags_config to Mixpanel")
        return self._local

    @property
    def remote_flags(self) -> Client:
        """The flags that Mixpanel's servers evaluate. Raises `InvalidArgument` without a `remote_flags_config`."""
        if self._remote is None:
            raise InvalidArgument("remote_flags: there are none; pass remote_flags_config to Mixpanel")
        return self._remote

    # -- events

    def track(
        self,
        distinct_id: str | int,
        event_name: str,
        properties: Attributes | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> None:
        """Queues an event. `meta` replaces its parts: `event`, the name, and `properties`."""
        parts = {"event": event_name, "properties": properties, **(meta or {})}
        for name in parts:
            if name not in ("event", "properties"):
                raise NotImplementedError(
                    f"meta: `{name}` cannot be sent beside event and properties; put it into properties"
                )
        self._running.track(distinct_id, parts["event"], parts["properties"])

    def import_data(
        self,
        api_key: str | None,
        distinct_id: str | int,
        event_name: str,
        timestamp: float,
        properties: Attributes | None = None,
        meta: Mapping[str, Any] | None = None,
        api_secret: str | None = None,
    ) -> None:
        """Queues an event of more than 5 days ago. `timestamp` is in seconds since 1970.

        Needs `credentials`, a service account; `api_key` and `api_secret` are ignored then. Raises NotImplementedError without.
        """
        if not self._events.has_credentials:
            raise NotImplementedError("import_data: needs a service account; pass credentials to Mixpanel")
        self.track(distinct_id, event_name, {"time": timestamp, **(properties or {})}, meta)

    def alias(self, alias_id: str | int, original: str | int, meta: Mapping[str, Any] | None = None) -> None:
        """Queues the event that makes `alias_id` another name of the user `original`."""
        self.track(original, "$create_alias", {"alias": alias_id}, meta)

    merge = _unsupported("merge")

    # -- profiles of users

    def people_set(self, distinct_id: str | int, properties: Attributes, meta: Mapping[str, Any] | None = None) -> None:
        """Sets properties."""
        self.people_update({"$distinct_id": distinct_id, "$set": properties}, meta)

    def people_set_once(
        self, distinct_id: str | int, properties: Attributes, meta: Mapping[str, Any] | None = None
    ) -> None:
        """Sets properties that are not set yet."""
        self.people_update({"$distinct_id": distinct_id, "$set_once": properties}, meta)

    def people_increment(
        self, distinct_id: str | int, properties: Attributes, meta: Mapping[str, Any] | None = None
    ) -> None:
        """Adds numbers to properties."""
        self.people_update({"$distinct_id": distinct_id, "$add": properties}, meta)

    def people_append(
        self, distinct_id: str | int, properties: Attributes, meta: Mapping[str, Any] | None = None
    ) -> None:
        """Appends a value to each list."""
        self.people_update({"$distinct_id": distinct_id, "$append": properties}, meta)

    def people_union(
        self, distinct_id: str | int, properties: Attributes, meta: Mapping[str, Any] | None = None
    ) -> None:
        """Adds the values that each list does not have yet."""
        self.people_update({"$distinct_id": distinct_id, "$union": properties}, meta)

    def people_unset(self, distinct_id: str | int, properties: Any, meta: Mapping[str, Any] | None = None) -> None:
        """Removes properties. `properties` is a list of names."""
        self.people_update({"$distinct_id": distinct_id, "$unset": properties}, meta)

    def people_remove(
        self, distinct_id: str | int, properties: Attributes, meta: Mapping[str, Any] | None = None
    ) -> None:
        """Removes a value from each list."""
        self.people_update({"$distinct_id": distinct_id, "$remove": properties}, meta)

    def people_delete(self, distinct_id: str | int, meta: Mapping[str, Any] | None = None) -> None:
        """Deletes the profile."""
        self.people_update({"$distinct_id": distinct_id, "$delete": None}, meta)

    def people_track_charge(
        self,
        distinct_id: str | int,
        amount: float,
        properties: Attributes | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> None:
        """Appends a charge of `amount` dollars, with further `properties`, to `$transactions`."""
        self.people_append(distinct_id, {"$transactions": {**(properties or {}), "$amount": amount}}, meta)

    def people_clear_charges(self, distinct_id: str | int, meta: Mapping[str, Any] | None = None) -> None:
        """Removes all charges."""
        self.people_unset(distinct_id, ["$transactions"], meta)

    def people_update(self, message: Mapping[str, Any], meta: Mapping[str, Any] | None = None) -> None:
        """Queues an update as Mixpanel describes it: `{"$distinct_id": "user-1", "$set": {"plan": "premium"}}`.

        Each operation becomes an update. `$ip` may only be 0, which is what every request says.
        """
        update = _merged("people_update", message, meta)
        user: Any = update.get("$distinct_id")
        for name, value in _operations(update):
            self._running.people_update(user, name, value)

    # -- profiles of groups

    def group_set(
        self, group_key: str, group_id: str | int, properties: Attributes, meta: Mapping[str, Any] | None = None
    ) -> None:
        """Sets properties of the group whose `group_key`, such as `company`, is `group_id`."""
        self.group_update({"$group_key": group_key, "$group_id": group_id, "$set": properties}, meta)

    def group_set_once(
        self, group_key: str, group_id: str | int, properties: Attributes, meta: Mapping[str, Any] | None = None
    ) -> None:
        """Sets properties that are not set yet."""
        self.group_update({"$group_key": group_key, "$group_id": group_id, "$set_once": properties}, meta)

    def group_union(
        self, group_key: str, group_id: str | int, properties: Attributes, meta: Mapping[str, Any] | None = None
    ) -> None:
        """Adds the values that each list does not have yet."""
        self.group_update({"$group_key": group_key, "$group_id": group_id, "$union": properties}, meta)

    def group_unset(
        self, group_key: str, group_id: str | int, properties: Any, meta: Mapping[str, Any] | None = None
    ) -> None:
        """Removes properties. `properties` is a list of names."""
        self.group_update({"$group_key": group_key, "$group_id": group_id, "$unset": properties}, meta)

    def group_remove(
        self, group_key: str, group_id: str | int, properties: Attributes, meta: Mapping[str, Any] | None = None
    ) -> None:
        """Removes a value from each list."""
        self.group_update({"$group_key": group_key, "$group_id": group_id, "$remove": properties}, meta)

    def group_delete(self, group_key: str, group_id: str | int, meta: Mapping[str, Any] | None = None) -> None:
        """Deletes the profile."""
        self.group_update({"$group_key": group_key, "$group_id": group_id, "$delete": None}, meta)

    def group_update(self, message: Mapping[str, Any], meta: Mapping[str, Any] | None = None) -> None:
        """Queues an update as Mixpanel describes it: `{"$group_key": "company", "$group_id": "acme", "$set": {"seats": 5}}`.

        Each operation becomes an update, as with `people_update`.
        """
        update = _merged("group_update", message, meta)
        key: Any = update.get("$group_key")
        group: Any = update.get("$group_id")
        for name, value in _operations(update):
            self._running.group_update(key, group, name, value)

    # -- lifecycle

    def flush(self, timeout: float = 5.0) -> int:
        """Sends what is queued, exposures too, and waits for at most `timeout` seconds. Returns how much is still queued."""
        deadline = time.monotonic() + timeout
        self._begin_to_send()
        return sum(client.flush(deadline - time.monotonic()) for client in self._clients())

    def shutdown(self, timeout: float | None = None) -> int:
        """Delivers what is queued and ends all threads, of the flags too. Returns how many events were not delivered.

        Takes at most `timeout` seconds (default: the longest `shutdown_timeout_ms`).
        """
        clients = self._clients()
        limits = [client.shutdown_timeout if timeout is None else timeout for client in clients]
        deadline = time.monotonic() + max(limits)
        self._begin_to_send()
        return sum(
            client.shutdown(min(limit, deadline - time.monotonic()))
            for client, limit in zip(clients, limits, strict=True)
        )

    def _begin_to_send(self) -> None:
        """Makes all clients send at the same time, since they share a time limit."""
        for client in self._clients():
            try:
                client.flush(0)
            except MpflagsError:
                # It is shut down.
                pass

    def __enter__(self) -> Mixpanel:
        return self

    def __exit__(self, *exc: object) -> None:
        self.shutdown()

    async def __aenter__(self) -> Mixpanel:
        return self

    async def __aexit__(self, *exc: object) -> None:
        import asyncio  # noqa: PLC0415 - costs more than this package

        await asyncio.gather(*(client.__aexit__(*exc) for client in self._clients()))

    def _clients(self) -> list[Client]:
        return [client for client in dict.fromkeys((self._local, self._remote, self._events)) if client is not None]

    @property
    def _running(self) -> Client:
        """The client whose queue takes the events."""
        self._events.start_once()
        return self._events
