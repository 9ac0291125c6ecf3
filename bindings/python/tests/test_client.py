"""The flags interface, against `mpflags-dev`."""

TOKEN = "demo-token"

import mpflags
from mpflags import Client, LocalFlagsConfig, SelectedVariant


def test_a_local_client_polls_and_sees_a_change(dev, eventually):
    with Client.local(TOKEN, LocalFlagsConfig(api_host=dev.url, polling_interval_in_seconds=0.05)) as client:
        user = {"distinct_id": "user-1"}
        assert client.get_variant_value("ranking-boost", 0, user) == 1.35
        variants = {"control": 3, "strong": 4}
        dev.change(
            "ranking-boost", lambda flag: [v.update(value=variants[v["key"]]) for v in flag["ruleset"]["variants"]]
        )
        eventually(lambda: client.get_variant_value("ranking-boost", 0, user) == 4)
    assert mpflags.version() == mpflags.__version__


def test_a_fallback_says_why(samples):
    client = Client.local(TOKEN, definitions=samples, enable_polling=False)
    fallback = SelectedVariant("fallback")
    found = client.get_variant("nope", fallback, {"distinct_id": "u"})
    assert (found.variant_value, found.variant_source, found.fallback_reason.kind) == (
        "fallback",
        "fallback",
        "FLAG_NOT_FOUND",
    )
    assert fallback.fallback_reason is None
    assert client.get_variant("new-checkout", fallback, {}).fallback_reason.kind == "MISSING_CONTEXT_KEY"
