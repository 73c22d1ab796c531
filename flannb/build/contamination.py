"""The report of the overlap check: of every training task, how many rows hold evaluation text, and whose."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from flannb.build.decontaminate import INSIDE, MOST_ROWS, NGRAM, SHORTEST, EvaluationText, Match
from flannb.build.plan import positives_at, read_positives
from flannb.build.records import as_text, no_usable_row, to_records
from flannb.build.sources import Source
from flannb.collection import Data, EvalTask, Task
from flannb.errors import UserError
from flannb.files import write_json, write_text

EXAMPLES = 3
"""Flagged rows of a task that the report shows."""

METHOD = (
    f"Words are runs of letters and digits, lower-cased. A training row is flagged if a field of it shares {NGRAM} "
    f"consecutive words with a field of an evaluation row (13-gram), or holds the whole question of one that has "
    f"{SHORTEST} to {NGRAM - 1} words (whole question; below {INSIDE} words only as whole lines). N-grams and "
    f"questions of more than {MOST_ROWS} evaluation rows do not count. Not found: paraphrases, changed numbers or "
    f"names, and questions of fewer than {SHORTEST} words."
)


@dataclass(frozen=True)
class TaskOverlap:
    """What the check found in one task.

    Attributes:
        rows: number of rows checked.
        flagged: row of the split -> why.
        skipped: why the task was not checked; empty where it was.
        positives: position of a flagged positive example -> why.
    """

    task: Task
    rows: int
    flagged: Mapping[int, Match]
    skipped: str = ""
    positives: Mapping[int, Match] = field(default_factory=dict)

    @property
    def sets(self) -> Counter[str]:
        """Evaluation set -> number of flagged rows that hold its text."""
        return Counter(name for match in self.flagged.values() for name in match.sets)


@dataclass(frozen=True)
class Overlap:
    """The report.

    Attributes:
        source: the source's name.
        evaluation: evaluation set -> number of its rows.
        tasks: every task.
        absent: evaluation sets that the source lacks, with which nothing was compared.
    """

    source: str
    evaluation: Mapping[str, int]
    tasks: tuple[TaskOverlap, ...]
    absent: tuple[str, ...] = ()


def find_overlap(
    source: Source,
    tasks: Iterable[Task],
    eval_tasks: Iterable[EvalTask],
    progress: Callable[[str], object] = lambda task: None,
) -> Overlap:
    """Checks all rows of the tasks against all rows of the evaluation sets that the source has.

    A task whose data cannot be used is listed with the reason, not left out.

    Args:
        progress: called with the name of each task when it is checked.

    Raises:
        UserError: the source has none of the evaluation sets, or one that cannot be read.
    """
    scored = tuple(eval_tasks)
    evaluation = EvaluationText.read(source, scored)
    if not evaluation.names:
        raise UserError(f"{source.name}: holds no evaluation set, so there is nothing to compare training text with")
    # Tasks that read the same columns of the same data are checked together, in one stream through it.
    groups: dict[tuple[Data, tuple[str, ...]], list[Task]] = {}
    training = tuple(tasks)
    for task in training:
        groups.setdefault((task.data, task.columns), []).append(task)
    found: dict[str, TaskOverlap] = {}
    for (data, columns), members in groups.items():
        for overlap in _check(source, data, columns, members, evaluation):
            progress(overlap.task.name)
            if (place := positives_at(source, overlap.task)) and not overlap.skipped:
                examples = read_positives(source, overlap.task, place)
                overlap = replace(overlap, positives=evaluation.matches(examples))
            found[overlap.task.name] = overlap
    absent = tuple(f"{task.suite}/{task.name}" for task in scored if not source.has(task.data))
    return Overlap(source.name, evaluation.rows, tuple(found[task.name] for task in training), absent)


def _check(
    source: Source, data: Data, columns: tuple[str, ...], tasks: Sequence[Task], evaluation: EvaluationText
) -> list[TaskOverlap]:
    """Checks some data's tasks, a batch of rows at a time."""
    usable, rejected = Counter[str](), {task.name: Counter[str]() for task in tasks}
    flagged: dict[str, dict[int, Match]] = {task.name: {} for task in tasks}
    start = 0
    try:
        for _, reader in source.stream(data, columns):
            for batch in reader:
                table = pa.Table.from_batches([batch])
                for task, at in _rows_of(tasks, table):
                    records = to_records(table.take(pa.array(at)), (start + at).tolist(), task.fields)
                    usable[task.name] += len(records)
                    rejected[task.name] += records.rejected
                    matches = evaluation.matches(records.records)
                    flagged[task.name] |= {records.rows[i]: match for i, match in matches.items()}
                start += batch.num_rows
    except UserError as error:
        return [TaskOverlap(task, 0, {}, str(error)) for task in tasks]
    return [
        TaskOverlap(task, usable[task.name], flagged[task.name])
        if usable[task.name]
        else TaskOverlap(task, 0, {}, f"{source.name}: {data} {no_usable_row(rejected[task.name])}")
        for task in tasks
    ]


