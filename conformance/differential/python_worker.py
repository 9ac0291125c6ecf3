"""Mixpanel's Python SDK and its OpenFeature provider as a worker: JSON lines in, JSON lines out, definitions injected instead of fetched.

{"command": "evaluate", "documents": [{"document", "key", "contexts", "lower"?}]}: for each document, the distinct results, and the
    index of each context's result.
{"command": "conditions", "documents": [{"document", "key", "contexts"}]}: for each document and context, whether each rollout's rule or
    legacy definition holds.
{"command": "read", "documents": [{"document", "key", "reads": [[type, context]]}]}: for each document, the result of each typed
    evaluation through OpenFeature.

With `lower`, one line of the SDK's source is changed, so that it compares names of variants by `lower` and not by `casefold`.
"""
import importlib.util
import json
import logging
import sys
from datetime import datetime
from importlib.metadata import version

import httpx
from mixpanel.flags import local_feature_flags
from mixpanel.flags.types import LocalFlagsConfig, SelectedVariant
from mixpanel_openfeature import MixpanelProvider

import reads

SDK = "5.4.1"
NONE = SelectedVariant(variant_value=None)
KINDS = {"FLAG_NOT_FOUND": "not_found", "MISSING_CONTEXT_KEY": "missing", "NO_ROLLOUT_MATCH": "no_match"}


def with_lower():
    spec = importlib.util.find_spec(local_feature_flags.__name__)
    source = open(spec.origin, encoding="utf-8").read()
    compared = "variant_key.casefold() == variant.key.casefold()"
    assert source.count(compared) == 1, "the SDK no longer compares names as expected: adapt with_lower"
    module = importlib.util.module_from_spec(spec)
    exec(compile(source.replace(compared, compared.replace("casefold", "lower")), spec.origin, "exec"), module.__dict__)
    return module


class Sdk:
    def __init__(self, module):
        self.provider = module.LocalFeatureFlagsProvider("token", LocalFlagsConfig(enable_polling=False), SDK, lambda *_args, **_kwargs: None)
        self.request = httpx.Request("GET", "https://none.invalid/flags/definitions")

    def load(self, document):
        """Gives the document to the SDK as the response to a request that is not sent."""
        now = datetime.now()
        self.provider._handle_response(httpx.Response(200, content=document.encode(), request=self.request), now, now)
        return self.provider


def result(provider, key, context):
    try:
        got = provider.get_variant(key, NONE, context, report_exposure=False)
    except Exception as error:  # bad definitions can raise anything, and that is the result
        return ["raised", type(error).__name__]
    if got.fallback_reason is not None:
        return [KINDS[got.fallback_reason.kind]]
    return ["variant", got.variant_key, got.variant_value, got.experiment_id, got.is_experiment_active, bool(got.is_qa_tester)]


def evaluate(provider, key, contexts):
    seen, distinct, picks = {}, [], []
    for context in contexts:
        got = result(provider, key, json.loads(context))
        text = json.dumps(got)
        if text not in seen:
            seen[text] = len(distinct)
            distinct.append(got)
        picks.append(seen[text])
    return {"distinct": distinct, "picks": picks}


def conditions(provider, key, contexts):
    flag = provider._flag_definitions.get(key)
    found = []
    for context in contexts:
        context = json.loads(context)
        line = []
        for rollout in flag.ruleset.rollout if flag else []:
            try:
                line.append(bool(provider._is_runtime_rules_engine_satisfied(rollout, context)))
            except Exception as error:
                line.append(type(error).__name__)
        found.append(line)
    return found


def main():
    assert version("mixpanel") == SDK, f"expected mixpanel=={SDK}, found {version('mixpanel')}"
    logging.disable(logging.CRITICAL)
    stock, lower = Sdk(local_feature_flags), Sdk(with_lower())
    openfeature = reads.client(MixpanelProvider(stock.provider))
    commands = {
        "evaluate": lambda provider, item: evaluate(provider, item["key"], item["contexts"]),
        "conditions": lambda provider, item: conditions(provider, item["key"], item["contexts"]),
        "read": lambda _, item: reads.read(openfeature, item),
    }
    for line in sys.stdin:
        request = json.loads(line)
        command = commands[request["command"]]
        replies = []
        for item in request["documents"]:
            provider = (lower if item.get("lower") else stock).load(item["document"])
            replies.append(command(provider, item))
        sys.stdout.write(json.dumps(replies) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
