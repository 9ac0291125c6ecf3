"""`python -m mpflags.table`: prints how a flag distributes the users of a file, and draws it."""

from __future__ import annotations

import argparse
import pathlib
import sys
import typing

from .errors import MpflagsError
from .planning import Distribution, bucketed_by, distribution, what_if

_TEXT = {".csv": ",", ".tsv": "\t"}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m mpflags.table",
        description="Prints how a flag distributes the users of a Parquet or CSV file, beside what random ids would give.",
    )
    parser.add_argument("definitions", help="a definitions document, as `mpflags-dev pull` writes it")
    parser.add_argument(
        "users", help="a .parquet, .csv or .tsv file, or a folder of Parquet files: a row for each user"
    )
    parser.add_argument("--flag", required=True, help="the flag's key")
    parser.add_argument(
        "--column",
        action="append",
        default=[],
        metavar="NAME=PLACE",
        help="what a column is: `user_id=distinct_id`, `tier=custom_properties.plan`, or `note=` to ignore it",
    )
    parser.add_argument("--what-if", metavar="AFTER.json", help="print who changes variant under this document instead")
    parser.add_argument("--plot", metavar="OUT.png", help="draw the distribution; needs matplotlib")
    given = parser.parse_args(arguments)
    try:
        columns = dict(_column(text) for text in given.column)
        before = _text(given.definitions)
        subject = bucketed_by(given.flag, before)
        rows = _rows(given.users, [subject, *(name for name, place in columns.items() if place == subject)])
        if given.what_if is not None:
            print(what_if(rows, given.flag, before, _text(given.what_if), columns=columns))
            return 0
        found = distribution(rows, given.flag, before, columns=columns)
        print(found)
        if given.plot is not None:
            plot(found, given.plot)
        return 0
    except (MpflagsError, _UsageError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1
    # What pyarrow raises while the file is read.
    except (OSError, ValueError) as error:
        print(f"{parser.prog}: {given.users}: {error}", file=sys.stderr)
        return 1


class _UsageError(Exception):
    pass


def _column(text: str) -> tuple[str, str | None]:
    name, equals, place = text.partition("=")
    if not equals or not name:
        raise _UsageError(f"--column {text}: expected NAME=PLACE")
    return name, place or None


def _text(path: str) -> str:
    try:
        return pathlib.Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _UsageError(f"{path}: {error.strerror if isinstance(error, OSError) else error}") from None


def _rows(path: str, texts: list[str]) -> typing.Any:
    """A reader of the file's rows. In a text file, the columns named by `texts` are strings even if they look like numbers."""
    if not pathlib.Path(path).exists():
        raise _UsageError(f"{path}: no such file")
    try:
        import pyarrow as pa  # noqa: PLC0415 - optional
        import pyarrow.csv as text_format  # noqa: PLC0415
        from pyarrow import dataset  # noqa: PLC0415
    except ImportError:
        raise _UsageError("reading a file of users needs pyarrow: pip install pyarrow") from None
    delimiter = _TEXT.get(pathlib.Path(path).suffix.lower())
    kind: typing.Any = "parquet"
    if delimiter is not None:
        kind = dataset.CsvFileFormat(
            parse_options=text_format.ParseOptions(delimiter=delimiter),
            # An id such as 007 is not the number 7.
            convert_options=text_format.ConvertOptions(column_types=dict.fromkeys(texts, pa.string())),
        )
    return dataset.dataset(path, format=kind).scanner().to_reader()


def plot(found: Distribution, path: str) -> None:
    """Draws the shares of a distribution, beside the expected ones, into a file: PNG, SVG or whatever matplotlib knows."""
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - optional
    except ImportError:
        raise _UsageError("--plot needs matplotlib: pip install matplotlib") from None
    names = []
    for share in found.shares:
        where = "" if share.rollout is None else f"rollout {share.rollout}\n"
        names.append(f"{where}{share.variant or share.error or 'no variant'}")
    figure = Figure(figsize=(max(5, 1.3 * len(names) + 2), 4.2), layout="constrained")
    axes = figure.add_subplot()
    places = range(len(names))
    axes.bar([at - 0.2 for at in places], [100 * share.share for share in found.shares], 0.4, label="these users")
    expected = [100 * (share.expected or 0) for share in found.shares]
    axes.bar([at + 0.2 for at in places], expected, 0.4, label="random ids", color="lightgray")
    axes.set_xticks(list(places), names)
    axes.set_ylabel("% of rows")
    p_value = "" if found.p_value is None else f", sample ratio p = {found.p_value:.4f}"
    axes.set_title(f"{found.flag}: {found.rows:,} rows{p_value}")
    axes.legend()
    try:
        figure.savefig(path)
    except (OSError, ValueError) as error:
        raise _UsageError(f"{path}: {error}") from None
