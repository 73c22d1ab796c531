"""Figure 3: zero-shot and few-shot scores over the share of few-shot data in the training mixture."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from flannb.mixture.named import FEW_SHOT_SHARES
from flannb.report.claims import evaluate_claims
from flannb.report.drawing import DOTTED, SETTING_MARKS, STAR, across, curve, new_figure, plain, report_style
from flannb.report.figure_page import FigurePage, score_grid, write_page
from flannb.report.layout import SETTINGS, TITLES
from flannb.report.page import caption, count_range
from flannb.report.ranking import CAPTION as RANKED
from flannb.report.ranking import Ranked, ranking_tables
from flannb.report.table import Predictions, Setup, repeat_counts, score_table

CLAIM = (
    "The paper: 5% of few-shot data improve zero-shot scores, 10% of zero-shot data improve few-shot scores, and the"
    " best mix lies between 10% and 90% of few-shot data."
)
CAPTION = "Scores over the share of few-shot data in training. Bands are 95% intervals, stars the highest points."
TICKS = (0, 10, 25, 50, 75, 90, 100)


def write_figure3(
    folder: Path, predictions: Predictions, setup: Setup, ranked: Predictions | None = None
) -> list[Path]:
    """Writes the report on Figure 3; see ``flannb.report.figure_page.write_page``.

    Where answers were ranked, the same of them follows: ranking.png, .svg and .csv.

    Args:
        folder: of the report.
        predictions: row, such as ``few_shot_25``, -> its predictions.
        setup: what was measured, in the layout ``figure3``.
        ranked: row -> its predictions by ranking, instead of generation.
    """
    table, heading = score_table(predictions, setup), "Few-shot data in training"
    figures = {"figure3": (CAPTION, figure3(table, setup))}
    tables = {"Scores": score_grid(table, heading, setup.layout.titles())}
    data = {"figure3": _with_shares(table)}
    notes: Mapping[str, Sequence[str]] = {}
    if ranked:
        chosen = Ranked.of(ranked, setup)
        figures["ranking"] = (RANKED, figure3(chosen.table, setup, chosen.chance))
        more, notes = ranking_tables(chosen, heading, setup)
        tables |= more
        data["ranking"] = _with_shares(chosen.table)
    page = FigurePage(
        f"Figure 3, measured at the scale {setup.scale}",
        [CLAIM, *caption(table, setup, repeats=repeat_counts(predictions))],
        figures,
        tables,
        evaluate_claims(predictions, setup),
        notes,
    )
    return write_page(folder, "figure3", page, data)


def _with_shares(table: pd.DataFrame) -> pd.DataFrame:
    """Scores to write, with the share of each row."""
    table = table.drop(columns="paper")
    table.insert(1, "few_shot_percent", shares(table))
    return table


def shares(table: pd.DataFrame) -> pd.Series:
    """The percent of few-shot data in the training of each line; missing of rows of one's own, which are not drawn."""
    return table["row"].map({f"few_shot_{share}": share for share in FEW_SHOT_SHARES}).astype("Int64")


def figure3(table: pd.DataFrame, setup: Setup, chance: Mapping[tuple[str, str], float] | None = None) -> Figure:
    """A panel for each suite, a curve for each setting of evaluation.

    Args:
        table: from ``flannb.report.table.score_table``.
        setup: what was measured.
        chance: (suite, setting) -> what guessing scores; the mean of the settings is drawn.
    """
    suites, table = setup.layout.suites, table[shares(table).notna()]
    with report_style():
        figure = new_figure(1.75 * len(suites) + 0.5)
        panels = figure.subplots(len(suites), 1, sharex=True)
        for axes, suite in zip(panels, suites, strict=True):
            for setting, (colour, marker) in SETTING_MARKS.items():
                cell = table[(table["suite"] == suite) & (table["setting"] == setting)]
                curve(axes, shares(cell), cell, colour, marker)
            guessed = [value for (of, _), value in (chance or {}).items() if of == suite]
            across(axes, sum(guessed) / len(guessed) if guessed else None)
            n = count_range(table.loc[table["suite"] == suite, "n"])
            axes.set_title(f"{TITLES[suite]}{f' (n = {n})' if n else ''}", loc="left")
            axes.set_ylabel("Score (%)")
            plain(axes)
        panels[-1].set_xticks(TICKS, [f"{tick}" for tick in TICKS])
        panels[-1].set_xlabel(f"Few-shot data in training (%), scale {setup.scale}")
        handles = [
            Line2D(
                [], [], color=colour, marker=marker, markersize=3, linewidth=0.9, label=f"{SETTINGS[key]} evaluation"
            )
            for key, (colour, marker) in SETTING_MARKS.items()
        ]
        handles.append(Line2D([], [], **STAR, label="highest"))
        handles += [Line2D([], [], **DOTTED, label="guessing")] if chance else []
        columns = 2 if chance else 3
        figure.legend(handles=handles, loc="outside lower center", ncols=columns, frameon=False, columnspacing=1.2)
        return figure
