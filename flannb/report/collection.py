"""The page that reconciles flannb's tasks with the paper's 1,836, every difference named.

``paper/collection.csv`` holds the public list of Flan 2022 (github.com/google-research/FLAN, flan/v2), regular tasks
only: a dataset's name there, and the tasks that stand for it here.
"""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from flannb.build import with_inversions
from flannb.collection import SUBMIXTURES, Task, tasks
from flannb.errors import UserError
from flannb.markdown import Markdown
from flannb.markdown import table as markdown_table
from flannb.report.page import write_texts
from flannb.report.published import published
from flannb.report.table import to_csv

PAPER_COUNT = 1836
"""Tasks of Flan 2022, as the paper counts them."""

# Chung et al. 2022, to which the paper defers, give the parts of the 1,836: 80 in Muffin, which is Flan 2021 with
# dialog and program synthesis, 193, 1,554 and 9. The public list has as many, but for two more of the 1,554.
PAPER_PARTS: tuple[tuple[tuple[str, ...], int], ...] = (
    (("flan2021", "dialog", "program_synthesis"), 80),
    (("t0_sf",), 193),
    (("super_natural_instructions",), 1554),
    (("cot",), 9),
)
"""Submixtures counted together, and the paper's count of their tasks."""

BEYOND = "the public list has more names than the paper counts; which it leaves out is not published"
TWICE = "the public list has it twice, once for each evaluation split; its training rows are the same"
PARTS = "the public list has one task; here each direction, domain or form is one, so that each can be weighed"


def flan2022(everything: Iterable[Task]) -> list[Task]:
    """The tasks that take part in Flan 2022: those of submixtures with a rate."""
    return [task for task in everything if SUBMIXTURES[task.submixture].rate]


def differences(everything: Iterable[Task]) -> pd.DataFrame:
    """Every difference between the paper's count and the tasks.

    Returns:
        ``submixture, name, tasks, change, why``: a name of the public list, empty where it lacks the task; the tasks
        here; and by how much the count changes. 1,836 and all changes make the number of the tasks of Flan 2022.

    Raises:
        UserError: a name of the public list whose task does not exist, or a task that the list lacks and that has no
            ``note`` saying why it is there.
    """
    chosen = flan2022(everything)
    left = {task.name: task for task in chosen}
    listed = published("collection")
    rows: list[tuple[str, str, str, int, str]] = []
    for submixtures, count in PAPER_PARTS:
        if more := int(listed["submixture"].isin(submixtures).sum()) - count:
            rows.append((submixtures[0], "", "", more, BEYOND))
    seen: set[str] = set()
    for submixture, name, ours in listed.itertuples(index=False):
        if name in seen:
            rows.append((submixture, name, ours, -1, TWICE))
            continue
        seen.add(name)
        for task in ours.split():
            if left.pop(task, None) is None:
                raise UserError(f"the paper's {name} stands for task '{task}', which does not exist")
        if more := len(ours.split()) - 1:
            rows.append((submixture, name, ours, more, PARTS))
    for task in left.values():
        if not task.note:
            raise UserError(f"task '{task.name}' is not in the paper's list; say in its note why it is there")
        rows.append((task.submixture, "", task.name, 1, task.note))
    return pd.DataFrame(rows, columns=["submixture", "name", "tasks", "change", "why"])


def counts(everything: Iterable[Task]) -> pd.DataFrame:
    """Tasks by submixture: in the public list, here, of these without data, and their inverted twins."""
    everything = tuple(everything)
    listed = published("collection")["submixture"].value_counts()
    rows = []
    for name, submixture in SUBMIXTURES.items():
        of_it = tuple(task for task in everything if task.submixture == name)
        if not of_it and name not in listed:
            continue
        rows.append(
            {
                "submixture": submixture.title,
                "public list": int(listed.get(name, 0)),
                "flannb": len(of_it),
                "of these without data": sum(bool(task.unavailable) for task in of_it),
                "inverted twins": len(with_inversions(of_it)) - len(of_it),
                "cap": submixture.cap,
                "rate": submixture.rate,
            }
        )
    return pd.DataFrame(rows)


