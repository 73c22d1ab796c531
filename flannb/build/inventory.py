"""What a source holds of a collection: which tasks it can build, and how many rows each has.

Rows are counted from metadata where that is cheap: Parquet footers, lines of a table, one column of a file that tasks
share. The Hub is asked for its listings only, many at once.
"""

from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import groupby

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from flannb.build.records import as_text
from flannb.build.sources import Hub, Mirror, Source
from flannb.collection import Data, RawFile, Split, Task
from flannb.errors import UserError

ASKED_AT_ONCE = 16
"""Listings that are asked of the Hub side by side."""

UNANSWERED = "the Hub did not answer; try again, or name a mirror folder with --source"


@dataclass(frozen=True)
class Holding:
    """What a source holds of one task.

    Attributes:
        rows: of the task in the source, usable or not; ``None`` where the source cannot tell without reading them.
        reason: why the task cannot be built from the source; empty where it can.
    """

    task: Task
    rows: int | None
    reason: str

    @property
    def available(self) -> bool:
        """Whether the task can be built from the source."""
        return not self.reason


def rows_by_value(source: Source, data: Data, column: str) -> Counter[str]:
    """How many rows of a split have each value of a column, as text.

    Raises:
        UserError: as ``Source.read``.
    """
    counts = pc.value_counts(as_text(source.read(data, (column,))[column]))
    return Counter({value["values"]: value["counts"] for value in counts.to_pylist()})


def row_count(source: Source, data: Data) -> int | None:
    """The number of a split's rows; ``None`` where the source cannot tell without reading them.

    Raises:
        UserError: the source lacks the data, or a file is damaged.
    """
    if isinstance(source, Hub):
        return None
    if not isinstance(source, Mirror):
        return source.read(data, data.columns[:1] if isinstance(data, RawFile) else ()).num_rows
    try:
        if not isinstance(data, RawFile):
            return sum(pq.read_metadata(path).num_rows for path in source.files(data))
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{source.root / str(data)}: not a whole Parquet file ({error}). Copy it again.") from error
    return (
        sum(reader.read_all().num_rows for _, reader in source.stream(data, data.columns[:1])) if data.columns else None
    )


def inventory(source: Source, tasks: Iterable[Task]) -> list[Holding]:
    """What a source holds of each task, in the tasks' order.

    Of a split that tasks share, the Hub is believed to have every task. Where it does not answer, nothing is available.

    Raises:
        UserError: a damaged file.
    """
    tasks = tuple(tasks)
    absent = _absent(source, {task.data for task in tasks if not task.unavailable})
    count = cache(partial(row_count, source))
    by_value = cache(partial(rows_by_value, source))

    def holding(task: Task) -> Holding:
        if reason := task.unavailable or absent[task.data]:
            return Holding(task, None, reason)
        if task.where is None or isinstance(source, Hub):
            return Holding(task, None if task.where else count(task.data), "")
        column, value = task.where
        rows = by_value(task.data, column)[value]
        return Holding(task, rows or None, "" if rows else f"{task.data} has no row whose {column} is {value}")

    return [holding(task) for task in tasks]


def _absent(source: Source, wanted: set[Data]) -> dict[Data, str]:
    """Why the source lacks each of the data; empty for what it has."""
    ordered = sorted(wanted, key=str)
    if not isinstance(source, Hub):
        return {data: "" if source.has(data) else f"{source.name} lacks {data}" for data in ordered}
    hub = replace(source, attempts=1, github=replace(source.github, attempts=1))

    def reasons(some: list[Data]) -> dict[Data, str]:
        try:
            return {data: "" if hub.has(data) else _not_there(data) for data in some}
        except UserError:
            return dict.fromkeys(some, UNANSWERED)

    found: dict[Data, str] = {}
    for server in (Split, RawFile):
        data = [d for d in ordered if isinstance(d, server)]
        if not data:
            continue
        # A server out of reach is met once, not once for each repository.
        first, *others = [list(some) for _, some in groupby(data, key=_repository)]
        found |= (answer := reasons(first))
        if UNANSWERED in answer.values():
            found |= {d: UNANSWERED for some in others for d in some}
            continue
        with ThreadPoolExecutor(ASKED_AT_ONCE) as pool:
            for answer in pool.map(reasons, others):
                found |= answer
    return found


def _not_there(data: Data) -> str:
    return f"there is no file {data}" if isinstance(data, RawFile) else f"the Hub has no Parquet form of {data}"


def _repository(data: Data) -> str:
    return "/".join(data.path.split("/")[:3]) if isinstance(data, RawFile) else data.repo_id
