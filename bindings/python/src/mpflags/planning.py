"""Plans rollouts with tables of users: how a flag distributes them, and who changes variant under other definitions."""

from __future__ import annotations

import difflib
import json
import typing
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from .client import Client
from .config import LocalFlagsConfig
from .errors import InvalidArgument
from .sample_ratio import sample_ratio

Definitions: typing.TypeAlias = Mapping[str, typing.Any] | str
Columns: typing.TypeAlias = Mapping[str, str | None]

# How often each row is evaluated with a random id, at least, and how many such rows a small table makes, roughly.
_COPIES, _SMALL = 4, 200_000
_MAX_COPIES = 100
_RANDOM = "mpflags random id"
# Larger batches are evaluated in parts.
_MAX_BATCH = 131_072


@dataclass(frozen=True)
class Share:
    """The rows with one outcome.

    `rollout` is None for an outcome without one: a tester, an override, a user whom no rollout admits, an error. `share` is of
    all rows. `expected` is the share of the same rows if each had a random id; None for testers, overrides and errors.
    """

    rollout: int | None
    variant: str | None
    reason: str
    error: str | None
    rows: int
    share: float
    expected: float | None


@dataclass(frozen=True)
class Distribution:
    """How a flag distributes the rows of a table.

    `p_value` is the probability that random ids differ from their expected shares at least as much as these ids do. A tiny one,
    such as 0.0001, means that the ids are not distributed like random ones, or occur more than once. `rollout_p_values` has the
    same for the variants of each rollout. Both are None where there is nothing to compare.
    """

    flag: str
    rows: int
    shares: tuple[Share, ...]
    p_value: float | None
    rollout_p_values: Mapping[int, float | None]

    def __str__(self) -> str:
        lines = [("rollout", "variant", "rows", "share", "expected", "")]
        for share in self.shares:
            expected = "" if share.expected is None else f"{share.expected:.2%}"
            rollout = "-" if share.rollout is None else str(share.rollout)
            why = share.error or share.reason
            lines.append((rollout, share.variant or "-", f"{share.rows:,}", f"{share.share:.2%}", expected, why))
        tests = [f"sample ratio: {_p(self.p_value)}"]
        tests += [
            f"sample ratio of rollout {rollout}: {_p(p)}"
            for rollout, p in self.rollout_p_values.items()
            if p is not None
        ]
        return "\n".join([f"{self.flag}: {self.rows:,} rows", "", *_aligned(lines), "", *tests])


@dataclass(frozen=True)
class Move:
    """The rows that have one variant before and another, or the same one, after. None stands for no variant."""

    before: str | None
    after: str | None
    rows: int


@dataclass(frozen=True)
class WhatIf:
    """What other definitions change. `moves` has all pairs of variants that occur, by number of rows."""

    flag: str
    rows: int
    moves: tuple[Move, ...]

    @property
    def changed(self) -> int:
        """The number of rows whose variant changes."""
        return sum(move.rows for move in self.moves if move.before != move.after)

    def __str__(self) -> str:
        lines = [("before", "after", "rows", "share", "")]
        for move in self.moves:
            changes = "" if move.before == move.after else "changes"
            share = f"{move.rows / self.rows:.2%}"
            lines.append((move.before or "-", move.after or "-", f"{move.rows:,}", share, changes))
        return "\n".join([f"{self.flag}: {self.changed:,} of {self.rows:,} rows change", "", *_aligned(lines)])


