"""mpflags' OpenFeature provider as a worker, with the command "read" of python_worker.py. MPFLAGS_LIBRARY is the library's path."""
import json
import logging
import sys

from mpflags import LocalFlagsConfig
from mpflags.openfeature import MixpanelProvider
from openfeature import api

from reads import client, read


def main():
    logging.disable(logging.CRITICAL)
    for line in sys.stdin:
        replies = []
        for item in json.loads(line)["documents"]:
            config = LocalFlagsConfig(definitions=item["document"], enable_polling=False, report_exposures=False)
            replies.append(read(client(MixpanelProvider.from_local_config("token", config)), item))
        sys.stdout.write(json.dumps(replies) + "\n")
        sys.stdout.flush()
    api.shutdown()


if __name__ == "__main__":
    main()
