"""Evaluates a flag of each type for a few users, and again whenever a definition changes. Log lines go to `logging`.

usage: MPFLAGS_TOKEN=YOUR_PROJECT_TOKEN python changes.py [SECONDS]
"""

import logging
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import EventDetails, ProviderEvent
from openfeature.flag_evaluation import FlagEvaluationDetails

from mpflags import LocalFlagsConfig
from mpflags.openfeature import MixpanelProvider

logging.basicConfig(format="log: %(message)s")

config = LocalFlagsConfig(
    api_host=os.environ.get("MPFLAGS_API_HOST", "api.mixpanel.com"),
    polling_interval_in_seconds=float(os.environ.get("MPFLAGS_POLL_SECONDS", "60")),
)
api.set_provider(MixpanelProvider.from_local_config(os.environ["MPFLAGS_TOKEN"], config))
client = api.get_client()

users = [
    EvaluationContext(attributes={"distinct_id": "user-1", "custom_properties": {"plan": "free", "country": "DE"}}),
    EvaluationContext(attributes={"distinct_id": "user-2", "custom_properties": {"plan": "premium", "country": "FR"}}),
    EvaluationContext(attributes={"distinct_id": "qa-1"}),
]
# The type and the default of each flag.
reads: dict[str, tuple[Callable[..., FlagEvaluationDetails[Any]], Any]] = {
    "new-checkout": (client.get_boolean_details, False),
    "premium-chat": (client.get_boolean_details, False),
    "button-color": (client.get_string_details, "#000000"),
    "search-page-size": (client.get_integer_details, 10),
    "ranking-boost": (client.get_float_details, 1.0),
    "banner": (client.get_object_details, {}),
}


def show(key: str) -> None:
    read, default = reads[key]
    for number, user in enumerate(users, 1):
        details = read(key, default, user)
        print(f"{key:17} user {number}: {details.value} ({details.variant}, {details.reason})", flush=True)


def changed(event: EventDetails) -> None:
    for key in event.flags_changed or []:
        if key in reads:
            show(key)


for key in reads:
    show(key)
client.add_handler(ProviderEvent.PROVIDER_CONFIGURATION_CHANGED, changed)
time.sleep(float(sys.argv[1]) if len(sys.argv) > 1 else 10)

# Sends the queued exposures.
api.shutdown()
