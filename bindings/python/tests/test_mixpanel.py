"""`Mixpanel`: the methods of Mixpanel's own class, and what arrives at the server, beside what that class sends."""

import asyncio
import inspect
import json
import time

import mixpanel
import pytest
from stand_in import StandIn, flag

import mpflags
from mpflags import (
    InvalidArgument,
    InvalidConfig,
    LocalFlagsConfig,
    Mixpanel,
    MixpanelException,
    RemoteFlagsConfig,
    ServiceAccountCredentials,
)
from mpflags.openfeature import MixpanelProvider

USER = {"distinct_id": "u1"}
ACCOUNT = ServiceAccountCredentials("name", "secret", "7")

# Calls that both classes take.
EVENTS = [
    ("track", "u1", "Bought", {"price": 5}),
    ("track", "u1", "Bought"),
    ("track", "u1", "Bought", {"$insert_id": "abc"}, {"event": "Sold"}),
    ("alias", "new", "old"),
]
PROFILES = [
    ("people_set", "u1", {"plan": "free"}),
    ("people_set_once", "u1", {"plan": "free"}, {"$ip": 0}),
    ("people_increment", "u1", {"visits": 2}),
    ("people_append", "u1", {"items": "x"}),
    ("people_union", "u1", {"items": ["x", "y"]}),
    ("people_unset", "u1", ["items"]),
    ("people_remove", "u1", {"items": "x"}),
    ("people_delete", "u1"),
    ("people_track_charge", "u1", 9.5),
    ("people_track_charge", "u1", 9.5, {"coupon": "c"}),
    ("people_clear_charges", "u1"),
    ("people_update", {"$distinct_id": "u1", "$set": {"a": 1}}),
    ("group_set", "company", "acme", {"seats": 5}),
    ("group_set_once", "company", "acme", {"seats": 5}),
    ("group_union", "company", "acme", {"apps": ["a", "b"]}),
    ("group_unset", "company", "acme", ["seats"]),
    ("group_remove", "company", "acme", {"apps": "a"}),
    ("group_delete", "company", "acme"),
    ("group_update", {"$group_key": "company", "$group_id": "acme", "$set": {"a": 1}}),
]


class Kept:
    """A consumer of Mixpanel's class."""

    def __init__(self):
        self.messages = []

    def send(self, endpoint, message, api_key=None, api_secret=None):
        self.messages.append(json.loads(message))


def official(call, monkeypatch):
    consumer = Kept()
    # `alias` does not use the consumer that it was given.
    monkeypatch.setattr(mixpanel, "Consumer", lambda **_: consumer)
    name, *arguments = call
    getattr(mixpanel.Mixpanel("token", consumer), name)(*arguments)
    (message,) = consumer.messages
    return message


def sent(dev, call):
    name, *arguments = call
    with Mixpanel("token", api_host=dev.url) as ours:
        getattr(ours, name)(*arguments)
    (event,) = dev.events(at_least=1)["events"]
    dev.forget()
    return event["json"]


def test_events_are_those_of_mixpanels_class(dev, monkeypatch):
    for call in EVENTS:
        theirs, ours = official(call, monkeypatch), sent(dev, call)
        assert ours["event"] == theirs["event"]
        # Sent by both, with other values.
        for name in ("time", "mp_lib", "$lib_version", "$insert_id"):
            if theirs["properties"].get(name) != "abc":
                theirs["properties"].pop(name, None)
                assert ours["properties"].pop(name)
        assert ours["properties"] == theirs["properties"]


def test_profile_updates_are_those_of_mixpanels_class(dev, monkeypatch):
    for call in PROFILES:
        theirs, ours = official(call, monkeypatch), sent(dev, call)
        # Mixpanel takes the time of arrival, and the requests say `ip=0`.
        del theirs["$time"]
        theirs.pop("$ip", None)
        assert ours == theirs


def test_each_operation_of_an_update_is_sent(dev):
    with Mixpanel("token", api_host=dev.url) as ours:
        ours.people_update({"$token": "token", "$distinct_id": "u1", "$set": {"a": 1}, "$unset": ["b"]})
    found = [event["json"] for event in dev.events(at_least=2)["events"]]
    assert [{"$set", "$unset"} & set(update) for update in found] == [{"$set"}, {"$unset"}]


