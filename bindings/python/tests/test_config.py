"""Configurations: Mixpanel's names and defaults, the spellings of its documentation, the library's options and errors."""

import copy
import dataclasses
import inspect
import json
import pathlib
import pickle
import warnings

import mixpanel.flags.types as official
import pytest
from mixpanel.credentials import ServiceAccountCredentials as OfficialCredentials
from mixpanel.flags.local_feature_flags import LocalFeatureFlagsProvider
from mixpanel.flags.remote_feature_flags import RemoteFeatureFlagsProvider
from mixpanel_openfeature import MixpanelProvider as OfficialProvider
from stand_in import DEFINITIONS, StandIn, flag

import mpflags
from mpflags import (
    Client,
    InvalidConfig,
    LocalFlagsConfig,
    RemoteFlagsConfig,
    SelectedVariant,
    ServiceAccountCredentials,
)
from mpflags.openfeature import MixpanelProvider

OFFLINE = {"report_exposures": False, "definitions": {"flags": [flag("f")]}, "enable_polling": False}


@pytest.mark.parametrize("kind", ["LocalFlagsConfig", "RemoteFlagsConfig"])
def test_names_and_defaults_are_mixpanels(kind):
    ours, theirs = getattr(mpflags, kind), getattr(official, kind)
    made = ours()
    parameters = list(inspect.signature(ours).parameters)
    for position, field in enumerate(dataclasses.fields(theirs)):
        assert getattr(made, field.name) == field.default
        # In the same order.
        assert parameters[position] == field.name


def test_the_configuration_says_what_it_is():
    config = LocalFlagsConfig("api-eu.mixpanel.com", 2.5, None, False, 30, token="secret-token", init_timeout_ms=100)
    assert repr(config) == (
        "LocalFlagsConfig(api_host='api-eu.mixpanel.com', request_timeout_in_seconds=2.5, exposure_executor=None,"
        " async_threads=128, enable_polling=False, polling_interval_in_seconds=30, init_timeout_ms)"
    )
    assert json.loads(config.to_json(None)) == {
        "token": "secret-token",
        "mode": "local",
        "api_host": "api-eu.mixpanel.com",
        "request_timeout_ms": 2500,
        "wrapper": f"python/{mpflags.__version__}",
        "enable_polling": False,
        "polling_interval_ms": 30000,
        "init_timeout_ms": 100,
    }
    assert "secret" not in repr(ServiceAccountCredentials("user", "secret", "1"))


@pytest.mark.parametrize("provider", [LocalFeatureFlagsProvider, RemoteFeatureFlagsProvider])
def test_the_client_has_every_call_of_mixpanels(provider):
    for name, theirs in inspect.getmembers(provider, inspect.isfunction):
        # The helpers that lower-case rules are not part of the interface; they lack the underscore by accident.
        if (
            name.startswith("_") and name not in ("__enter__", "__exit__", "__aenter__", "__aexit__")
        ) or "lowercase" in name:
            continue
        ours = getattr(Client, name)
        assert inspect.iscoroutinefunction(ours) is inspect.iscoroutinefunction(theirs), name
        if name.startswith("__"):
            continue
        wanted = list(inspect.signature(theirs).parameters)
        found = list(inspect.signature(ours).parameters)
        assert set(wanted) <= set(found), name
        # At the same positions. The spelling of the last one differs between Mixpanel's local and remote methods.
        assert [n.lower().replace("_", "") for n in found][: len(wanted)] == [
            n.lower().replace("_", "") for n in wanted
        ]


def test_the_provider_has_every_call_of_mixpanels():
    for name, theirs in inspect.getmembers(OfficialProvider):
        if not name.startswith("_"):
            ours = getattr(MixpanelProvider, name)
            if callable(theirs) and name.startswith(("from_", "resolve_")):
                assert list(inspect.signature(ours).parameters) == list(inspect.signature(theirs).parameters), name


def test_a_selected_variant_is_mixpanels():
    def fields(kind):
        return [(field.name, field.default) for field in dataclasses.fields(kind)]

    assert fields(SelectedVariant) == fields(official.SelectedVariant)
    assert [name for name, _ in fields(mpflags.FallbackReason)] == [n for n, _ in fields(official.FallbackReason)]
    for name in ("LOCAL", "REMOTE", "FALLBACK"):
        assert getattr(mpflags.VariantSource, name) == getattr(official.VariantSource, name)
    variant = SelectedVariant(1, "on").as_fallback(mpflags.FallbackReason("FLAG_NOT_FOUND"))
    assert (variant.variant_source, variant.fallback_reason.kind) == ("fallback", "FLAG_NOT_FOUND")
    again = variant.with_source("local")
    assert (again.variant_source, again.fallback_reason, again.variant_key) == ("local", None, "on")
    assert dataclasses.asdict(variant) == {
        "variant_value": 1,
        "variant_key": "on",
        "experiment_id": None,
        "is_experiment_active": None,
        "is_qa_tester": None,
        "variant_source": "fallback",
        "fallback_reason": {"kind": "FLAG_NOT_FOUND", "message": None},
    }
    assert dataclasses.is_dataclass(variant)
    changed = dataclasses.replace(variant, variant_value=2)
    assert (changed.variant_value, changed.fallback_reason) == (2, variant.fallback_reason)
    for made in (copy.copy(variant), copy.deepcopy(variant), pickle.loads(pickle.dumps(variant))):
        assert made == variant
        assert repr(made) == repr(variant)
    assert variant != again
    with pytest.raises(TypeError):
        hash(variant)
    with pytest.raises(AttributeError, match="cannot assign"):
        variant.fallback_reason.kind = "OTHER"
    assert hash(variant.fallback_reason) == hash(mpflags.FallbackReason("FLAG_NOT_FOUND"))


