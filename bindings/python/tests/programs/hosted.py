"""A WSGI application as servers host it: it evaluates for each request, and says what has arrived in this process.

MIXPANEL is the server, ENDS a folder for the time that the end took. Everything is made at import: in the parent if the
server loads the application before it forks, otherwise in each worker.
"""

import atexit
import json
import logging
import os
import pathlib
import time
import urllib.parse

ENDS = pathlib.Path(os.environ["ENDS"])
began = None


def begin_end():
    global began
    began = time.monotonic()


def end_end():
    # Registered before mpflags is imported, so it runs after mpflags' handler.
    if began is not None:
        (ENDS / str(os.getpid())).write_text(str(time.monotonic() - began))


atexit.register(end_end)

from openfeature import api  # noqa: E402
from openfeature.evaluation_context import EvaluationContext  # noqa: E402
from openfeature.event import ProviderEvent  # noqa: E402

from mpflags import LocalFlagsConfig, SelectedVariant  # noqa: E402
from mpflags.openfeature import MixpanelProvider  # noqa: E402

atexit.register(begin_end)

IMPORTED = os.getpid()
arrived = []


class Kept(logging.Handler):
    def emit(self, record):
        arrived.append((os.getpid(), "logs"))


logging.getLogger("mpflags").addHandler(Kept())
provider = MixpanelProvider.from_local_config(
    "token", LocalFlagsConfig(api_host=os.environ["MIXPANEL"], polling_interval_ms=50)
)
provider.client.on_item(lambda _: arrived.append((os.getpid(), "items")))
api.set_provider_and_wait(provider)
client = api.get_client()
# The SDK runs it at once on its thread, before the fork.
api.add_handler(ProviderEvent.PROVIDER_READY, lambda _: arrived.append((os.getpid(), "ready")))
api.add_handler(ProviderEvent.PROVIDER_CONFIGURATION_CHANGED, lambda _: arrived.append((os.getpid(), "events")))
client.get_boolean_value("steady", False, EvaluationContext(attributes={"distinct_id": f"import-{IMPORTED}"}))
# The master of uWSGI ends without finalizing the interpreter.
provider.client.flush()


def application(environment, start_response):
    asked = dict(urllib.parse.parse_qsl(environment["QUERY_STRING"]))
    told = {"pid": os.getpid(), "imported": IMPORTED}
    if "user" in asked:
        user = EvaluationContext(attributes={"distinct_id": asked["user"]})
        told["value"] = client.get_boolean_value("steady", False, user)
    else:
        fallback = SelectedVariant(None)
        told["value"] = provider.client.get_variant(
            "changing", fallback, {"device_id": "d"}, report_exposure=False
        ).variant_value
        told["arrived"] = sorted({what for pid, what in list(arrived) if pid == os.getpid()})
    body = json.dumps(told).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
