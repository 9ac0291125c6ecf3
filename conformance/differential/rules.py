"""Rules as Mixpanel's editor writes them, by data type, and arbitrary JSON Logic."""

STRINGS = ["pro", "Pro", "PRO", "free", "Team", "", "a", "b", "ab", "Straße", "STRASSE", "ΟΔΟΣ", "οδος", "İstanbul", "ſet", "Ǆ", "用户", "😀", "\ufb01n",
           "\uff5e", "null", "true", "0", "1", "42", "1e1", " 5 ", "05", "5.0", "0x10", "NaN", "de", "DE", "fr", "banana", "constructor", "a,b"]  # fmt: skip
NUMBERS = [0, 1, -1, 2, 5, 10, 18, 25, 42, 100, 1000, 0.0, 1.0, 42.0, 0.1, 0.5, 1.5, -2.5, 1e-7, 1e16, 1e21, 2**31, 2**53, 2**53 + 1, -(2**63), 2**64]
VERSIONS = ["1.2.3", "v1.2.3", "V1.2", "1", "1.10", "1.9.9", "2.0.0", "1.2.3-alpha", "1.2.3-Alpha.1", "1.2.3-alpha.beta", "1.2.3-rc.1+build.5", "1.2.3+b",
            "1.02.3", "1.2.3.4", "", "x", " 1.2.3 ", "\ufeff1.2.3", "1.2.3\x1f", "1.٢.3", "18446744073709551617.0.0", "1.0.0-0", "1.0.0-01", "1.0.0--", "vv1", "v"]  # fmt: skip
TIMES = ["2026-07-16T00:00:00Z", "2026-07-16t00:00:00z", "2026-07-16T02:00:00+02:00", "2026-07-15T23:59:59.999Z", "2026-07-16T00:00:00.5Z", "2026-02-29T00:00:00Z",
         "2024-02-29T00:00:00Z", "1969-12-31T23:59:59.5Z", "1970-01-01T00:00:00Z", "2026-07-16", "2026-07-16T00:00:00", "2026-07-16T24:00:00Z",
         "2026-07-16T23:59:60Z", "0000-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-07-16T00:00:00+23:59",
         "2026-07-16T00:00:00-23:59", "2026-07-16T00:00:00+24:00", "2026-07-16T00:00:00+00:60", "2026-07-16T00:60:00Z", "٢٠٢٦-07-16T00:00:00Z",
         " 2026-07-16T00:00:00Z ", "2026-7-16T00:00:00Z", "2026-07-16 00:00:00Z", "2026-13-01T00:00:00Z", "2026-07-16T00:00:00.Z", "2026-07-16T00:00:00+0200"]  # fmt: skip
MILLISECONDS = [1784160000000, 1784160000999, 1784159999000, 0, -1, -500, -1000, 1784160000000.5, 253402300799000, -62167219200000, -62135596800000, 2**63, 2**53 + 1,
                1e20, "1784160000000", None, True]  # fmt: skip
SYMBOLS = ["===", "!==", "<", "<=", ">", ">="]
NAMES = ["plan", "Plan", "country", "age", "score", "beta", "tags", "version", "seen", "nested.inner", "Straße", "用户", "constructor", "length", "a"]
DATA_TYPES = ["string", "number", "boolean", "list", "datetime", "semver", "mixed types", "every operator"]
OPERATORS = {
    "var": (0, 2), "missing": (0, 3), "missing_some": (1, 2), "if": (0, 5), "?:": (2, 3), "==": (2, 2), "===": (2, 2), "!=": (2, 2), "!==": (2, 2), "!": (1, 1),
    "!!": (1, 1), "or": (0, 3), "and": (0, 3), ">": (2, 2), ">=": (2, 2), "<": (2, 3), "<=": (2, 3), "max": (0, 3), "min": (0, 3), "+": (0, 3), "-": (1, 2),
    "*": (0, 3), "/": (2, 2), "%": (2, 2), "map": (2, 2), "reduce": (2, 3), "filter": (2, 2), "all": (2, 2), "none": (2, 2), "some": (2, 2), "merge": (0, 3),
    "in": (2, 2), "cat": (0, 3), "substr": (1, 3), "log": (1, 1), "semver_compare": (3, 3), "datetime_compare": (3, 3), "unknown": (1, 2),
}  # fmt: skip
OVER_ELEMENTS = {"map", "reduce", "filter", "all", "none", "some"}