def test_groups_that_mixpanel_would_reject_are_refused():
    made = Mixpanel("token")
    for key, group, words in [
        (None, "acme", "group_key: expected a string, got NoneType"),
        ("", "acme", "group_key: expected a non-empty string, such as company"),
        ("company", None, "group_id: expected a string or an integer, got NoneType"),
        ("company", "", "group_id: expected a non-empty string"),
        ("company", 1.5, "group_id: expected a string or an integer, got float"),
    ]:
        with pytest.raises(InvalidArgument, match=words):
            made.group_set(key, group, {"a": 1})
    with pytest.raises(InvalidArgument, match=r"operation: expected one of \$set, "):
        made.group_update({"$group_key": "company", "$group_id": "acme", "$add": {"a": 1}})


def test_signatures():
    for name, theirs in inspect.getmembers(mixpanel.Mixpanel, inspect.isfunction):
        if (name.startswith("_") and name != "__init__") or name == "merge":
            continue
        ours = getattr(Mixpanel, name)
        wanted = list(inspect.signature(theirs).parameters.values())
        got = list(inspect.signature(ours).parameters.values())[: len(wanted)]
        assert [each.name for each in got] == [each.name for each in wanted], name
        for mine, his in zip(got, wanted, strict=True):
            if name != "__init__":
                assert mine.default == his.default, (name, mine)


def test_flags(dev):
    dev.define({"flags": [flag("a")]})
    made = Mixpanel(
        "token", local_flags_config=LocalFlagsConfig(dev.url), remote_flags_config=RemoteFlagsConfig(dev.url)
    )
    with made as opened:
        assert opened is made
        assert made.local_flags.is_local
        assert not made.remote_flags.is_local
        assert not made.local_flags.is_enabled("a", USER)
        made.local_flags.start_polling_for_definitions()
        assert made.local_flags.is_enabled("a", USER)
        assert made.remote_flags.is_enabled("a", USER)
        # Through the queue of the local flags.
        made.track("u1", "Bought")
        assert made.flush() == 0
        assert made.local_flags.statistics()["sent"] == 2
    assert dev.events(at_least=3)["counts"]["total"] == 3


def test_configurations_of_mixpanels_package():
    from mixpanel.flags import types

    theirs = Mixpanel("token", None, None, types.LocalFlagsConfig(), types.RemoteFlagsConfig(), ACCOUNT)
    assert theirs.local_flags.is_local
    assert not theirs.remote_flags.is_local
    theirs.shutdown()


def test_flags_that_were_not_configured():
    made = Mixpanel("token")
    with pytest.raises(MixpanelException, match="local_flags_config"):
        made.local_flags  # noqa: B018
    with pytest.raises(MixpanelException, match="remote_flags_config"):
        made.remote_flags  # noqa: B018


def test_without_flags_nothing_is_fetched(dev):
    made = Mixpanel("token", api_host=dev.url)
    made.track("u1", "Bought")
    assert made.shutdown() == 0
    assert {request["path"] for request in dev.requests()["requests"]} == {"/track"}
    with pytest.raises(mpflags.Closed):
        made.track("u1", "late")


def test_as_an_asynchronous_context_manager(dev):
    async def run():
        async with Mixpanel("token", remote_flags_config=RemoteFlagsConfig(dev.url)) as made:
            assert await made.remote_flags.ais_enabled("nope", USER) is False
            made.track("u1", "Bought")

    asyncio.run(run())
    assert dev.events(at_least=1)["counts"]["total"] == 1


def with_both(local, remote):
    """With local and remote flags, and an event to deliver in each of their queues."""
    options = {"request_timeout_in_seconds": 30, "shutdown_timeout_ms": 1000}
    made = Mixpanel(
        "token",
        local_flags_config=LocalFlagsConfig(local.url, **options),
        remote_flags_config=RemoteFlagsConfig(remote.url, **options),
    )
    made.track("u1", "Bought")
    made.remote_flags.track("u1", "Bought")
    return made


def leave(made):
    with made:
        pass


def leave_asynchronously(made):
    async def session():
        async with made:
            pass

    asyncio.run(session())


@pytest.mark.parametrize(
    ("end", "waits"),
    [
        (lambda made: made.flush(1), 1),
        (lambda made: made.shutdown(1), 0.75),
        (lambda made: made.shutdown(), 0.75),
        (leave, 0.75),
        (leave_asynchronously, 0.75),
    ],
    ids=["flush", "shutdown", "configured", "with", "async-with"],
)
def test_two_clients_share_a_time_limit(dev, end, waits):
    dev.faults({"path": "*", "kind": "hang"})
    made = with_both(dev, dev)
    begun = time.monotonic()
    end(made)
    took = time.monotonic() - begun
    made.shutdown(0)
    assert waits - 0.01 <= took < 1.4


