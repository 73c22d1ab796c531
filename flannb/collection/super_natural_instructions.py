"""Super-Natural Instructions v2 (Wang et al. 2022): tasks that bring their definition.

All tasks share two splits of ``Muennighoff/natural-instructions``, with one row per instance and output; a task is the
rows with its ``task_name``. ``super_natural_instructions.csv`` names the 1,556 tasks of Flan 2022's public list, two
more than the 1,554 that the paper counts, as the benchmark writes them (the public list has ``_`` for other marks and
cuts names at a full stop), with the category that the list gives them and their split: ``test`` for the benchmark's 119
test tasks, which Flan 2022 trains on. Add a line to add a task.

The 57 tasks made from MMLU (``made_from_mmlu``) are not among them and are never made, even if named; four of them
leaked into the collection's first public release. The ASDiv and MAWPS tasks (861-863, 866-868), which the paper has, do
ask questions of the Chain-of-Thought suite's ASDiv.

The benchmark's own files have positive examples, most with an explanation, beside each definition; they are read from
``github/allenai/natural-instructions/tasks/<task>.json`` where a source has them. A few-shot prompt then shows the
definition and either these, with explanations in half of the cases, or exemplars drawn from the task's other rows. The
Parquet form has neither (its columns are ``task_name``, ``id``, ``definition``, ``inputs`` and ``targets``), so from a
source without those files all exemplars are drawn.
"""

import csv
import re
from pathlib import Path

from flannb.collection.task import Column, Field, Optional, RawFile, Split, Task

FILE = Path(__file__).with_name("super_natural_instructions.csv")
DATA = {split: Split("Muennighoff/natural-instructions", "default", split) for split in ("train", "test")}
FIELDS = {"definition": Column("definition"), "inputs": Column("inputs"), "answer": Column("targets")}

POSITIVE_FIELDS: dict[str, Field] = {
    "inputs": Column("input"),
    "answer": Column("output"),
    "explanation": Optional("explanation"),
}

NOTE = "name not checked against the Hub's rows"

_ID = re.compile(r"task(\d+)_")


def made_from_mmlu(name: str) -> bool:
    """Whether a task was made from MMLU: its number is one of 664-667 or 685-737.

    Raises:
        ValueError: the name does not begin with ``task``, a number and ``_``.
    """
    found = _ID.match(name)
    if not found:
        raise ValueError(f"'{name}' is no name of a Super-Natural Instructions task")
    number = int(found[1])
    return 664 <= number <= 667 or 685 <= number <= 737


def make_task(name: str, split: str = "train") -> Task:
    """The task of this name, which may hold characters that task names may not."""
    plain = "ni_" + re.sub(r"\W", "_", name, flags=re.ASCII)
    return Task(
        plain,
        "super_natural_instructions",
        DATA[split],
        FIELDS,
        "instructed",
        where=("task_name", name),
        note=NOTE,
        positives=positives_of(name),
        positive_fields=POSITIVE_FIELDS,
    )


def positives_of(name: str) -> RawFile:
    """Where the positive examples of the task of this name are."""
    return RawFile(f"github/allenai/natural-instructions/tasks/{name}.json", key="Positive Examples")


with FILE.open(encoding="utf-8", newline="") as _file:
    SPLITS: dict[str, str] = {row["task"]: row["split"] for row in csv.DictReader(_file)}
"""Name of a task -> its split of the Hub's dataset."""

TASKS: tuple[Task, ...] = tuple(make_task(name, split) for name, split in SPLITS.items() if not made_from_mmlu(name))
