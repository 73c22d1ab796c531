"""How figures look and are saved: equal figures give equal bytes, as PNG and as SVG, whatever the user's settings."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from flannb.files import atomic

WIDTH = 3.5
"""Inches: one column of a two-column page; texts have their final size."""

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


def new_figure(height: float) -> Figure:
    """An empty figure of ``WIDTH`` and a height in inches; its parts make room for each other."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def plain(axes: Axes) -> None:
    """Axes without a box, with faint lines to read values by."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#E5E5E5", linewidth=0.5)
    axes.set_axisbelow(True)
