"""Two halves of the evaluation rows: weights are chosen on the one and compared on the other.

Weights that are chosen by some scores fit the chance in them, so on the same rows they would look better than they are.
"""

import numpy as np
import pandas as pd

from flannb.evaluate import REPEAT
from flannb.files import digest

CHOOSING, COMPARING = 0, 1
"""The two halves."""


def half(predictions: pd.DataFrame, which: int, seed: int) -> pd.DataFrame:
    """The predictions of one half of the evaluation rows.

    A row's half is drawn by the hash of seed, task and row alone, so it is the same for every model, in both settings,
    and in both suites that ask the same questions (BBH with and without explanations).

    Args:
        predictions: of one model, with the columns ``task`` and ``row``.
        which: ``CHOOSING`` or ``COMPARING``.
        seed: of the draw.
    """
    rows = predictions[["task", "row"]].drop_duplicates()
    drawn = [int(digest([seed, str(task), int(row)]), 16) % 2 for task, row in rows.itertuples(index=False)]
    return predictions.merge(rows[np.array(drawn, int) == which], on=["task", "row"])


def together(predictions: pd.DataFrame) -> dict[str, dict[str, np.ndarray]]:
    """The scores of a model with both settings in one: those of a row are averaged, and rows without one left out.

    Args:
        predictions: of one model in one or more suites, with the columns ``suite``, ``task``, ``setting``, ``row`` and
            ``score``, and, of one trained several times, ``REPEAT``.

    Returns:
        Suite -> set -> scores of its rows in order, shape (rows, repeats), as ``flannb.evaluate.intervals`` takes them.
    """
    if REPEAT not in predictions:
        predictions = predictions.assign(**{REPEAT: 0})
    wide = predictions.pivot(index=["suite", "task", "row"], columns=[REPEAT, "setting"], values="score").dropna()
    means = wide.astype(float).T.groupby(level=REPEAT).mean().T
    found: dict[str, dict[str, np.ndarray]] = {}
    for (suite, task), scores in means.groupby(level=["suite", "task"]):
        found.setdefault(str(suite), {})[str(task)] = scores.to_numpy()
    return found
