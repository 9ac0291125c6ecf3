"""Converts OpenFeature's test flags into a definitions document of Mixpanel's format.

    python3 definitions.py OUT

Reads openfeature/test-flags.json in the folder that MPFLAGS_SHARED_DATA names, and writes the document to OUT.
README.md says how a flag is converted and what the exit codes mean.
"""

import json
import os
import pathlib
import sys

ABSENT = 3

# The fields that this script can convert. Any other field in the test data is an error.
FIELDS = {"variants", "defaultVariant", "flagMetadata", "disabled", "contextEvaluator"}


def var(name):
    return {"var": name}


BALLMER = {"===": [var("email"), "ballmer@macrosoft.com"]}

# Rules, translated by hand. The key is the CEL text, so that a changed expression is an error, not an outdated rule.
# A value is the rule and the variant of the first rollout; '' in the CEL is the second rollout.
CEL = {
    "email == 'ballmer@macrosoft.com' ? 'zero' : ''": (BALLMER, "zero"),
    "!customer && email == 'ballmer@macrosoft.com' && age > 10 ? 'internal' : ''": (
        {"and": [{"!": [var("customer")]}, BALLMER, {">": [var("age"), 10]}]},
        "internal",
    ),
}

# evaluation.feature needs a flag that test-flags.json does not have. A step passes `customer` as the text that the
# feature quotes, or as the boolean that it means.
CONTEXT_AWARE = {
    "variants": {"internal": "INTERNAL", "external": "EXTERNAL"},
    "defaultVariant": "external",
    "rule": {
        "and": [
            {"===": [var("fn"), "Sulisław"]},
            {"===": [var("ln"), "Świętopełk"]},
            {"===": [var("age"), 29]},
            {"in": [var("customer"), [False, "false"]]},
        ]
    },
    "match": "internal",
}


class Refused(Exception):
    """The test data contain something that this script cannot convert."""


def group(variant, **fields):
    return {"rollout_percentage": 1.0, "variant_override": {"key": variant}, **fields}


def flag(number, key, variants, rollout, status="enabled"):
    return {
        "id": f"flag-{number}",
        "key": key,
        "name": key,
        "status": status,
        "project_id": 1,
        "context": "distinct_id",
        "hash_salt": None,
        "ruleset": {
            "variants": [
                {"key": name, "value": value, "is_control": position == 0, "split": 0.0}
                for position, (name, value) in enumerate(variants.items())
            ],
            "rollout": rollout,
        },
    }


def named(key, fields, variant):
    if variant not in fields["variants"]:
        raise Refused(f"{key}: no variant is called {variant!r}")
    return variant


def converted(number, key, fields):
    unknown = sorted(set(fields) - FIELDS)
    if unknown:
        raise Refused(f"{key}: unknown field {unknown[0]!r}")
    default = fields.get("defaultVariant")
    rollout = []
    if "contextEvaluator" in fields:
        cel = fields["contextEvaluator"]
        if cel not in CEL:
            raise Refused(f"{key}: unknown CEL expression {cel!r}: translate it in {pathlib.Path(__file__).name}")
        rule, match = CEL[cel]
        rollout.append(group(named(key, fields, match), runtime_evaluation_rule=rule))
    if default is not None:
        rollout.append(group(named(key, fields, default)))
    status = "disabled" if fields.get("disabled") else "enabled"
    return flag(number, key, fields["variants"], rollout, status)


def document(flags):
    if "context-aware" in flags:
        raise Refused("context-aware: the test data contain it now; remove CONTEXT_AWARE from this script")
    definitions = [converted(number, key, fields) for number, (key, fields) in enumerate(flags.items(), 1)]
    own = CONTEXT_AWARE
    definitions.append(
        flag(
            len(definitions) + 1,
            "context-aware",
            own["variants"],
            [group(own["match"], runtime_evaluation_rule=own["rule"]), group(own["defaultVariant"])],
        )
    )
    return {"flags": definitions}


def main(arguments):
    if len(arguments) != 1:
        print("usage: definitions.py OUT", file=sys.stderr)
        return 2
    source = pathlib.Path(os.environ.get("MPFLAGS_SHARED_DATA") or os.devnull) / "openfeature" / "test-flags.json"
    if not source.is_file():
        print("MPFLAGS_SHARED_DATA is not set to a folder with OpenFeature's test data", file=sys.stderr)
        return ABSENT
    text = source.read_text(encoding="utf-8")
    try:
        out = json.dumps(document(json.loads(text)), ensure_ascii=False, indent=1) + "\n"
    except (Refused, ValueError) as error:
        print(f"{source}: {error}", file=sys.stderr)
        return 1
    pathlib.Path(arguments[0]).write_text(out, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
