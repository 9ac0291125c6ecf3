"""Compares the three results of an evaluation and finds the rows that explain how they differ."""
import json

from model import reason
from rows import UNREACHED, alone, completed, marked, node_repairs, of_fault, on_page, python_repairs, repaired

OFFICIAL = ("python", "node")
REPAIRS = {"python": python_repairs, "node": node_repairs}


class Case:
    """One flag, one context, and the three results."""

    def __init__(self, document, context, results):
        self.document, self.context_text, self.results = document, context, results
        self.context = json.loads(context)
        # For each official SDK, the rows that it takes to get mpflags' result. The case is explained if `why_not` stays None.
        self.rows, self.why_not, self.wanted = {}, None, None
        groups = self.document.flag["ruleset"]["rollout"] if self.document.outcome is None else []
        self.conditions = {"python": [True] * len(groups), "node": [{"own": True, "wanted": True, "row": None}] * len(groups)}

    def differs(self, name):
        return not same(self.results[name], self.results["mpflags"], exact=name == "python")

    @property
    def official_agree(self):
        python, node = self.results["python"], self.results["node"]
        return python[0] != "raised" and same(python, node, exact=False)


def agree(results, document):
    """Whether all three results are the same, and mpflags' message names the key that is missing."""
    mpflags = results["mpflags"]
    names_key = mpflags[0] != "missing" or f"`{document.flag['context']}`" in mpflags[1]
    return names_key and same(results["python"], mpflags, exact=True) and same(results["node"], mpflags, exact=False)


def canonical(value, exact):
    """A value in which equal numbers are written the same; not exact if one side only has doubles."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, list):
        return [canonical(item, exact) for item in value]
    if isinstance(value, dict):
        return {name: canonical(item, exact) for name, item in sorted(value.items())}
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value if exact or abs(value) <= 2**53 else float(value)


def same(one, other, exact):
    if one[0] != "variant" or other[0] != "variant":
        # Messages are not compared. An exception equals nothing.
        return one[0] == other[0] != "raised"
    # The official SDKs have no reasons.
    return json.dumps(canonical(one[:6], exact)) == json.dumps(canonical(other[:6], exact))


class Classifier:
    def __init__(self, workers):
        self.workers = workers

    def explain(self, cases):
        """Sets `rows` or `why_not` of each case."""
        by_sdks = [case for case in cases if not settled(case)]
        self.find_conditions([case for case in by_sdks if case.document.has_conditions])
        pending = []
        for case in by_sdks:
            for name in OFFICIAL:
                if case.differs(name) or case.document.has_capitals:
                    conditions = list(zip(case.conditions["python"], case.conditions["node"], strict=True))
                    pending.append((case, name, REPAIRS[name](case, conditions)))
                else:
                    case.rows[name] = set()
        self.reduce(pending)
        for case in by_sdks:
            judge(case)

    def find_conditions(self, cases):
        """Whether each rollout's condition holds, in each official SDK and by the documentation."""
        by_document = {}
        for case in cases:
            by_document.setdefault(id(case.document), []).append(case)
        # Repaired only as far as Python needs to read the flag.
        documents = [{**repaired(group[0], [(set(), completed), (set(), alone)]), "contexts": [case.context_text for case in group]} for group in by_document.values()]
        pending = {name: self.workers[name].send("conditions", documents) for name in OFFICIAL}
        results = {name: one.get() for name, one in pending.items()}
        for at, group in enumerate(by_document.values()):
            for i, case in enumerate(group):
                case.conditions = {name: results[name][at][i] for name in OFFICIAL}

    def reduce(self, pending):
        """Removes repairs one by one, as long as the SDK still gives mpflags' result."""
        full = self.evaluate([(case, name, repairs) for case, name, repairs in pending])
        left = []
        for (case, name, repairs), result in zip(pending, full, strict=True):
            if not same(result, case.results["mpflags"], exact=name == "python"):
                case.why_not = f"{name} returns {short(result)} after these repairs: {listed(repairs)}"
                case.wanted = result
            elif not case.differs(name):
                case.rows[name] = set()
            elif len(repairs) == 1:
                case.rows[name] = repairs[0][0]
            else:
                left.append([case, name, repairs, 0])
        while left:
            trials = [(case, name, repairs[:at] + repairs[at + 1 :]) for case, name, repairs, at in left]
            results = self.evaluate(trials)
            following = []
            for entry, (case, name, fewer), result in zip(left, trials, results, strict=True):
                _, _, repairs, at = entry
                if at < len(repairs) and same(result, case.results["mpflags"], exact=name == "python"):
                    repairs = fewer
                else:
                    at += 1
                if at < len(repairs):
                    following.append([case, name, repairs, at])
                else:
                    case.rows[name] = set().union(*(rows for rows, _ in repairs))
            left = following

    def evaluate(self, trials):
        """The result of each trial. Trials with the same repaired flag share an item of the request."""
        items = {name: {} for name in OFFICIAL}
        for i, (case, name, repairs) in enumerate(trials):
            item = repaired(case, repairs)
            [context] = item.pop("contexts")
            together = items[name].setdefault((item["document"], item["lower"]), (item, [], []))
            together[1].append(context)
            together[2].append(i)
        pending = {
            name: self.workers[name].send("evaluate", [{**item, "contexts": contexts} for item, contexts, _ in by_flag.values()])
            for name, by_flag in items.items()
        }
        results = [None] * len(trials)
        for name, by_flag in items.items():
            for reply, (_, _, indexes) in zip(pending[name].get(), by_flag.values(), strict=True):
                for i, pick in zip(indexes, reply["picks"], strict=True):
                    results[i] = reply["distinct"][pick]
        return results


