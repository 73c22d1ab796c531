"""The report on a sweep: a table, a figure, and which setting is best by the loss on held-out records."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from flannb.report.drawing import new_figure, report_style
from flannb.report.figure_page import FigurePage, write_page

COLUMNS = ("size", "parameters", "rate", "steps", "tokens", "training_loss", "held_out_loss", "seconds", "mfu")
MARKS = "osD^vP*X"


def write_sweep(
    folder: Path, results: Sequence[Mapping[str, Any]], scale: str, source: str, seed: int, share: float, start: str
) -> list[Path]:
    """Writes the report into a folder; see ``flannb.report.figure_page.write_page``.

    Args:
        results: of ``flannb.experiments.steps.trial_step``, one for each setting.
        scale, source, seed: of the sweep.
        share: of records held out.
        start: what trainings started from, such as ``random``.
    """
    table = pd.DataFrame(list(results), columns=list(COLUMNS)).sort_values(["size", "rate"], ignore_index=True)
    about = (
        f"Short trainings on Flan 2022, data source {source}, seed {seed}, from {start} weights, all on batches of the"
        f" same shape. The loss is that on examples of {share:.0%} of the records of every task, which none of them"
        " reads; no evaluation suite takes part. One seed a setting: small differences are chance.",
        *(["The pretrained model has read their text."] if start == "pretrained" else []),
    )
    page = FigurePage(
        f"Sweep at the scale {scale}",
        [_verdict(table), *about],
        {"sweep": ("Held-out loss by learning rate and size.", draw(table))},
        {"Settings": _shown(table)},
        sortable=True,
    )
    return write_page(Path(folder), "sweep", page, {"sweep": table}, decimals="%.6g")


def best(table: pd.DataFrame) -> pd.Series | None:
    """The line of the smallest held-out loss; None where every training diverged."""
    finite = table[table["held_out_loss"].notna()]
    return None if finite.empty else finite.loc[finite["held_out_loss"].astype(float).idxmin()]


def draw(table: pd.DataFrame) -> Figure:
    """The held-out loss by the learning rate, a line for each size."""
    with report_style():
        figure = new_figure(2.6)
        axes = figure.subplots()
        for mark, (size, lines) in zip(MARKS * len(table), table.groupby("size", sort=False), strict=False):
            axes.plot(lines["rate"], lines["held_out_loss"].astype(float), marker=mark, markersize=4, label=size)
        axes.set(xscale="log", xlabel="learning rate", ylabel="held-out loss (nats a token)")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
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
                "Steps": f"{line['steps']:,}",
                "Target tokens": "" if diverged else f"{line['tokens']:,.0f}",
                "Training loss": losses["training_loss"],
                "Held-out loss": losses["held_out_loss"],
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
        f"The smallest loss has {chosen['size']} at a learning rate of {chosen['rate']:g}:"
        f" {chosen['held_out_loss']:.3f} nats a token."
    )