def distribution(
    data: typing.Any, flag: str, definitions: Definitions, *, columns: Columns | None = None
) -> Distribution:
    """Counts the rows of `data` by the rollout and the variant of `flag`, and tests whether they are as random ids would be.

    `data` and `columns` are as in `Client.evaluate_table`; `definitions` is a definitions document as a dict or JSON text. Each
    row should be another user: of the key that the flag is bucketed by. Random ids replace that key and leave the rest of a row
    alone, so the expected shares include what rules and the dependence of buckets do; see docs/evaluation.md.

    Raises `InvalidArgument`, which names the flag or the column.
    """
    bucketed_by(flag, definitions)
    evaluation = _Evaluation(flag, definitions, columns)
    found: Counter[_Outcome] = Counter()
    redrawn: Counter[_Outcome] = Counter()
    copies = None
    for batch in _parts(_reader(data)):
        outcomes = evaluation.outcomes(batch)
        found.update(_counts(outcomes))
        by_bucket = batch.filter(_by_bucket(outcomes))
        if copies is None and batch.num_rows:
            copies = min(max(_COPIES, _SMALL // batch.num_rows), _MAX_COPIES)
        for _ in range(copies or 0):
            redrawn.update(_counts(evaluation.redrawn(by_bucket)))
    return _distribution(flag, found, redrawn)


def what_if(
    data: typing.Any, flag: str, before: Definitions, after: Definitions, *, columns: Columns | None = None
) -> WhatIf:
    """Counts the rows of `data` by the variant of `flag` under two definitions documents.

    Arguments are those of `distribution`. A flag that one document lacks gives no variant there.
    """
    pa = _pyarrow()
    moves: Counter[tuple[str | None, str | None]] = Counter()
    for _, old, new in _compared(_reader(data), flag, before, after, columns):
        groups = pa.table({"before": old, "after": new}).group_by(["before", "after"]).aggregate([([], "count_all")])
        for group in groups.to_pylist():
            moves[group["before"], group["after"]] += group["count_all"]
    ordered = sorted(moves.items(), key=lambda move: (-move[1], str(move[0])))
    return WhatIf(flag, moves.total(), tuple(Move(old, new, rows) for (old, new), rows in ordered))


def changed_rows(
    data: typing.Any,
    flag: str,
    before: Definitions,
    after: Definitions,
    *,
    columns: Columns | None = None,
    keep: list[str] | None = None,
) -> typing.Any:
    """The rows of `data` whose variant changes, as a `pyarrow.RecordBatchReader`: the columns that `keep` names, or all, then the
    variants `before` and `after`. Arguments are those of `what_if`."""
    pa = _pyarrow()
    import pyarrow.compute as pc  # noqa: PLC0415 - optional

    reader = _reader(data)
    names = reader.schema.names if keep is None else list(keep)
    for name in names:
        if name not in reader.schema.names:
            raise InvalidArgument(
                f"keep: the table has no column {name!r}; it has {', '.join(map(repr, reader.schema.names))}"
            )
        if name in ("before", "after"):
            raise InvalidArgument(f"keep: {name!r} is the name of a column of the result: rename that of the table")
    variants = [pa.field("before", pa.string()), pa.field("after", pa.string())]
    schema = pa.schema([*(reader.schema.field(name) for name in names), *variants])

    def batches() -> Iterator[typing.Any]:
        for batch, old, new in _compared(reader, flag, before, after, columns):
            changes = pc.coalesce(pc.not_equal(old, new), pc.xor(pc.is_null(old), pc.is_null(new)))
            both = [*(batch.column(name) for name in names), old, new]
            yield pa.record_batch(both, schema=schema).filter(changes)

    return pa.RecordBatchReader.from_batches(schema, batches())


# Rollout, variant, reason, error.
_Outcome: typing.TypeAlias = tuple[int | None, str | None, str, str | None]


class _Evaluation:
    """Evaluates one flag under one document, batch by batch."""

    def __init__(self, flag: str, definitions: Definitions, columns: Columns | None) -> None:
        self._pa = _pyarrow()
        text = definitions if isinstance(definitions, str) else json.dumps(_document(definitions))
        config = LocalFlagsConfig(definitions=text, enable_polling=False, report_exposures=False)
        self._client = Client.local("table", config)
        self._flag = flag
        self._columns = dict(columns or {})
        self._subject = _bucketed_by(_flags(definitions).get(flag))
        self._seed = 0

    def outcomes(self, batch: typing.Any, columns: Columns | None = None) -> typing.Any:
        """A table with a row for each row of the batch, and the columns `variant`, `reason`, `error` and `rollout`."""
        results = self._client.evaluate_table(
            batch, [self._flag], columns=self._columns if columns is None else columns, dictionary=False, rollouts=True
        )
        structs = self._pa.table(results).column(self._flag)
        return self._pa.Table.from_arrays(structs.flatten(), [field.name for field in structs.type]).drop_columns(
            "value"
        )

    def redrawn(self, batch: typing.Any) -> typing.Any:
        """The outcomes with a random id in place of each one that the flag is bucketed by. Rules see what they saw."""
        import pyarrow.compute as pc  # noqa: PLC0415 - optional

        columns = dict(self._columns)
        for name in batch.schema.names:
            if columns.get(name, name) == self._subject:
                # What a column without an entry is besides the key.
                seen = name not in columns and name != "distinct_id"
                columns[name] = f"custom_properties.{name}" if seen else None
        columns[_RANDOM] = self._subject
        self._seed += 1
        ids = pc.random(batch.num_rows, initializer=self._seed).cast(self._pa.string())
        return self.outcomes(batch.append_column(_RANDOM, ids), columns)


def _compared(
    reader: typing.Any, flag: str, before: Definitions, after: Definitions, columns: Columns | None
) -> Iterator[tuple[typing.Any, typing.Any, typing.Any]]:
    """Each batch with its variants under both documents."""
    if flag not in _flags(before):
        bucketed_by(flag, after)
    old, new = (_Evaluation(flag, document, columns) for document in (before, after))
    for batch in _parts(reader):
        yield batch, *(each.outcomes(batch).column("variant").combine_chunks() for each in (old, new))


def bucketed_by(flag: str, definitions: Definitions) -> str:
    """The key of a context that the flag is bucketed by. Raises `InvalidArgument` for a flag that is not defined."""
    flags = _flags(definitions)
    if flag not in flags:
        near = difflib.get_close_matches(flag, flags, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise InvalidArgument(f"flag: the definitions have no flag {flag!r}{hint}")
    return _bucketed_by(flags[flag])


def _bucketed_by(definition: Mapping[str, typing.Any] | None) -> str:
    key = (definition or {}).get("context")
    return key if isinstance(key, str) else "distinct_id"


def _flags(definitions: Definitions) -> dict[str, Mapping[str, typing.Any]]:
    """The definitions of flags by key. What cannot be read is left to the library."""
    flags = _document(definitions).get("flags")
    listed = flags if isinstance(flags, list) else []
    return {each["key"]: each for each in listed if isinstance(each, Mapping) and isinstance(each.get("key"), str)}


def _document(definitions: Definitions) -> Mapping[str, typing.Any]:
    try:
        document = json.loads(definitions) if isinstance(definitions, str) else definitions
    except ValueError as error:
        raise InvalidArgument(f"definitions: not JSON: {error}") from None
    if not isinstance(document, Mapping):
        raise InvalidArgument(f"definitions: expected an object with flags, got {type(document).__name__}")
    return document


def _counts(outcomes: typing.Any) -> dict[_Outcome, int]:
    names = ["rollout", "variant", "reason", "error"]
    groups = outcomes.group_by(names).aggregate([([], "count_all")]).to_pylist()
    return {typing.cast("_Outcome", tuple(group[name] for name in names)): group["count_all"] for group in groups}


def _by_bucket(outcomes: typing.Any) -> typing.Any:
    """Which rows a bucket decided: neither a tester nor an override nor an error."""
    import pyarrow.compute as pc  # noqa: PLC0415 - optional

    has_rollout, no_variant = pc.is_valid(outcomes["rollout"]), pc.is_null(outcomes["variant"])
    decided = pc.or_(has_rollout, pc.and_(no_variant, pc.equal(outcomes["reason"], "DEFAULT")))
    return decided.combine_chunks()


def _distribution(flag: str, found: Counter[_Outcome], redrawn: Counter[_Outcome]) -> Distribution:
    rows, scale = found.total(), 0.0
    compared = [outcome for outcome in found if _is_compared(outcome)]
    compared += [outcome for outcome in redrawn if outcome not in found]
    if redrawn:
        scale = sum(found[outcome] for outcome in compared) / redrawn.total()
    shares = []
    for outcome in sorted({*found, *redrawn}, key=_order):
        expected = redrawn[outcome] * scale / rows if outcome in compared else None
        shares.append(Share(*outcome, found[outcome], found[outcome] / rows, expected))

    def p_value(outcomes: list[_Outcome]) -> float | None:
        return sample_ratio([found[each] for each in outcomes], [redrawn[each] for each in outcomes])

    rollouts = sorted({outcome[0] for outcome in compared if outcome[0] is not None})
    by_rollout = {at: p_value([outcome for outcome in compared if outcome[0] == at]) for at in rollouts}
    return Distribution(flag, rows, tuple(shares), p_value(compared), by_rollout)


def _is_compared(outcome: _Outcome) -> bool:
    rollout, variant, reason, _ = outcome
    return rollout is not None or (variant is None and reason == "DEFAULT")


def _order(outcome: _Outcome) -> tuple[bool, int, str, str, str]:
    rollout, variant, reason, error = outcome
    return rollout is None, rollout or 0, variant or "\U0010ffff", reason, error or ""


def _parts(reader: typing.Any) -> Iterator[typing.Any]:
    for batch in reader:
        for start in range(0, batch.num_rows, _MAX_BATCH):
            yield batch.slice(start, _MAX_BATCH)


def _reader(data: typing.Any) -> typing.Any:
    if not hasattr(data, "__arrow_c_stream__"):
        raise InvalidArgument(f"data: expected an object with __arrow_c_stream__, got {type(data).__name__}")
    return _pyarrow().RecordBatchReader.from_stream(data)


def _pyarrow() -> typing.Any:
    try:
        import pyarrow  # noqa: PLC0415 - optional
    except ImportError:
        raise InvalidArgument("mpflags.table needs pyarrow: pip install pyarrow") from None
    return pyarrow


def _p(p_value: float | None) -> str:
    if p_value is None:
        return "nothing to compare"
    return f"p = {p_value:.4f}" + (", unlike random ids" if p_value < 0.001 else "")


def _aligned(lines: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    justify: tuple[Callable[[str, int], str], Callable[[str, int], str]] = (str.ljust, str.rjust)
    return [
        "  ".join(
            justify[2 <= at < len(line) - 1](cell, width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
