"""Rows of files: Parquet, tab-separated and JSON files in a stream, each row that cannot be read with the reason."""

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from flannb.collection import Data, RawFile
from flannb.errors import UserError

UNREADABLE = "__unreadable__"
"""Name of the column in which a raw file says why it has no values for a row; null for all other rows."""

BROKEN_UNICODE = "broken Unicode"

BATCH_ROWS = 4096
"""Rows that are read at a time; a source of any size streams through this many."""

Files = Iterator[tuple[str, pa.RecordBatchReader]]
"""The name of each file of some data and its rows, batch by batch."""


def stream_files(data: Data, columns: tuple[str, ...], paths: list[Path], where: Path) -> Files:
    """The named columns of files of some data, one file after the other.

    Args:
        where: names the data where there are no files.

    Raises:
        UserError: no files, an unreadable one, or a missing column.
    """
    if not paths:
        raise UserError(f"{where}: no such data. Mirror it, choose another --source, or pass --allow-missing.")
    for path in paths:
        yield str(path), _parquet_rows(path, columns) if path.suffix == ".parquet" else _raw_rows(data, path, columns)


def _parquet_rows(path: Path, columns: tuple[str, ...]) -> pa.RecordBatchReader:
    def damaged(error: Exception) -> UserError:
        return UserError(f"{path}: not a whole Parquet file ({error}). Copy or download it again.")

    try:
        file = pq.ParquetFile(path, page_checksum_verification=True)
    except (pa.ArrowException, OSError) as error:
        raise damaged(error) from error
    names = present(columns, file.schema_arrow.names, str(path))
    schema = pa.schema([file.schema_arrow.field(name) for name in names])

    def batches() -> Iterator[pa.RecordBatch]:
        with file:
            try:
                for batch in file.iter_batches(BATCH_ROWS, columns=names):
                    yield batch.select(names)
            except (pa.ArrowException, OSError) as error:
                raise damaged(error) from error

    return pa.RecordBatchReader.from_batches(schema, batches())


def present(columns: Iterable[str], names: Iterable[str], where: str) -> list[str]:
    """The columns, all checked to be there.

    Raises:
        UserError: one is missing; the message names it and those there are.
    """
    names = list(names)
    missing = [column for column in columns if column not in names]
    if missing:
        lacking, there = (", ".join(map(repr, some)) for some in (missing, names))
        raise UserError(f"{where}: lacks column {lacking}; it has {there}. Rename its columns, or copy it again.")
    return list(columns)


def _raw_rows(data: Data, path: Path, columns: tuple[str, ...]) -> pa.RecordBatchReader:
    assert isinstance(data, RawFile)
    try:
        if path.suffix == ".tsv":
            present(columns, data.columns, str(path))
            schema = pa.schema([(name, pa.string()) for name in (*columns, UNREADABLE)])
            return pa.RecordBatchReader.from_batches(schema, _tsv_rows(path, data.columns, schema))
        if path.suffix in (".json", ".jsonl"):
            table = _json_rows(path, data.key, columns)
        else:
            table = pa.table({"text": [path.read_text(encoding="utf-8")], UNREADABLE: pa.nulls(1, pa.string())})
    except (pa.ArrowException, OSError, ValueError, RecursionError) as error:  # the last of brackets without end
        raise UserError(f"{path}: cannot be read ({error}). Copy or download it again.") from error
    return table.select([*present(columns, table.column_names, str(path)), UNREADABLE]).to_reader(BATCH_ROWS)


def _tsv_rows(path: Path, names: tuple[str, ...], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Rows of a file without quotes and header, a line each. Raises ``UserError`` where it cannot be read."""
    for lines in _lines(path):
        found = _columns(lines, len(names)) or zip(*_cells(lines, len(names)), strict=True)
        columns = dict(zip((*names, UNREADABLE), found, strict=True))
        yield pa.record_batch([pa.array(columns[name], pa.string()) for name in schema.names], schema=schema)


def _lines(path: Path) -> Iterator[list[bytes]]:
    """The lines of a file, as many as a batch has rows at a time."""
    try:
        with path.open("rb") as file:
            while lines := list(islice(file, BATCH_ROWS)):
                yield lines
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error}). Copy or download it again.") from error


def _columns(lines: list[bytes], width: int) -> list[pa.Array] | None:
    """The cells of all lines by column, and nothing to say against any; ``None`` where a line is no good."""
    try:
        text = pc.ascii_rtrim(pa.array(lines, pa.binary()).cast(pa.string()), "\r\n")
    except pa.ArrowInvalid:  # no UTF-8
        return None
    cells = pc.split_pattern(text, "\t")
    if pc.any(pc.not_equal(pc.list_value_length(cells), width)).as_py():
        return None
    return [*(pc.list_element(cells, i) for i in range(width)), pa.nulls(len(lines), pa.string())]


def _cells(lines: list[bytes], width: int) -> Iterator[tuple[str | None, ...]]:
    """The cells of each line, and why it has none."""
    nothing = (None,) * width
    for line in lines:
        try:
            cells = line.rstrip(b"\r\n").decode().split("\t")
        except UnicodeDecodeError:
            yield *nothing, BROKEN_UNICODE
            continue
        if len(cells) == width:
            yield *cells, None
        else:
            yield *nothing, f"{len(cells)} columns instead of {width}"


def _json_rows(path: Path, key: str, columns: tuple[str, ...]) -> pa.Table:
    """Some columns of a list of objects, which an object may have under a key.

    Raises:
        ValueError: it is no such list, or a column has values of several types.
        UserError: a column is missing.
    """
    text = path.read_text(encoding="utf-8", errors="surrogateescape")
    rows = (
        [json.loads(line) for line in text.split("\n") if line.strip()] if path.suffix == ".jsonl" else json.loads(text)
    )
    if key and isinstance(rows, dict):
        rows = rows.get(key)
    if not isinstance(rows, list):
        raise ValueError("not a list of objects" + f", nor an object that has one as '{key}'" * bool(key))
    reasons = [_why_unreadable(row) for row in rows]
    rows = [{} if reason else row for row, reason in zip(rows, reasons, strict=True)]
    names = present(columns, dict.fromkeys(name for row in rows for name in row), str(path))
    made = {name: _column(name, [row.get(name) for row in rows]) for name in names}
    return pa.table({**made, UNREADABLE: pa.array(reasons, pa.string())})


def _column(name: str, values: list[Any]) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError) as error:  # an integer of more than 64 bits, or values of several types
        raise ValueError(f"column '{name}': {error}") from error


def _why_unreadable(row: Any) -> str | None:
    if not isinstance(row, dict):
        return "not an object"
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # a surrogate without its other half, or a byte that is no UTF-8
        return BROKEN_UNICODE
    return None
