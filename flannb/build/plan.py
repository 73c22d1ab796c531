"""The plan of a build: all data staged, and the rows of every task chosen."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flannb.build.decontaminate import EvaluationText
from flannb.build.parts import BuildOptions, all_columns, built_settings, contaminated_rows, task_rows
from flannb.build.records import LeftOut, no_usable_row, to_records
from flannb.build.sources import Source
from flannb.build.staging import Staged, Staging, stage
from flannb.build.workers import Run
from flannb.collection import EVERY_SUITE, Data, RawFile, Record, Task, eval_tasks
from flannb.collection.task import columns_of
from flannb.errors import UserError


@dataclass(frozen=True)
class Plan:
    """What is to be built.

    Attributes:
        staged: data -> its staged rows.
        rows: name of a task -> the number of its rows in the data, and those that the build uses.
        contaminated: name of a task -> rows drawn for it that hold text of evaluation rows, which it does without.
        positives: name of a task -> its positive examples, where the source has them.
        contaminated_positives: name of a task -> those that hold text of evaluation rows, which it does without.
    """

    source: Source
    tasks: tuple[Task, ...]
    options: BuildOptions
    staged: dict[Data, Staged]
    rows: dict[str, tuple[int, np.ndarray]]
    contaminated: dict[str, LeftOut]
    positives: dict[str, tuple[Record, ...]]
    contaminated_positives: dict[str, LeftOut]

    @property
    def examples(self) -> int:
        """How many examples there will be about: some rows give none."""
        return sum(len(self.rows[task.name][1]) * len(built_settings(task, self.options)) for task in self.tasks)


def make_plan(source: Source, tasks: tuple[Task, ...], options: BuildOptions, folder: Path, run: Run) -> Plan:
    """Stages all data and chooses the rows of every task.

    Args:
        folder: gets the staged rows.

    Raises:
        UserError: unreadable data, or an empty split; the message names the tasks.
    """
    by_data: dict[Data, list[Task]] = defaultdict(list)
    for task in tasks:
        by_data[task.data].append(task)
    stagings = [
        Staging(
            source=source,
            data=data,
            columns=all_columns(members),
            wheres=tuple(dict.fromkeys(task.where[0] for task in members if task.where)),
            tasks=tuple(task.name for task in members),
            folder=folder,
        )
        for data, members in by_data.items()
    ]
    scored = eval_tasks(source.collection, EVERY_SUITE)
    evaluation = EvaluationText.read(source, scored) if options.drop_contaminated else None
    staged, rows, contaminated = {}, {}, {}
    for staging, (found, choices) in run(stage, stagings):
        staged[staging.data] = found
        every = np.arange(found.rows)
        flagged: LeftOut = []
        for task in by_data[staging.data]:
            own = choices.get(task.where, every[:0]) if task.where else every
            if not len(own) and not task.where:
                files = ", ".join(file.name for file in found.files)
                raise UserError(f"task {task.name}: {source.name}: {task.data} {no_usable_row({})}: {files}")
            drawn = task_rows(task, own, options)
            # An inverted task shares the rows of its twin, which comes before it.
            if evaluation and not task.inverted:
                flagged = contaminated_rows(task, found, drawn, evaluation)
            contaminated[task.name] = flagged
            rows[task.name] = (len(own), np.setdiff1d(drawn, [row for row, _ in flagged], assume_unique=True))
    positives, unused = {}, {}
    for task in tasks:
        if found_at := positives_at(source, task):
            read = read_positives(source, task, found_at)
            matches = evaluation.matches(read) if evaluation else {}
            positives[task.name] = tuple(record for i, record in enumerate(read) if i not in matches)
            unused[task.name] = [(i, match.reason) for i, match in matches.items()]
    return Plan(source, tasks, options, staged, rows, contaminated, positives, unused)


def positives_at(source: Source, task: Task) -> RawFile | None:
    """Where a source has the positive examples of a task."""
    return task.positives if task.positives is not None and source.has(task.positives) else None


def read_positives(source: Source, task: Task, data: RawFile) -> tuple[Record, ...]:
    """The usable positive examples of a task. Raises ``UserError`` where the file cannot be read."""
    fields = task.positive_fields or task.fields
    tables = [reader.read_all() for _, reader in source.stream(data, columns_of(fields))]
    return tuple(record for table in tables for record in to_records(table, range(table.num_rows), fields).records)
