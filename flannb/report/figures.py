"""The figures that go with tables: differences, losses."""

from collections.abc import Mapping
from itertools import cycle
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from flannb.errors import UserError
from flannb.evaluate.intervals import difference
from flannb.report.drawing import (
    AMBER,
    BLUE,
    GREEN,
    ORANGE,
    PINK,
    SETTING_MARKS,
    SKY,
    new_figure,
    plain,
    plain_rows,
    report_style,
)
from flannb.report.layout import SETTINGS, TITLES, Layout
from flannb.report.table import Predictions, Setup, cells

# The colours are those of ``flannb.report.drawing``, and a grey.
FULL_LINE = ("#000000", "-")
LINES = [
    (ORANGE, "--"),
    (AMBER, "--"),
    (SKY, "--"),
    ("#7F7F7F", "--"),
    (BLUE, "-"),
    (GREEN, "-"),
    (PINK, "-"),
]
"""Of the loss curves: that of a table's full row, and those of the others in order."""

SMOOTHING = 25
"""A loss curve shows at each step the mean over the logged steps around it, one in ``SMOOTHING`` of all."""


def smoothed(log: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """The steps of a training log in order, and the smoothed loss at each.

    Args:
        log: the columns ``step`` and ``loss``.
    """
    log = log.sort_values("step")
    window = max(1, len(log) // SMOOTHING)
    return log["step"], log["loss"].rolling(window, center=True, min_periods=1).mean()


def differences(predictions: Predictions, setup: Setup) -> Figure:
    """Every row's score minus that of the table's full row, in each suite and both settings, with paired intervals.

    Rows that cannot be paired with the full row are left empty. A small bar marks the paper's difference.
    """
    layout, measured = setup.layout, cells(predictions, setup)
    printed = layout.printed().set_index("row")
    rows = [row for row in layout.measurable() if row != layout.full]
    with report_style():
        figure = new_figure(1.0 + 0.26 * len(rows))
        panels = figure.subplots(1, len(layout.suites), sharey=True, squeeze=False)[0]
        for axes, suite in zip(panels, layout.suites, strict=True):
            axes.axvline(0, color="#888888", linewidth=0.6, zorder=1)
            for offset, (setting, (colour, marker)) in zip((-0.16, 0.16), SETTING_MARKS.items(), strict=True):
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
            axes.set_title(TITLES[suite].replace("Chain-of-Thought", "CoT"), loc="left")
            plain_rows(axes)
        panels[0].set_yticks(range(len(rows)), [layout.titles()[row] for row in rows])
        panels[0].set_ylim(len(rows) - 0.5, -0.5)
        panels[len(panels) // 2].set_xlabel(f"Points above {layout.titles()[layout.full]}")
        style: dict[str, Any] = {"linestyle": "none", "markersize": 3.6}
        handles = [
            Line2D([], [], color=colour, marker=marker, label=f"{SETTINGS[setting]}, scale {setup.scale}", **style)
            for setting, (colour, marker) in SETTING_MARKS.items()
        ]
        handles.append(Line2D([], [], color="#888888", marker="|", label="paper, T5-XL", **style))
        figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False)
        return figure


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
    styles = dict(zip([row for row in layout.measurable() if row != layout.full], cycle(LINES), strict=False))
    with report_style():
        figure = new_figure(3.2)
        axes = figure.subplots()
        for row in layout.measurable():
            if row not in losses:
                continue
            for column in ("step", "loss"):
                if column not in losses[row]:
                    raise UserError(
                        f"training log of row '{row}': the column '{column}' is missing. Train the row again."
                    )
            width = 1.3 if row == layout.full else 0.9
            colour, dashes = styles.get(row, FULL_LINE)
            axes.plot(*smoothed(losses[row]), color=colour, linestyle=dashes, linewidth=width, label=names[row])
        plain(axes)
        axes.margins(x=0)
        axes.set_xlabel("Step")
        axes.set_ylabel("Training loss (nats per target token)")
        if axes.lines:
            figure.legend(loc="outside lower center", ncols=2, frameon=False, handlelength=2.6)
        return figure
