"""Configurations: Mixpanel's names and defaults, the spellings of its documentation, the library's options and errors."""

import copy
import dataclasses
import inspect
import json
import os
import pathlib
import pickle
import re
import subprocess
import sys
import warnings

import mixpanel.flags.types as official
import pytest
from mixpanel.credentials import ServiceAccountCredentials as OfficialCredentials
from mixpanel.flags.local_feature_flags import LocalFeatureFlagsProvider
from mixpanel.flags.remote_feature_flags import RemoteFeatureFlagsProvider
from mixpanel_openfeature import MixpanelProvider as OfficialProvider
from openfeature.evaluation_context import EvaluationContext
from stand_in import DEFINITIONS, ROOT, StandIn, flag

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


def test_several_hosts():
    config = LocalFlagsConfig(["cache.example", "api.mixpanel.com"], token="t", token_in_query=False)
    made = json.loads(config.to_json(None))
    assert (made["api_host"], made["token_in_query"]) == (["cache.example", "api.mixpanel.com"], False)
    client = Client.local("t", api_host=("localhost:1", "localhost:2"))
    assert [host["host"] for host in client.statistics()["hosts"]] == ["localhost:1", "localhost:2"]
    with pytest.raises(InvalidConfig, match=r"^config: api_host\[1\]: given twice$"):
        Client.local("t", api_host=["localhost", "localhost"])


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


def test_mixpanels_configurations_are_taken(dev):
    user = {"distinct_id": "user-1", "custom_properties": {"plan": "premium"}}
    with Client.local("t", official.LocalFlagsConfig(dev.url, 5, None, True, 0.05)) as client:
        assert client.is_enabled("new-checkout", user)
        dev.requests(at_least=3)
    provider = MixpanelProvider.from_local_config("t", official.LocalFlagsConfig(dev.url))
    provider.initialize(EvaluationContext())
    assert provider.client.are_flags_ready()
    provider.shutdown()
    assert not Client.remote("t", official.RemoteFlagsConfig(dev.url)).is_local
    assert not MixpanelProvider.from_remote_config("t", official.RemoteFlagsConfig(dev.url)).client.is_local


def test_an_executor_of_mixpanels_configuration_is_ignored_with_a_warning():
    for make in (Client.local, MixpanelProvider.from_local_config):
        with pytest.warns(UserWarning, match="exposure_executor is ignored") as told:
            make("t", official.LocalFlagsConfig(exposure_executor=object()))
        assert told[0].filename == __file__
    with pytest.warns(UserWarning, match="exposure_executor is ignored") as told:
        Client.remote("t", exposure_executor=object())
    assert told[0].filename == __file__


@pytest.mark.parametrize(
    ("make", "config", "words"),
    [
        (Client.local, official.RemoteFlagsConfig(), "LocalFlagsConfig, got mixpanel.flags.types.RemoteFlagsConfig"),
        (Client.remote, official.LocalFlagsConfig(), "RemoteFlagsConfig, got mixpanel.flags.types.LocalFlagsConfig"),
        (Client.local, official.FlagsConfig(), "LocalFlagsConfig, got mixpanel.flags.types.FlagsConfig"),
        (Client.local, official.LocalFlagsConfig, "got the class mixpanel.flags.types.LocalFlagsConfig"),
        (Client.local, LocalFlagsConfig, "got the class mpflags.config.LocalFlagsConfig"),
        (Client.remote, {"api_host": "a"}, "expected mpflags.RemoteFlagsConfig, got builtins.dict"),
        (MixpanelProvider.from_local_config, pathlib.PurePath("p"), "expected mpflags.LocalFlagsConfig, got pathlib."),
        (MixpanelProvider.from_remote_config, LocalFlagsConfig(), "expected mpflags.RemoteFlagsConfig, got mpflags."),
    ],
)
def test_a_wrong_class_is_named_with_its_module(make, config, words):
    with pytest.raises(InvalidConfig, match=re.escape(words)):
        make("t", config)


