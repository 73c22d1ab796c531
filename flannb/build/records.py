"""Records: the usable rows of a task, and why the others are not."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flannb.build.sources import Source
from flannb.collection.task import Data, Field, Record, RowError
from flannb.errors import UserError


@dataclass(frozen=True)
class Records:
    """Usable rows of a split.

    Attributes:
        rows: position of each record in its split.
        records: the fields.
        rejected: reason -> number of rows that could not be used.
    """

    rows: list[int]
    records: list[Record]
    rejected: Counter[str] = field(default_factory=Counter)

    def __len__(self) -> int:
        return len(self.records)


def read_records(
    source: Source,
    data: Data,
    fields: Mapping[str, Field],
    where: tuple[str, str] | None = None,
    limit: int | None = None,
    seed: int = 0,
) -> Records:
    """Reads a split's records.

    Args:
        where: keep the rows whose first-named column equals the second.
        limit: at most this many rows, drawn by ``seed`` and kept in the split's order.

    Raises:
        UserError: as ``Source.read``, or no usable row.
    """
    columns = tuple(dict.fromkeys([*([where[0]] if where else []), *(c for f in fields.values() for c in f.columns)]))
    table = source.read(data, columns)
    rows = np.arange(table.num_rows)
    if where is not None:
        rows = rows[pc.equal(table[where[0]], where[1]).to_numpy(zero_copy_only=False).astype(bool)]
    if limit is not None and len(rows) > limit:
        rows = np.sort(np.random.default_rng(seed).choice(rows, size=limit, replace=False))
    result = Records([], [])
    for row, values in zip(rows.tolist(), table.take(pa.array(rows)).to_pylist(), strict=True):
        try:
            record = {name: read(values) for name, read in fields.items()}
            if "options" in record and record["answer"] not in record["options"]:
                raise RowError("answer is not among the options")
        except RowError as error:
            result.rejected[str(error)] += 1
            continue
        result.rows.append(row)
        result.records.append(record)
    if not result.records:
        reasons = ", ".join(f"{n} rows: {reason}" for reason, n in result.rejected.items()) or "the split is empty"
        raise UserError(f"{source.name}: {data} has no usable row ({reasons})")
    return result
