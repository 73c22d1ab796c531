"""Synthetic predictions of all rows, shaped like the paper's Table 1."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from flannb.report import LAYOUTS, Setup

SETS = {"held_in": 8, "cot": 5, "mmlu": 8, "bbh": 6, "bbh_cot": 6}
SPLITS = {"held_in": "validation", "cot": "validation", "mmlu": "test", "bbh": "test", "bbh_cot": "test"}
ROWS = 60


def synthetic(table="table1", seed=0, rows=ROWS):
    """Row -> predictions whose scores are those of the paper up to chance."""
    layout = LAYOUTS[table]
    papers = layout.printed().set_index("row").loc[layout.measurable()]
    cells = list(layout.cells())
    return of_scores(
        {row: {cell: paper["_".join(cell)] for cell in cells} for row, paper in papers.iterrows()}, seed, rows
    )


def of_scores(scores, seed=0, rows=ROWS):
    """Row -> predictions with these scores up to chance, given as row -> (suite, setting) -> percent.

    The same evaluation rows are hard for all models.
    """
    predictions = {}
    for row, cells in scores.items():
        rng = np.random.default_rng(seed)
        frames = []
        for (suite, setting), score in cells.items():
            for i in range(SETS[suite]):
                hardness = rng.random(rows)
                frames.append(
                    pd.DataFrame(
                        {
                            "suite": suite,
                            "setting": setting,
                            "task": f"{suite}_{i}",
                            "row": np.arange(rows),
                            "score": 100 * hardness < score,
                            "split": SPLITS[suite],
                            "target": np.where(np.arange(rows) % 3, "yes", "no"),
                            "options": [("no", "yes")] * rows,
                        }
                    )
                )
        predictions[row] = pd.concat(frames, ignore_index=True)
    return predictions


@pytest.fixture(scope="session")
def make_predictions():
    return of_scores


def synthetic_losses(seed=0, steps=400):
    rng = np.random.default_rng(seed)
    step = np.arange(steps)
    return {
        row: pd.DataFrame({"step": step, "loss": 1 + 0.1 * i + 5 * np.exp(-step / 60) + rng.normal(0, 0.2, steps)})
        for i, row in enumerate(LAYOUTS["table1"].measurable())
    }


@pytest.fixture(scope="session")
def setup():
    return Setup("smoke", "mini", 0, {suite: [f"{suite}_{i}" for i in range(n)] for suite, n in SETS.items()})


@pytest.fixture
def predictions(_predictions):
    return {row: frame.copy() for row, frame in _predictions.items()}


@pytest.fixture(scope="session")
def _predictions():
    return synthetic()


@pytest.fixture
def setup2(setup):
    return replace(setup, layout=LAYOUTS["table2"])


@pytest.fixture
def predictions2():
    return synthetic("table2")


@pytest.fixture(scope="session")
def losses():
    return synthetic_losses()


@pytest.fixture
def tokens():
    """What three rows have read."""
    lines = [("flan2021", "boolq", 30, 3000, 0.6, 1.5), ("cot", "gsm8k", 20, 2000, 0.4, 12.25)]
    whole = pd.DataFrame(lines, columns=["submixture", "task", "examples", "tokens", "share", "epochs"])
    return {"flan2022": whole, "minus_cot": whole[:1].assign(tokens=5000, share=1.0)}
