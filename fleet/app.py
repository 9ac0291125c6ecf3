"""An application for gunicorn: each worker makes a client and evaluates a flag, and writes how long that took to the folder RESULTS."""

import json
import os
import time
from pathlib import Path

import mpflags

began = time.monotonic()
client = mpflags.Client.local(os.environ["TOKEN"], **json.loads(os.environ["OPTIONS"]))
client.start()
client.wait_ready(30)
value = client.get_variant_value("version", -1, {"distinct_id": "u1"})
took = time.monotonic() - began
text = json.dumps({"ms": took * 1000, "value": value})
temporary = Path(os.environ["RESULTS"], f"{os.getpid()}.tmp")
temporary.write_text(text)
temporary.rename(temporary.with_suffix(".json"))


def application(environment, start_response):
    start_response("200 OK", [("Content-Length", "0")])
    return [b""]
