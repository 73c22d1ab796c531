"""Figures: the same input gives the same bytes, as PNG and as SVG, whatever the user's matplotlib settings."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from flannb.collection.submixtures import SUITES
from flannb.errors import UserError
from flannb.evaluate.intervals import difference
from flannb.files import atomic
from flannb.report.layout import SETTINGS, Layout
from flannb.report.table import Predictions, Setup, cells

WIDTH = 3.5
"""Inches: one column of a two-column page; texts have their final size."""

# Colours of Okabe and Ito (jfly.uni-koeln.de/color), which differ for all common kinds of colour blindness, without the
# yellow, which is too pale for a white page. Shapes and dashes tell the rows apart without colour, too.
COLLECTIONS = {
    "flan2022": ("Flan 2022", "#D55E00", "o"),
    "flan2021": ("Flan 2021", "#0072B2", "s"),
    "p3pp": ("P3++", "#009E73", "D"),
    "super_natural_instructions": ("Super-Natural Inst.", "#CC79A7", "^"),
}
FULL_LINE = ("#000000", "-")
LINES = [
    ("#D55E00", "--"),
    ("#E69F00", "--"),
    ("#56B4E9", "--"),
    ("#7F7F7F", "--"),
    ("#0072B2", "-"),
    ("#009E73", "-"),
    ("#CC79A7", "-"),
]
"""Of the loss curves: that of a table's full row, and those of the others in order."""

SMOOTHING = 25
"""A loss curve shows at each step the mean over the logged steps around it, one in ``SMOOTHING`` of all."""

_STYLE = {
    "font.family": "DejaVu Sans",  # comes with matplotlib
    "font.size": 7,
    "axes.titlesize": 7.5,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "svg.hashsalt": "flannb",
    "savefig.dpi": 300,
}


@contextmanager
def report_style() -> Iterator[None]:
    """Matplotlib's own settings and ours while a figure is made or saved, whatever the user's are."""
    style: Any = dict(matplotlib.rcParamsDefault) | _STYLE
    with matplotlib.rc_context(style):
        yield


def save(figure: Figure, path: Path) -> list[Path]:
    """Writes ``path`` with the endings .png and .svg, and returns both paths.

    Raises:
        UserError: the folder cannot be written to.
    """
    metadata = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}
    paths = []
    with report_style():
        for ending, without in metadata.items():
            paths.append(path.with_suffix(f".{ending}"))
            with atomic(paths[-1]) as temporary:
                figure.savefig(temporary, format=ending, metadata=without)
    return paths


def figure1(table: pd.DataFrame, scale: str) -> Figure:
    """Figure 1: the suites' scores of four collections, measured (filled, with intervals) and in the paper (open).

    Args:
        table: Table 1 from ``flannb.report.table.score_table``.
        scale: of the measured scores, for the legend.
    """
    with report_style():
        figure = Figure(figsize=(WIDTH, 4.1), layout="constrained")
        FigureCanvasAgg(figure)
        panels = figure.subplots(len(SETTINGS), 1, sharex=True, sharey=True)
        for axes, (setting, title) in zip(panels, SETTINGS.items(), strict=True):
            _draw_suites(axes, table[table["setting"] == setting])
            axes.set_title(title.capitalize(), loc="left")
        panels[0].set_ylim(0, None)
        figure.legend(handles=_legend(scale), loc="outside lower center", ncols=2, frameon=False)
        return figure


def _draw_suites(axes: Axes, table: pd.DataFrame) -> None:
    table = table.set_index(["suite", "row"])
    for column, suite in enumerate(SUITES):
        for place, (row, (_, colour, marker)) in enumerate(COLLECTIONS.items()):
            x = column + 0.22 * (place - (len(COLLECTIONS) - 1) / 2) - 0.04
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
    return [*rows, measured, paper]