def test_a_configuration_in_place_of_the_token():
    with pytest.raises(InvalidConfig, match="token: missing; pass the project token"):
        MixpanelProvider.from_local_config(official.LocalFlagsConfig())
    with pytest.raises(InvalidConfig, match="token: missing; pass the project token"):
        MixpanelProvider.from_remote_config(RemoteFlagsConfig())
    with pytest.raises(InvalidConfig, match=r"token: expected a string, got builtins\.int"):
        MixpanelProvider.from_local_config(3, LocalFlagsConfig())


def test_configurations_are_dataclasses():
    credentials = ServiceAccountCredentials("user", "secret", "7")
    config = LocalFlagsConfig("host", 2, token="t", credentials=credentials, async_threads=3, init_timeout_ms=100)
    same = LocalFlagsConfig("host", 2, token="t", credentials=credentials, async_threads=3, init_timeout_ms=100)
    assert config == same
    assert config != LocalFlagsConfig("host", 2)
    assert LocalFlagsConfig() != RemoteFlagsConfig()
    assert dataclasses.replace(config) == config
    changed = dataclasses.replace(config, enable_polling=False, retry_base_ms=20)
    assert (changed.enable_polling, changed.api_host) == (False, "host")
    assert changed.options == {"init_timeout_ms": 100, "retry_base_ms": 20}
    assert config.options == {"init_timeout_ms": 100}
    assert dataclasses.asdict(config) == {
        "api_host": "host",
        "request_timeout_in_seconds": 2,
        "exposure_executor": None,
        "token": "t",
        "credentials": {"username": "user", "secret": "secret", "project_id": "7"},
        "async_threads": 3,
        "options": {"init_timeout_ms": 100},
        "enable_polling": True,
        "polling_interval_in_seconds": 60,
    }
    for kind in ("LocalFlagsConfig", "RemoteFlagsConfig"):
        theirs = dataclasses.asdict(getattr(official, kind)())
        assert theirs.items() <= dataclasses.asdict(getattr(mpflags, kind)()).items()
    assert "secret" not in repr(config)
    for made in (copy.copy(config), copy.deepcopy(config), pickle.loads(pickle.dumps(config))):
        assert made == config
    assert dataclasses.replace(RemoteFlagsConfig(), api_host="b") == RemoteFlagsConfig("b")


def test_an_unknown_option_lists_the_names_of_python():
    with pytest.raises(InvalidConfig) as raised:
        Client.local("t", zzz=False)
    known = re.search(r"`zzz`.*known are (.*)", str(raised.value))[1].split(", ")
    assert set(known) >= {"request_timeout_in_seconds", "polling_interval_in_seconds", "credentials", "async_threads"}
    assert set(known).isdisjoint({"request_timeout_ms", "polling_interval_ms", "service_account", "mode", "wrapper"})


@pytest.mark.parametrize(
    ("unknown", "meant"),
    [
        ("poling_interval_in_seconds", "polling_interval_in_seconds"),
        ("async_thread", "async_threads"),
        ("init_timeout", "init_timeout_ms"),
        # Near a name that Python does not have.
        ("request_timeout_mss", "request_timeout_in_seconds"),
    ],
)
def test_an_option_that_was_misspelled(unknown, meant):
    with pytest.raises(InvalidConfig) as raised:
        MixpanelProvider.from_local_config("t", LocalFlagsConfig(**{unknown: 5}))
    assert str(raised.value) == f"config: unknown key `{unknown}`; did you mean `{meant}`?"


def test_the_typed_options_are_those_of_the_page():
    from mpflags.options import CoreOptions, LocalOptions

    page = (ROOT / "docs" / "configuration.md").read_text()
    rows = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    elsewhere = {"token", "mode", "service_account", "wrapper", "api_host", "enable_polling"}
    assert elsewhere < rows
    assert set(CoreOptions.__annotations__) == rows - elsewhere
    parameters = set(inspect.signature(LocalFlagsConfig).parameters) - {"token", "credentials", "options", "more"}
    assert set(LocalOptions.__annotations__) == parameters | (rows - elsewhere)