def test_a_client_that_cannot_deliver_does_not_keep_the_other_from_it(dev):
    with StandIn() as other:
        dev.faults({"path": "*", "kind": "hang"})
        for end in (Mixpanel.flush, Mixpanel.shutdown):
            made = with_both(dev, other)
            assert end(made, 1) == 1
            made.shutdown(0)
        assert other.events(at_least=2)["counts"]["total"] == 2


def test_import_data_needs_a_service_account(dev):
    long_ago = int(time.time()) - 30 * 86_400
    with Mixpanel("token", api_host=dev.url, credentials=ACCOUNT) as made:
        made.import_data(None, "u1", "Signup", long_ago, {"source": "email"})
    (event,) = dev.events(at_least=1)["events"]
    assert event["json"]["event"] == "Signup"
    properties = event["json"]["properties"]
    assert (properties["time"], properties["source"], properties["distinct_id"]) == (long_ago, "email", "u1")
    assert [request["path"] for request in dev.requests()["requests"]] == ["/import"]
    with pytest.raises(NotImplementedError, match=r"import_data: .*credentials"):
        Mixpanel("token").import_data("key", "u1", "Signup", long_ago, api_secret="secret")


def test_credentials_beside_a_configuration(dev):
    config = LocalFlagsConfig(dev.url, enable_polling=False)
    with Mixpanel("token", local_flags_config=config, credentials=ACCOUNT) as made:
        made.local_flags.start_polling_for_definitions()
    (fetch,) = dev.requests()["requests"]
    assert fetch["query"]["project_id"] == "7"
    with pytest.raises(InvalidConfig, match="credentials"):
        Mixpanel("token", local_flags_config=LocalFlagsConfig(credentials=ACCOUNT), credentials=ACCOUNT)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (("merge", None, "a", "b"), "merge: .* use merge of mixpanel.Mixpanel"),
        (("group_set", "company", "acme", {}, {"$time": 1}), r"group_update: `\$time`"),
        (("track", "u1", "Bought", {}, {"$ip": "1.2.3.4"}), r"meta: `\$ip`"),
        (("people_set", "u1", {}, {"$ignore_time": True}), r"people_update: `\$ignore_time`"),
        (("people_set", "u1", {}, {"$ip": "1.2.3.4"}), r"people_update: `\$ip`"),
    ],
)
def test_what_cannot_be_sent_is_refused(call, words):
    made = Mixpanel("token")
    name, *arguments = call
    with pytest.raises(NotImplementedError, match=words):
        getattr(made, name)(*arguments)


def test_arguments_that_are_wrong():
    made = Mixpanel("token")
    for message in ({"$distinct_id": "u1"}, {"$set": {}}, {"$distinct_id": "u1", "$sett": {}}, "text"):
        with pytest.raises(InvalidArgument):
            made.people_update(message)
    with pytest.raises(InvalidArgument, match="distinct_id"):
        made.track(None, "Bought")
    for refused in ({"consumer": Kept()}, {"serializer": json.JSONEncoder}):
        with pytest.raises(NotImplementedError, match=next(iter(refused))):
            Mixpanel("token", **refused)
    with pytest.raises(InvalidConfig, match="api_host"):
        Mixpanel("token", local_flags_config=LocalFlagsConfig(), api_host="api-eu.mixpanel.com")
    with pytest.raises(InvalidConfig, match="token"):
        Mixpanel()


@pytest.mark.parametrize("kind", ["local", "remote"])
def test_of_a_provider(dev, kind):
    if kind == "local":
        provider = MixpanelProvider.from_local_config("token", LocalFlagsConfig(dev.url))
        assert provider.mixpanel.local_flags is provider.client
    else:
        provider = MixpanelProvider.from_remote_config(RemoteFlagsConfig(dev.url, token="token"))
        assert provider.mixpanel.remote_flags is provider.client
    provider.mixpanel.track("u1", "Bought")
    provider.mixpanel.people_set("u1", {"plan": "free"})
    provider.shutdown()
    assert dev.events(at_least=2)["counts"]["total"] == 2
    with pytest.raises(TypeError, match="pass its local_flags or remote_flags"):
        MixpanelProvider(provider.mixpanel)
