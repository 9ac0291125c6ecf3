"""Owners of memory or threads of the library can be neither copied nor pickled; plain values can."""

from __future__ import annotations

import copy
import ctypes
import dataclasses
import gc
import multiprocessing.reduction
import pickle
import subprocess
import sys
import typing
import weakref

import pytest
import run_program
from openfeature.evaluation_context import EvaluationContext
from stand_in import flag

import mpflags
from mpflags import Client, Context, SelectedVariant, _native
from mpflags.openfeature import MixpanelProvider
from mpflags.pool import Pool
from mpflags.speedups import MODULE

USER = {"distinct_id": "u"}
WAYS: dict[str, typing.Callable[[typing.Any], object]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    **{
        f"pickle {number}": lambda value, number=number: pickle.dumps(value, number)  # type: ignore[misc]
        for number in range(pickle.HIGHEST_PROTOCOL + 1)
    },
    "multiprocessing": multiprocessing.reduction.ForkingPickler.dumps,
    "reduce": lambda value: value.__reduce__(),
    "reduce by the base": lambda value: object.__reduce_ex__(value, 4),
    "in a list": lambda value: copy.deepcopy([value]),
    "in a dict": lambda value: copy.deepcopy({"a": value}),
}


@pytest.fixture
def client() -> typing.Iterator[Client]:
    client = Client.local(
        "token", definitions={"flags": [flag("f"), flag("g", 2)]}, enable_polling=False, event_sink=True
    )
    client.start()
    yield client
    client.shutdown(0)


def owners(client: Client) -> dict[str, object]:
    """An instance of every class that owns something of the library."""
    native = client._native
    provider = MixpanelProvider(client)
    return {
        "client": client,
        "native client": native,
        "client handle": native.handle,
        "context handle": _native._context(b"{}"),
        "evaluation handle": native.evaluate(b"f", b"{}", mpflags.abi.evaluate_options(0), 0, waits=False)[1],
        "evaluations": native.evaluate_all(b"{}", 0, waits=False),
        "evaluations handle": native.evaluate_all(b"{}", 0, waits=False)._handle,
        "pump": client._runtime.pump,
        "thread": client._runtime.pump._thread,
        "pool": Pool(1),
        "provider": provider,
        "lifecycle": provider._lifecycle,
    }


NAMES = (
    "client", "native client", "client handle", "context handle", "evaluation handle", "evaluations", "evaluations handle",
    "pump", "thread", "pool", "provider", "lifecycle",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_an_owner_is_not_copied(client: Client, name: str) -> None:
    found = owners(client)
    assert sorted(found) == sorted(NAMES)
    owner = found[name]
    for way, attempt in WAYS.items():
        with pytest.raises(TypeError, match=f"{type(owner).__name__} can be neither copied nor pickled: ") as raised:
            attempt(owner)
        assert str(raised.value).endswith("instead"), (way, raised.value)
    del owner, found, raised
    gc.collect()
    assert client.is_enabled("f", USER)


def test_no_class_of_ctypes_owns_anything() -> None:
    """A copy of a pointer's bytes or address is only a number: `from_buffer_copy`, `cast` and so on free nothing."""
    for name, made in vars(_native).items():
        if isinstance(made, type) and issubclass(made, ctypes._SimpleCData):  # type: ignore[arg-type]
            assert not hasattr(made, "__del__"), name
            assert made in (ctypes.c_void_p, ctypes.c_char_p) or made.__module__ == "ctypes", name


@dataclasses.dataclass
class Settings:
    flags: object
    name: str = "settings"


def test_what_holds_an_owner_is_not_copied_deeply(client: Client) -> None:
    for held in (client, MixpanelProvider(client), client.get_all_variants):
        settings = Settings(held)
        with pytest.raises(TypeError, match="can be neither copied nor pickled"):
            dataclasses.asdict(settings)
        with pytest.raises(TypeError, match="can be neither copied nor pickled"):
            copy.deepcopy(settings)
        with pytest.raises(TypeError, match="can be neither copied nor pickled"):
            pickle.dumps(settings)
        # These share the owner and copy nothing.
        assert dataclasses.replace(settings, name="other").flags is held
        assert copy.copy(settings).flags is held
    assert client.is_enabled("f", USER)


def test_what_crosses_to_the_library_is_not_copied_either(client: Client) -> None:
    options = mpflags.abi.evaluate_options(0)
    for crossing, arguments in (
        (client.evaluate, ("f", USER, None)),
        (client._evaluate_packed, (b"f", b"{}")),
    ):
        with pytest.raises((TypeError, AttributeError, pickle.PicklingError)):
            pickle.dumps(crossing)
        # These share the client.
        assert copy.copy(crossing)(*arguments, options)
        assert copy.deepcopy(crossing)(*arguments, options)
    if MODULE is not None:
        for way in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError, match="cannot pickle"):
                way(client.evaluate.__self__)
    assert client.is_enabled("f", USER)