def write_collection(folder: Path) -> list[Path]:
    """Writes README.md, differences.csv and tasks.csv into a folder, each whole or not at all."""
    everything = tasks("hub")
    changes = differences(everything)
    names = {
        task: name for _, name, ours in published("collection").itertuples(index=False) for task in str(ours).split()
    }
    table = pd.DataFrame(
        {
            "task": [task.name for task in everything],
            "submixture": [task.submixture for task in everything],
            "data": [str(task.data) for task in everything],
            "where": ["=".join(task.where) if task.where else "" for task in everything],
            "paper": [names.get(task.name, "") for task in everything],
            "held_in": [task.held_in for task in everything],
            "unavailable": [task.unavailable for task in everything],
            "note": [task.note for task in everything],
        }
    )
    files = {
        "README.md": _page(everything, changes),
        "differences.csv": to_csv(changes),
        "tasks.csv": to_csv(table),
    }
    return write_texts(Path(folder), files)


def _page(everything: tuple[Task, ...], changes: pd.DataFrame) -> str:
    chosen = flan2022(everything)
    listed, table = len(published("collection")), counts(everything)
    others = len(everything) - len(chosen)
    parts = " + ".join(f"{count:,}" for _, count in PAPER_PARTS)
    names = [" and ".join(SUBMIXTURES[name].title for name in submixtures) for submixtures, _ in PAPER_PARTS]
    gone = [(_code(task.name), str(task.data), task.unavailable) for task in everything if task.unavailable]
    unsure = [(_code(task.name), str(task.data), task.note) for task in chosen if "checked against" in task.note]
    unsure = [row for row in unsure if not row[0].startswith("`ni_")]
    return "\n".join(
        [
            "# The tasks of Flan 2022",
            "",
            "Made by `nox -s data -- --reconcile`; do not edit. [tasks.csv](tasks.csv) names every task with its",
            "source, [differences.csv](differences.csv) every difference.",
            "",
            f"The paper counts {PAPER_COUNT:,} tasks: {parts}, which are {'; '.join(names)} (Chung et al. 2022).",
            f"Its public list has {listed:,} regular tasks. flannb has {len(chosen):,}, of which {len(gone)} have no",
            "data that it could read. The build makes inverted tasks from regular ones; neither count has them.",
            "",
            *markdown_table(list(table), (map(str, row) for row in table.itertuples(index=False))),
            "",
            f"The last row's {others} tasks are no part of Flan 2022; the row P3++ of Table 1 trains on them.",
            "",
            f"## From {PAPER_COUNT:,} to {len(chosen):,}",
            "",
            *markdown_table(
                ["submixture", "in the public list", "here", "change", "why"],
                (
                    (SUBMIXTURES[submixture].title, _code(name), _code(ours), f"{change:+d}", why)
                    for submixture, name, ours, change, why in changes.itertuples(index=False)
                ),
            ),
            "",
            f"Together {changes['change'].sum():+d}: {PAPER_COUNT:,} {changes['change'].sum():+d} = {len(chosen):,}.",
            "",
            "## Without data",
            "",
            "These keep their place in the list and are never built.",
            "",
            *markdown_table(["task", "data", "why"], gone),
            "",
            "## Not checked",
            "",
            "The mapping of these follows documentation; nobody has compared it with the Hub's files yet. The names of",
            "Super-Natural Instructions are checked against the benchmark's lists, not against the Hub's rows.",
            "",
            *markdown_table(["task", "data", "note"], unsure),
            "",
        ]
    )


def _code(names: str) -> Markdown:
    """Names of tasks or datasets, separated by spaces, as code."""
    return Markdown(" ".join(f"`{name}`" for name in names.split()))