def test_the_spellings_of_mixpanels_documentation(dev):
    config = LocalFlagsConfig(api_host=dev.url, token="documented", poll_interval=0.05)
    assert config.polling_interval_in_seconds == 0.05
    with Client.local(config=config) as client:
        assert client.are_flags_ready()
        log = dev.requests(at_least=3)["requests"]
    assert {request["query"]["token"] for request in log} == {"documented"}
    assert json.loads(LocalFlagsConfig("https://api-eu.mixpanel.com").to_json("t"))["api_host"].startswith("https://")
    Client.local("t", api_host="https://api-eu.mixpanel.com", **OFFLINE)


def test_an_executor_is_ignored_with_a_warning():
    for kind in (LocalFlagsConfig, RemoteFlagsConfig):
        with pytest.warns(UserWarning, match="exposure_executor is ignored") as told:
            kind(exposure_executor=object())
        assert told[0].filename == __file__
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            kind(exposure_executor=None)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"polling_intervall_ms": 5}, "polling_intervall_ms"),
        ({"polling_interval_ms": 5}, "polling_interval_ms"),
        ({"init_timeout_ms": "soon"}, "init_timeout_ms"),
        ({"request_timeout_in_seconds": "10"}, "request_timeout_in_seconds"),
        ({"request_timeout_in_seconds": True}, "request_timeout_in_seconds"),
        ({"request_timeout_in_seconds": 0.001}, "request_timeout_ms"),
        ({"polling_interval_in_seconds": -1}, "polling_interval_in_seconds"),
        ({"polling_interval_in_seconds": float("nan")}, "polling_interval_in_seconds"),
        ({"api_host": "http://api.mixpanel.com"}, "api_host"),
        ({"api_host": 3}, "api_host"),
        ({"definitions": {"flags": 3}}, "definitions"),
        ({"definitions": "[]"}, "definitions"),
        ({"definitions": {"flags": [object()]}}, "object"),
        ({"definitions": {"flags": [float("nan")]}}, "JSON"),
        ({"definitions_path": "/nowhere/at/all"}, "definitions_path"),
        ({"overrides": "true"}, "overrides"),
        ({"targeting_key_as": 3}, "targeting_key_as"),
        ({"attributes_as_custom_properties": "yes"}, "attributes_as_custom_properties"),
    ],
)
def test_what_is_wrong_is_named(options, named):
    with pytest.raises(InvalidConfig, match=named) as raised:
        Client.local("the-secret-token", **options)
    assert "the-secret-token" not in str(raised.value)


def test_the_token():
    with pytest.raises(InvalidConfig, match="token: missing; pass the project token"):
        Client.local(**OFFLINE)
    with pytest.raises(InvalidConfig, match="token"):
        Client.local("", **OFFLINE)
    with pytest.raises(InvalidConfig, match="different tokens"):
        Client.local("one", LocalFlagsConfig(token="two", **OFFLINE))
    Client.local("one", LocalFlagsConfig(token="one", **OFFLINE))


def test_a_configuration_of_the_other_kind_is_refused():
    with pytest.raises(InvalidConfig, match=r"expected mpflags\.LocalFlagsConfig, got mpflags\.config\.Remote"):
        Client.local("t", RemoteFlagsConfig())
    with pytest.raises(InvalidConfig, match=r"expected mpflags\.RemoteFlagsConfig"):
        MixpanelProvider.from_remote_config("t", LocalFlagsConfig())
    with pytest.raises(InvalidConfig, match="not both"):
        Client.local("t", LocalFlagsConfig(), init_timeout_ms=100)


def test_definitions_may_be_a_dict_a_text_bytes_or_a_file(tmp_path):
    document = OFFLINE["definitions"]
    path = tmp_path / "definitions.json"
    path.write_text(json.dumps(document))
    for options in (
        {"definitions": document},
        {"definitions": json.dumps(document)},
        {"definitions": json.dumps(document).encode()},
        {"definitions_path": str(path)},
        {"definitions_path": pathlib.Path(path)},
    ):
        client = Client.local("t", enable_polling=False, **options)
        assert client.is_enabled("f", {"distinct_id": "u"})


@pytest.mark.parametrize("kind", [ServiceAccountCredentials, OfficialCredentials])
def test_a_service_account(kind):
    with StandIn({"flags": [flag("f")]}, "--service-account", "user:secret", "--project-id", "7") as server:
        credentials = kind("user", "secret", "7")
        with Client.local("t", LocalFlagsConfig(server.url, credentials=credentials)) as client:
            assert client.is_enabled("f", {"distinct_id": "u"})
        (fetch,) = [r for r in server.requests()["requests"] if r["path"] == DEFINITIONS]
        assert fetch["query"]["project_id"] == "7"
        assert fetch["headers"]["user-agent"].endswith(f" python/{mpflags.__version__}")
        assert server.events(at_least=1)["events"][0]["endpoint"] == "/import"
