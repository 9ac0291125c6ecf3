"""A child of a fork that shuts down before its first call: the call evaluates, and starts no thread."""

import os
import sys
import threading

from mpflags import Client

client = Client.local("token", api_host=sys.argv[1])
client.start_polling_for_definitions()
pid = os.fork()
if pid == 0:
    client.shutdown()
    enabled = client.is_enabled("steady", {"distinct_id": "u"})
    started = [thread.name for thread in threading.enumerate() if thread.name.startswith("mpflags")]
    os._exit(0 if enabled and not started else 1)
status = os.waitpid(pid, 0)[1]
client.shutdown()
sys.exit(status != 0)
