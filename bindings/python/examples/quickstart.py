"""Evaluates a flag for a user, through OpenFeature.

usage: MPFLAGS_TOKEN=YOUR_PROJECT_TOKEN python quickstart.py
"""

import os

from openfeature import api
from openfeature.evaluation_context import EvaluationContext

from mpflags import LocalFlagsConfig
from mpflags.openfeature import MixpanelProvider

config = LocalFlagsConfig(
    api_host=os.environ.get("MPFLAGS_API_HOST", "api.mixpanel.com"),
    polling_interval_in_seconds=float(os.environ.get("MPFLAGS_POLL_SECONDS", "60")),
)
# Waits for the first definitions.
api.set_provider(MixpanelProvider.from_local_config(os.environ["MPFLAGS_TOKEN"], config))
client = api.get_client()

# `distinct_id` identifies the user; rules see `custom_properties`.
user = EvaluationContext(attributes={"distinct_id": "user-1", "custom_properties": {"plan": "premium"}})

if client.get_boolean_value("new-checkout", False, user):
    print("the new checkout")

color = client.get_string_details("button-color", "#000000", user)
print(f"button-color: {color.value}, variant {color.variant} ({color.reason})")

# Sends the queued exposures.
api.shutdown()
