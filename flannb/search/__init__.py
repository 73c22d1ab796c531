"""Mixture weights from runs: a regression of suite scores on weights, and the weights that it proposes."""

from flannb.search.halves import CHOOSING, COMPARING, half, together
from flannb.search.proposal import propose
from flannb.search.regression import MEAN, Regression, errors, left_out, regress
from flannb.search.result import PAPER, PROPOSAL_JSON, PROPOSED, Search, search

__all__ = [
    "CHOOSING",
    "COMPARING",
    "MEAN",
    "PAPER",
    "PROPOSAL_JSON",
    "PROPOSED",
    "Regression",
    "Search",
    "errors",
    "half",
    "left_out",
    "propose",
    "regress",
    "search",
    "together",
]
