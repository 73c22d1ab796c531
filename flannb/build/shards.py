"""Shards: one Arrow file for each task and setting, memory-mapped for training."""

import json
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
        sha256: of the file.
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

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def write_shard(path: Path, table: pa.Table, key: str, dropped: Mapping[str, int]) -> None:
    """Writes a shard, whole or not at all.

    Args:
        key: of the build that it belongs to.
        dropped: reason -> number of records that gave no example.
    """
    stamp = json.dumps({"key": key, "dropped": dict(dropped)}, sort_keys=True)
    table = table.combine_chunks().replace_schema_metadata({STAMP: stamp.encode()})
    with (
        atomic(path) as temporary,
        pa.OSFile(str(temporary), "wb") as sink,
        pa.ipc.new_file(sink, table.schema) as writer,
    ):
        writer.write_table(table)


def shard_stamp(path: Path) -> dict[str, Any]:
    """What ``write_shard`` was told beside the table; empty where there is no whole file."""
    try:
        with pa.memory_map(str(path)) as file:
            return json.loads((pa.ipc.open_file(file).schema.metadata or {})[STAMP])
    except (OSError, pa.ArrowInvalid, KeyError, ValueError):
        return {}


def read_shard(path: Path) -> pa.Table:
    """The table of a shard, memory-mapped.

    Raises:
        UserError: the file is missing or damaged.
    """
    try:
        return pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    except (OSError, pa.ArrowInvalid) as error:
        raise UserError(f"{path}: not a whole shard ({error}). Delete it and build the data again.") from error


class TokenColumns:
    """Random access to a shard's token ids without copies, as Grain's data sources want it.

    Args:
        path: the shard.
    """

    def __init__(self, path: Path):
        self.path = path
        table = read_shard(path)
        self._inputs, self._input_ends = _flat(table["input_ids"])
        self._targets, self._target_ends = _flat(table["target_ids"])

    def __len__(self) -> int:
        return len(self._input_ends) - 1

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        return {
            "encoder": self._inputs[self._input_ends[index] : self._input_ends[index + 1]].astype(np.int32),
            "decoder": self._targets[self._target_ends[index] : self._target_ends[index + 1]].astype(np.int32),
        }

    def __getstate__(self) -> dict[str, Any]:  # Grain's workers get the path, not the mapped memory
        return {"path": self.path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def __repr__(self) -> str:
        return f"TokenColumns({self.path.name})"


def _flat(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """Values and offsets of a list column in one chunk."""
    array = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    return array.values.to_numpy(), array.offsets.to_numpy()
