"""Every flag that a user is in, with one call, and the exposure of the one that is shown.

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
    # Asking for all flags reports nothing: report the one that the user is shown.
    if "button-color" in variants:
        flags.track_exposure_event("button-color", variants["button-color"], user)
