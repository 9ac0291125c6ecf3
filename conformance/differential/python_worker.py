"""Mixpanel's Python SDK and its OpenFeature provider as a worker: JSON lines in, JSON lines out, definitions injected instead of fetched.

{"ask": "evaluate", "documents": [{"document", "key", "contexts", "lower"?}]}: per document the distinct answers, and which one each context got.
{"ask": "conditions", "documents": […]}: per document and context, what each group's rule or legacy definition came to.
{"ask": "read", "documents": [{"document", "key", "reads": [[type, context]]}]}: per document, what each typed read gives through OpenFeature.

`lower` asks for the SDK with one line of its source changed: it compares the names of variants by `lower` and not by `casefold`.
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
    assert source.count(compared) == 1, "the SDK compares names elsewhere than expected"
    module = importlib.util.module_from_spec(spec)
    exec(compile(source.replace(compared, compared.replace("casefold", "lower")), spec.origin, "exec"), module.__dict__)
    return module


class Sdk:
    def __init__(self, module):
        self.provider = module.LocalFeatureFlagsProvider("token", LocalFlagsConfig(enable_polling=False), SDK, lambda *_args, **_kwargs: None)
        self.request = httpx.Request("GET", "https://none.invalid/flags/definitions")

    def load(self, document):
        """Hands the document to the SDK as the answer to its request, which is not made."""
        now = datetime.now()
        self.provider._handle_response(httpx.Response(200, content=document.encode(), request=self.request), now, now)
        return self.provider


def answer(provider, key, context):
    try:
        got = provider.get_variant(key, NONE, context, report_exposure=False)
    except Exception as error:  # whatever a bad definition makes it raise is the answer
        return ["raised", type(error).__name__]
    if got.fallback_reason is not None:
        return [KINDS[got.fallback_reason.kind]]
    return ["variant", got.variant_key, got.variant_value, got.experiment_id, got.is_experiment_active, bool(got.is_qa_tester)]


def evaluate(provider, key, contexts):
    seen, distinct, picks = {}, [], []
    for context in contexts:
        got = answer(provider, key, json.loads(context))
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
    assert version("mixpanel") == SDK, f"mixpanel=={SDK} is wanted"
    logging.disable(logging.CRITICAL)
    stock, lower = Sdk(local_feature_flags), Sdk(with_lower())
    openfeature = reads.client(MixpanelProvider(stock.provider))
    asks = {
        "evaluate": lambda provider, item: evaluate(provider, item["key"], item["contexts"]),
        "conditions": lambda provider, item: conditions(provider, item["key"], item["contexts"]),
        "read": lambda _, item: reads.read(openfeature, item),
    }
    for line in sys.stdin:
        request = json.loads(line)
        ask = asks[request["ask"]]
        answers = []
        for item in request["documents"]:
            provider = (lower if item.get("lower") else stock).load(item["document"])
            answers.append(ask(provider, item))
        sys.stdout.write(json.dumps(answers) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
