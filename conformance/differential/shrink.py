"""Reduces an unexplained difference to a small case, and writes it as a vector."""
import json
import time

from classify import Case
from document import Document
from model import reason
from workers import EVALUATORS

VECTORS = 3
SECONDS = 60
CHUNK = 48


class Shrinker:
    def __init__(self, classifier, seed):
        self.classifier, self.seed = classifier, seed

    def vectors(self, unexplained):
        """One vector for each kind of difference, at most three. Different values come before different reasons."""
        firsts = {}
        for case in sorted(unexplained, key=lambda case: (about_reason(case), len(case.document.text) + len(case.context_text))):
            firsts.setdefault(signature(case), case)
        found = list(firsts.values())[:VECTORS]
        return [self.vector(self.smallest(case), number) for number, case in enumerate(found, 1)]

    def smallest(self, case):
        end = time.monotonic() + SECONDS
        tried = set()
        while time.monotonic() < end:
            smaller = [text for text in map(texts, sorted(smaller_pairs(case), key=size)) if text not in tried]
            case_before = case
            for at in range(0, len(smaller), CHUNK):
                chunk = smaller[at : at + CHUNK]
                tried.update(chunk)
                found = self.still(case, chunk)
                if found:
                    case = found
                    break
            if case is case_before:
                break
        return case

    def still(self, case, chunk):
        """The first candidate with an unexplained difference of the same kind."""
        documents = [Document(case.document.kind, f'{{"flags":{flags}}}', case.document.key, [context], []) for flags, context in chunk]
        items = [{"document": d.text, "key": d.key, "contexts": d.contexts} for d in documents]
        pending = {name: self.classifier.workers[name].send("evaluate", items) for name in EVALUATORS}
        replies = {name: one.get() for name, one in pending.items()}
        cases = []
        for at, document in enumerate(documents):
            results = {name: reply[at]["distinct"][0] for name, reply in replies.items()}
            cases.append(Case(document, document.contexts[0], results))
        self.classifier.explain(cases)
        return next((smaller for smaller in cases if smaller.why_not and signature(smaller) == signature(case)), None)

    def vector(self, case, number):
        wanted = case.wanted if case.wanted and case.wanted[0] != "raised" else case.results["node"]
        vector = {
            "name": f"differential/seed-{self.seed}-{number}",
            "flags": json.loads(case.document.text),
            "key": case.document.key,
            "context": case.context,
            "want": want(case, wanted),
            "why": f"{case.why_not}. Python: {described(case, 'python')}; Node: {described(case, 'node')}; mpflags: {described(case, 'mpflags')}",
        }
        return dumps(vector, ensure_ascii=False)


def want(case, result):
    kinds = {"not_found": "flag_not_found", "missing": "missing_context_key", "no_match": "no_rollout_match"}
    if result[0] == "variant":
        why = reason(case.document.flag, case.context, [group["wanted"] for group in case.conditions["node"]])
        return {"outcome": "variant", "variant": result[1], "value": result[2], "reason": why, "is_qa_tester": result[5]}
    reasons = {"no_match": "DEFAULT", "disabled": "DISABLED"}
    return {"outcome": kinds.get(result[0], result[0]), "reason": reasons.get(result[0], "ERROR")}


def described(case, name):
    result = case.results[name]
    return f"variant {result[1]!r}" if result[0] == "variant" else result[0].replace("_", " ")


def signature(case):
    kinds = tuple(case.results[name][0] for name in sorted(case.results))
    return (kinds, case.differs("python"), case.differs("node"), case.official_agree, about_reason(case))


def about_reason(case):
    return case.why_not.startswith("the reason")


def smaller_pairs(case):
    flags = case.document.flags
    yield from ((fewer, case.context) for fewer in reductions(flags))
    yield from ((flags, fewer) for fewer in reductions(case.context))


def dumps(value, **options):
    return json.dumps(value, **options).replace("Infinity", "1e400")


def texts(pair):
    return dumps(pair[0]), dumps(pair[1])


def size(pair):
    return len(json.dumps(pair))


def reductions(value):
    """Every version of the value with one part removed or simplified."""
    if isinstance(value, dict):
        for name in value:
            yield {n: v for n, v in value.items() if n != name}
        if len(value) == 1:
            inner = next(iter(value.values()))
            yield from inner if isinstance(inner, list) else [inner]
        for name, inner in value.items():
            yield from ({**value, name: smaller} for smaller in reductions(inner))
    elif isinstance(value, list):
        if len(value) > 3:
            half = len(value) // 2
            yield from (value[:half], value[half:])
        for i, inner in enumerate(value):
            yield value[:i] + value[i + 1 :]
            yield from (value[:i] + [smaller] + value[i + 1 :] for smaller in reductions(inner))
    elif isinstance(value, str):
        if len(value) > 1:
            yield from ("", "a", value[: len(value) // 2], value[len(value) // 2 :], value[1:])
        elif value not in ("", "a"):
            yield from ("", "a")
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        simpler = (0, 1, 0.5)
        yield from simpler[: simpler.index(value) if value in simpler else None]
