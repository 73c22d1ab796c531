"""The regression of suite scores on the shares of submixtures, and how well it predicts runs that it has not seen."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from flannb.errors import UserError

PENALTIES = tuple(float(penalty) for penalty in np.logspace(-2, 3, 11))
"""From hardly any to one that leaves of the effects next to nothing; each suite has its own."""

FEWEST = 5
"""Runs that a regression takes: leaving one out must leave enough to choose a penalty by."""

MEAN = "mean"
"""The mean over suites, beside the suites."""


@dataclass(frozen=True)
class Regression:
    """Scores as linear in the logarithms of shares: each doubling of a share counts the same.

    So more of a submixture brings less and less, and weights that balance them can be best.

    Attributes:
        intercepts: suite -> percent, of shares that are 1.
        effects: suites x submixtures: percentage points for each doubling of the share.
    """

    intercepts: pd.Series
    effects: pd.DataFrame

    def predict(self, shares: pd.DataFrame) -> pd.DataFrame:
        """Scores in percent (runs x suites) of shares (runs x submixtures)."""
        return np.log2(shares[self.effects.columns]) @ self.effects.T + self.intercepts


def regress(shares: pd.DataFrame, scores: pd.DataFrame) -> Regression:
    """Fits a ridge regression for each suite; penalties are chosen by the leave-one-out error (``PENALTIES``).

    Args:
        shares: runs x submixtures, each above 0.
        scores: the same runs x suites, in percent.

    Raises:
        UserError: there are no suites or fewer runs than ``FEWEST``, or a run leaves a submixture out.
    """
    from sklearn.linear_model import RidgeCV  # takes a second to import

    _check(shares, scores)
    logs = np.log2(shares.to_numpy())
    fitted = [RidgeCV(PENALTIES).fit(logs, scores[suite]) for suite in scores]
    effects = pd.DataFrame([each.coef_ for each in fitted], scores.columns, shares.columns)
    return Regression(pd.Series([each.intercept_ for each in fitted], scores.columns), effects)


def left_out(shares: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """What regressions of all runs but one predict for that one: runs x suites, in percent.

    Penalties are chosen anew among the others each time, so a run's own score has no part in its prediction.

    Raises:
        UserError: as ``regress``.
    """
    from sklearn.linear_model import RidgeCV
    from sklearn.model_selection import LeaveOneOut, cross_val_predict

    _check(shares, scores)
    logs, each_one = np.log2(shares.to_numpy()), LeaveOneOut()
    predicted = {suite: cross_val_predict(RidgeCV(PENALTIES), logs, scores[suite], cv=each_one) for suite in scores}
    return pd.DataFrame(predicted, scores.index)


def errors(scores: pd.DataFrame, predicted: pd.DataFrame) -> pd.DataFrame:
    """Root mean squared errors in percentage points, of each suite and of the mean over suites.

    Args:
        scores: runs x suites.
        predicted: of the same, by ``left_out``.

    Returns:
        The suites and ``MEAN`` x ``regression`` and ``others``: that of ``predicted``, and that of taking for a run the
        mean score of the others.
    """
    runs = len(scores)
    wholes = [table.assign(**{MEAN: table.mean(axis=1)}) for table in (scores, predicted)]
    misses = {
        "regression": wholes[0] - wholes[1],
        "others": (wholes[0] - wholes[0].mean()) * runs / (runs - 1),
    }
    return pd.DataFrame({name: np.sqrt((miss**2).mean()) for name, miss in misses.items()})


def _check(shares: pd.DataFrame, scores: pd.DataFrame) -> None:
    if not len(scores.columns):
        raise UserError("a regression on mixture weights takes a suite that all rows were scored on; there is none")
    if len(shares) < FEWEST:
        raise UserError(f"a regression on mixture weights takes {FEWEST} runs or more; there are {len(shares)}")
    for run, row in shares.iterrows():
        if not (row > 0).all():
            raise UserError(
                f"row '{run}' has no {row.index[~(row > 0)][0]}: a regression on logarithms of weights needs some of"
                " every submixture in every row; leave it out with --rows"
            )