def test_mypy_sees_a_wrong_option(tmp_path):
    lines = [
        ("Client.local('t', poling=False)", '"poling"'),
        ("Client.local('t', enable_polling='yes')", '"enable_polling"'),
        ("LocalFlagsConfig(init_timeout=1)", '"init_timeout"'),
        ("RemoteFlagsConfig(poling=False)", '"poling"'),
        ("Client.remote('t', enable_polling=False)", '"enable_polling"'),
        ("Client.local('t', enable_polling=False, init_timeout_ms=5, definitions={'flags': []})", None),
        # Mixpanel's package has no types. This class is like its configuration.
        ("Client.local('t', Like())", None),
        ("Client.remote('t', Like())", None),
        ("Client.local('t', RemoteFlagsConfig())", "LocalFlagsConfigLike"),
        ("MixpanelProvider.from_local_config('t', Like())", None),
        ("MixpanelProvider.from_local_config(LocalFlagsConfig(token='t'))", None),
        ("dataclasses.replace(LocalFlagsConfig(), enable_polling=False)", None),
    ]
    imports = (
        "import dataclasses\n"
        "from mpflags import Client, LocalFlagsConfig, RemoteFlagsConfig\n"
        "from mpflags.openfeature import MixpanelProvider\n"
        "@dataclasses.dataclass\n"
        "class Like:\n"
        "    api_host: str = ''\n"
        "    request_timeout_in_seconds: int = 10\n"
        "    enable_polling: bool = True\n"
        "    polling_interval_in_seconds: int = 60\n"
    )
    program = tmp_path / "program.py"
    program.write_text(imports + "".join(f"{line}\n" for line, _ in lines))
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--strict",
            "--follow-imports",
            "silent",
            "--cache-dir",
            tmp_path / "cache",
            program,
        ],
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(ROOT / "bindings" / "python" / "src")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    told = [line for line in done.stdout.splitlines() if line.startswith("program.py:") and ": error:" in line]
    first = imports.count("\n") + 1
    for number, (line, words) in enumerate(lines, first):
        errors = [error for error in told if error.startswith(f"program.py:{number}:")]
        assert len(errors) == (words is not None), (line, errors, done.stdout, done.stderr)
        assert words is None or words in errors[0]


def test_reasons_and_variants_are_made_as_mixpanels_are():
    for name, arguments in (
        ("flag_not_found", ()),
        ("no_rollout_match", ()),
        ("missing_context_key", ("distinct_id",)),
        ("backend_error", ("HTTP 500",)),
    ):
        ours = getattr(mpflags.FallbackReason, name)(*arguments)
        theirs = getattr(official.FallbackReason, name)(*arguments)
        assert type(ours) is mpflags.FallbackReason
        assert dataclasses.asdict(ours) == dataclasses.asdict(theirs)
    factories = {
        name for name, made in vars(official.FallbackReason).items() if isinstance(made, classmethod) and name[0] != "_"
    }
    assert all(hasattr(mpflags.FallbackReason, name) for name in factories)
    reason = {"kind": "BACKEND_ERROR", "message": "HTTP 500"}
    for payload in (
        {"variant_key": "on", "variant_value": True, "experiment_id": "e", "is_qa_tester": False, "new": 1},
        {"variant_value": {"a": 1}, "variant_source": "fallback", "fallback_reason": reason},
        {"variant_value": None, "fallback_reason": None},
    ):
        ours, theirs = SelectedVariant.from_dict(payload), official.SelectedVariant.from_dict(payload)
        assert dataclasses.asdict(ours) == dataclasses.asdict(theirs)
        assert SelectedVariant.from_dict(dataclasses.asdict(ours)) == ours
    for kind in (SelectedVariant, official.SelectedVariant):
        with pytest.raises(TypeError, match="variant_value"):
            kind.from_dict({"variant_key": "on"})


def test_an_interval_of_0_is_the_smallest(dev):
    document = json.loads(LocalFlagsConfig(dev.url, polling_interval_in_seconds=0).to_json("t"))
    assert document["polling_interval_ms"] == 50
    with pytest.raises(InvalidConfig, match=r"polling_interval_ms: .* 49"):
        Client.local("t", polling_interval_in_seconds=0.049)
    with pytest.raises(InvalidConfig, match="polling_interval_in_seconds"):
        Client.local("t", polling_interval_in_seconds=False)
    with Client.local("t", api_host=dev.url, polling_interval_in_seconds=0):
        dev.await_fetches(2)
