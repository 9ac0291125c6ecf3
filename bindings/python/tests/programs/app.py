"""A WSGI application that evaluates a flag for each request, as gunicorn serves it.

MIXPANEL names the server. The provider is made at import: in the parent with --preload, otherwise in each worker.
"""

import json
import os
import urllib.parse

from openfeature import api
from openfeature.evaluation_context import EvaluationContext

from mpflags import LocalFlagsConfig, SelectedVariant
from mpflags.openfeature import MixpanelProvider

IMPORTED = os.getpid()
provider = MixpanelProvider.from_local_config(
    "token", LocalFlagsConfig(api_host=os.environ["MIXPANEL"], polling_interval_ms=50)
)
api.set_provider_and_wait(provider)
client = api.get_client()
client.get_boolean_value("steady", False, EvaluationContext(attributes={"distinct_id": f"import-{IMPORTED}"}))


def application(environment, start_response):
    asked = dict(urllib.parse.parse_qsl(environment["QUERY_STRING"]))
    if "user" in asked:
        value = client.get_boolean_value("steady", False, EvaluationContext(attributes={"distinct_id": asked["user"]}))
    else:
        variant = provider.client.get_variant(
            "changing", SelectedVariant(None), {"device_id": "d"}, report_exposure=False
        )
        value = variant.variant_value
    body = json.dumps({"pid": os.getpid(), "imported": IMPORTED, "value": value}).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
