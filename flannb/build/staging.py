"""Staging: the rows of a source in Arrow files that all workers memory-map.

Parquet, tab-separated and JSON files can only be read from the beginning. Staged once, in a stream, any part of their
rows is at hand for any worker, and a file that many tasks share (Super-Natural Instructions) is read once.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from flannb.build.records import as_text
from flannb.build.sources import Source
from flannb.collection import Data
from flannb.errors import UserError
from flannb.files import atomic, digest

BATCH_BYTES = 2**24
"""Size of a record batch, about. Exemplars come from all over the rows, and each batch that holds one costs a look."""


Choices = dict[tuple[str, str], np.ndarray]
"""Column and value, as in ``Task.where`` -> positions of the rows that have it."""


@dataclass(frozen=True)
class Staging:
    """What is staged together: some data, the columns that tasks need, and where to.

    Attributes:
        wheres: the columns by which tasks choose their rows.
        tasks: names of the tasks, for errors.
    """

    source: Source
    data: Data
    columns: tuple[str, ...]
    wheres: tuple[str, ...]
    tasks: tuple[str, ...]
    folder: Path


@dataclass(frozen=True)
class StagedFile:
    """One file of a source.

    Attributes:
        name: in the source.
        path: the Arrow file.
        batches: rows of each of its record batches.
    """

    name: str
    path: Path
    batches: tuple[int, ...]

    @cached_property
    def rows(self) -> int:
        """Number of rows, those of all its batches."""
        return sum(self.batches)


@dataclass(frozen=True)
class Staged:
    """Staged rows: some data's files in order."""

    files: tuple[StagedFile, ...]

    @property
    def rows(self) -> int:
        """Number of rows of all files."""
        return sum(file.rows for file in self.files)

    def place(self, row: int) -> tuple[str, int]:
        """The file of a row, and the row's position in it, from 0."""
        for file in self.files:
            if row < file.rows:
                return file.name, row
            row -= file.rows
        raise IndexError(row)

    def take(self, rows: np.ndarray) -> pa.Table:
        """The rows of these positions, which must ascend. Only the pages that hold them are read."""
        wanted = rows.astype(np.int64)
        tables, start = [], 0
        for number, staged in enumerate(self.files):
            bounds = start + np.cumsum((0, *staged.batches))
            places = np.searchsorted(wanted, bounds)
            start += staged.rows
            if places[0] == places[-1] and number:  # the first file has the columns where no row is asked for
                continue
            with pa.memory_map(str(staged.path)) as mapped:
                file = pa.ipc.open_file(mapped)
                batches = [
                    file.get_batch(int(i)).take(pa.array(wanted[places[i] : places[i + 1]] - bounds[i]))
                    for i in np.flatnonzero(np.diff(places))
                ]
                tables.append(pa.Table.from_batches(batches, file.schema))
        return pa.concat_tables(tables, promote_options="permissive")


def stage(staging: Staging) -> tuple[Staged, Choices]:
    """Stages some data.

    Returns:
        The staged rows, and the choices that tasks may make of them.

    Raises:
        UserError: as ``Source.stream``; the message names the tasks too.
    """
    stem = digest([str(staging.data), staging.columns])[:16]
    files = []
    try:
        for i, (name, reader) in enumerate(staging.source.stream(staging.data, staging.columns)):
            path = staging.folder / f"{stem}.{i}.arrow"
            files.append(StagedFile(name, path, _write(path, reader)))
    except UserError as error:
        more = f" and {len(staging.tasks) - 1} more" if len(staging.tasks) > 1 else ""
        raise UserError(f"task {staging.tasks[0]}{more}: {error}") from error
    choices = {
        (column, value): rows for column in staging.wheres for value, rows in _rows_by_value(files, column).items()
    }
    return Staged(tuple(files)), choices


def _write(path: Path, reader: pa.RecordBatchReader) -> tuple[int, ...]:
    batches = []
    with atomic(path, durable=False) as temporary, pa.ipc.new_file(str(temporary), reader.schema) as writer:
        for batch in _larger(reader):
            writer.write_batch(batch)
            batches.append(batch.num_rows)
    return tuple(batches)


def _larger(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same rows in batches of ``BATCH_BYTES`` or more; the last may have less."""
    some: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        some.append(batch)
        size += batch.nbytes
        if size >= BATCH_BYTES:
            yield pa.concat_batches(some)
            some, size = [], 0
    if some:
        yield pa.concat_batches(some)


def _rows_by_value(files: Sequence[StagedFile], column: str) -> dict[str, np.ndarray]:
    """Each value of a column and the positions of the rows that have it, ascending."""
    codes: list[np.ndarray] = []
    numbers: dict[str, int] = {}
    for staged in files:
        with pa.memory_map(str(staged.path)) as mapped:
            file = pa.ipc.open_file(mapped)
            for i in range(file.num_record_batches):
                encoded = as_text(file.get_batch(i)[column]).dictionary_encode()
                known = [numbers.setdefault(value, len(numbers)) for value in encoded.dictionary.to_pylist()]
                codes.append(np.array([*known, -1])[encoded.indices.fill_null(len(known)).to_numpy()])
    code = np.concatenate(codes) if codes else np.empty(0, np.int64)
    order = np.argsort(code, kind="stable")
    bounds = np.searchsorted(code[order], np.arange(len(numbers) + 1))
    return {value: order[bounds[n] : bounds[n + 1]] for value, n in numbers.items()}