def settled(case):
    """Whether mpflags' result follows from the definition alone. The rows are then those of the definition."""
    mpflags, wanted = case.results["mpflags"], case.document.outcome
    if mpflags[0] not in ("variant", "no_match", "missing", "malformed", "disabled", "not_found"):
        case.why_not = f"mpflags returns {short(mpflags)}"
        return True
    if wanted is None:
        return False
    rows = {"disabled"} if wanted == "disabled" else set()
    if wanted == "malformed":
        rows = {of_fault(field, kind) for _, field, kind in case.document.faults}
        if case.official_agree and not any(marked(row) for row in rows):
            rows = {UNREACHED}
    case.rows = {name: rows if case.differs(name) else set() for name in OFFICIAL}
    if mpflags[0] != wanted:
        case.why_not, case.wanted = f"the definition requires {wanted}", [wanted]
    elif wanted == "malformed" and not any(path in mpflags[1] for path, _, _ in case.document.faults):
        case.why_not = f"the message does not name a fault: {mpflags[1]}"
    elif wanted == "not_found" and (case.differs("python") or case.differs("node")):
        case.why_not = "an official SDK found a flag that does not exist"
    return True


def judge(case):
    """A result that both official SDKs give for the same reason is mpflags' result too, unless a row marked † says otherwise."""
    unlisted = sorted(row for row in set().union(*case.rows.values()) if not on_page(row))
    if unlisted and not case.why_not:
        case.why_not = f"docs/differences.md has no row {unlisted[0]}"
    if case.why_not:
        if case.official_agree and case.differs("node"):
            case.wanted = case.results["python"]
            case.why_not = f"both official SDKs return {short(case.wanted)}"
        return
    if case.official_agree and case.differs("python"):
        shared = case.rows["python"] & case.rows["node"]
        if any(not marked(row) for row in shared):
            case.why_not, case.wanted = f"both official SDKs return this, by {sorted(shared)}", case.results["python"]
    for name in OFFICIAL:
        if case.differs(name) and not case.rows[name]:
            case.why_not = f"{name} differs, but agrees without any repair"
    if case.results["mpflags"][0] == "variant":
        documented = reason(case.document.flag, case.context, [group["wanted"] for group in case.conditions["node"]])
        if case.results["mpflags"][6] != documented:
            case.why_not, case.wanted = f"the reason is {documented}, not {case.results['mpflags'][6]}", case.results["mpflags"]
    if "subject-array" in case.rows["python"] | case.rows["node"] and case.results["mpflags"][0] != "missing":
        case.why_not = "an array or object must not be a subject"


def listed(repairs):
    return "; ".join(sorted(set().union(*(rows for rows, _ in repairs)))) or "none"


def short(result):
    text = json.dumps(result, ensure_ascii=False)
    return text if len(text) < 200 else text[:200] + "…"
