"""Figure 2: a timeline of public instruction-tuning collections, from the paper's own facts (``paper/figure2.csv``)."""

import re
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from flannb.errors import UserError
from flannb.report.drawing import BLUE, ORANGE, new_figure, plain_rows, report_style
from flannb.report.figure_page import FigurePage, write_page
from flannb.report.published import published

CAPTION = (
    "Public instruction-tuning collections by the month of their release, and the sizes of the models that were first"
    " finetuned on them, on a logarithmic axis."
)
ABOUT = (
    "The paper: since 2020 several collections have been released in rapid succession, first large sets of tasks, then"
    " collections of collections.",
    "The facts are the paper's; nothing here is measured. Above each bar stand the base models.",
)
OURS = "Flan 2022"

UNITS = {"M": 10**6, "B": 10**9}


def write_figure2(folder: Path) -> list[Path]:
    """Writes the report on Figure 2, whose HTML table sorts; see ``flannb.report.figure_page.write_page``."""
    table = timeline()
    shown = pd.DataFrame(
        {
            "Release": table["release"],
            "Collection": table["collection"],
            "Models": table["models"],
            "Base": table["base"],
            "Smallest, million parameters": table["smallest"] // 10**6,
            "Largest, million parameters": table["largest"] // 10**6,
        }
    )
    page = FigurePage(
        "Figure 2: a timeline of instruction-tuning collections",
        ABOUT,
        {"figure2": (CAPTION, figure2(table))},
        {"Collections": shown},
        sortable=True,
    )
    return write_page(folder, "figure2", page, {"figure2": table})


def timeline() -> pd.DataFrame:
    """The collections by release: ``release, collection, models, base, smallest, largest``, sizes in parameters."""
    table = published("figure2").sort_values("release", kind="stable", ignore_index=True)
    sizes = pd.DataFrame([parameters(size) for size in table["size"]], columns=["smallest", "largest"])
    return pd.concat([table.drop(columns="size"), sizes], axis=1)


def parameters(text: str) -> tuple[int, int]:
    """The smallest and the largest size that a text such as ``140M``, ``3-11B`` or ``220M-11B`` tells, in parameters.

    Raises:
        UserError: it is no such text.
    """
    match = re.fullmatch(r"([0-9.]+)([MB]?)(?:-([0-9.]+)([MB]))?", text)
    if match is None or not (match[2] or match[4]):
        raise UserError(f"paper/figure2.csv, column 'size': '{text}' is no size such as 140M, 3-11B or 220M-11B")
    small, unit, large, large_unit = match.groups()
    smallest = round(float(small) * UNITS[unit or large_unit])
    return smallest, round(float(large) * UNITS[large_unit]) if large else smallest


def figure2(table: pd.DataFrame) -> Figure:
    """A line for each collection, from the first to the last, with the sizes of its models.

    Args:
        table: from ``timeline``.
    """
    with report_style():
        figure = new_figure(0.27 * len(table) + 0.6)
        axes = figure.subplots()
        for y, line in enumerate(table.itertuples()):
            colour = ORANGE if line.collection == OURS else BLUE
            axes.plot([line.smallest, line.largest], [y, y], color=colour, linewidth=1.6, solid_capstyle="round")
            axes.plot([line.smallest, line.largest], [y, y], "o", color=colour, markersize=3)
            middle = (line.smallest * line.largest) ** 0.5
            axes.annotate(
                line.base, (middle, y), (0, 2.6), textcoords="offset points", ha="center", va="bottom", fontsize=5.5
            )
        years = table["release"].str[:4]
        for y in range(1, len(table)):
            if years[y] != years[y - 1]:
                axes.axhline(y - 0.62, color="#CCCCCC", linewidth=0.6)
        axes.set_yticks(range(len(table)), [f"{line.collection}  {line.release}" for line in table.itertuples()])
        for label, name in zip(axes.get_yticklabels(), table["collection"], strict=True):
            label.set_fontweight("bold" if name == OURS else "normal")
        axes.set_ylim(len(table) - 0.5, -0.8)
        axes.set_xscale("log")
        axes.set_xlim(5e6, 1.2e12)
        axes.set_xticks([1e7, 1e8, 1e9, 1e10, 1e11, 1e12], ["10M", "100M", "1B", "10B", "100B", "1T"])
        axes.minorticks_off()
        axes.set_xlabel("Parameters of the finetuned models")
        plain_rows(axes)
        return figure
