"""Super-Natural Instructions v2 (Wang et al. 2022): tasks that bring their definition.

All tasks share one split, ``Muennighoff/natural-instructions``, with one row per instance and output; a task is the
rows with its ``task_name``. ``super_natural_instructions.csv`` names the tasks and their categories (empty where the
paper's list lacks the task): add a line to add a task. The benchmark's own test tasks are not among them, and neither
are the 57 made from MMLU (``made_from_mmlu``), four of which leaked into the collection's first public release. The
ASDiv and MAWPS tasks (861-863, 866-868), which the paper has, do ask questions of the Chain-of-Thought suite's ASDiv.

The benchmark's own files have positive examples, most with an explanation, beside each definition. The Parquet form has
neither: its columns are ``task_name``, ``id``, ``definition``, ``inputs`` and ``targets``. So few-shot prompts show the
definition and draw their exemplars from the task's other rows, as in the half of the paper's prompts that do so, and
none explains an answer.
"""

import csv
import re
from pathlib import Path

from flannb.collection.task import Column, Split, Task

FILE = Path(__file__).with_name("super_natural_instructions.csv")
DATA = Split("Muennighoff/natural-instructions", "default", "train")
FIELDS = {"definition": Column("definition"), "inputs": Column("inputs"), "answer": Column("targets")}

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


def make_task(name: str) -> Task:
    """The task of this name, which may hold characters that task names may not."""
    plain = "ni_" + re.sub(r"\W", "_", name, flags=re.ASCII)
    return Task(plain, "super_natural_instructions", DATA, FIELDS, "instructed", where=("task_name", name))


with FILE.open(encoding="utf-8", newline="") as _file:
    NAMES: tuple[str, ...] = tuple(row["task"] for row in csv.DictReader(_file))

TASKS: tuple[Task, ...] = tuple(make_task(name) for name in NAMES if not made_from_mmlu(name))
