"""Records: the usable rows of a task, and why the others are not."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flannb.build.rows import BROKEN_UNICODE, UNREADABLE
from flannb.build.sources import Source
from flannb.collection.task import Data, Field, Record, RowError, columns_of
from flannb.errors import UserError

LONGEST_TEXT = 1_000_000
"""Characters of the longest field that is used, those of all options together. No length limit of an example is near;
a longer text is a mistake in the data, and would hold a worker up for minutes."""

LeftOut = list[tuple[int, str]]
"""Rows that gave nothing, and the reason for each."""


@dataclass(frozen=True)
class Records:
    """Usable rows of a split.

    Attributes:
        rows: position of each record in its split.
        records: the fields.
        left_out: position of each row that could not be used, and the reason.
    """

    rows: list[int]
    records: list[Record]
    left_out: LeftOut = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.records)

    @property
    def rejected(self) -> Counter[str]:
        """Reason -> number of rows that could not be used."""
        return Counter(reason for _, reason in self.left_out)


def read_records(
    source: Source,
    data: Data,
    fields: Mapping[str, Field],
    where: tuple[str, str] | None = None,
    limit: int | None = None,
    seed: int = 0,
) -> Records:
    """Reads a split's records into memory.

    Args:
        where: a column and a value: keep the rows that have it there (see ``as_text``).
        limit: at most this many rows, drawn by ``seed`` and kept in the split's order.

    Raises:
        UserError: as ``Source.read``, or no usable row.
    """
    tables = [reader.read_all() for _, reader in source.stream(data, columns_of(fields, where))]
    table = pa.concat_tables(tables, promote_options="permissive")
    rows = draw(_chosen(table, where), limit, seed)
    result = to_records(table.take(pa.array(rows)), rows.tolist(), fields)
    if not result.records:
        raise UserError(f"{source.name}: {data} {no_usable_row(result.rejected)}")
    return result


def _chosen(table: pa.Table, where: tuple[str, str] | None) -> np.ndarray:
    """The positions of the rows that ``where`` keeps."""
    rows = np.arange(table.num_rows)
    if where is None:
        return rows
    return rows[pc.equal(as_text(table[where[0]]), where[1]).fill_null(False).to_numpy(zero_copy_only=False)]


def as_text(column: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """A column by which tasks choose their rows (``Task.where``), as strings: 1 is ``1``, true is ``true``."""
    return column.cast(pa.string())


def first_records(
    source: Source, data: Data, fields: Mapping[str, Field], limit: int, where: tuple[str, str] | None = None
) -> Records:
    """The first ``limit`` usable rows of a split; what comes after them is not read.

    Args:
        where: as in ``read_records``.

    Raises:
        UserError: as ``Source.stream``.
    """

    def batches() -> Iterator[Records]:
        start = 0
        for _, reader in source.stream(data, columns_of(fields, where)):
            for batch in reader:
                table = pa.Table.from_batches([batch])
                rows = _chosen(table, where)
                yield to_records(table.take(pa.array(rows)), (start + rows).tolist(), fields)
                start += table.num_rows

    return at_most(batches(), limit)


def at_most(parts: Iterable[Records], limit: int) -> Records:
    """The first ``limit`` records of all parts, and what was left out of the parts that were asked for."""
    found = Records([], [])
    for part in parts:
        found.rows.extend(part.rows)
        found.records.extend(part.records)
        found.left_out.extend(part.left_out)
        if len(found) >= limit:
            break
    return Records(found.rows[:limit], found.records[:limit], found.left_out)


def draw(rows: np.ndarray, limit: int | None, seed: int) -> np.ndarray:
    """At most ``limit`` of the rows, drawn by ``seed`` and kept in order."""
    if limit is None or len(rows) <= limit:
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, size=limit, replace=False))


def no_usable_row(reasons: Mapping[str, int]) -> str:
    """The end of a sentence that begins with the name of a split."""
    listed = ", ".join(f"{n} rows: {reason}" for reason, n in reasons.items()) or "the split is empty"
    return f"has no usable row ({listed})"


def to_records(table: pa.Table, rows: Sequence[int], fields: Mapping[str, Field]) -> Records:
    """The records of a table's rows.

    Args:
        rows: position of each row of the table in its split.
    """
    cells = {name: _values(table[name]) for name in (*columns_of(fields), UNREADABLE) if name in table.column_names}
    bad = {i: reason for i, reason in enumerate(cells.get(UNREADABLE, ())) if reason}
    columns = []
    for name, way in fields.items():
        values, why_not = _read(name, way, [cells[column] for column in way.columns], len(rows))
        columns.append(values)
        bad = why_not | bad  # the first reason counts
    records = [dict(zip(fields, values, strict=True)) for values in zip(*columns, strict=True)]
    if "options" in fields:
        for i, record in enumerate(records):
            if i not in bad and record["answer"] not in record["options"]:
                bad[i] = "answer is not among the options"
    if not bad:
        return Records(list(rows), records)
    good = [i for i in range(len(rows)) if i not in bad]
    left_out = [(rows[i], bad[i]) for i in sorted(bad)]
    return Records([rows[i] for i in good], [records[i] for i in good], left_out)


def _read(name: str, field: Field, cells: Sequence[list[Any]], n: int) -> tuple[list[Any], dict[int, str]]:
    """A field of all ``n`` rows, and why some of them cannot be read."""
    if not any(_BROKEN in column for column in cells):
        try:
            values = list(map(field, *cells)) if cells else [field()] * n  # nearly always, all rows are good
            size = len if values and isinstance(values[0], str) else _characters
            if max(map(size, values), default=0) <= LONGEST_TEXT:
                return values, {}
        except Exception:  # whatever it is, it is found again below
            pass
    rows = zip(*cells, strict=True) if cells else repeat((), n)
    tried: list[Any] = [_read_one(name, field, row) for row in rows]
    return tried, {i: str(value) for i, value in enumerate(tried) if isinstance(value, RowError)}


def _read_one(name: str, field: Field, row: tuple[Any, ...]) -> str | tuple[str, ...] | RowError:
    try:
        if _BROKEN in row:
            raise RowError(f"{BROKEN_UNICODE} in {field.columns[row.index(_BROKEN)]}")
        value = field(*row)
        if _characters(value) > LONGEST_TEXT:
            raise RowError(f"{name} longer than {LONGEST_TEXT:,} characters")
    except RowError as error:
        return error
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError) as error:
        return RowError(f"{name} cannot be read from {'+'.join(field.columns)} ({type(error).__name__})")
    return value


def _characters(value: str | tuple[str, ...]) -> int:
    return len(value) if isinstance(value, str) else sum(map(len, value))


_BROKEN = object()
"""Stands for a value with bytes that are no UTF-8."""


def _values(column: pa.ChunkedArray) -> list[Any]:
    try:
        return column.to_pylist()
    except UnicodeDecodeError:
        return [_value(item) for item in column]


def _value(item: pa.Scalar) -> Any:
    try:
        return item.as_py()
    except UnicodeDecodeError:
        return _BROKEN
