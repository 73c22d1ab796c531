"""The report on a sweep: a table, a figure, and which setting is best by the loss on held-out records."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from flannb.files import write_text
from flannb.report.drawing import new_figure, report_style, save

COLUMNS = ("size", "parameters", "rate", "steps", "tokens", "training_loss", "held_out_loss", "seconds", "mfu")
MARKS = "osD^vP*X"


def write_sweep(
    folder: Path, results: Sequence[Mapping[str, Any]], scale: str, source: str, seed: int, share: float, start: str
) -> list[Path]:
    """Writes sweep.csv, sweep.png, sweep.svg and sweep.md into a folder, each whole or not at all.

    Args:
        results: of ``flannb.experiments.steps.trial_step``, one for each setting.
        scale, source, seed: of the sweep.
        share: of records held out.
        start: what trainings started from, such as ``random``.
    """
    table = pd.DataFrame(list(results), columns=list(COLUMNS)).sort_values(["size", "rate"], ignore_index=True)
    pictures = save(draw(table), folder / "sweep")
    write_text(folder / "sweep.csv", table.to_csv(index=False, float_format="%.6g", lineterminator="\n"))
    write_text(folder / "sweep.md", _page(table, scale, source, seed, share, start))
    return [*pictures, folder / "sweep.csv", folder / "sweep.md"]


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


def _page(table: pd.DataFrame, scale: str, source: str, seed: int, share: float, start: str) -> str:
    chosen = best(table)
    verdict = (
        "Every training diverged."
        if chosen is None
        else f"The smallest loss has **{chosen['size']} at a learning rate of {chosen['rate']:g}**:"
        f" {chosen['held_out_loss']:.3f} nats a token."
    )
    lines = [
        f"# Sweep at the scale {scale}",
        "",
        f"Short trainings on Flan 2022, data source {source}, seed {seed}, from {start} weights, all on batches of the"
        f" same shape. The loss is that on examples of {share:.0%} of the records of every task, which none of them"
        " reads; no evaluation suite takes part. One seed a setting: small differences are chance."
        + (" The pretrained model has read their text." if start == "pretrained" else ""),
        "",
        verdict,
        "",
        "![Held-out loss by learning rate and size](sweep.png)",
        "",
        "| Size | Parameters | Learning rate | Steps | Target tokens | Training loss | Held-out loss | Seconds | MFU |",
        "| --- |" + " ---: |" * 8,
    ]
    for line in table.to_dict("records"):
        if pd.isna(line["held_out_loss"]):
            cells = ("", f"{line['rate']:g}", f"{line['steps']:,}", "", "diverged", "diverged", "", "")
        else:
            counts = f"{line['parameters']:,.0f}", f"{line['rate']:g}", f"{line['steps']:,}", f"{line['tokens']:,.0f}"
            mfu = "" if pd.isna(line["mfu"]) else f"{line['mfu']:.0%}"
            losses = f"{line['training_loss']:.3f}", f"{line['held_out_loss']:.3f}"
            cells = (*counts, *losses, f"{line['seconds']:,.0f}", mfu)
        lines.append(f"| {line['size']} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
