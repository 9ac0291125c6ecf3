"""A rule's truth: Mixpanel's engine, turned step by step into what mpflags says of it.

The official engine (json_logic 0.7.0a0) is run with one accepted difference after the other taken away. What is left then
must agree with mpflags for every rule whose operands are well-typed. Rules beyond that are asked of mpflags itself: that is
the row of mixed types, and `well_typed` draws its border.
"""

import datetime
import re

import json_logic
from mixpanel.flags import custom_operators as official

from . import rows

HIGHER = {"some", "all", "none", "map", "filter", "reduce", "substr"}
LAST_EXACT = 2**53
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
CYCLE = 400  # years, after which the calendar repeats
CYCLE_SECONDS = 146097 * 86400


class NotWellTyped(Exception):
    pass


def fold(value, text, keys):
    """Folds strings at any depth; keys too, if asked for."""
    if isinstance(value, str):
        return text(value)
    if isinstance(value, list):
        return [fold(item, text, keys) for item in value]
    if isinstance(value, dict):
        return {(text(k) if keys else k): fold(v, text, keys) for k, v in value.items()}
    return value


def has_operator(tree, names):
    if isinstance(tree, dict):
        return any(k in names or has_operator(v, names) for k, v in tree.items())
    return isinstance(tree, list) and any(has_operator(item, names) for item in tree)


# The two operators, with ASCII digits and with the year 0000.

_ASCII = {name: re.compile(getattr(official, name).pattern, re.ASCII) for name in ("_SEMVER_RE", "_RFC3339_RE")}


def _with_ascii(function, *operands):
    kept = {name: getattr(official, name) for name in _ASCII}
    try:
        for name, pattern in _ASCII.items():
            setattr(official, name, pattern)
        return function(*operands)
    finally:
        for name, pattern in kept.items():
            setattr(official, name, pattern)


def _datetime(*operands):
    if len(operands) == 3 and isinstance(operands[0], str) and operands[0].strip().startswith("0000-"):
        actual, symbol, target = operands
        seconds = official._convert_rfc3339_to_unix_seconds(f"{CYCLE:04}" + actual.strip()[4:])
        bound = official._convert_unix_milliseconds_to_seconds(target)
        if seconds is None or bound is None or not isinstance(symbol, str):
            return False
        return official._comparator_matches(seconds - CYCLE_SECONDS - bound, symbol)
    return official.datetime_compare(*operands)


ASCII_OPERATORS = {
    "semver_compare": lambda *operands: _with_ascii(official.semver_compare, *operands),
    "datetime_compare": lambda *operands: _with_ascii(_datetime, *operands),
}


def apply(tree, data, lazy, operators):
    """json_logic's jsonLogic, with operators replaced and, if asked for, with lazy ones."""
    if not isinstance(tree, dict):
        return tree
    data = data or {}
    operator, values = next(iter(tree.items()))
    if not isinstance(values, (list, tuple)):
        values = [values]

    def at(value):
        return apply(value, data, lazy, operators)

    if lazy and operator in ("and", "or"):
        result = None
        for value in values:
            result = at(value)
            if bool(result) == (operator == "or"):
                break
        return result
    if lazy and operator in ("if", "?:"):
        for i in range(0, len(values) - 1, 2):
            if at(values[i]):
                return at(values[i + 1])
        return at(values[-1]) if len(values) % 2 else None
    values = [at(value) for value in values]
    if operator == "var":
        return json_logic.get_var(data, *values)
    if operator == "missing":
        return json_logic.missing(data, *values)
    if operator == "missing_some":
        return json_logic.missing_some(data, *values)
    return operators.get(operator, json_logic.operations[operator])(*values)


def truth(rule, context, python, ours):
    """Whether the rule matches. `python` are the rows still on Python's side, `ours` tells what mpflags says of the rule."""
    data = context.get("custom_properties")
    if not isinstance(data, dict):
        return False
    if not data and rows.EMPTY in python:
        return False
    text = str.casefold if rows.CASE in python else str.lower
    folded, folded_data = fold(rule, text, keys=False), fold(data, text, keys=True)
    higher = has_operator(rule, HIGHER)
    if (higher and rows.HIGHER not in python) or (
        not higher and rows.MIXED not in python and not is_well_typed(folded, folded_data)
    ):
        return ours()
    try:
        result = apply(
            folded,
            folded_data,
            rows.LAZY not in python,
            {} if rows.DIGITS in python else ASCII_OPERATORS,
        )
    except Exception:
        return False
    return bool(result) if rows.TRUTH in python else (result == {} and isinstance(result, dict)) or bool(result)


def is_well_typed(tree, data):
    try:
        _typed(tree, data)
    except NotWellTyped:
        return False
    return True


def _kind(value):
    if value is None or isinstance(value, dict):
        raise NotWellTyped
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > LAST_EXACT:
        raise NotWellTyped
    return type(value)


def _need(condition):
    if not condition:
        raise NotWellTyped


def _typed(tree, data):
    """The value of a tree in which every operand has the one type that its operator is for; else NotWellTyped."""
    if isinstance(tree, list):
        _need(all(_kind(item) in (str, int, float) for item in tree) and len({type(item) for item in tree}) <= 1)
        return tree
    if not isinstance(tree, dict):
        return tree
    _need(len(tree) == 1)
    operator, operands = next(iter(tree.items()))
    if not isinstance(operands, list):
        operands = [operands]
    if operator == "var":
        return _typed_var(operands, data)
    values = [_typed(value, data) for value in operands]
    if operator in ("and", "or"):
        _need(values and all(_kind(value) is bool for value in values))
        return all(values) if operator == "and" else any(values)
    if operator in ("if", "?:"):
        _need(len(values) == 3 and _kind(values[0]) is bool)
        return values[1] if values[0] else values[2]
    if operator in ("!", "!!"):
        _need(len(values) == 1 and _kind(values[0]) is bool)
        return values[0] != (operator == "!")
    if operator in ("semver_compare", "datetime_compare"):
        return _typed_custom(operator, values)
    _need(operator in ("==", "!=", "===", "!==", "<", "<=", ">", ">=", "in") and len(values) == 2)
    left, right = values
    if operator == "in":
        if _kind(right) is list:
            _need(not right or _kind(left) is type(right[0]))
        else:
            # In an empty text JavaScript's engine finds nothing, not even the empty text.
            _need(_kind(left) is str and _kind(right) is str and right)
    elif operator in ("===", "!=="):
        _need(_kind(left) is _kind(right) and _kind(left) in (str, int, float, bool))
    else:
        numbers = {_kind(left), _kind(right)} <= {int, float}
        same = _kind(left) is _kind(right) and _kind(left) is str
        if (same and "<" in operator) or ">" in operator:
            _need(not same or max(left + right, default="") <= "\ud7ff")
        _need(numbers or same or (operator in ("==", "!=") and _kind(left) is _kind(right) is bool))
    return json_logic.operations[operator](left, right)


def _typed_var(operands, data):
    _need(operands and isinstance(operands[0], str) and operands[0] and "." not in operands[0])
    name = operands[0]
    if name in data:
        _need(data[name] is not None)
        return data[name]
    _need(len(operands) == 2 and not isinstance(operands[1], (dict, list)) and operands[1] is not None)
    return operands[1]


def _typed_custom(operator, values):
    _need(len(values) == 3 and all(_kind(value) in (str, int, float) for value in values))
    actual, symbol, target = values
    _need(isinstance(actual, str) and isinstance(symbol, str))
    _need(isinstance(target, str) == (operator == "semver_compare"))
    return ASCII_OPERATORS[operator](*values)
