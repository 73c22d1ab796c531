"""Parts: the units of work of a build, and what a worker does with one.

A part is some rows of a task, in all its settings and with its inverted twin, which has the same rows: so every field
is read and tokenised once. A task of up to ``PART_ROWS`` rows is one part. Larger ones are cut, so that no worker holds
more than that at a time; the exemplars of a part then come from a pool of its own, drawn from all rows of the task.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from flannb.build.decontaminate import EvaluationText
from flannb.build.drawing import EXEMPLAR_COUNTS
from flannb.build.examples import Lengths, make_examples, settings_of
from flannb.build.records import LeftOut, Records, at_most, draw, no_usable_row, to_records
from flannb.build.report import counts, tally
from flannb.build.shards import shard_stamp, write_shard
from flannb.build.staging import Staged
from flannb.build.tokenizer import Texts, open_tokenizer
from flannb.collection import SUBMIXTURES, Record, Task
from flannb.errors import UserError
from flannb.files import digest, is_intact

PART_ROWS = 8192
POOL_ROWS = 2048
JOB_ROWS = 2048
"""Small parts are handed out together, up to so many rows."""

JOBS, MOST_PARTS = 300, 8
"""Enough jobs to keep all workers busy to the end: where there are more large parts, up to so many are handed out
together, since exemplars come from all over the rows, and those of several parts share most of the pages read."""


@dataclass(frozen=True)
class BuildOptions:
    """What a build depends on besides the source.

    Attributes:
        lengths: token limits.
        rows_per_task: at most so many records of each task.
        vocabulary_size: pieces of the trained tokenizer.
        seed: fixes all draws.
        tokenizer: a SentencePiece model to use instead of training one.
        settings: only these; all by default.
        exemplars: numbers of exemplars of few-shot examples.
        drop_contaminated: leave out the records that hold text of the source's evaluation rows.
    """

    lengths: Lengths
    rows_per_task: int
    vocabulary_size: int
    seed: int
    tokenizer: str = ""
    settings: tuple[str, ...] = ()
    exemplars: tuple[int, ...] = EXEMPLAR_COUNTS
    drop_contaminated: bool = False


@dataclass(frozen=True)
class Part:
    """Some rows of a task.

    Attributes:
        tasks: the task, and its inverted twin if there is one.
        staged: its data.
        rows: positions in the data, ascending.
        pool: positions of the rows that exemplars are drawn from; the part's own where it is the only one.
        number: from 0.
        only: whether the task has no other part.
        positives: the task's positive examples.
    """

    tasks: tuple[Task, ...]
    staged: Staged
    rows: np.ndarray
    pool: np.ndarray | None
    number: int
    only: bool
    positives: tuple[Record, ...] = ()

    def wanted(self, options: BuildOptions) -> list[tuple[Task, str]]:
        """Task and setting of each file that is made of the part."""
        return [(task, setting) for task in self.tasks for setting in built_settings(task, options)]

    def path(self, task: Task, setting: str) -> Path:
        """Of the file of a task in a setting, below the build's folder."""
        stem = shard_path(task, setting, self.only)
        return stem if self.only else stem / f"{self.number:05d}.arrow"


@dataclass(frozen=True)
class Job:
    """Parts that a worker builds one after the other.

    Attributes:
        home: the build's folder.
        key: of the build.
        tokenizer: path of its model.
        known: hashes of files that an earlier try has written, by their paths.
    """

    parts: tuple[Part, ...]
    home: Path
    key: str
    tokenizer: Path
    options: BuildOptions
    known: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Written:
    """A file that a worker wrote, or found whole.

    Attributes:
        path: below the build's folder.
        stamp: its stamp: ``examples``, ``tokens``, ``truncated``, ``records``, and the tallies ``rows`` (without a
            usable record) and ``left_out`` (records without an example).
    """

    task: str
    setting: str
    part: int
    path: str
    stamp: dict[str, Any]
    sha256: str
    bytes: int


def shard_path(task: Task, setting: str, only: bool) -> Path:
    """A file, or a folder for a task of several parts."""
    name = f"{task.name}.{setting}"
    return Path(task.submixture, f"{name}.arrow" if only else name)


def built_settings(task: Task, options: BuildOptions) -> tuple[str, ...]:
    """The settings of a task that a build has."""
    found = settings_of(task, SUBMIXTURES[task.submixture].settings)
    return tuple(s for s in found if not options.settings or s in options.settings)


def task_rows(task: Task, rows: np.ndarray, options: BuildOptions) -> np.ndarray:
    """The rows of a task that a build uses: at most ``rows_per_task``, drawn by its seed."""
    seed = int(digest([options.seed, str(task.data), task.where])[:16], 16)
    return draw(rows, options.rows_per_task, seed)


def contaminated_rows(task: Task, staged: Staged, rows: np.ndarray, evaluation: EvaluationText) -> LeftOut:
    """The rows of a task that hold text of evaluation rows, and whose."""
    found: LeftOut = []
    for start in range(0, len(rows), PART_ROWS):
        some = rows[start : start + PART_ROWS]
        records = to_records(staged.take(some), some.tolist(), task.fields)
        found += [(records.rows[i], match.reason) for i, match in evaluation.matches(records.records).items()]
    return found


