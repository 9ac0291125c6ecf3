"""Ends the interpreter in the ways that programs do. Arguments: how, url.

OPTIONS has the client's options as JSON.
"""

import json
import logging
import os
import signal
import sys
import threading

from openfeature import api
from openfeature.evaluation_context import EvaluationContext

from mpflags import Client, LocalFlagsConfig, RemoteFlagsConfig
from mpflags.openfeature import MixpanelProvider

# A program that configures logging. Lines about a server that hangs are expected; errors of logging itself are not.
logging.basicConfig(filename=os.devnull)
how, url = sys.argv[1:]
options = json.loads(os.environ.get("OPTIONS", "{}"))
USER = EvaluationContext(attributes={"distinct_id": "user-1"})


def local():
    provider = MixpanelProvider.from_local_config("token", LocalFlagsConfig(api_host=url, **options))
    try:
        api.set_provider_and_wait(provider)
    except Exception as error:
        print(type(error).__name__)
    return provider


def remote():
    provider = MixpanelProvider.from_remote_config("token", RemoteFlagsConfig(api_host=url, **options))
    api.set_provider_and_wait(provider)
    return provider


def wait_for_request():
    """Waits until standard input says that the server has the request."""
    print("waiting", flush=True)
    sys.stdin.readline()


if how == "nothing":
    MixpanelProvider.from_local_config("token", LocalFlagsConfig(api_host=url, **options))
elif how == "forgotten":
    local()
    print(api.get_client().get_boolean_value("boolean-flag", False, USER))
elif how == "shutdown":
    local()
    print(api.get_client().get_boolean_value("boolean-flag", False, USER))
    api.shutdown()
elif how == "atexit":
    import atexit

    local()
    atexit.register(api.shutdown)
    print(api.get_client().get_boolean_value("boolean-flag", False, USER))
elif how == "dropped":
    # The provider is collected before the interpreter ends.
    provider = local()
    print(api.get_client().get_boolean_value("boolean-flag", False, USER))
    api.clear_providers()
    del provider
elif how == "exit code":
    local()
    print(api.get_client().get_boolean_value("boolean-flag", False, USER))
    sys.exit(3)
elif how == "while it is initialised":
    # On a thread of the SDK.
    api.set_provider(MixpanelProvider(Client.local("token", LocalFlagsConfig(api_host=url, **options))))
    wait_for_request()
elif how == "interrupted":
    # A shell that runs tests in the background ignores SIGINT for them.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    local()
elif how == "interrupted at the end":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    local()
    print(api.get_client().get_boolean_value("boolean-flag", False, USER))
elif how == "in a daemon thread":
    remote()
    threading.Thread(target=api.get_client().get_boolean_value, args=("boolean-flag", False, USER), daemon=True).start()
    wait_for_request()
elif how == "in a thread":
    remote()
    threading.Thread(target=api.get_client().get_boolean_value, args=("boolean-flag", False, USER)).start()
    wait_for_request()
elif how == "in a coroutine":
    import asyncio

    async def leave():
        # Not through the SDK's client: 0.10 fails on a cancellation (test_asyncio.py).
        call = asyncio.create_task(remote().resolve_boolean_details_async("boolean-flag", False, USER))
        await asyncio.to_thread(wait_for_request)
        call.cancel()

    asyncio.run(leave())
elif how == "while others evaluate":
    local()
    client = api.get_client()

    def evaluate():
        while True:
            client.get_boolean_value("boolean-flag", False, USER)

    for _ in range(3):
        threading.Thread(target=evaluate, daemon=True).start()
    wait_for_request()
else:
    sys.exit(f"no such way: {how}")
