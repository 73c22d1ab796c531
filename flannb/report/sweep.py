"""The report on a sweep: a table, a figure, and which setting is best by the loss on held-out records."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from flannb.report.drawing import new_figure, report_style
from flannb.report.figure_page import FigurePage, write_page

COLUMNS = (
    "size",
    "parameters",
    "rate",
    "dropout",
    "steps",
    "tokens",
    "training_loss",
    "held_out_loss",
    "best_step",
    "best_loss",
    "seconds",
    "mfu",
)
MARKS = "osD^vP*X"

LOSS = "Held-out loss (nats per target token)"


def write_sweep(
    folder: Path, results: Sequence[Mapping[str, Any]], scale: str, source: str, seed: int, share: float, start: str
) -> list[Path]:
    """Writes the report into a folder; see ``flannb.report.figure_page.write_page``.

    Args:
        results: of ``flannb.experiments.trials.trial_step``, one for each setting.
        scale, source, seed: of the sweep.
        share: of records held out.
        start: what trainings started from, such as ``random``.
    """
    table = pd.DataFrame(list(results), columns=list(COLUMNS)).sort_values(
        ["size", "rate", "dropout"], ignore_index=True
    )
    about = (
        f"Short trainings on Flan 2022, data source {source}, seed {seed}, from {start} weights, all on batches of the"
        f" same shape. The loss is that on examples of {share:.0%} of the records of every task, which none of them"
        " reads; no evaluation suite takes part. One seed a setting: small differences are chance.",
        *(["The pretrained model has read their text."] if start == "pretrained" else []),
    )
    page = FigurePage(
        f"Sweep at the scale {scale}",
        [_verdict(table), *about],
        {
            "sweep": ("Held-out loss at the end, by learning rate.", draw(table)),
            "curves": ("Held-out loss along the way.", draw_curves(results)),
        },
        {"Settings": _shown(table)},
        sortable=True,
    )
    return write_page(Path(folder), "sweep", page, {"sweep": table, "curves": curves(results)}, decimals="%.6g")


def best(table: pd.DataFrame) -> pd.Series | None:
    """The line of the smallest held-out loss; None where every training diverged."""
    finite = table[table["held_out_loss"].notna()]
    return None if finite.empty else finite.loc[finite["held_out_loss"].astype(float).idxmin()]


def draw(table: pd.DataFrame) -> Figure:
    """The held-out loss at the end by the learning rate, a line for each size and dropout."""
    with report_style():
        figure = new_figure(2.6)
        axes = figure.subplots()
        several = table["dropout"].nunique() > 1
        groups = table.groupby(["size", "dropout"], sort=False)
        for mark, ((size, dropout), lines) in zip(MARKS * len(table), groups, strict=False):
            label = f"{size}, dropout {dropout:g}" if several else size
            axes.plot(lines["rate"], lines["held_out_loss"].astype(float), marker=mark, markersize=4, label=label)
        axes.set(xscale="log", xlabel="Learning rate", ylabel=LOSS)
        rates = sorted(table["rate"].unique())
        axes.set_xticks(rates, [f"{rate:g}" for rate in rates])
        axes.minorticks_off()
        return _framed(figure)


def curves(results: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The held-out loss of every training after its first steps: ``size, rate, dropout, step, loss``."""
    lines = [
        {"size": each["size"], "rate": each["rate"], "dropout": each["dropout"], "step": step, "loss": loss}
        for each in results
        for step, loss in each["curve"]
        if step
    ]
    return pd.DataFrame(lines, columns=["size", "rate", "dropout", "step", "loss"])


def draw_curves(results: Sequence[Mapping[str, Any]]) -> Figure:
    """The held-out loss along the way, a line for each training."""
    with report_style():
        figure = new_figure(3.2)
        axes = figure.subplots()
        groups = curves(results).groupby(["size", "rate", "dropout"], sort=False)
        for mark, ((size, rate, dropout), lines) in zip(MARKS * len(results), groups, strict=False):
            axes.plot(lines["step"], lines["loss"], marker=mark, markersize=4, label=f"{size}, {rate:g}, {dropout:g}")
        axes.set(xlabel="Step", ylabel=LOSS)
        return _framed(figure, "Size, learning rate, dropout")


def _framed(figure: Figure, title: str | None = None) -> Figure:
    """The figure with its legend below, where it hides nothing."""
    (axes,) = figure.axes
    axes.spines[["top", "right"]].set_visible(False)
    if axes.get_legend_handles_labels()[0]:
        figure.legend(loc="outside lower center", ncols=2, frameon=False, title=title)
    return figure


def _shown(table: pd.DataFrame) -> pd.DataFrame:
    """The table to read, as texts."""
    lines = []
    for line in table.to_dict("records"):
        diverged = pd.isna(line["held_out_loss"])
        losses = {name: "diverged" if diverged else f"{line[name]:.3f}" for name in ("training_loss", "held_out_loss")}
        lines.append(
            {
                "Size": line["size"],
                "Parameters": "" if diverged else f"{line['parameters']:,.0f}",
                "Learning rate": f"{line['rate']:g}",
                "Dropout": f"{line['dropout']:g}",
                "Steps": f"{line['steps']:,}",
                "Target tokens": "" if diverged else f"{line['tokens']:,.0f}",
                "Training loss": losses["training_loss"],
                "Held-out loss": losses["held_out_loss"],
                "Smallest": "" if diverged else f"{line['best_loss']:.3f} at {line['best_step']:,.0f}",
                "Seconds": "" if diverged else f"{line['seconds']:,.0f}",
                "MFU": "" if diverged or pd.isna(line["mfu"]) else f"{line['mfu']:.0%}",
            }
        )
    return pd.DataFrame(lines)


def _verdict(table: pd.DataFrame) -> str:
    chosen = best(table)
    if chosen is None:
        return "Every training diverged."
    return (
        f"The smallest loss has {chosen['size']} at a learning rate of {chosen['rate']:g} and dropout"
        f" {chosen['dropout']:g}: {chosen['held_out_loss']:.3f} nats a token."
    )
