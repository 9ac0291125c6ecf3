"""What a flag gives, in Python's way or in mpflags', and in every mixture of the two.

`python` is the set of rows (rows.py) that are on Python's side. With all of them the model must say what Mixpanel's
client says, with none what mpflags says. A difference belongs to the rows at which the model's answer turns.
"""

from . import rows, rules


class Raises(Exception):
    """Mixpanel's client raises here; its provider answers GENERAL."""


def bucket(subject, salt):
    h = 0xCBF29CE484222325
    for byte in (subject + salt).encode():
        h = (h ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return h % 100 / 100.0


def unwrapped(value):
    """Both providers hand a whole float on as an integer."""
    if isinstance(value, dict):
        return {k: unwrapped(v) for k, v in value.items()}
    if isinstance(value, list):
        return [unwrapped(v) for v in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def ecma_number(value):
    """A number as ECMAScript prints it."""
    if value == int(value) and abs(value) < 1e21:
        return str(int(value))
    digits, _, exponent = repr(float(value)).partition("e")
    if exponent:
        power = int(exponent)
        if -6 <= power < 0:
            sign, digits = ("-", digits[1:]) if digits.startswith("-") else ("", digits)
            return sign + "0." + "0" * (-power - 1) + digits.replace(".", "").rstrip()
        return f"{digits.removesuffix('.0')}e{power:+d}"
    return digits


def ecma_text(value):
    """String(value)."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, list):
        return ",".join("" if item is None else ecma_text(item) for item in value)
    if isinstance(value, dict):
        return "[object Object]"
    return ecma_number(value)


def own_text(value):
    """The subject's text in mpflags; None where there is none."""
    if value is None or (value == "" and isinstance(value, str)) or isinstance(value, (list, dict)):
        return None
    if isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**64:
        return str(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return ecma_number(float(value))
    return ecma_text(value)


def subject(value, python):
    """The text that a user is divided by, or None."""
    own = own_text(value)
    official = str(value) if value else None
    if isinstance(value, (list, dict)):
        row = rows.SUBJECT_ARRAY
    elif isinstance(value, bool):
        row = rows.SUBJECT_TRUE if value else rows.SUBJECT_ZERO
    elif isinstance(value, (int, float)):
        row = rows.SUBJECT_FLOAT if isinstance(value, float) else rows.SUBJECT_BIG if value else rows.SUBJECT_ZERO
    else:
        return own
    return official if row in python else own


def same_key(left, right, python):
    if not isinstance(left, str):
        raise Raises
    fold = str.casefold if rows.CASE in python else str.lower
    return fold(left) == fold(right)


def named(key, variants, python):
    return next((variant for variant in variants if same_key(key, variant["key"], python)), None)


def tester(ruleset, context, variants, python):
    users = (ruleset.get("test") or {}).get("users")
    user = context.get("distinct_id")
    if not users or not user:
        return None
    if isinstance(user, (list, dict)):
        if rows.TESTER_ARRAY in python:
            raise Raises
        return None
    if not isinstance(user, str):
        if rows.TESTER_TEXT in python:
            return None
        user = own_text(user)
    key = users.get(user)
    return named(key, variants, python) if key else None


def legacy(pairs, context, python):
    data = context.get("custom_properties")
    if not isinstance(data, dict) or not data:
        return False
    fold = str.casefold if rows.CASE in python else str.lower
    data = rules.fold(data, fold, keys=True)
    for pair_name, pair_value in pairs.items():
        name = pair_name if rows.LEGACY_CAPITALS in python else fold(pair_name)
        if name not in data:
            return False
        actual, expected = data[name], pair_value
        if not (isinstance(actual, str) and isinstance(expected, str)):
            if rows.LEGACY_TEXT in python:
                raise Raises
            actual, expected = ecma_text(actual), ecma_text(expected)
        if fold(actual) != fold(expected):
            return False
    return True


def admits(flag, index, group, context, python, ours):
    rule = group.get("runtime_evaluation_rule")
    if rule:
        return rules.truth(rule, context, python, lambda: ours(flag, index))
    pairs = group.get("runtime_evaluation_definition")
    return legacy(pairs, context, python) if pairs else True


def salted(text, salt, more):
    if salt is not None and not isinstance(salt, str):
        raise Raises
    return text + (salt or "") + more


def chosen(flag, group, variants, text, python):
    override = group.get("variant_override")
    if override:
        variant = named(override["key"], variants, python)
        if variant:
            return variant
    h = bucket(text, salted(flag["key"], flag.get("hash_salt"), "variant"))
    if not variants:
        raise Raises
    cumulative = 0.0
    for variant in variants:
        split = variant.get("split", 0.0)
        splits = group.get("variant_splits")
        if splits and variant["key"] in splits:
            split = splits[variant["key"]]
        if split is None:
            if rows.WRONG_TYPE in python:
                raise Raises
            split = 0.0
        cumulative += split
        if h < cumulative:
            break
    return variant


def outcome(case, context, python, ours):
    """("variant", key, value), or one word: not_found, malformed, disabled, missing, no_match, raises."""
    if case is None or (case.emptied and rows.WRONG_TYPE in python):
        return ("not_found",)
    if case.malformed and case.malformed not in python:
        return ("malformed",)
    flag = case.flag
    if flag.get("status") in ("disabled", "archived") and rows.STATUS not in python:
        return ("disabled",)
    text = subject(context.get(flag["context"]), python)
    if text is None:
        return ("missing",)
    ruleset = flag["ruleset"]
    variants = sorted(ruleset["variants"], key=lambda variant: variant["key"])
    try:
        variant = tester(ruleset, context, variants, python)
        if variant is None:
            salt = flag.get("hash_salt")
            for index, group in enumerate(ruleset["rollout"]):
                suffix = "rollout" if salt is None else str(index)
                admitted = bucket(text, salted(flag["key"], salt, suffix)) < group["rollout_percentage"]
                if admitted and admits(flag, index, group, context, python, ours):
                    variant = chosen(flag, group, variants, text, python)
                    break
            else:
                return ("no_match",)
    except Raises:
        return ("raises",)
    return ("variant", variant["key"], variant["value"])


ERRORS = {
    "not_found": "FLAG_NOT_FOUND",
    "malformed": "PARSE_ERROR",
    "missing": "TARGETING_KEY_MISSING",
    "raises": "GENERAL",
    "disabled": None,
    "no_match": None,
}


def typed(answer, wanted, default, python):
    """(value, variant, error code) of a typed call through the OpenFeature client."""
    if answer[0] != "variant":
        return default, None, ERRORS[answer[0]]
    _, key, value = answer
    mismatch = (default, None, "TYPE_MISMATCH")
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if wanted == "float":
        return (float(value), key, None) if number else mismatch
    if wanted == "integer":
        if not number or value != int(value):
            return mismatch
        if not -(2**63) <= value < 2**63 and rows.BEYOND_64_BITS not in python:
            return mismatch
        return int(value), key, None
    kinds = {"boolean": bool, "string": str, "object": (dict, list)}[wanted]
    return (value, key, None) if isinstance(value, kinds) else mismatch


def answer(case, context, wanted, default, python, ours):
    return typed(outcome(case, unwrapped(context), python, ours), wanted, default, python)


def causes(case, context, wanted, default, ours):
    """The rows at which the model's answer turns on the way from Python's side to mpflags'."""
    python = set(rows.ORDER)
    before = answer(case, context, wanted, default, python, ours)
    found = []
    for row in rows.ORDER:
        python.discard(row)
        after = answer(case, context, wanted, default, python, ours)
        if repr(after) != repr(before):
            found.append(row)
        before = after
    return found