def _rows_of(tasks: Sequence[Task], table: pa.Table) -> Iterator[tuple[Task, np.ndarray]]:
    """Each task with the positions of its rows; a task without any is left out."""
    places: dict[str, dict[str, np.ndarray]] = {}
    for task in tasks:
        if task.where is None:
            yield task, np.arange(table.num_rows)
            continue
        column, value = task.where
        if column not in places:
            text = as_text(table[column])
            values = text.to_numpy()
            places[column] = {name: np.flatnonzero(values == name) for name in pc.unique(text).to_pylist()}
        if value in places[column]:
            yield task, places[column][value]


def write_overlap(overlap: Overlap, folder: Path) -> None:
    """Writes the report: ``contamination.csv`` (a line a task), ``.json`` and ``.md``; ``flagged.csv`` (a line a row).

    Raises:
        UserError: the folder cannot be written to.
    """
    folder = Path(folder)
    lines = [_line(entry) for entry in overlap.tasks]
    rows: list[dict[str, Any]] = [
        {
            "task": entry.task.name,
            "row": row,
            "kind": "whole question" if match.whole else f"{NGRAM}-gram",
            "evaluation_set": match.sets[0],
            "evaluation_row": match.row,
            "all_sets": " ".join(match.sets),
            "words": match.words,
        }
        for entry in overlap.tasks
        for row, match in entry.flagged.items()
    ]
    columns = ["task", "row", "kind", "evaluation_set", "evaluation_row", "all_sets", "words"]
    for name, table in (("contamination", pd.DataFrame(lines)), ("flagged", pd.DataFrame(rows, columns=columns))):
        write_text(folder / f"{name}.csv", table.to_csv(index=False, lineterminator="\n"))
    examples: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        examples.setdefault(row["task"], []).append(row)
    write_json(
        folder / "contamination.json",
        {
            "source": overlap.source,
            "method": METHOD,
            "evaluation_rows": dict(overlap.evaluation),
            "evaluation_sets_not_there": list(overlap.absent),
            "tasks": [line | {"examples": examples.get(line["task"], [])[:EXAMPLES]} for line in lines],
        },
    )
    write_text(folder / "contamination.md", _page(overlap))


def _line(entry: TaskOverlap) -> dict[str, Any]:
    whole = sum(match.whole for match in entry.flagged.values())
    return {
        "task": entry.task.name,
        "submixture": entry.task.submixture,
        "data": str(entry.task.data),
        "rows": entry.rows,
        "flagged": len(entry.flagged),
        "share": round(len(entry.flagged) / entry.rows, 6) if entry.rows else None,
        "by_ngram": len(entry.flagged) - whole,
        "by_whole_question": whole,
        "flagged_positives": len(entry.positives),
        "evaluation_sets": json.dumps(dict(entry.sets.most_common())),
        "skipped": entry.skipped,
    }


def _page(overlap: Overlap) -> str:
    checked = [entry for entry in overlap.tasks if not entry.skipped]
    hit = sorted((e for e in checked if e.flagged), key=lambda e: (-len(e.flagged), e.task.name))
    parts = [
        f"# Evaluation text in the training data of {overlap.source}",
        METHOD,
        f"{len(checked):,} tasks with {sum(e.rows for e in checked):,} rows were checked against "
        f"{sum(overlap.evaluation.values()):,} rows of {len(overlap.evaluation)} evaluation sets: "
        f"{sum(len(e.flagged) for e in checked):,} rows of {len(hit)} tasks are flagged. "
        "`flagged.csv` lists them; `--drop-contaminated` builds without them.",
        "| task | rows | flagged | share | evaluation sets (flagged rows) | for example |\n|---|--:|--:|--:|---|---|",
    ]
    table = [
        f"| {e.task.name} | {e.rows:,} | {len(e.flagged):,} | {len(e.flagged) / e.rows:.2%} | "
        f"{', '.join(f'{name} ({n:,})' for name, n in e.sets.most_common(5))}"
        f"{', ...' if len(e.sets) > 5 else ''} | row {row}: {match.words} |"
        for e in hit
        for row, match in [next(iter(e.flagged.items()))]
    ]
    skipped = [e for e in overlap.tasks if e.skipped]
    parts[-1] = "\n".join([parts[-1], *table])
    if shown := [e for e in checked if e.positives]:
        parts.append(
            f"So are {sum(len(e.positives) for e in shown):,} positive examples of {len(shown):,} tasks, which few-shot"
            f" prompts show: {', '.join(f'{e.task.name} ({len(e.positives):,})' for e in shown)}."
        )
    if skipped:
        parts.append(
            f"Not checked, since their data cannot be used here: {len(skipped):,} tasks (`contamination.csv`)."
        )
    if overlap.absent:
        parts.append(f"Evaluation sets that are not here: {', '.join(overlap.absent)}.")
    return "\n\n".join(parts) + "\n"
