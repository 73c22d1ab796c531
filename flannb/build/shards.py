"""Shards: the examples of a task in a setting, memory-mapped for training.

A shard is an Arrow file, or a folder of such files where the task was built in parts. Each file bears a stamp: the key
of the build that it belongs to and what there is to tell about it.
"""

import hashlib
import json
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from flannb.errors import UserError
from flannb.files import atomic

STAMP = b"flannb"


@dataclass(frozen=True)
class Shard:
    """An entry of the index.

    Attributes:
        task, submixture, setting, inverted: what the shard holds.
        path: relative to the index.
        examples: number of its rows.
        records: usable records of the task, which mixture weights count.
        tokens: input and target tokens together.
        sha256: of the file; of a folder, the digest of its files' in order.
        bytes: size of the file, or of all files together.
    """

    task: str
    submixture: str
    setting: str
    inverted: bool
    path: str
    examples: int
    records: int
    tokens: int
    sha256: str
    bytes: int = 0

    def as_json(self) -> dict[str, Any]:
        """The entry as ``Shard(**entry)`` reads it."""
        return asdict(self)


def write_shard(path: Path, table: pa.Table, stamp: Mapping[str, Any]) -> tuple[str, int]:
    """Writes a file of a shard, whole or not at all.

    It does not wait for the disk: a file that a power failure cut short lacks Arrow's footer, so that it has no stamp.

    Args:
        stamp: JSON; see ``shard_stamp``.

    Returns:
        SHA-256 and size of the file.
    """
    text = json.dumps(stamp, sort_keys=True, ensure_ascii=False)
    table = table.combine_chunks().replace_schema_metadata({STAMP: text.encode()})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    content = sink.getvalue()
    with atomic(path, durable=False) as temporary:
        temporary.write_bytes(content)
    return hashlib.sha256(content).hexdigest(), content.size


def shard_stamp(path: Path) -> dict[str, Any]:
    """What ``write_shard`` was told beside the table; empty where there is no whole file."""
    try:
        with pa.memory_map(str(path)) as file:
            stamp = json.loads((pa.ipc.open_file(file).schema.metadata or {})[STAMP])
            return stamp if isinstance(stamp, dict) else {}
    except (OSError, pa.ArrowInvalid, KeyError, ValueError):
        return {}


def shard_files(path: Path) -> list[Path]:
    """The Arrow files of a shard in order; the path itself unless it is a folder."""
    return sorted(Path(path).glob("*.arrow")) if Path(path).is_dir() else [Path(path)]


def read_shard(path: Path) -> pa.Table:
    """The table of a shard, memory-mapped; a chunk for each file.

    Raises:
        UserError: a file is missing or damaged.
    """
    tables = []
    for file in shard_files(path):
        try:
            tables.append(pa.ipc.open_file(pa.memory_map(str(file))).read_all())
        except (OSError, pa.ArrowInvalid) as error:
            raise UserError(f"{file}: not a whole shard ({error}). Delete it and build the data again.") from error
    return pa.concat_tables(tables)


class TokenColumns:
    """Random access to a shard's token ids without copies, as Grain's data sources want it.

    Args:
        path: the shard.
        positions: of the examples that are read, int array; all by default.
    """

    def __init__(self, path: Path, positions: np.ndarray | None = None):
        self.path, self.positions = path, positions
        table = read_shard(path)
        self._inputs, self._targets = _flat(table["input_ids"]), _flat(table["target_ids"])
        self._starts = np.cumsum([0, *(len(offsets) - 1 for _, offsets in self._inputs)]).tolist()

    def __len__(self) -> int:
        return self._starts[-1] if self.positions is None else len(self.positions)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        if not 0 <= index < len(self):
            raise IndexError(f"{index} of {len(self)}")
        place = index if self.positions is None else int(self.positions[index])
        chunk = bisect_right(self._starts, place) - 1
        row = place - self._starts[chunk]
        return {"encoder": _row(self._inputs[chunk], row), "decoder": _row(self._targets[chunk], row)}

    def __getstate__(self) -> dict[str, Any]:  # Grain's workers get the path, not the mapped memory
        return {"path": self.path, "positions": self.positions}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def __repr__(self) -> str:
        some = "" if self.positions is None else f", {len(self.positions)} of them"
        return f"TokenColumns({self.path.name}{some})"


def _flat(column: pa.ChunkedArray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Values and offsets of each chunk of a list column."""
    return [(chunk.values.to_numpy(), chunk.offsets.to_numpy()) for chunk in column.chunks]


def _row(flat: tuple[np.ndarray, np.ndarray], row: int) -> np.ndarray:
    values, offsets = flat
    return values[offsets[row] : offsets[row + 1]].astype(np.int32)
