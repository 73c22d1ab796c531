"""The numbers of a report, as its CSV file has them, as a table to read whose cells say where they come from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pandas as pd

from flannb.errors import UserError
from flannb.report.catalogue import PREDICTIONS, Report
from flannb.report.layout import SETTINGS, TITLES, layout
from flannb.report.page import ABSENT, NUMBER
from flannb.report.pretraining import TITLES as OBJECTIVES
from flannb.report.single_task_figures import MODELS


@dataclass(frozen=True)
class Cell:
    """A cell: its text, the interval and the paper's number below it, and what more there is to say of it.

    Attributes:
        run: the row of ``Report.runs`` that its number comes from; empty where there is none.
    """

    text: str
    interval: str = ""
    paper: str = ""
    told: str = ""
    run: str = ""


@dataclass
class Grid:
    """A table to read: the heads of its columns, and rows of cells whose first is a name."""

    heads: list[str]
    rows: list[list[Cell]] = field(default_factory=list)

    @property
    def numbers(self) -> set[int]:
        """The places of columns that hold numbers."""
        texts = ([row[place].text for row in self.rows] for place in range(len(self.heads)))
        return {place for place, column in enumerate(texts) if all(map(NUMBER.fullmatch, column))}


def grid_of(report: Report) -> Grid | None:
    """The numbers of a report to read; None where there are none, or they are not as flannb writes them."""
    if report.table is None:
        return None
    try:
        return READERS.get(report.artefact, _as_it_is)(report, report.table)
    except (KeyError, ValueError, TypeError, AttributeError, UserError):
        return None


def _scores(report: Report, table: pd.DataFrame) -> Grid:
    """Rows of models, and a column for each suite and setting."""
    if report.artefact == "figure4":
        names = {line.row: f"{line.size}, {line.tasks:,} tasks" for line in table.itertuples()}
    else:
        names = layout(report.artefact).titles()
    cells = list(dict.fromkeys(table[["suite", "setting"]].itertuples(index=False, name=None)))
    grid = Grid([report.kind.title, *(f"{TITLES[suite]}, {SETTINGS[setting]}" for suite, setting in cells)])
    for row, lines in table.groupby("row", sort=False):
        by_cell = {(line.suite, line.setting): line for line in lines.itertuples()}
        made = [_number(report, str(row), by_cell[cell], "{suite}.{setting}.*.parquet") for cell in cells]
        grid.rows.append([Cell(str(names.get(row, row))), *made])
    return grid


def _number(report: Report, row: str, line: object, file: str = "") -> Cell:
    """A score with its interval, of how many rows it is, and which files of predictions it is made of."""
    score, n, paper = (getattr(line, name, None) for name in ("score", "n", "paper"))
    beside = "" if pd.isna(paper) else f"{paper:.1f}"
    if pd.isna(score):
        return Cell(ABSENT, paper=beside, told=str(getattr(line, "source", "")))
    interval = f"{getattr(line, 'ci_low', None):.1f}, {getattr(line, 'ci_high', None):.1f}"
    told = "" if pd.isna(n) else f"n = {n:,.0f}"
    if (split := getattr(line, "split", None)) and not pd.isna(split):
        told += f" of {split}"
    address = next((place.address for place in report.runs.get(row, ()) if place.what == PREDICTIONS), "")
    if address and file:
        told += f"; {address}/{file.format(suite=getattr(line, 'suite', ''), setting=getattr(line, 'setting', ''))}"
    return Cell(f"{score:.1f}", interval, beside, told, row if row in report.runs else "")


def _single_tasks(report: Report, table: pd.DataFrame) -> Grid:
    """Rows of tasks, and a column for each model."""
    grid = Grid(["Task", "Metric", *(title for title, _, _ in MODELS.values())])
    for task, lines in table.groupby("task", sort=False):
        by_model = {line.model: line for line in lines.itertuples()}
        first = next(iter(by_model.values()))
        made = [_number(report, str(task), by_model[model]) for model in MODELS]
        grid.rows.append([Cell(str(first.dataset)), Cell(str(first.paper_metric)), *made])
    return grid


def _curves(report: Report, table: pd.DataFrame) -> Grid:
    """Rows of tasks, and for each start its best validation score and the step of it."""
    starts = list(dict.fromkeys(table["start"]))
    grid = Grid(["Task", *(head for start in starts for head in (f"{start}, best validation", f"{start}, step"))])
    for task, lines in table.groupby("task", sort=False):
        row = [Cell(str(lines["dataset"].iloc[0]))]
        for start in starts:
            scores = lines[lines["start"] == start].rename(columns={"validation": "score"}).dropna(subset=["score"])
            best = next(scores.sort_values(["score", "step"], ascending=[False, True]).itertuples(), None)
            row += [_number(report, str(task), best), Cell("" if best is None else f"{best.step:,}")]
        grid.rows.append(row)
    return grid


def _permutations(report: Report, table: pd.DataFrame) -> Grid:
    """What is given, what is asked for, and in how many examples; their texts are on the report's page."""
    counts = table.groupby(["given", "asked"], sort=False).size()
    return Grid(
        ["Given", "Asked for", "Examples shown"],
        [[Cell(str(given)), Cell(str(asked)), Cell(f"{count:,}")] for (given, asked), count in counts.items()],
    )


def _timeline(report: Report, table: pd.DataFrame) -> Grid:
    """Collections by their release."""
    grid = Grid(["Release", "Collection", "Models", "Base", "Smallest, million", "Largest, million"])
    for line in table.itertuples():
        sizes = (f"{size // 10**6:,}" for size in (line.smallest, line.largest))
        grid.rows.append([Cell(str(t)) for t in (line.release, line.collection, line.models, line.base, *sizes)])
    return grid


def _held_out(report: Report, table: pd.DataFrame) -> Grid:
    """Rows of objectives, and their loss before training and after each stage."""
    stages = list(dict.fromkeys(table["stage"]))
    grid = Grid(["Loss of", "Before", *(f"After {OBJECTIVES[stage]}" for stage in stages), "Unigram entropy"])
    for objective, lines in table.groupby("objective", sort=False):
        by_stage = {stage: lines[lines["stage"] == stage].sort_values("step") for stage in stages}
        first = by_stage[stages[0]].iloc[0]
        after = [Cell(f"{by_stage[s]['loss'].iloc[-1]:.3f}", run=s if s in report.runs else "") for s in stages]
        entropy = Cell(f"{first['unigram_entropy']:.3f}", told=f"{first['tokens']:,} target tokens")
        grid.rows.append([Cell(OBJECTIVES[str(objective)]), Cell(f"{first['loss']:.3f}"), *after, entropy])
    return grid


def _as_it_is(report: Report, table: pd.DataFrame) -> Grid:
    """The table as the file has it."""
    rows = [[Cell(ABSENT if pd.isna(v) else f"{v:.6g}" if isinstance(v, float) else str(v)) for v in line]
            for line in table.itertuples(index=False)]  # fmt: skip
    return Grid([str(name).replace("_", " ") for name in table], rows)


READERS: Mapping[str, Callable[[Report, pd.DataFrame], Grid]] = {
    **dict.fromkeys(("table1", "table2", "figure1", "figure3", "figure4", "weights"), _scores),
    **dict.fromkeys(("table3", "figure5"), _single_tasks),
    "figure6": _curves,
    "figure7": _permutations,
    "figure2": _timeline,
    "pretrain": _held_out,
}
"""Artefact -> what makes its table; others are shown as they are."""
