"""OpenFeature's OFREP provider for Python against the real program: `MPFLAGS_DEV=… python ofrep_test.py`."""

import os
import pathlib
import subprocess

from openfeature import api
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason

samples = os.environ.get("SAMPLES") or pathlib.Path(__file__).parents[2] / "samples/definitions.json"
with subprocess.Popen(
    [os.environ["MPFLAGS_DEV"], samples, "--token=demo", "--stop-with-stdin"],
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    text=True,
) as server:
    url = server.stdout.readline().split()[-1]
    api.set_provider_and_wait(OFREPProvider(url, headers_factory=lambda: {"Authorization": "Bearer demo"}))
    client = api.get_client()
    premium = EvaluationContext("user-1", {"plan": "premium", "country": "DE"})
    details = client.get_boolean_details("premium-chat", False, premium)
    assert (details.value, details.variant, details.reason) == (True, "On", Reason.TARGETING_MATCH), details
    assert client.get_string_value("button-color", "", EvaluationContext("qa-1")) == "#1a7f37"
    assert client.get_float_value("ranking-boost", 0.0, premium) in (1.0, 1.35)
    assert client.get_object_value("banner", {}, premium)["title"] == "Autumn sale"
    # Nobody is admitted: the program's default.
    assert client.get_boolean_value("premium-chat", True, EvaluationContext("user-1")) is True
    assert client.get_boolean_details("nope", True, premium).error_code == ErrorCode.FLAG_NOT_FOUND
    missing = client.get_boolean_details("new-checkout", True, EvaluationContext())
    assert missing.error_code == ErrorCode.TARGETING_KEY_MISSING, missing
    api.shutdown()
    server.stdin.close()
print("OFREP in Python: passed")
