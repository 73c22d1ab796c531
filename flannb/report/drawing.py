"""How figures look and are saved: equal figures give equal bytes, as PNG and as SVG, whatever the user's settings."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from flannb.files import atomic

WIDTH = 3.5
"""Inches: one column of a two-column page; texts have their final size."""

# Colours of Okabe and Ito (jfly.uni-koeln.de/color), which differ for all common kinds of colour blindness, without the
# yellow, which is too pale for a white page. Shapes and dashes tell things apart without colour, too.
ORANGE, BLUE, GREEN, PINK, AMBER, SKY = "#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"

SETTING_MARKS = {"zs": (BLUE, "o"), "fs": (ORANGE, "s")}
"""Setting -> its colour and marker."""

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
    settings: Any = dict(matplotlib.rcParamsDefault) | _STYLE
    with matplotlib.rc_context(settings):
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


def save_figures(folder: Path, figures: Mapping[str, tuple[str, Figure]]) -> tuple[list[Path], list[tuple[str, Path]]]:
    """Saves figures into a folder.

    Args:
        figures: file name without ending -> caption and figure.

    Returns:
        The files written, and the caption and the SVG file of each figure.

    Raises:
        UserError: the folder cannot be written to.
    """
    paths, captioned = [], []
    for stem, (caption, figure) in figures.items():
        png, svg = save(figure, folder / stem)
        paths += [png, svg]
        captioned.append((caption, svg))
    return paths, captioned


def new_figure(height: float, layout: Literal["constrained"] | None = "constrained") -> Figure:
    """An empty figure of ``WIDTH`` and a height in inches; its parts make room for each other, or stay where put."""
    figure = Figure(figsize=(WIDTH, height), layout=layout)
    FigureCanvasAgg(figure)
    return figure


def plain(axes: Axes) -> None:
    """Axes without a box, with faint lines to read values by."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#E5E5E5", linewidth=0.5)
    axes.set_axisbelow(True)


def plain_rows(axes: Axes) -> None:
    """As ``plain``, for axes that have a row for each of some names instead of a scale at the left."""
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.grid(axis="x", color="#E5E5E5", linewidth=0.5)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)


def curve(axes: Axes, x: pd.Series, scores: pd.DataFrame, colour: str, marker: str) -> None:
    """Scores along ``x`` with their intervals as a band, and a star at the highest unless all are equal.

    The axis need not begin at zero: what counts is how a curve bends.

    Args:
        axes: to draw on.
        x: where the points are, in order; those without a score are left out.
        scores: the columns ``score``, ``ci_low`` and ``ci_high``, with the index of ``x``.
        colour, marker: of the line.
    """
    scores = scores.loc[x.index].dropna(subset=["score"])
    x = x[scores.index]
    axes.fill_between(x, scores["ci_low"], scores["ci_high"], color=colour, alpha=0.15, linewidth=0, zorder=1)
    axes.plot(x, scores["score"], color=colour, marker=marker, markersize=3, linewidth=0.9, zorder=3)
    if scores["score"].nunique() > 1 or len(scores) == 1:
        peak = scores["score"].idxmax()
        axes.plot(x[peak], scores["score"][peak], **STAR | {"markeredgecolor": colour}, zorder=4)


def across(axes: Axes, height: float | None) -> None:
    """A dotted line across at a height, such as that of guessing; none where there is no height."""
    if height is not None:
        axes.axhline(height, **DOTTED)


DOTTED: dict[str, Any] = {"color": "#555555", "linewidth": 0.9, "linestyle": ":"}
"""How a level that scores are compared with is drawn."""

STAR: dict[str, Any] = {
    "marker": "*",
    "markersize": 8,
    "color": "#F0E442",
    "markeredgecolor": "black",
    "markeredgewidth": 0.6,
    "linestyle": "none",
}
"""How the highest point of a curve is marked."""
