"""Starts a client where no thread can be started. Arguments: how, url. Prints the result as JSON.

"a subinterpreter": the interpreter refuses. "limits": the kernel refuses the first thread, then the second, and so on until
the start succeeds.
"""

import json
import os
import resource
import sys
import time

how, url = sys.argv[1:]

STARTS = """
import json, os, sys, time
sys.path[:0] = {path!r}
from mpflags import Client, SystemFailure

def tasks():
    return sorted(open(f"/proc/self/task/{{task}}/comm").read().strip() for task in os.listdir("/proc/self/task"))

before = tasks()
client = Client.local("token", api_host={url!r}, definitions={definitions!r})
client.track("u", "Before the start")
try:
    client.start()
    said = "nothing"
except SystemFailure as error:
    said = str(error)
time.sleep(0.1)
told = {{
    "said": said, "more": len(tasks()) - len(before), "names": tasks(),
    "value": client.get_variant_value("held", None, {{"distinct_id": "u"}}),
    "queue": client.statistics()["queue_length"],
}}
os.write({out}, (json.dumps(told) + "\\n").encode())
"""
DEFINITIONS = {
    "flags": [
        {
            "key": "held",
            "context": "distinct_id",
            "ruleset": {
                "variants": [{"key": "on", "value": "held", "split": 1.0}],
                "rollout": [{"rollout_percentage": 1.0}],
            },
        }
    ]
}
program = STARTS.format(path=sys.path, url=url, definitions=json.dumps(DEFINITIONS), out=1)


def subinterpreter():
    if sys.version_info >= (3, 12):
        # As embedders make one. One that a program makes has no ctypes (3.12), or only forbids daemon threads (3.13).
        import _testinternalcapi

        forbidden = {"allow_threads": False, "allow_daemon_threads": False, "allow_fork": False, "allow_exec": False}
        if sys.version_info >= (3, 13):
            import types

            config = types.SimpleNamespace(
                **forbidden, use_main_obmalloc=True, check_multi_interp_extensions=False, gil="shared"
            )
            _testinternalcapi.run_in_subinterp_with_config(program, config)
        else:
            import _testcapi

            _testcapi.run_in_subinterp_with_config(
                program, **forbidden, use_main_obmalloc=True, check_multi_interp_extensions=False, gil=2
            )
        return
    import _xxsubinterpreters

    interpreter = _xxsubinterpreters.create(isolated=True)
    _xxsubinterpreters.run_string(interpreter, program)
    _xxsubinterpreters.destroy(interpreter)


def limits():
    # Before this interpreter's files become unreadable.
    import logging  # noqa: F401

    import mpflags

    mpflags.Client.local("token", api_host=url).statistics()
    if os.geteuid() == 0:
        # The limit does not apply to root.
        os.setgid(54321)
        os.setuid(54321)

    def tasks():
        return len(os.listdir("/proc/self/task"))

    more, said = 0, ""
    while said != "nothing" and more < 10:
        # The thread that ended the last client may still be listed, and would raise the limit by one.
        end = time.monotonic() + 10
        while tasks() > 1 and time.monotonic() < end:
            time.sleep(0.01)
        before = tasks()
        client = mpflags.Client.local("token", api_host=url, definitions=DEFINITIONS)
        client.track("u", "Before the start")
        resource.setrlimit(resource.RLIMIT_NPROC, (before + more, resource.getrlimit(resource.RLIMIT_NPROC)[1]))
        more, said = more + 1, "nothing"
        try:
            client.start()
        except mpflags.SystemFailure as error:
            said = str(error)
        finally:
            resource.setrlimit(resource.RLIMIT_NPROC, (4096, resource.getrlimit(resource.RLIMIT_NPROC)[1]))
        # A joined thread can still be listed for a moment.
        end = time.monotonic() + 5
        while said != "nothing" and tasks() > before and time.monotonic() < end:
            time.sleep(0.01)
        told = {"said": said, "more": tasks() - before, "queue": client.statistics()["queue_length"]}
        # It is as it was, so it starts once threads are allowed.
        client.start()
        told["left"] = client.flush(20)
        client.shutdown()
        print(json.dumps(told))


{"a subinterpreter": subinterpreter, "limits": limits}[how]()