def test_values_are_copied(client: Client) -> None:
    variant = client.get_all_variants(USER)["g"]
    assert variant._evaluation is not None
    one = client.get_variant("g", SelectedVariant(None), USER)
    kept = Context({**USER, "custom_properties": {"plan": ["a"]}})
    fallback = client.get_variant("nope", SelectedVariant(1), USER)
    for value in (variant, one, fallback):
        for made in (
            copy.copy(value),
            copy.deepcopy(value),
            pickle.loads(pickle.dumps(value)),
            dataclasses.replace(value),
        ):
            assert made == value
            assert made._evaluation is None
        assert dataclasses.asdict(value)["variant_value"] == value.variant_value
        assert SelectedVariant(**{**vars(copy.copy(value))}) == value
    for made in (copy.copy(kept), copy.deepcopy(kept), pickle.loads(pickle.dumps(kept))):
        assert (made.encoded, made.attributes) == (kept.encoded, kept.attributes)
        assert client.is_enabled("f", made)
    config = mpflags.LocalFlagsConfig("host", token="t", definitions={"flags": []})
    for made in (copy.copy(config), copy.deepcopy(config), pickle.loads(pickle.dumps(config))):
        assert made.to_json("t") == config.to_json("t")
    # A copy frees nothing of the original.
    client.track_exposure_event("g", copy.deepcopy(variant), USER)
    client.track_exposure_event("g", variant, USER)


def test_weak_references_and_proxies(client: Client) -> None:
    for owner in owners(client).values():
        proxy = weakref.proxy(owner)
        with pytest.raises(TypeError, match="can be neither copied nor pickled"):
            copy.copy(proxy)
        assert copy.deepcopy(weakref.ref(owner))() is owner


def test_freeing_twice_frees_once() -> None:
    client = Client.local("token", definitions={"flags": [flag("f")]}, enable_polling=False)
    evaluation = client._native.evaluate(b"f", b"{}", mpflags.abi.evaluate_options(0), 0, waits=False)[1]
    for _ in range(2):
        evaluation.__del__()
    with pytest.raises(mpflags.MpflagsError):
        client._native.track_exposure(evaluation, b"f")
    client._runtime._finalizer.detach()
    for _ in range(2):
        client._native.handle.__del__()
    assert client._native.state() == "NONE"
    with pytest.raises(mpflags.MpflagsError):
        client.start()
    # A handle without `__init__` has nothing to free.
    type(evaluation).__new__(type(evaluation)).__del__()


PROGRAM = """
import copy, gc, multiprocessing.reduction, pickle
from mpflags import Client
client = Client.local("token", definitions={"flags": []}, enable_polling=False, overrides={"f": True})
for attempt in range(20):
    for way in (copy.copy, copy.deepcopy, pickle.dumps, multiprocessing.reduction.ForkingPickler.dumps):
        for owner in (client, client._native, client._native.handle, [client], client.__dict__.copy()):
            try:
                way(owner)
            except TypeError as error:
                pass
            gc.collect()
    assert client.is_enabled("f", {"distinct_id": "u"})
print("unharmed")
"""


def test_a_client_is_unharmed_by_every_attempt() -> None:
    """In another interpreter, because a crash would end this one."""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", PROGRAM],
        env={**run_program.SOURCES, "MPFLAGS_LIBRARY": _native.LIB.path},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "unharmed\n", "")


def test_a_subclass_may_say_how_it_is_pickled() -> None:
    """It is made again from its parts, which copies nothing."""
    with pytest.raises(TypeError, match="Plain can be neither copied nor pickled"):
        pickle.dumps(Plain("token", definitions={"flags": []}))
    made = pickle.loads(pickle.dumps(Own("token")))
    assert made.is_enabled("f", USER)


class Plain(Client):
    def __init__(self, token: str, **options: typing.Any) -> None:
        super().__init__(mpflags.LocalFlagsConfig(enable_polling=False, **options), token)


class Own(Plain):
    def __init__(self, token: str) -> None:
        super().__init__(token, overrides={"f": True}, definitions={"flags": []})

    def __reduce__(self) -> tuple[type[Own], tuple[str]]:
        return Own, ("token",)


def test_the_provider_of_a_context_is_unharmed(client: Client) -> None:
    provider = MixpanelProvider(client)
    with pytest.raises(TypeError, match="MixpanelProvider can be neither copied nor pickled"):
        copy.deepcopy(provider)
    assert provider.resolve_boolean_details("f", False, EvaluationContext(attributes=USER)).value is True
