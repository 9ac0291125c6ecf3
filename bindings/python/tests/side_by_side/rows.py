"""The accepted differences between Mixpanel's Python SDK and mpflags, by the words of the README's tables."""

import pathlib
import re

README = pathlib.Path(__file__).resolve().parents[4] / "README.md"

# "Differences to the official SDKs", first column.
SUBJECT_FLOAT = "subject `1.0`, `1e16`, `0.00001`"
SUBJECT_BIG = "subject is an integer beyond 2^53"
SUBJECT_TRUE = "subject `true`"
SUBJECT_ZERO = "subject `0`, `0.0`, `false`"
SUBJECT_ARRAY = "† subject is an array or an object"
TESTER_TEXT = "`distinct_id` 5, 1.5 or true, and testers"
WRONG_TYPE = "a field of the wrong type, or a missing one that nothing reads"
ACCIDENT = (
    "† a percentage or split `true`, `false` or beyond a double;"
    ' `[]`, `""`, `false` or `0` for `users`, `variant_splits` or a legacy definition;'
    " a `status`, `experiment_id` or `is_experiment_active` of another type; a lone surrogate"
)
NO_VARIANTS = "† a flag without variants"
DEEP = "† a rule of over 64 operators deep, or over 10,000 values"
STATUS = "† `status` is `disabled` or `archived`"
EMPTY = "a rule, and empty `custom_properties`"
LEGACY_CAPITALS = "† a legacy definition with capitals in a property's name"
LEGACY_TEXT = "a legacy definition that expects a non-string"
HIGHER = "`some`, `all`, `none`, `map`, `filter`, `reduce`, `substr`"
MIXED = "mixed types, arrays, arithmetic, corners of `var`, operand counts, `missing` of null, `cat`, `in`"
LAZY = "`and`, `or`, `if`, `?:`"
TRUTH = "what counts as true in the end"
CASE = "letter case"
DIGITS = "digits beyond ASCII in versions and dates; the year 0000"

# What no row of the tables says. Each is a consequence of a page's sentence, given here.
BEYOND_64_BITS = "an integer read of a number beyond 64 bits"
TESTER_ARRAY = "`distinct_id` is an array or an object, and testers"
BEYOND_TABLE = {
    BEYOND_64_BITS: "a typed read takes whole numbers within 64 bits (README, How a variant is decided)",
    TESTER_ARRAY: "Python raises: an array is no key of a dict; here such a value names no tester",
}

# The order in which the model turns from Python's side to mpflags', so that each step has one cause.
ORDER = [
    WRONG_TYPE, ACCIDENT, NO_VARIANTS, DEEP, STATUS,
    SUBJECT_ARRAY, SUBJECT_ZERO, SUBJECT_TRUE, SUBJECT_BIG, SUBJECT_FLOAT,
    TESTER_ARRAY, TESTER_TEXT, EMPTY, CASE, LEGACY_CAPITALS, LEGACY_TEXT, DIGITS, LAZY, TRUTH, HIGHER, MIXED,
    BEYOND_64_BITS,
]  # fmt: skip


def of_readme() -> set[str]:
    """The first column of the tables of that section."""
    text = README.read_text(encoding="utf-8").split("## Differences to the official SDKs")[1].split("\n## ")[0]
    return set(re.findall(r"^\| ([^|]+?) \|", text, re.MULTILINE))
