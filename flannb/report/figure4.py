"""Figure 4: scores over the number of training tasks, for several model sizes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from flannb.collection.submixtures import SUITES
from flannb.evaluate.intervals import Interval, Statistic, highest_lead, statistic
from flannb.report.claims import Part, evaluate_claims
from flannb.report.drawing import (
    AMBER,
    BLUE,
    DOTTED,
    GREEN,
    ORANGE,
    STAR,
    across,
    curve,
    new_figure,
    plain,
    report_style,
)
from flannb.report.figure_page import FigurePage, score_grid, write_page
from flannb.report.layout import SETTINGS, Layout
from flannb.report.page import caption
from flannb.report.ranking import CAPTION as RANKED
from flannb.report.ranking import Ranked, ranking_tables
from flannb.report.table import Predictions, Setup, cells, or_undefined, repeat_counts, score_table, with_interval

CLAIM = (
    "The paper: with more tasks, Held-Out scores rise log-linearly up to all 1,836, while Held-In scores peak near 200"
    " tasks, later for larger models."
)
CAPTION = (
    "Scores over the number of training tasks, on a logarithmic axis, by model size. Bands are 95% intervals, stars the"
    " highest points."
)
HELD_IN, HELD_OUT = "held_in", "mmlu"
PEAK = (100, 400)
"""Numbers of tasks that count as near the 200 at which the paper sees the peak: within a factor of two."""

SIZE_MARKS = ((AMBER, "^"), (GREEN, "D"), (BLUE, "s"), (ORANGE, "o"), ("#000000", "v"))
"""Colour and marker of each size, the smallest first."""


@dataclass(frozen=True)
class Point:
    """A model of the figure: its size, how many parameters that has, and how many tasks it was trained on."""

    size: str
    tasks: int
    parameters: int | None = None


Points = Mapping[str, Point]
"""Row -> its point, by size, the smallest first, and then by tasks."""


MOST_UPRIGHT = 6
"""Numbers of tasks beyond which their labels are turned to fit."""


def layout_of(points: Points) -> Layout:
    """The layout of the figure with these points."""
    most = max((point.tasks for point in points.values()), default=0)
    return Layout(
        "figure4",
        "Figure 4",
        (HELD_IN, HELD_OUT),
        {"": "Tasks and sizes"},
        "",
        ("C7a", "C7b"),
        f"The paper prints no numbers of it. The data have {most:,} tasks; fewer are drawn from them by the seed, the"
        " Held-In ones always among them, and fewer are a part of more.",
        rows={row: f"{point.size}, {point.tasks:,} tasks" for row, point in points.items()},
    )


def write_figure4(
    folder: Path, predictions: Predictions, setup: Setup, points: Points, ranked: Predictions | None = None
) -> list[Path]:
    """Writes the report on Figure 4, with trends.csv beside it; see ``flannb.report.figure_page.write_page``.

    Where answers were ranked, the same of them follows: ranking.png, .svg and .csv, and ranking_trends.csv.

    Args:
        folder: of the report.
        predictions: row -> its predictions.
        setup: what was measured, in the layout of ``layout_of``.
        points: what the rows are.
        ranked: row -> its predictions by ranking, instead of generation.
    """
    table, trend = score_table(predictions, setup), trends(predictions, setup, points)
    heading = "Size, tasks"
    figures = {"figure4": (CAPTION, figure4(table, trend, setup, points))}
    tables = {"Scores": score_grid(table, heading, setup.layout.titles()), "Trends": _shown(trend)}
    data = {"figure4": _with_points(table, points), "trends": trend}
    notes: Mapping[str, Sequence[str]] = {}
    if ranked:
        slopes = trends(ranked, setup, points)
        chosen = Ranked.of(ranked, setup, _claims(ranked, setup, points, slopes))
        figures["ranking"] = (RANKED, figure4(chosen.table, slopes, setup, points, chosen.chance))
        more, notes = ranking_tables(chosen, heading, setup)
        tables |= more | {"Trends of ranked answers": _shown(slopes)}
        data |= {"ranking": _with_points(chosen.table, points), "ranking_trends": slopes}
    page = FigurePage(
        f"Figure 4, measured at the scale {setup.scale}",
        [CLAIM, *caption(table, setup, repeats=repeat_counts(predictions))],
        figures,
        tables,
        _claims(predictions, setup, points, trend),
        notes,
    )
    return write_page(folder, "figure4", page, data)


def _claims(predictions: Predictions, setup: Setup, points: Points, trend: pd.DataFrame) -> pd.DataFrame:
    """The claims, those on slopes with how well a line fits."""
    claims = evaluate_claims(predictions, setup, parts(points))
    fits = {f"C7a.{line.suite}.{line.setting}.{line.size}": line for line in trend.itertuples()}
    claims["detail"] = [
        f"{detail}, R² = {_r2(fits[id])}" if id in fits else detail
        for id, detail in zip(claims["id"], claims["detail"], strict=True)
    ]
    return claims


def _with_points(table: pd.DataFrame, points: Points) -> pd.DataFrame:
    """Scores to write, with what the rows are."""
    table = table.drop(columns="paper")
    for place, column in enumerate(("size", "tasks", "parameters")):
        table.insert(1 + place, column, [getattr(points[row], column) for row in table["row"]])
    return table


def slope(tasks: Sequence[int]) -> Statistic:
    """Points gained with each doubling of the tasks: the least-squares slope of the scores on log2(tasks)."""
    x = _centred(np.log2(tasks))
    return lambda scores: scores @ x / (x @ x)


def r_squared(tasks: Sequence[int]) -> Statistic:
    """The share of the scores' variance that the line on log2(tasks) explains; not a number where they are equal."""
    x = _centred(np.log2(tasks))

    def of(scores: NDArray[np.float64]) -> NDArray[np.float64]:
        y = _centred(scores)
        total = (x @ x) * (y**2).sum(axis=-1)
        return np.divide(
            (y @ x) ** 2, total, out=np.full(total.shape, np.nan), where=total > 1e-9
        )  # equal scores, up to rounding

    return of


