"""Tables, figures and verdicts on claims from predictions, with the paper's numbers beside them."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from flannb.report.claims import evaluate_claims
from flannb.report.drawing import save, save_figures
from flannb.report.figure1 import figure1
from flannb.report.figures import differences, loss_curves
from flannb.report.layout import LAYOUTS, Layout, layout
from flannb.report.limits import limits
from flannb.report.page import html, markdown, write_texts
from flannb.report.pretraining import Pretrained, write_pretraining
from flannb.report.published import published
from flannb.report.ranking import Ranked, ranking_sections
from flannb.report.sections import Section, limits_section, seen_section, summary, token_table
from flannb.report.sets import sets_sections
from flannb.report.table import (
    Predictions,
    Setup,
    majority_baseline,
    one_model,
    repeat_counts,
    repeat_table,
    score_table,
    to_csv,
)

__all__ = [
    "LAYOUTS",
    "Layout",
    "Predictions",
    "Pretrained",
    "Setup",
    "differences",
    "evaluate_claims",
    "figure1",
    "html",
    "layout",
    "limits",
    "loss_curves",
    "majority_baseline",
    "markdown",
    "one_model",
    "published",
    "save",
    "score_table",
    "to_csv",
    "write_pretraining",
    "write_table",
]


TOKENS_CSV = "tokens_per_task.csv"


def write_table(
    folder: Path,
    predictions: Predictions,
    losses: Mapping[str, pd.DataFrame],
    setup: Setup,
    titles: Mapping[str, str] | None = None,
    majority: Mapping[str, float] | None = None,
    tokens: Mapping[str, pd.DataFrame] | None = None,
    ranked: Predictions | None = None,
) -> list[Path]:
    """Writes the report on a table into a folder, each file whole or not at all.

    Writes the table as .csv, .md and .html, claims.csv, the figure that goes with it (figure1 with Table 1, differences
    with others) as .png and .svg, where there are losses, loss.png and .svg, where rows were trained several times,
    repeats.csv, where it is known what they have read, tokens_per_task.csv, and where answers were ranked, ranking.csv.
    Equal arguments give equal bytes.

    Args:
        folder: is made if need be; other files in it stay.
        predictions: row of the table -> its predictions.
        losses: row of the table -> a table with the columns ``step`` and ``loss``.
        setup: what was measured.
        titles: row -> name, where it should differ from the paper's.
        majority: setting -> majority baseline of Held-In in percent (see ``majority_baseline``).
        tokens: row of the table -> what its first model has read (see ``flannb.mixture.seen``).
        ranked: row of the table -> its predictions by ranking, instead of generation.

    Returns:
        The files written.

    Raises:
        UserError: the predictions or losses are not as described, or the folder cannot be written to.
    """
    folder, name = Path(folder), setup.layout.name
    table, claims = score_table(predictions, setup), evaluate_claims(predictions, setup)
    repeats = repeat_counts(predictions)
    if name == "table1":
        text = "Figure 1: four collections in every suite, measured and in the paper."
        figures = {"figure1": (text, figure1(table, setup.scale))}
    else:
        text = f"How far each mixture is from {setup.layout.titles()[setup.layout.full]}, measured and in the paper."
        figures = {"differences": (text, differences(predictions, setup))}
    if losses:
        figures["loss"] = ("Training loss of every row, smoothed.", loss_curves(losses, setup.layout, titles))
    paths, drawn = save_figures(folder, figures)
    known = setup.layout.titles() | dict(titles or {})
    first, named = summary(table, claims, setup, majority), _with_models(known, repeats)
    sections: list[Section] = []
    texts: dict[str, str] = {}
    if ranked:
        chosen = Ranked.of(ranked, setup)
        sections += ranking_sections(chosen, ranked, setup, named)
        texts["ranking.csv"] = to_csv(chosen.table)
    if majority:
        sections += sets_sections({"Written": predictions} | ({"Ranked": ranked} if ranked else {}), setup)
    sections += [seen_section(tokens, known, setup.positions)] if tokens else []
    sections += [limits_section(setup.limits)] if setup.limits else []
    texts |= {
        f"{name}.csv": to_csv(table),
        "claims.csv": to_csv(claims),
        f"{name}.md": markdown(table, claims, setup, named, majority, repeats, first, sections),
        f"{name}.html": html(table, claims, setup, named, majority, drawn, repeats, first, sections),
    }
    if tokens:
        texts[TOKENS_CSV] = to_csv(token_table(tokens), "%.6g")
    if max(repeats.values(), default=1) > 1:
        texts["repeats.csv"] = to_csv(repeat_table(predictions, setup))
    return [*paths, *write_texts(folder, texts)]


def _with_models(titles: Mapping[str, str], repeats: Mapping[str, int]) -> dict[str, str]:
    """Names of rows with the number of models behind each, where any has several."""
    if max(repeats.values(), default=1) == 1:
        return dict(titles)
    counts = {row: f" ({count} model{'s' if count > 1 else ''})" for row, count in repeats.items()}
    return {row: title + counts.get(row, "") for row, title in titles.items()}
