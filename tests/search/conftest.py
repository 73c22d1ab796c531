"""Runs of the design whose scores follow a law."""

import numpy as np
import pandas as pd
import pytest

from flannb.mixture import DESIGN, mixture


@pytest.fixture(scope="session")
def shares():
    table = pd.DataFrame({name: mixture(name).rates for name in ("flan2022", "equal", *DESIGN)}).T
    return table.div(table.sum(axis=1), axis=0)


@pytest.fixture(scope="session")
def effects(shares):
    return pd.DataFrame([[4, 2, 1, 0.5, 0.5, -0.5], [0, 1, 2, 3, 1, 0.5]], ["held_in", "cot"], shares.columns)


@pytest.fixture(scope="session")
def scores(shares, effects):
    """In percent, with noise of half a point."""
    noise = np.random.default_rng(0).normal(0, 0.5, (len(shares), len(effects)))
    return np.log2(shares) @ effects.T + 70 + noise
