"""Measures a new process; run.py starts it: `python process.py ours|official import|flags DIRECTORY`.

Prints the milliseconds of the import and the resident bytes at the end.
"""

import os
import sys
import time

NAME, WHAT, DIRECTORY = sys.argv[1:]
CONTEXT = {"distinct_id": "u", "custom_properties": {"plan": "premium"}}
DEFINITIONS = os.path.join(DIRECTORY, "definitions.json")


def resident() -> int:
    with open("/proc/self/statm") as status:
        return int(status.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


began = time.thread_time_ns()
if NAME == "ours":
    import mpflags
else:
    import mixpanel_openfeature  # noqa: F401
took = (time.thread_time_ns() - began) / 1e6

if WHAT == "flags" and NAME == "ours":
    client = mpflags.Client.local("bench", definitions_path=DEFINITIONS, enable_polling=False, report_exposures=False)
    assert client.get_variant_value("bench-eq", None, CONTEXT) is not None
elif WHAT == "flags":
    from datetime import datetime

    import httpx
    from mixpanel.flags.local_feature_flags import LocalFeatureFlagsProvider
    from mixpanel.flags.types import LocalFlagsConfig

    flags = LocalFeatureFlagsProvider("bench", LocalFlagsConfig(enable_polling=False), "5.4.1", lambda *_: None)
    with open(DEFINITIONS, "rb") as file:
        answer = httpx.Response(200, content=file.read(), request=httpx.Request("GET", "http://127.0.0.1/"))
    flags._handle_response(answer, datetime.now(), datetime.now())
    del answer
    assert flags.get_variant_value("bench-eq", None, CONTEXT) is not None
print(took, resident())
