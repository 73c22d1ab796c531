"""What the lab reads of a source: which tasks it has, a few rows of one, and a vocabulary.

Nothing here depends on the size of the collection: rows are read from the start of a split, as many as are shown.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from flannb.build import Source, Tokenizer, first_records, texts_of, train_tokenizer
from flannb.build.inventory import Holding, inventory
from flannb.build.plan import positives_at
from flannb.build.records import Records, no_usable_row
from flannb.collection import SUBMIXTURES, Record, Task, tasks
from flannb.errors import UserError

ROWS = 200
"""Rows of a task that can be picked, and that exemplars are drawn from."""

POSITIVES = 20
"""Positive examples of a task that are read; those of Super-Natural Instructions have a few each."""

VOCABULARY_TASKS = 8
"""Tasks of each submixture whose text trains a vocabulary."""

VOCABULARY_ROWS = 50


@dataclass(frozen=True)
class Sample:
    """The first usable rows of a task.

    Attributes:
        records: at most ``ROWS``, with their positions in the split.
        positives: the task's positive examples, where it has some and the source has them.
    """

    task: Task
    records: Records
    positives: tuple[Record, ...] = ()

    def of(self, task: Task) -> Records:
        """The records with the fields that a task reads: the sample's own, or its inverted twin."""
        fields = [{name: value for name, value in r.items() if name in task.fields} for r in self.records.records]
        return Records(self.records.rows, fields)


def holdings(source: Source, submixture: str) -> list[Holding]:
    """The tasks of a submixture, those first that the source has. Raises as ``flannb.build.inventory.inventory``."""
    found = inventory(source, (task for task in tasks(source.collection) if task.submixture == submixture))
    return sorted(found, key=lambda holding: not holding.available)


def read_sample(source: Source, task: Task, limit: int = ROWS) -> Sample:
    """The first rows of a task; what comes after them is not read.

    Raises:
        UserError: the source lacks the task, a file is damaged, or no row is usable.
    """
    (holding,) = inventory(source, [task])
    if not holding.available:
        raise UserError(f"{task.name} is not to be had here: {holding.reason}.")
    found = first_records(source, task.data, task.fields, limit, task.where)
    if not found:
        raise UserError(f"{task.name}: {task.data} {no_usable_row(found.rejected)}.")
    positives = positives_at(source, task)
    written = (
        first_records(source, positives, task.positive_fields or task.fields, POSITIVES).records if positives else ()
    )
    return Sample(task, found, tuple(written))


def vocabulary(source: Source, size: int, path: Path) -> Tokenizer:
    """A vocabulary trained on rows of tasks from all submixtures of a source.

    Args:
        size: pieces aimed at.
        path: where it is written.

    Raises:
        UserError: the source has no task.
    """
    return train_tokenizer(_texts(source), path, size)


def _texts(source: Source) -> Iterable[str]:
    """What rows read like, zero-shot and as the instructions of few-shot prompts."""
    for name in SUBMIXTURES:
        here = [holding.task for holding in holdings(source, name) if holding.available]
        for task in here[:: max(1, len(here) // VOCABULARY_TASKS)]:
            yield from texts_of(task, read_sample(source, task, VOCABULARY_ROWS).records.records)
