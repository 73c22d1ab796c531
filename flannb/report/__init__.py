"""Tables, figures and verdicts on claims from predictions, with the paper's numbers beside them."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from flannb.files import write_text
from flannb.report.claims import evaluate_claims
from flannb.report.figures import figure1, loss_curves, save
from flannb.report.page import html, markdown
from flannb.report.published import published, row_titles
from flannb.report.table1 import Predictions, Setup, majority_baseline, table1, to_csv

__all__ = [
    "Predictions",
    "Setup",
    "evaluate_claims",
    "figure1",
    "html",
    "loss_curves",
    "majority_baseline",
    "markdown",
    "published",
    "row_titles",
    "save",
    "table1",
    "to_csv",
    "write_table1",
]


def write_table1(
    folder: Path,
    predictions: Predictions,
    losses: Mapping[str, pd.DataFrame],
    setup: Setup,
    titles: Mapping[str, str] | None = None,
    majority: Mapping[str, float] | None = None,
) -> list[Path]:
    """Writes the report on Table 1 into a folder, each file whole or not at all.

    Writes table1.csv, table1.md, table1.html, claims.csv, figure1.png and .svg, and, where there are losses, loss.png
    and .svg. Equal arguments give equal bytes.

    Args:
        folder: is made if need be; other files in it stay.
        predictions: row of Table 1 -> its predictions.
        losses: row of Table 1 -> a table with the columns ``step`` and ``loss``.
        setup: what was measured.
        titles: row -> name, where it should differ from the paper's.
        majority: setting -> majority baseline of Held-In in percent (see ``majority_baseline``).

    Returns:
        The files written.

    Raises:
        UserError: the predictions or losses are not as described, or the folder cannot be written to.
    """
    folder = Path(folder)
    table, claims = table1(predictions, setup), evaluate_claims(predictions, setup)
    drawn = [
        (
            "figure1",
            "Figure 1: four collections in every suite, measured and in the paper.",
            figure1(table, setup.scale),
        )
    ]
    if losses:
        drawn.append(("loss", "Training loss of every row, smoothed.", loss_curves(losses, titles)))
    paths, embedded = [], []
    for name, text, figure in drawn:
        png, svg = save(figure, folder / name)
        paths += [png, svg]
        embedded.append((text, svg))
    texts = {
        "table1.csv": to_csv(table),
        "claims.csv": to_csv(claims),
        "table1.md": markdown(table, claims, setup, titles, majority),
        "table1.html": html(table, claims, setup, titles, majority, embedded),
    }
    for name, text in texts.items():
        write_text(folder / name, text)
        paths.append(folder / name)
    return paths
