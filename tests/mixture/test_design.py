"""The design of mixtures from which weights are proposed."""

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flannb.mixture import DESIGN, RELEASED_RATES, mixture
from flannb.mixture.design import RUNS, SPREAD, design

EQUAL = dict.fromkeys(RELEASED_RATES, 1.0)


def logs(mixtures):
    shares = np.array([list(shares.values()) for shares in mixtures])
    return np.log(shares / shares.sum(axis=1, keepdims=True))


def test_named_mixtures_are_the_design_of_seed_0():
    drawn = design([RELEASED_RATES, EQUAL])
    assert len(DESIGN) == RUNS and [mixture(name).rates for name in DESIGN] == drawn


@given(seed=st.integers(0, 2**32), runs=st.integers(2, 20))
def test_shares_are_above_0_and_sum_to_1(seed, runs):
    drawn = design([RELEASED_RATES, EQUAL], runs, seed)
    assert len(drawn) == runs and all(list(shares) == list(RELEASED_RATES) for shares in drawn)
    assert all(sum(shares.values()) == pytest.approx(1, abs=1e-3) for shares in drawn)
    assert all(share > 0 for shares in drawn for share in shares.values())
    assert drawn == design([RELEASED_RATES, EQUAL], runs, seed)


def test_each_submixture_has_each_level_once():
    """Making shares sum to 1 moves all logarithms of a mixture alike: differences of two submixtures are of levels."""
    levels = [SPREAD * NormalDist().inv_cdf((i + 0.5) / RUNS) for i in range(RUNS)]
    known = np.subtract.outer(levels, levels).ravel()
    offsets = logs(made.rates for made in DESIGN.values()) - logs([RELEASED_RATES, EQUAL]).mean(axis=0)
    for other in offsets.T[1:]:
        for difference in offsets.T[0] - other:
            assert np.abs(known - difference).min() < 0.02  # shares are rounded to four digits
    sums = (offsets - offsets[:, :1]).sum(axis=0)  # each level once in both, so that they cancel out
    assert np.abs(sums).max() < 0.1


def test_the_papers_rates_and_equal_ones_lie_within_it():
    drawn = logs(made.rates for made in DESIGN.values())
    for row in logs([RELEASED_RATES, EQUAL]):
        assert (drawn.min(axis=0) < row).all() and (row < drawn.max(axis=0)).all()


def test_shares_of_submixtures_come_apart():
    drawn = logs(made.rates for made in DESIGN.values())
    apart = np.corrcoef(drawn.T) - np.eye(len(RELEASED_RATES))
    assert np.abs(apart).max() < 0.7
    assert not np.array_equal(drawn, logs(design([RELEASED_RATES, EQUAL], seed=1)))