class Rules:
    def __init__(self, rng):
        self.rng = rng

    def one(self, *choices):
        return self.rng.choice(choices)

    def scalar(self):
        rng = self.rng
        return rng.choice([rng.choice(STRINGS), rng.choice(STRINGS), rng.choice(NUMBERS), rng.choice(NUMBERS), True, False, None])

    def value(self, depth=2):
        """Any JSON value that a property may have."""
        rng, draw = self.rng, self.rng.random()
        if depth and draw < 0.15:
            return [self.value(depth - 1) for _ in range(rng.randrange(4))]
        if depth and draw < 0.25:
            return {rng.choice(NAMES).split(".")[0]: self.value(depth - 1) for _ in range(rng.randrange(3))}
        if draw < 0.3:
            return rng.choice([rng.choice(VERSIONS), rng.choice(TIMES), rng.choice(MILLISECONDS)])
        return self.scalar()

    def of_type(self, data_type):
        """A value of a data type, for a property or as a literal of a rule."""
        rng = self.rng
        if data_type == "string":
            return rng.choice(STRINGS)
        if data_type == "number":
            return rng.choice(NUMBERS)
        if data_type == "boolean":
            return rng.random() < 0.5
        if data_type == "list":
            pool = rng.choice([STRINGS, STRINGS[:9], NUMBERS])
            return [rng.choice(pool) for _ in range(rng.randrange(5))]
        if data_type == "datetime":
            return rng.choice(TIMES)
        if data_type == "semver":
            return rng.choice(VERSIONS)
        return self.value()

    def rule(self, data_type, names):
        """A rule of one to three conditions on properties `names`, with values of the data type."""
        rng = self.rng
        if data_type == "every operator":
            return self.tree(rng.randrange(1, 5), names)
        parts = [self.part(data_type, {"var": rng.choice(names)}) for _ in range(rng.choice([1, 1, 2, 3]))]
        if len(parts) == 1 and rng.random() < 0.6:
            return parts[0]
        joined = {self.one("and", "or"): parts}
        return {"!": joined} if rng.random() < 0.1 else joined

    def part(self, data_type, var):
        rng = self.rng
        if data_type == "mixed types":
            data_type = self.one("string", "number", "boolean", "list", "datetime", "semver", "fuzzy")
        if data_type == "string":
            literal = rng.choice(STRINGS)
            return self.one(
                {self.one("===", "==", "!==", "!="): [var, literal]},
                {self.one(*SYMBOLS): [var, literal]},
                {"in": [literal, var]},
                {"!": {"in": [literal, var]}},
                {"in": [var, [rng.choice(STRINGS) for _ in range(rng.randrange(4))]]},
            )
        if data_type == "number":
            literal = rng.choice(NUMBERS)
            return self.one(
                {self.one(*SYMBOLS, "==", "!="): [var, literal]},
                {self.one("<", "<="): [rng.choice(NUMBERS), var, literal]},
                {"in": [var, [rng.choice(NUMBERS) for _ in range(rng.randrange(4))]]},
            )
        if data_type == "boolean":
            return self.one({self.one("===", "==", "!==", "!="): [var, rng.random() < 0.5]}, {"!": var}, {"!!": [var]}, var)
        if data_type == "list":
            literal = rng.choice(rng.choice([STRINGS, NUMBERS]))
            element = {self.one("===", "==", "!==", "<", ">="): [{"var": ""}, literal]}
            return self.one({self.one("some", "all", "none"): [var, element]}, {"in": [literal, var]})
        if data_type == "datetime":
            if rng.random() < 0.2:
                return {self.one(*SYMBOLS): [var, rng.choice(TIMES)]}
            compare = {"datetime_compare": [var, self.one(*SYMBOLS), rng.choice(MILLISECONDS)]}
            return {"!": compare} if rng.random() < 0.1 else compare
        if data_type == "semver":
            compare = {"semver_compare": [var, self.one(*SYMBOLS), rng.choice(VERSIONS)]}
            return {"!": compare} if rng.random() < 0.1 else compare
        return {self.one("==", "!="): [var, self.scalar()]}

    def tree(self, depth, names, element=False):
        """Any rule: every operator, sometimes with the wrong number of operands."""
        rng = self.rng
        if depth == 0 or rng.random() < 0.1:
            draw = rng.random()
            if element and draw < 0.5:
                return {"var": self.one("", "current", "accumulator", "a")}
            if draw < 0.5:
                return {"var": rng.choice(names)}
            return self.value(1) if draw < 0.9 else rng.choice([SYMBOLS[0], rng.choice(names), rng.randrange(-2, 4)])
        operator = rng.choice(list(OPERATORS))
        low, high = OPERATORS[operator]
        count = rng.randint(low, high) if rng.random() < 0.95 else rng.randrange(5)
        operands = [self.tree(depth - 1, names, element or operator in OVER_ELEMENTS and i == 1) for i in range(count)]
        if operator == "var" and operands and rng.random() < 0.8:
            operands[0] = rng.choice([rng.choice(names), "", "a.b", "tags.0", "tags.length", "nested.inner", 0, None, "constructor", "tags.-1", "plan.0"])
        if operator in ("missing", "missing_some") and rng.random() < 0.8:
            operands = rng.sample(names, min(len(names), rng.randrange(1, 3)))
            operands = operands if operator == "missing" else [rng.randrange(3), operands]
        if operator in ("semver_compare", "datetime_compare") and len(operands) == 3 and rng.random() < 0.8:
            operands[1:] = [self.one(*SYMBOLS, "=="), rng.choice(VERSIONS if operator[0] == "s" else MILLISECONDS)]
        if operator in OVER_ELEMENTS and operands and rng.random() < 0.6:
            operands[0] = rng.choice([{"var": "tags"}, [1, 2, "a", ""], {"var": rng.choice(names)}])
        if len(operands) == 1 and rng.random() < 0.3 and not isinstance(operands[0], list):
            return {operator: operands[0]}
        return {operator: operands}

    def near(self, literals, data_type):
        """A property value that a rule with these literals may match: one of them, something similar, or any of the data type."""
        rng = self.rng
        draw = rng.random()
        if literals and draw < 0.45:
            literal = rng.choice(literals)
            if data_type == "list":
                return [literal, *self.of_type("list")][: rng.randrange(1, 4)]
            if isinstance(literal, str) and draw < 0.2:
                return rng.choice([literal.upper(), literal.lower(), literal + "x", literal.title()])
            if isinstance(literal, (int, float)) and not isinstance(literal, bool) and draw < 0.2:
                return rng.choice([literal + 1, literal - 1, float(literal), -literal])
            return literal
        return self.of_type(data_type) if draw < 0.85 else self.value()


def literals(rule):
    if isinstance(rule, dict):
        return [literal for operator, operands in rule.items() if operator != "var" for literal in literals(operands)]
    if isinstance(rule, list):
        # A long list comes from `wide`, and its items are all the same.
        return [literal for item in rule[:100] for literal in literals(item)]
    return [] if rule in SYMBOLS else [rule]


def deep(operators):
    """A rule with this many nested operators."""
    rule = {"var": "plan"}
    for _ in range(operators - 1):
        rule = {"!": [rule]}
    return rule


def wide(values):
    """A rule with this many values."""
    return {"in": [{"var": "plan"}, ["x"] * (values - 5)]}


