"""Figures 5 and 6: bars of every task, and learning curves of the held-out ones."""

from typing import Literal

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from flannb.evaluate import NEARLY
from flannb.evaluate.metrics import ROUNDING
from flannb.report.drawing import BLUE, ORANGE, new_figure, plain, report_style

BEIGE = "#E8CFA6"

MODELS = {
    "t5_finetuned": ("T5, finetuned", BLUE, ""),
    "flan_t5": ("Flan-T5, as it is", BEIGE, "////"),
    "flan_t5_finetuned": ("Flan-T5, finetuned", ORANGE, ""),
}
"""Model -> its name, colour and hatching; the colours are near the paper's and differ in lightness."""

Dashes = Literal["-", "--"]

STARTS: dict[str, tuple[str, str, Dashes]] = {"T5": (BLUE, "s", "--"), "Flan-T5": (ORANGE, "o", "-")}
"""Start -> its colour, marker and dashes."""

BAR = 0.27


def bars(table: pd.DataFrame, scale: str) -> Figure:
    """Figure 5: three bars for each task that was measured, with intervals, held-out tasks apart.

    Args:
        table: from ``flannb.report.single_task.score_table``.
        scale: of the measured scores, for the legend.
    """
    table = table[table["source"] != "not run"]
    held_out = table["group"].str.contains("held-out")
    groups = [
        (title, table[rows])
        for title, rows in (("In Flan 2022", ~held_out), ("Held out of it", held_out))
        if rows.any()
    ]
    counts = [group["task"].nunique() for _, group in groups]
    with report_style():
        figure = new_figure(0.75 + 0.3 * sum(counts) + 0.2 * len(groups))
        panels = figure.subplots(len(groups), 1, sharex=True, squeeze=False, height_ratios=counts)[:, 0]
        for axes, (title, group) in zip(panels, groups, strict=True):
            _draw_bars(axes, group)
            axes.set_title(title, loc="left")
        panels[-1].set_xlabel(f"Test score (% of the metric), scale {scale}")
        handles = [
            Patch(facecolor=colour, hatch=hatch, edgecolor="#555555", linewidth=0.4, label=name)
            for name, colour, hatch in MODELS.values()
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, handlelength=1.4)
        return figure


def _draw_bars(axes: Axes, group: pd.DataFrame) -> None:
    tasks = list(dict.fromkeys(group["task"]))
    names = group.drop_duplicates("task").set_index("task")
    for line in group.itertuples():
        _, colour, hatch = MODELS[str(line.model)]
        y = tasks.index(line.task) + BAR * (list(MODELS).index(str(line.model)) - 1)
        if pd.isna(line.score):
            axes.text(1, y, "undefined", va="center", fontsize=5, color="#555555")
            continue
        axes.barh(y, line.score, BAR, color=colour, hatch=hatch, edgecolor="#555555", linewidth=0.3, zorder=2)
        axes.plot([line.ci_low, line.ci_high], [y, y], color="black", linewidth=0.7, zorder=3)
    plain(axes)
    axes.grid(visible=False, axis="y")
    axes.grid(axis="x", color="#E5E5E5", linewidth=0.5)
    labels = [
        f"{names.loc[task, 'dataset']}\n{names.loc[task, 'paper_metric']}, n={names.loc[task, 'n']}" for task in tasks
    ]
    axes.set_yticks(range(len(tasks)), labels, fontsize=5.5)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(tasks) - 0.5, -0.5)


def curves(table: pd.DataFrame, scale: str) -> Figure:
    """Figure 6: a panel for each task, the validation score along the steps from both starts, with bands.

    Args:
        table: from ``flannb.report.single_task.curve_table``.
        scale: of the measured scores, for the legend.
    """
    tasks = list(dict.fromkeys(table["task"]))
    columns = min(2, len(tasks))
    rows = -(-len(tasks) // columns)
    with report_style():
        figure = new_figure(0.6 + 1.35 * rows)
        panels = list(figure.subplots(rows, columns, sharex=True, squeeze=False).flat)
        for axes, task in zip(panels, tasks, strict=False):
            _draw_curves(axes, table[table["task"] == task])
        for axes in panels[len(tasks) :]:
            axes.set_visible(False)
        figure.supxlabel("Finetuning steps", fontsize=7)
        break_ = "\n" if rows == 1 else " "  # one panel is not as high as the line is long
        figure.supylabel(f"Validation score{break_}(% of the metric), scale {scale}", fontsize=7)
        handles = [
            Line2D(
                [], [], color=colour, marker=marker, linestyle=dashes, markersize=3, linewidth=1, label=f"from {start}"
            )
            for start, (colour, marker, dashes) in STARTS.items()
        ]
        handles.append(Line2D([], [], color="#555555", linestyle=":", linewidth=0.8, label="95% of T5's best"))
        figure.legend(handles=handles, loc="outside upper center", ncols=3, frameon=False)
        return figure


def _draw_curves(axes: Axes, table: pd.DataFrame) -> None:
    best = table.loc[table["start"] == "T5", "validation"].max()
    target = NEARLY * best if best > 0 else float("nan")  # nothing comes near what is not above 0
    if best > 0:
        axes.axhline(target, color="#555555", linestyle=":", linewidth=0.8, zorder=1)
    for start, (colour, marker, dashes) in STARTS.items():
        line = table[table["start"] == start].dropna(subset=["validation"])
        axes.fill_between(
            line["step"], line["ci_low"], line["ci_high"], color=colour, alpha=0.15, linewidth=0, zorder=1
        )
        axes.plot(line["step"], line["validation"], color=colour, linestyle=dashes, linewidth=1, zorder=3)
        reached = line[line["validation"] >= target - 100 * ROUNDING].head(1)
        axes.plot(reached["step"], reached["validation"], marker, color=colour, markersize=4.5, zorder=4)
    first = table.iloc[0]
    axes.set_title(f"{first['dataset']} ({first['metric'].replace('_', ' ')}, n={first['n']})", loc="left", fontsize=6)
    plain(axes)
    axes.margins(x=0.02)
