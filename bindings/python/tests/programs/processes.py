"""Processes of multiprocessing that evaluate and end without a shutdown. Argument: url."""

import multiprocessing
import sys

from openfeature.evaluation_context import EvaluationContext

from mpflags import LocalFlagsConfig
from mpflags.openfeature import MixpanelProvider

url = sys.argv[1]
provider = MixpanelProvider.from_local_config("token", LocalFlagsConfig(api_host=url))
provider.initialize(EvaluationContext())


def evaluate(user):
    details = provider.resolve_boolean_details("steady", False, EvaluationContext(attributes={"distinct_id": user}))
    assert details.value is True, details


evaluate("parent")
context = multiprocessing.get_context("fork")
processes = [context.Process(target=evaluate, args=(f"process-{i}",)) for i in range(3)]
for process in processes:
    process.start()
for process in processes:
    process.join()
assert [process.exitcode for process in processes] == [0] * 3
pool = context.Pool(2)
pool.map(evaluate, [f"pool-{i}" for i in range(20)])
pool.close()
pool.join()
