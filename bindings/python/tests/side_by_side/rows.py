"""The accepted differences between Mixpanel's Python SDK and mpflags, by the ids of docs/differences.md."""

import pathlib
import re

PAGE = pathlib.Path(__file__).resolve().parents[4] / "docs" / "differences.md"

SUBJECT_FLOAT = "subject-float"
SUBJECT_BIG = "subject-big-integer"
SUBJECT_TRUE = "subject-boolean"
SUBJECT_ZERO = "subject-falsy"
SUBJECT_ARRAY = "subject-array"
TESTER_TEXT = "tester-non-string"
WRONG_TYPE = "field-wrong-type"
ACCIDENT = "field-by-accident"
NO_VARIANTS = "no-variants"
DEEP = "rule-limits"
STATUS = "disabled"
EMPTY = "rule-empty-properties"
LEGACY_CAPITALS = "legacy-capitals"
LEGACY_TEXT = "legacy-non-string"
HIGHER = "rule-operators"
MIXED = "rule-mixed-types"
LAZY = "rule-lazy"
TRUTH = "rule-truth"
CASE = "rule-case"
DIGITS = "unicode-digits"

BEYOND_64_BITS = "integer-overflow"
TESTER_ARRAY = "tester-array"

# The order in which the model turns from Python's side to mpflags', so that each step has one cause.
ORDER = [
    WRONG_TYPE, ACCIDENT, NO_VARIANTS, DEEP, STATUS,
    SUBJECT_ARRAY, SUBJECT_ZERO, SUBJECT_TRUE, SUBJECT_BIG, SUBJECT_FLOAT,
    TESTER_ARRAY, TESTER_TEXT, EMPTY, CASE, LEGACY_CAPITALS, LEGACY_TEXT, DIGITS, LAZY, TRUTH, HIGHER, MIXED,
    BEYOND_64_BITS,
]  # fmt: skip


def of_page() -> set[str]:
    """The ids of the page's rows."""
    return set(re.findall(r"^\| `([a-z0-9-]+)`", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
