"""Why Python's decision about a rule differs from the documented one: which known differences have to be removed until it agrees.

json_logic 0.7.0a0 is evaluated again, with its own operators. Three differences can be switched off (case folding, eager evaluation,
the truth of the result). Operations on operands that a row such as `rule-mixed-types` covers are noted meanwhile. A difference without
a note is not explained.
"""
import math
from itertools import combinations

import json_logic
import mixpanel.flags.custom_operators  # noqa: F401  (gives json_logic semver_compare and datetime_compare)

from model import number_text

LACKING = {"some", "all", "none", "map", "filter", "reduce", "substr"}
SAFE = 2**53
FOLD, LAZY, TRUTH = "rule-case", "rule-lazy", "rule-truth"
MISSING_ORDER, OBJECT_IN_RULE, DIGITS, WHITE_SPACE = "rule-missing-order", "rule-object", "unicode-digits", "white-space"
NOTED_ROWS = (MISSING_ORDER, OBJECT_IN_RULE, DIGITS, WHITE_SPACE)
SWITCHES = [set(some) for n in range(4) for some in combinations((FOLD, LAZY, TRUTH), n)]
NULL, BOOL, INT, FLOAT, STRING, ARRAY, OBJECT = "null", "bool", "int", "float", "string", "array", "object"
KINDS = {type(None): NULL, bool: BOOL, int: INT, float: FLOAT, str: STRING, list: ARRAY, dict: OBJECT}


def fold(value, word, keys):
    if isinstance(value, str):
        return word(value)
    if isinstance(value, list):
        return [fold(item, word, keys) for item in value]
    if isinstance(value, dict):
        return {(word(k) if keys else k): fold(v, word, keys) for k, v in value.items()}
    return value


def operators(rule):
    if isinstance(rule, list):
        return set().union(*map(operators, rule))
    if isinstance(rule, dict):
        return set(rule).union(*map(operators, rule.values()))
    return set()


def kind(value):
    return KINDS.get(type(value), OBJECT)


def explain(rollout, context, own, wanted):
    """The rows that turn Python's `own` (a boolean, or the name of an exception) into the documented `wanted`. None if none do."""
    data = context.get("custom_properties")
    rule, legacy = rollout.get("runtime_evaluation_rule"), rollout.get("runtime_evaluation_definition")
    if not isinstance(data, dict):
        return None
    if not rule:
        return explain_legacy(legacy, data, wanted)
    if not data and own is False:
        return {"rule-empty-properties"}
    lacking = operators(rule) & LACKING
    if lacking and own is False:
        return {"rule-operators"}
    for switches in SWITCHES:
        if run(rule, data, switches, set()) == wanted:
            return switches or None
    notes = set()
    run(rule, data, {FOLD, LAZY, TRUTH}, notes)
    return {note if note in NOTED_ROWS else f"rule-mixed-types: {note}" for note in notes} or None


def explain_legacy(legacy, data, wanted):
    rows = {"rule-case": False, "legacy-capitals": False, "legacy-non-string": False}
    for count in range(1, 4):
        for some in combinations(rows, count):
            on = dict.fromkeys(some, True)
            if legacy_holds(legacy, data, *(on.get(row, False) for row in rows)) == wanted:
                return set(some)
    return None


def legacy_holds(legacy, data, lower, folded_keys, as_text):
    word = str.lower if lower else str.casefold
    data = fold(data, word, True)
    for name, expected in legacy.items():
        name = word(name) if folded_keys else name
        if name not in data:
            return False
        actual = data[name]
        if as_text:
            actual, expected = script_text(actual), script_text(expected)
        if not isinstance(actual, str) or not isinstance(expected, str):
            return "raised"
        if word(actual) != word(expected):
            return False
    return True


def script_text(value):
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return ",".join("" if item is None else script_text(item) for item in value)
    if isinstance(value, dict):
        return "[object Object]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return number_text(float(value) if abs(value) > SAFE else value)


def run(rule, data, switches, notes):
    word = str.lower if FOLD in switches else str.casefold
    try:
        result = logic(fold(rule, word, False), fold(data, word, True), LAZY in switches, notes)
        if isinstance(result, dict) and not result:
            notes.add("truth of an object")
        return truthy(result) if TRUTH in switches else bool(result)
    except Exception:
        return False


def truthy(value):
    return True if isinstance(value, dict) else bool(value) and value == value


def logic(rule, data, lazy, notes):
    if not isinstance(rule, dict):
        if isinstance(rule, list) and any(isinstance(item, (dict, list)) for item in rule):
            notes.add("rules in arrays")
        return rule
    if len(rule) != 1:
        notes.add(OBJECT_IN_RULE)
    data = data or {}
    operator = list(rule)[0]
    values = rule[operator]
    if not isinstance(values, list):
        values = [values]
    if lazy and operator in ("and", "or", "if", "?:"):
        return choose(operator, values, data, notes)
    values = [logic(value, data, lazy, notes) for value in values]
    note = odd(operator, values, data)
    if note:
        notes.add(note)
    if operator == "var":
        return json_logic.get_var(data, *values)
    if operator in ("missing", "missing_some"):
        return getattr(json_logic, operator)(data, *values)
    if operator not in json_logic.operations:
        raise ValueError(operator)
    return json_logic.operations[operator](*values)


