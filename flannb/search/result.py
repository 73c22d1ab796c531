"""A search: the runs, what a regression makes of them, and the weights that it proposes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from flannb.errors import UserError
from flannb.files import read_json, write_json
from flannb.search.proposal import propose
from flannb.search.regression import MEAN, Regression, errors, left_out, regress

PROPOSAL_JSON = "proposal.json"

PAPER, PROPOSED = "flan2022", "proposal"
"""The rows that are compared: the paper's weights, and those proposed."""


@dataclass(frozen=True)
class Search:
    """What a search found.

    Attributes:
        shares: runs x submixtures.
        scores: runs x suites, in percent, on the rows that weights are chosen on.
        left_out: what regressions without a run predict for it, runs x suites.
        regression: of all runs.
        rates: submixture -> its proposed share.
    """

    shares: pd.DataFrame
    scores: pd.DataFrame
    left_out: pd.DataFrame
    regression: Regression
    rates: pd.Series

    @property
    def errors(self) -> pd.DataFrame:
        """As ``flannb.search.regression.errors``."""
        return errors(self.scores, self.left_out)

    @property
    def predicted(self) -> pd.Series:
        """The scores in percent that the regression predicts for the proposal: suites and ``MEAN``."""
        scores = self.regression.predict(self.rates.to_frame().T).iloc[0]
        return pd.concat([scores, pd.Series({MEAN: scores.mean()})])

    def write(self, folder: Path) -> None:
        """Writes ``proposal.json``, which is also a mixture (``flannb.mixture.mixture``)."""
        tables = {"shares": self.shares, "scores": self.scores, "left_out": self.left_out}
        tables["effects"] = self.regression.effects
        value: dict[str, Any] = {name: table.to_dict("split") for name, table in tables.items()}
        value |= {"intercepts": self.regression.intercepts.to_dict(), "rates": self.rates.to_dict()}
        write_json(Path(folder) / PROPOSAL_JSON, value)

    @classmethod
    def read(cls, folder: Path) -> "Search":
        """The search in a folder.

        Raises:
            UserError: there is none, or it is not as ``write`` leaves it.
        """
        path = Path(folder) / PROPOSAL_JSON
        value = read_json(path)
        try:
            tables = [pd.DataFrame(**value[name]) for name in ("shares", "scores", "left_out", "effects")]
            shares, scores, predicted, effects = tables
            intercepts, rates = (pd.Series(value[name]) for name in ("intercepts", "rates"))
            regression = Regression(intercepts[effects.index], effects)
            return cls(shares, scores, predicted, regression, rates[shares.columns])
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{path}: is no search of flannb ({error}). Delete it and run again.") from error


def search(shares: pd.DataFrame, scores: pd.DataFrame) -> Search:
    """Fits the regression, tests it and proposes weights.

    Args:
        shares: runs x submixtures.
        scores: the same runs x suites, in percent.

    Raises:
        UserError: as ``flannb.search.regression.regress``.
    """
    regression = regress(shares, scores)
    return Search(shares, scores, left_out(shares, scores), regression, propose(shares, regression))
