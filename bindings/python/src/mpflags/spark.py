"""Evaluates flags for the rows of a Spark DataFrame, with `DataFrame.mapInArrow`. docs/tables.md has an example.

This module imports pyarrow, which Spark needs for `mapInArrow` anyway, and nothing of Spark.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from .client import Client
from .config import LocalFlagsConfig
from .errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

_RESULT = "struct<variant:string,value:string,reason:string,error:string>"


class MapInArrow:
    """The function that `map_in_arrow` returns. Spark pickles it and calls it for each partition."""

    def __init__(
        self, definitions: str, flags: list[str], columns: dict[str, str | None] | None, keep: list[str]
    ) -> None:
        self._definitions, self._flags, self._columns, self._keep = definitions, flags, columns, keep

    def schema(self, df: Any) -> str:
        """The schema of the results for this DataFrame, as `mapInArrow` takes it."""
        types = {field.name: field.dataType.simpleString() for field in df.schema.fields}
        for name in self._keep:
            if name not in types:
                raise InvalidArgument(
                    f"keep: the DataFrame has no column {name!r}; it has {', '.join(map(repr, types))}"
                )
        kept = [f"{_quoted(name)} {types[name]}" for name in self._keep]
        return ", ".join([*kept, *(f"{_quoted(flag)} {_RESULT}" for flag in self._flags)])

    def __call__(self, batches: Iterator[Any]) -> Iterator[Any]:
        import pyarrow  # noqa: PLC0415 - on the driver it is not needed

        first = next(batches, None)
        if first is None:
            return

        def all_batches() -> Iterator[Any]:
            yield first
            yield from batches

        users = pyarrow.RecordBatchReader.from_batches(first.schema, all_batches())
        # Spark cannot read dictionaries.
        results = _client(self._definitions).evaluate_table(
            users, self._flags, columns=self._columns, keep=self._keep, dictionary=False
        )
        yield from pyarrow.RecordBatchReader.from_stream(results)


def map_in_arrow(
    definitions: Mapping[str, Any] | str,
    flags: Iterable[str],
    *,
    columns: Mapping[str, str | None] | None = None,
    keep: Iterable[str] = (),
) -> MapInArrow:
    """A function for `DataFrame.mapInArrow` that evaluates `flags` for each row, and its `schema(df)`.

    `definitions` is a definitions document, as a dict or JSON text, so that every worker uses the same one. `columns` and `keep`
    are those of `Client.evaluate_table`. Each worker process makes one client, without threads and requests, and uses it for
    all of its partitions. No exposures are reported.

    Raises `InvalidArgument` or `InvalidConfig` on the driver for what the workers could not use.
    """
    if isinstance(flags, str) or isinstance(keep, str):
        name, given = ("flags", flags) if isinstance(flags, str) else ("keep", keep)
        raise InvalidArgument(f"{name}: expected a list of strings, got the string {given!r}")
    if not isinstance(definitions, (Mapping, str)):
        raise InvalidArgument(f"definitions: expected a dict or JSON text, got {type(definitions).__name__}")
    text = definitions if isinstance(definitions, str) else json.dumps(definitions, allow_nan=False)
    _client(text)
    return MapInArrow(text, list(flags), None if columns is None else dict(columns), list(keep))


# The client of this process, by definitions. Workers outlive jobs, so only the latest few are kept.
_clients: dict[str, Client] = {}
_MAX_CLIENTS = 4


def _client(definitions: str) -> Client:
    client = _clients.get(definitions)
    if client is None:
        if len(_clients) >= _MAX_CLIENTS:
            _clients.pop(next(iter(_clients)))
        config = LocalFlagsConfig(definitions=definitions, enable_polling=False, report_exposures=False)
        client = _clients[definitions] = Client.local("spark", config)
    return client


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
