"""Evaluates all flags of a user with one call, and reports the exposure of the one that is shown.

usage: MPFLAGS_TOKEN=YOUR_PROJECT_TOKEN python all_flags.py
"""

import os

from mpflags import Client

user = {"distinct_id": "user-1", "custom_properties": {"plan": "premium"}}

with Client.local(
    os.environ["MPFLAGS_TOKEN"], api_host=os.environ.get("MPFLAGS_API_HOST", "api.mixpanel.com")
) as flags:
    variants = flags.get_all_variants(user)
    for key, variant in sorted(variants.items()):
        print(f"{key}: {variant.variant_value}, variant {variant.variant_key}")
    # `get_all_variants` reports no exposures: report the one that the user sees.
    if "button-color" in variants:
        flags.track_exposure_event("button-color", variants["button-color"], user)
