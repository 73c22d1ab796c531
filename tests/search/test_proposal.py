"""The weights with the highest prediction, within what the runs cover."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import nnls

from flannb.search import Regression, propose

NAMES = ["a", "b", "c"]
CORNERS = pd.DataFrame([[0.98, 0.01, 0.01], [0.01, 0.98, 0.01], [0.01, 0.01, 0.98]], ["x", "y", "z"], NAMES)


def law(*effects):
    return Regression(pd.Series(0.0, ["s"]), pd.DataFrame([effects], ["s"], NAMES))


def test_shares_are_as_the_effects_where_the_runs_allow_it():
    """Where each doubling of a share is worth its effect, the best shares are the effects, scaled to sum to 1."""
    assert propose(CORNERS, law(5.0, 3.0, 2.0)).tolist() == pytest.approx([0.5, 0.3, 0.2], abs=1e-3)


def test_the_runs_bound_it():
    narrow = pd.DataFrame([[0.4, 0.3, 0.3], [0.3, 0.4, 0.3], [0.3, 0.3, 0.4]], ["x", "y", "z"], NAMES)
    assert propose(narrow, law(5.0, 0.1, 0.1)).tolist() == pytest.approx([0.4, 0.3, 0.3], abs=1e-3)
    assert propose(narrow, law(-5.0, 0.1, 0.1))["a"] == pytest.approx(0.3, abs=1e-3)


@given(
    effects=st.lists(st.floats(-10, 10), min_size=3, max_size=3),
    runs=st.lists(st.lists(st.floats(0.01, 1), min_size=3, max_size=3), min_size=1, max_size=8),
)
def test_it_is_an_average_of_the_runs_and_none_of_them_is_better(effects, runs):
    shares = pd.DataFrame(runs, columns=NAMES)
    shares = shares.div(shares.sum(axis=1), axis=0)
    found = propose(shares, law(*effects))
    assert found.sum() == pytest.approx(1, abs=3e-4)
    _, miss = nnls(np.vstack([shares.T, np.ones(len(shares))]), np.append(found, 1.0))
    assert miss < 3e-4  # of rounding
    best = law(*effects).predict(shares)["s"].max()
    slack = sum(abs(effect) * 1e-4 / share for effect, share in zip(effects, found, strict=True))
    assert law(*effects).predict(found.to_frame().T)["s"].iloc[0] >= best - slack - 1e-9


def test_several_suites_count_alike():
    both = Regression(pd.Series(0.0, ["s", "t"]), pd.DataFrame([[5.0, 1, 0], [0, 2, 2.0]], ["s", "t"], NAMES))
    pd.testing.assert_series_equal(propose(CORNERS, both), propose(CORNERS, law(2.5, 1.5, 1.0)))