def cut(
    tasks: tuple[Task, ...], staged: Staged, rows: np.ndarray, seed: int, positives: tuple[Record, ...] = ()
) -> Iterator[Part]:
    """The parts of a task with these rows."""
    if len(rows) <= PART_ROWS:
        yield Part(tasks, staged, rows, None, 0, only=True, positives=positives)
        return
    for number, start in enumerate(range(0, len(rows), PART_ROWS)):
        rng = np.random.default_rng(int(digest([seed, tasks[0].name, "pool", number])[:16], 16))
        pool = np.unique(rows[rng.integers(len(rows), size=POOL_ROWS)])
        yield Part(tasks, staged, rows[start : start + PART_ROWS], pool, number, False, positives)


def bundle(parts: Sequence[Part]) -> list[tuple[Part, ...]]:
    """Parts for a worker at a time, the largest first, so that all workers end together."""
    bundles: list[list[Part]] = []
    most = max(JOB_ROWS, min(len(parts) // JOBS, MOST_PARTS) * PART_ROWS)
    room = 0
    for part in sorted(parts, key=lambda part: -len(part.rows)):
        if len(part.rows) > room:
            bundles.append([])
            room = most
        bundles[-1].append(part)
        room -= len(part.rows)
    return [tuple(found) for found in bundles]


def build_parts(job: Job) -> list[Written]:
    """Builds the parts of a job.

    Raises:
        UserError: a task without a usable row; the message names task, file and row.
    """
    kept = {i: found for i, part in enumerate(job.parts) if (found := _kept(part, job)) is not None}
    pools = _pools({i: part for i, part in enumerate(job.parts) if i not in kept})
    return [
        written
        for i, part in enumerate(job.parts)
        for written in (kept[i] if i in kept else _build(part, job, pools.get(i)))
    ]


def _pools(parts: Mapping[int, Part]) -> dict[int, pa.Table]:
    """The rows that exemplars are drawn from, of the parts that have more than their own; read for all at once."""
    by_data: dict[Staged, dict[int, np.ndarray]] = defaultdict(dict)
    for i, part in parts.items():
        if part.pool is not None:
            by_data[part.staged][i] = part.pool
    pools: dict[int, pa.Table] = {}
    for staged, some in by_data.items():
        rows = np.unique(np.concatenate([*some.values()]))
        table = staged.take(rows).combine_chunks()
        pools |= {i: table.take(pa.array(np.searchsorted(rows, pool))) for i, pool in some.items()}
    return pools


def _build(part: Part, job: Job, pool_table: pa.Table | None) -> list[Written]:
    texts = Texts(open_tokenizer(job.tokenizer))
    table = part.staged.take(part.rows)
    read: dict[tuple[str, ...], tuple[Records, Records | None]] = {}
    made = []
    for task, setting in part.wanted(job.options):
        fields = tuple(task.fields)
        if fields not in read:
            records = usable(task, part.staged, table, part.rows, must=part.only)
            pool = (
                None
                if pool_table is None or part.pool is None
                else to_records(pool_table, part.pool.tolist(), task.fields)
            )
            read[fields] = (records, pool)
        made.append(_write(part, job, task, setting, texts, *read[fields]))
    return made


def _kept(part: Part, job: Job) -> list[Written] | None:
    """The files of a part that an earlier try has written; ``None`` unless all are there as they were written."""
    found = []
    for task, setting in part.wanted(job.options):
        name = part.path(task, setting).as_posix()
        path = job.home / name
        stamp = shard_stamp(path)
        if stamp.get("key") != job.key or not is_intact(path, job.known.get(name)):
            return None
        found.append(Written(task.name, setting, part.number, name, stamp, job.known[name], path.stat().st_size))
    return found


def usable(task: Task, staged: Staged, table: pa.Table, rows: np.ndarray, must: bool) -> Records:
    """The records of a task's rows.

    Args:
        must: at least one of them has to be usable.

    Raises:
        UserError: none is.
    """
    records = to_records(table, rows.tolist(), task.fields)
    if must and not records:
        found = tally(records.left_out)
        first = [staged.place(entry["first"][0]) for entry in found.values()]
        where = f"; the first is row {first[0][1] + 1} of {first[0][0]}" if first else ""
        raise UserError(f"task {task.name}: {task.data} {no_usable_row(counts(found))}{where}")
    return records


def _write(
    part: Part, job: Job, task: Task, setting: str, texts: Texts, records: Records, pool: Records | None
) -> Written:
    options = job.options
    table, left_out = make_examples(
        task,
        setting,
        records,
        texts,
        options.lengths,
        options.seed,
        part=part.number,
        pool=pool,
        counts=options.exemplars,
        positives=part.positives,
    )
    stamp = {
        "key": job.key,
        "examples": table.num_rows,
        "tokens": sum(len(chunk.values) for name in ("input_ids", "target_ids") for chunk in table[name].chunks),
        "truncated": table["truncated"].to_numpy().sum().item(),
        "records": len(records),
        "rows": tally(records.left_out),
        "left_out": tally(left_out),
    }
    path = part.path(task, setting)
    return Written(task.name, setting, part.number, path.as_posix(), stamp, *write_shard(job.home / path, table, stamp))


def sample(task: Task, staged: Staged, rows: np.ndarray, limit: int) -> Records:
    """The first usable records of a task, at most ``limit``."""
    slices = (rows[start : start + limit] for start in range(0, len(rows), limit))
    return at_most((to_records(staged.take(some), some.tolist(), task.fields) for some in slices), limit)


def all_columns(tasks: Sequence[Task]) -> tuple[str, ...]:
    """The columns that any of the tasks needs."""
    return tuple(dict.fromkeys(column for task in tasks for column in task.columns))