def peak(tasks: Sequence[int]) -> Statistic:
    """The number of tasks with the highest score, the smallest of several; not a number where all scores are equal."""

    def of(scores: NDArray[np.float64]) -> NDArray[np.float64]:
        level = scores.max(axis=-1) == scores.min(axis=-1)
        return np.where(level, np.nan, np.asarray(tasks, dtype=float)[scores.argmax(axis=-1)])

    return of


def _centred(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values - values.mean(axis=-1, keepdims=True)


def _by_size(points: Points) -> dict[str, list[str]]:
    """Size -> its rows, by tasks."""
    sizes: dict[str, list[str]] = {}
    for row, point in points.items():
        sizes.setdefault(point.size, []).append(row)
    return sizes


def trends(predictions: Predictions, setup: Setup, points: Points) -> pd.DataFrame:
    """Slope, R² and peak of every size in every suite and setting, each with its interval, over the points that exist.

    Returns:
        ``size, suite, setting, points``; ``slope``, in points per doubling; ``r2``; ``peak``, in tasks; and the ends
        of their intervals, such as ``slope_low``. Sizes with fewer than three points have none.
    """
    measured = cells(predictions, setup)
    lines = []
    for size, rows in _by_size(points).items():
        for suite, setting in setup.layout.cells():
            found = {row: measured[key] for row in rows if (key := (row, suite, setting)) in measured}
            first = next(iter(found.values()), None)
            if first is None or len(found) < 3 or not all(first.same_rows(cell) for cell in found.values()):
                continue
            tasks, scores = [points[row].tasks for row in found], [cell.scores for cell in found.values()]
            line: dict[str, object] = {"size": size, "suite": suite, "setting": setting, "points": len(found)}
            for name, of in {"slope": slope(tasks), "r2": r_squared(tasks), "peak": peak(tasks)}.items():
                line |= _named(name, statistic(scores, of, setup.seed))
            lines.append(line)
    columns = ["size", "suite", "setting", "points"]
    columns += [f"{name}{end}" for name in ("slope", "r2", "peak") for end in ("", "_low", "_high")]
    return pd.DataFrame(lines, columns=columns)


def _named(name: str, interval: Interval) -> dict[str, float]:
    return {name: interval.score, f"{name}_low": interval.low, f"{name}_high": interval.high}


def parts(points: Points) -> dict[str, tuple[Part, ...]]:
    """The parts of C7a and C7b for the sizes and numbers of tasks at hand."""
    sizes = _by_size(points)
    return {
        "C7a": tuple(
            Part(
                f"{size}: the score rises with the tasks",
                tuple(rows),
                (),
                HELD_OUT,
                setting,
                of=slope([points[row].tasks for row in rows]),
                key=size,
                unit="points per doubling of the tasks",
            )
            for size, rows in sizes.items()
            for setting in SETTINGS
        ),
        "C7b": (
            *(_near_200(size, rows, setting, points) for size, rows in sizes.items() for setting in SETTINGS),
            *(_peaks_later(sizes, setting, points) for setting in SETTINGS if sizes),
        ),
    }


def _near_200(size: str, rows: list[str], setting: str, points: Points) -> Part:
    inside = tuple(row for row in rows if PEAK[0] <= points[row].tasks <= PEAK[1])
    outside = tuple(row for row in rows if row not in inside)
    most = max(points[row].tasks for row in rows)
    return Part(
        f"{size}: the highest score is at {PEAK[0]} to {PEAK[1]} tasks",
        inside,
        outside,
        HELD_IN,
        setting,
        of=highest_lead(len(inside)),
        key=f"{size}.near_200",
        lacking="" if inside and most > PEAK[1] else f"the data have {most:,} tasks; it takes more than {PEAK[1]}",
    )


def _peaks_later(sizes: Mapping[str, list[str]], setting: str, points: Points) -> Part:
    smallest, *_, largest = [*sizes, *sizes]  # the same one where there is one only
    below, above = sizes[smallest], sizes[largest]
    large, small = (peak([points[row].tasks for row in rows]) for rows in (above, below))
    return Part(
        f"{largest} peaks at more tasks than {smallest}",
        tuple(above),
        tuple(below),
        HELD_IN,
        setting,
        of=lambda scores: np.log2(large(scores[..., : len(above)]) / small(scores[..., len(above) :])),
        key="later",
        unit="doublings from the one peak to the other",
        lacking="" if len(sizes) > 1 else "only one size was measured",
    )


def _r2(line: Any) -> str:
    return or_undefined(line.r2, line.r2_low, line.r2_high, ".2f")


def _shown(trend: pd.DataFrame) -> pd.DataFrame:
    """Trends to read."""
    lines = list(trend.itertuples())
    return pd.DataFrame(
        {
            "Size": trend["size"],
            "Suite": [f"{SUITES[line.suite]}, {SETTINGS[line.setting]}" for line in lines],
            "Points per doubling": [
                with_interval(line.slope, line.slope_low, line.slope_high, "+.1f") for line in lines
            ],
            "R²": [_r2(line) for line in lines],
            "Tasks at the peak": [or_undefined(line.peak, line.peak_low, line.peak_high, ",.0f") for line in lines],
        }
    )


def figure4(
    table: pd.DataFrame,
    trend: pd.DataFrame,
    setup: Setup,
    points: Points,
    chance: Mapping[tuple[str, str], float] | None = None,
) -> Figure:
    """A panel for each suite and setting, a curve for each size; the legend says how steeply Held-Out scores rise.

    Args:
        table: from ``flannb.report.table.score_table``.
        trend: from ``trends``.
        setup: what was measured.
        points: what the rows are.
        chance: (suite, setting) -> what guessing scores.
    """
    chance = chance or {}
    sizes = _by_size(points)
    marks = dict(zip(sizes, SIZE_MARKS[-len(sizes) :], strict=True))
    table = table.set_index("row")
    tasks = pd.Series({row: point.tasks for row, point in points.items()})
    with report_style():
        figure = new_figure(3.5 + 0.15 * (len(sizes) + bool(chance)))
        panels = figure.subplots(len(SETTINGS), len(setup.layout.suites), sharex=True, sharey="col")
        for line, (setting, title) in zip(panels, SETTINGS.items(), strict=True):
            for axes, suite in zip(line, setup.layout.suites, strict=True):
                cell = table[(table["suite"] == suite) & (table["setting"] == setting)]
                for size, rows in sizes.items():
                    curve(axes, tasks[rows], cell, *marks[size])
                across(axes, chance.get((suite, setting)))
                n = cell["n"].dropna()
                rows_scored = f", n = {n.max():,}" if len(n) else ""
                axes.set_title(f"{SUITES[suite]}, {title}{rows_scored}", loc="left", fontsize=7)
                axes.set_xscale("log", base=2)
                plain(axes)
        counts = sorted(set(tasks))
        for axes in panels[-1]:
            axes.set_xticks(counts, [f"{count:,}" for count in counts])
            axes.minorticks_off()
            axes.tick_params(axis="x", labelsize=6, labelrotation=45 if len(counts) > MOST_UPRIGHT else 0)
            axes.set_xlabel(f"Training tasks (of {max(counts):,})")
        for axes in panels[:, 0]:
            axes.set_ylabel("Score (%)")
        handles = [
            Line2D(
                [],
                [],
                color=colour,
                marker=marker,
                markersize=3,
                linewidth=0.9,
                label=_legend_line(size, trend, points),
            )
            for size, (colour, marker) in marks.items()
        ]
        handles.append(Line2D([], [], **STAR, label="highest"))
        handles += [Line2D([], [], **DOTTED, label="guessing among the options")] if chance else []
        figure.legend(
            handles=handles,
            loc="outside lower center",
            title=f"Model size at the scale {setup.scale}; {SUITES[HELD_OUT]} points per doubling of the tasks (R²)",
            title_fontsize=6.5,
            fontsize=6.5,
            frameon=False,
        )
        return figure


def _legend_line(size: str, trend: pd.DataFrame, points: Points) -> str:
    """A size, its parameters, and the slope of its Held-Out scores in each setting."""
    parameters = next((p.parameters for p in points.values() if p.size == size and p.parameters), None)
    name = size if parameters is None else f"{size} ({_rounded(parameters)})"
    of_size = trend[(trend["size"] == size) & (trend["suite"] == HELD_OUT)]
    slopes = [
        f"{SETTINGS[line.setting]} {line.slope:+.1f} ({'–' if np.isnan(line.r2) else format(line.r2, '.2f')})"
        for line in of_size.itertuples()
    ]
    return ": ".join([name, *([", ".join(slopes)] if slopes else [])])


def _rounded(count: int) -> str:
    """A number of parameters in thousands, millions or billions, three digits of it."""
    for unit, letter in ((1e9, "B"), (1e6, "M"), (1e3, "K")):
        if count >= unit:
            return f"{count / unit:.3g}{letter}"
    return str(count)
