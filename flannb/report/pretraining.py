"""The report on pretraining: held-out losses of both objectives, curves, and what the models write."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flannb.report.drawing import BLUE, ORANGE, new_figure, plain, report_style
from flannb.report.figure_page import FigurePage, write_page
from flannb.report.figures import smoothed

TITLES = {"span_corruption": "span corruption", "prefix_lm": "prefix LM"}
"""Objective -> how people call it, in the order of the stages."""

COLOURS = {"span_corruption": (BLUE, "o"), "prefix_lm": (ORANGE, "s")}
"""Objective -> its colour and marker."""


@dataclass(frozen=True)
class Pretrained:
    """What a stage of pretraining left behind.

    Attributes:
        losses: of training: the columns ``step`` and ``loss``.
        held_out: the column ``step``, and for each objective the loss on held-out text, in nats a target token.
        findings: ``corpus`` (documents and tokens of each part, rows left out), ``held_out`` (of each objective the
            target tokens and their unigram entropy), ``samples`` (input, target, written).
    """

    losses: pd.DataFrame
    held_out: pd.DataFrame
    findings: Mapping[str, Any]


def write_pretraining(folder: Path, stages: Mapping[str, Pretrained], scale: str, source: str, seed: int) -> list[Path]:
    """Writes the report into a folder; see ``flannb.report.figure_page.write_page``.

    Args:
        stages: objective -> what its stage left, in the order of training.
        scale, source, seed: what was run.

    Returns:
        The files written: pretrain.md and .html, held_out.csv, and loss.png and .svg.
    """
    first = next(iter(stages.values())).findings
    caption = [
        f"A starting model at the scale {scale}, data source {source}, seed {seed}, trained on"
        f" {first['corpus']['tokens']['training']:,} tokens of text of the training rows, without templates.",
        f"{first['corpus']['contaminated']:,} rows were left out because they hold text of evaluation rows.",
        f"Losses are in nats a target token on the {first['corpus']['tokens']['held_out']:,} tokens of held-out"
        " documents, with the targets before a token given.",
        "Texts are decoded greedily up to the first end mark; <0>, <1>, ... stand for the spans taken out, </s> for the"
        " end of a document.",
        "The unigram entropy is what knowing only how often each token occurs would reach.",
    ]
    drawn = "Training loss (grey) and held-out loss of both objectives in both stages; dotted: unigram entropies."
    tables = {"Held-out loss": summary(stages)}
    for objective, stage in stages.items():
        tables[f"Held-out text after {TITLES[objective]}"] = pd.DataFrame(stage.findings["samples"])
    page = FigurePage(f"Pretraining at the scale {scale}", caption, {"loss": (drawn, loss_figure(stages))}, tables)
    return write_page(Path(folder), "pretrain", page, {"held_out": measurements(stages)}, decimals="%.6g")


def measurements(stages: Mapping[str, Pretrained]) -> pd.DataFrame:
    """Every held-out loss: ``stage, step, objective, loss, tokens, unigram_entropy``."""
    lines = [
        {"stage": name, "step": row["step"], "objective": objective, "loss": row[objective]}
        | dict(stage.findings["held_out"][objective])
        for name, stage in stages.items()
        for row in stage.held_out.to_dict("records")
        for objective in TITLES
    ]
    return pd.DataFrame(lines).astype({"step": int, "tokens": int})


def summary(stages: Mapping[str, Pretrained]) -> pd.DataFrame:
    """The held-out losses to read: a line for each objective, a column before training and after each stage."""
    lines = []
    for objective, title in TITLES.items():
        curves = {name: stage.held_out.sort_values("step")[objective] for name, stage in stages.items()}
        counts = next(iter(stages.values())).findings["held_out"][objective]
        lines.append(
            {"Objective": title, "Random weights": f"{next(iter(curves.values())).iloc[0]:.3f}"}
            | {f"After {TITLES[name]}": f"{curve.iloc[-1]:.3f}" for name, curve in curves.items()}
            | {"Unigram entropy": f"{counts['unigram_entropy']:.3f}", "Target tokens": f"{counts['tokens']:,}"}
        )
    return pd.DataFrame(lines)


def loss_figure(stages: Mapping[str, Pretrained]) -> Figure:
    """A panel for each stage: its training loss, smoothed, and the held-out losses of both objectives."""
    with report_style():
        figure = new_figure(2.6)
        panels = figure.subplots(1, len(stages), sharey=True, squeeze=False)[0]
        for axes, (name, stage) in zip(panels, stages.items(), strict=True):
            _draw_stage(axes, stage)
            axes.set_title(f"Training by {TITLES[name]}", loc="left")
            axes.set_xlabel("Step")
        panels[0].set_ylim(0, None)
        panels[0].set_ylabel("Loss (nats per target token)")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False, handlelength=2.2)
        return figure


def _draw_stage(axes: Axes, stage: Pretrained) -> None:
    axes.plot(*smoothed(stage.losses), color="#999999", linewidth=0.9, label="training")
    for objective, (colour, marker) in COLOURS.items():
        curve = stage.held_out.sort_values("step")
        label = f"held-out, {TITLES[objective]}"
        axes.plot(
            curve["step"], curve[objective], color=colour, marker=marker, markersize=3, linewidth=0.9, label=label
        )
        axes.axhline(
            stage.findings["held_out"][objective]["unigram_entropy"], color=colour, linestyle=":", linewidth=0.8
        )
    plain(axes)
