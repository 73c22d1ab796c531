"""Figure 1: the collections of Table 1 in every suite."""

from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from flannb.collection.submixtures import SUITES
from flannb.report.claims import evaluate_claims
from flannb.report.drawing import BLUE, GREEN, ORANGE, PINK, new_figure, plain, report_style
from flannb.report.figure_page import FigurePage, score_grid, write_page
from flannb.report.layout import SETTINGS
from flannb.report.page import caption, count_range
from flannb.report.published import published
from flannb.report.table import Predictions, Setup, repeat_counts, score_table

COLLECTIONS = {
    "flan2022": ("Flan 2022", ORANGE, "o"),
    "flan2021": ("Flan 2021", BLUE, "s"),
    "p3pp": ("P3++", GREEN, "D"),
    "super_natural_instructions": ("Super-Natural Inst.", PINK, "^"),
}
REPORTED_MODEL = ("opt_iml_max_175b", "OPT-IML-Max 175B, as reported", "#666666", "x")
"""The larger model of another publication that the paper draws beside them: row, name, colour, marker."""

CLAIM = (
    "The paper: a model trained on Flan 2022 is better on every suite than models of its size trained on other public"
    " collections."
)
CAPTION = (
    "Scores of models trained on four collections, measured with 95% intervals and in the paper, and of a larger model"
    " as its own publication reports them."
)


def write_figure1(folder: Path, predictions: Predictions, setup: Setup) -> list[Path]:
    """Writes the report on Figure 1; see ``flannb.report.figure_page.write_page``.

    Args:
        folder: of the report.
        predictions: row of Table 1 -> its predictions.
        setup: what was measured, in the layout ``figure1``.
    """
    table = score_table(predictions, setup)
    page = FigurePage(
        f"Figure 1, measured at the scale {setup.scale}",
        [CLAIM, *caption(table, setup, repeats=repeat_counts(predictions))],
        {"figure1": (CAPTION, figure1(table, setup.scale))},
        {"Scores": score_grid(table, "Collection", setup.layout.titles())},
        evaluate_claims(predictions, setup),
    )
    return write_page(folder, "figure1", page, {"figure1": table})


def figure1(table: pd.DataFrame, scale: str) -> Figure:
    """Figure 1: the suites' scores of four collections, measured (filled, with intervals) and in the paper (open), and
    of ``REPORTED_MODEL``.

    Args:
        table: Table 1 from ``flannb.report.table.score_table``.
        scale: of the measured scores, for the legend.
    """
    with report_style():
        figure = new_figure(4.1)
        panels = figure.subplots(len(SETTINGS), 1, sharex=True, sharey=True)
        for axes, (setting, title) in zip(panels, SETTINGS.items(), strict=True):
            of_setting = table[table["setting"] == setting]
            _draw_suites(axes, of_setting, setting)
            counts = count_range(of_setting.loc[of_setting["suite"].isin(SUITES), "n"])
            axes.set_title(f"{title.capitalize()}{f', n = {counts} a suite' if counts else ''}", loc="left")
        panels[0].set_ylim(0, None)
        figure.legend(handles=_legend(scale), loc="outside lower center", ncols=2, frameon=False)
        return figure


def _draw_suites(axes: Axes, table: pd.DataFrame, setting: str) -> None:
    table = table.set_index(["suite", "row"])
    for column, suite in enumerate(SUITES):
        for place, (row, (_, colour, marker)) in enumerate(COLLECTIONS.items()):
            x = column + 0.2 * (place - len(COLLECTIONS) / 2) - 0.04
            line = table.loc[suite, row]
            style: dict[str, Any] = {
                "marker": marker,
                "markersize": 3.6,
                "color": colour,
                "linestyle": "none",
                "markeredgewidth": 0.7,
            }
            axes.plot(x + 0.08, line["paper"], **style, markerfacecolor="white", zorder=2)
            below, above = line["score"] - line["ci_low"], line["ci_high"] - line["score"]
            axes.errorbar(x, line["score"], [[below], [above]], **style, elinewidth=0.8, capsize=0, zorder=3)
        row, _, colour, marker = REPORTED_MODEL
        reported = published("table1").set_index("row").loc[row, f"{suite}_{setting}"]
        axes.plot(column + 0.2 * len(COLLECTIONS) / 2, reported, marker, color=colour, markersize=3.6, zorder=2)
        if column:
            axes.axvline(column - 0.5, color="#DDDDDD", linewidth=0.5, zorder=0)
    plain(axes)
    axes.set_xlim(-0.5, len(SUITES) - 0.5)
    axes.set_xticks(
        range(len(SUITES)), [title.replace("Chain-of-Thought", "Chain-of-\nThought") for title in SUITES.values()]
    )
    axes.tick_params(axis="x", length=0)
    axes.set_ylabel("Score (%)")


def _legend(scale: str) -> list[Line2D]:
    style: dict[str, Any] = {"linestyle": "none", "markersize": 3.6, "markeredgewidth": 0.7}
    rows = [
        Line2D([], [], marker=marker, color=colour, label=name, **style)
        for name, colour, marker in COLLECTIONS.values()
    ]
    measured = Line2D([], [], marker="o", color="#444444", label=f"measured, scale {scale}", **style)
    paper = Line2D([], [], marker="o", color="#444444", markerfacecolor="white", label="paper, T5-XL", **style)
    _, name, colour, mark = REPORTED_MODEL
    return [*rows, measured, paper, Line2D([], [], marker=mark, color=colour, label=name, **style)]
