"""The weights whose predicted score is highest, within what the runs cover."""

import numpy as np
import pandas as pd

from flannb.search.regression import Regression

DECIMALS = 4


def propose(shares: pd.DataFrame, regression: Regression) -> pd.Series:
    """The shares with the highest predicted mean over suites, among all averages of the runs' own shares.

    Nothing is extrapolated: an average of the runs lies within what they cover (their convex hull). Where every effect
    is positive there is one best; else the best of the searches that begin at each run and at their mean.

    Args:
        shares: runs x submixtures, that the regression is of.
        regression: predicts scores from shares.

    Returns:
        Submixture -> share, rounded to ``DECIMALS``; they sum to 1 but for the rounding.
    """
    from scipy.optimize import minimize  # takes half a second to import

    runs = shares.to_numpy()
    effects = regression.effects[shares.columns].mean().to_numpy()

    def loss(parts: np.ndarray) -> float:
        return float(-np.log2(parts @ runs) @ effects)

    def slope(parts: np.ndarray) -> np.ndarray:
        return -runs @ (effects / (parts @ runs)) / np.log(2)

    starts = [*np.eye(len(runs)), np.full(len(runs), 1 / len(runs))]
    found = [
        minimize(
            loss,
            start,
            jac=slope,
            method="SLSQP",
            bounds=[(0, 1)] * len(runs),
            constraints={"type": "eq", "fun": lambda parts: parts.sum() - 1, "jac": np.ones_like},
        ).x
        for start in starts
    ]
    positive = [np.clip(each, 0, None) for each in (*starts, *found)]  # the search may end a rounding error below 0
    best = min((each / each.sum() for each in positive), key=loss)
    return pd.Series(best @ runs, shares.columns).round(DECIMALS)