def differences(predictions: Predictions, setup: Setup) -> Figure:
    """Every row's score minus that of the table's full row, in each suite and both settings, with paired intervals.

    Rows that cannot be paired with the full row are left empty. A small bar marks the paper's difference.
    """
    layout, measured = setup.layout, cells(predictions, setup)
    printed = layout.printed().set_index("row")
    rows = [row for row in layout.measurable() if row != layout.full]
    with report_style():
        figure = Figure(figsize=(WIDTH, 1.0 + 0.26 * len(rows)), layout="constrained")
        FigureCanvasAgg(figure)
        panels = figure.subplots(1, len(layout.suites), sharey=True, squeeze=False)[0]
        for axes, suite in zip(panels, layout.suites, strict=True):
            axes.axvline(0, color="#888888", linewidth=0.6, zorder=1)
            for offset, (setting, (colour, marker)) in zip((-0.16, 0.16), _SETTING_MARKS.items(), strict=True):
                for place, row in enumerate(rows):
                    paper = printed.loc[[row, layout.full], f"{suite}_{setting}"]
                    axes.plot(
                        paper.iloc[0] - paper.iloc[1], place + offset, "|", color="#888888", markersize=5, zorder=2
                    )
                    ours, full = (measured.get((name, suite, setting)) for name in (row, layout.full))
                    if ours is None or full is None or not ours.same_rows(full):
                        continue
                    interval = difference(ours.scores, full.scores, setup.seed)
                    axes.plot(
                        [interval.low, interval.high], [place + offset] * 2, color=colour, linewidth=0.8, zorder=3
                    )
                    axes.plot(interval.score, place + offset, marker, color=colour, markersize=3.2, zorder=4)
            axes.set_title(SUITES[suite].replace("Chain-of-Thought", "CoT"), loc="left")
            axes.spines[["top", "right", "left"]].set_visible(False)
            axes.grid(axis="x", color="#E5E5E5", linewidth=0.5)
            axes.set_axisbelow(True)
            axes.tick_params(axis="y", length=0)
        panels[0].set_yticks(range(len(rows)), [layout.titles()[row] for row in rows])
        panels[0].set_ylim(len(rows) - 0.5, -0.5)
        panels[len(panels) // 2].set_xlabel(f"Points above {layout.titles()[layout.full]}")
        style: dict[str, Any] = {"linestyle": "none", "markersize": 3.6}
        handles = [
            Line2D([], [], color=colour, marker=marker, label=f"{SETTINGS[setting]}, scale {setup.scale}", **style)
            for setting, (colour, marker) in _SETTING_MARKS.items()
        ]
        handles.append(Line2D([], [], color="#888888", marker="|", label="paper, T5-XL", **style))
        figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False)
        return figure


_SETTING_MARKS = {"zs": ("#0072B2", "o"), "fs": ("#D55E00", "s")}


def loss_curves(losses: Mapping[str, pd.DataFrame], layout: Layout, titles: Mapping[str, str] | None = None) -> Figure:
    """The training loss of every row over steps, smoothed by a centred mean.

    Args:
        losses: row -> a table with the columns ``step`` and ``loss``.
        layout: the table that the rows are of.
        titles: row -> name, where it should differ from the paper's.

    Raises:
        UserError: a table lacks a column; the message names the row and the column.
    """
    names = layout.titles() | dict(titles or {})
    styles = dict(zip([row for row in layout.measurable() if row != layout.full], LINES, strict=True))
    with report_style():
        figure = Figure(figsize=(WIDTH, 3.2), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        for row in layout.measurable():
            if row not in losses:
                continue
            for column in ("step", "loss"):
                if column not in losses[row]:
                    raise UserError(
                        f"training log of row '{row}': the column '{column}' is missing. Train the row again."
                    )
            log = losses[row].sort_values("step")
            window = max(1, len(log) // SMOOTHING)
            smooth = log["loss"].rolling(window, center=True, min_periods=1).mean()
            width = 1.3 if row == layout.full else 0.9
            colour, dashes = styles.get(row, FULL_LINE)
            axes.plot(log["step"], smooth, color=colour, linestyle=dashes, linewidth=width, label=names[row])
        plain(axes)
        axes.margins(x=0)
        axes.set_xlabel("Step")
        axes.set_ylabel("Training loss (nats per target token)")
        if axes.lines:
            figure.legend(loc="outside lower center", ncols=2, frameon=False, handlelength=2.6)
        return figure


def plain(axes: Axes) -> None:
    """Axes without a box, with faint lines to read values by."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#E5E5E5", linewidth=0.5)
    axes.set_axisbelow(True)