def choose(operator, values, data, notes):
    def true(value):
        if isinstance(value, (dict, float)) and truthy(value) != bool(value):
            notes.add("truth of an object")
        return bool(value)

    if operator in ("and", "or"):
        if not values:
            notes.add("operand count")
        result = operator == "and"
        for value in values:
            result = logic(value, data, True, notes)
            if true(result) == (operator == "or"):
                break
        return result
    if operator == "?:" and len(values) != 3 or not values:
        notes.add("operand count")
    for i in range(0, len(values) - 1, 2):
        if true(logic(values[i], data, True, notes)):
            return logic(values[i + 1], data, True, notes)
    return logic(values[-1], data, True, notes) if len(values) % 2 else None


def odd(operator, values, data):
    """Why Python and JavaScript may differ on these operands, None if they always agree."""
    kinds = [kind(value) for value in values]
    number = [k in (INT, FLOAT) for k in kinds]
    if any(k == INT and abs(v) > SAFE for k, v in zip(kinds, values)):
        return "integers beyond 2^53"
    if any(k == FLOAT and not math.isfinite(v) for k, v in zip(kinds, values)):
        return "not a number"
    if operator in ("==", "!="):
        if len(values) != 2:
            return "operand count"
        same = kinds[0] == kinds[1] and kinds[0] not in (ARRAY, OBJECT) or all(number)
        return None if same else "mixed types"
    if operator in ("===", "!=="):
        if len(values) != 2:
            return "operand count"
        return "mixed types" if {INT, FLOAT} <= set(kinds) or ARRAY in kinds or OBJECT in kinds else None
    if operator in ("<", "<=", ">", ">="):
        if not 2 <= len(values) <= (3 if operator in ("<", "<=") else 2):
            return "operand count"
        if all(k == STRING for k in kinds):
            # JavaScript orders by UTF-16 code unit.
            return "order of strings" if any(c > "\ud7ff" for v in values for c in v) else None
        if all(n or k == NULL for n, k in zip(number, kinds)):
            # A missing property, or null itself, which look the same here.
            return MISSING_ORDER if NULL in kinds else None
        return "mixed types"
    if operator in ("!", "!!"):
        return "operand count" if len(values) != 1 else "truth of an object" if kinds[0] == OBJECT else None
    if operator == "in":
        return odd_in(values, kinds)
    if operator == "var":
        return odd_var(values, data)
    if operator in ("missing", "missing_some"):
        return odd_missing(operator, values, data)
    if operator in ("+", "-", "*", "/", "%", "min", "max"):
        return odd_arithmetic(operator, values, number)
    if operator == "cat":
        return None if all(k in (STRING, INT) for k in kinds) else "cat"
    if operator in ("if", "?:", "and", "or"):
        return "operand count" if not values or operator == "?:" and len(values) != 3 else None
    if operator in ("semver_compare", "datetime_compare"):
        return odd_comparison(values)
    if operator == "log" and len(values) != 1:
        return "operand count"
    return "count, which only Python has" if operator == "count" else None


def odd_in(values, kinds):
    if len(values) != 2:
        return "operand count"
    needle, stack = kinds
    if stack == STRING:
        return None if needle == STRING and values[1] else "in"
    if stack == ARRAY:
        scalars = {needle, *map(kind, values[1])}
        mixed = BOOL in scalars and scalars & {INT, FLOAT}
        big = any(kind(v) == INT and abs(v) > SAFE for v in values[1])
        return "in" if mixed or big or scalars & {ARRAY, OBJECT} else None
    return "in" if stack == OBJECT else None


def odd_var(values, data):
    if not 1 <= len(values) <= 2 or not isinstance(values[0], str) or values[0] == "":
        return "corners of var"
    for name in values[0].split("."):
        if isinstance(data, dict):
            if name not in data:
                return None
            data = data[name]
        elif isinstance(data, list) and name.isascii() and name.isdigit() and str(int(name)) == name and int(name) < len(data):
            data = data[int(name)]
        elif isinstance(data, (list, str)):
            return "corners of var"
        else:
            return None
    return None


def odd_missing(operator, values, data):
    if operator == "missing_some":
        if len(values) != 2 or kind(values[0]) != INT or kind(values[1]) != ARRAY or values[0] < 1:
            return "missing"
        keys = values[1]
    else:
        keys = values[0] if values and isinstance(values[0], list) else values
    for key in keys:
        if not isinstance(key, str) or odd_var([key], data) or json_logic.get_var(data, key, 0) in (None, ""):
            return "missing"
    return None


def odd_arithmetic(operator, values, number):
    counts = {"-": (1, 2), "/": (2, 2), "%": (2, 2)}.get(operator, (1, 99))
    if not counts[0] <= len(values) <= counts[1]:
        return "operand count"
    if not all(number) or any(kind(v) == INT and abs(v) > 2**26 for v in values):
        return "arithmetic"
    if operator == "+" and len(values) > 2 and not all(isinstance(v, int) for v in values):
        # From Python 3.12 on, sum() does not round intermediate results.
        return "arithmetic"
    if operator in "/%" and (values[1] == 0 or operator == "%" and min(values) < 0):
        return "arithmetic"
    return None


def odd_comparison(values):
    for value in values:
        if isinstance(value, str):
            if any(c.isdigit() and not c.isascii() for c in value) or value.strip()[:4] == "0000":
                return DIGITS
            if value.strip() != value.strip(" \t\n\v\f\r\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"):
                return WHITE_SPACE
    return None
