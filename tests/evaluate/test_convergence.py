"""Learning curves beside one another: worked out by hand, paired by rows, and what cannot be compared."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flannb.evaluate import convergence

STEPS = (0, 10, 20, 30)


def curve(*shares, rows=40):
    """A training whose first rows are right, a share of them at each step."""
    return [
        pd.DataFrame({"mode": "generation", "score": [float(i < share * rows) for i in range(rows)]})
        for share in shares
    ]


def test_the_faster_and_higher_curve_by_hand():
    found = convergence([curve(0.2, 0.9, 0.9, 0.9)], [curve(0.0, 0.4, 0.7, 0.8)], STEPS, "accuracy")
    assert (found.steps.score, found.peak.score) == (20, pytest.approx(10))
    assert found.steps.n == found.peak.n == 40
    assert 0 < found.steps.low <= found.steps.high == 20 and found.peak.low > 0


def test_equal_curves_differ_in_nothing():
    one = [curve(0.1, 0.5, 0.6, 0.6)]
    found = convergence(one, one, STEPS, "accuracy")
    assert [(i.score, i.low, i.high) for i in found] == [(0, 0, 0)] * 2


def test_a_curve_that_never_gets_there_counts_as_one_evaluation_later():
    found = convergence([curve(0.0, 0.1, 0.1, 0.1)], [curve(0.0, 0.2, 0.9, 0.9)], STEPS, "accuracy")
    assert found.steps.score == 20 - 40


def test_a_curve_that_comes_exactly_to_the_share_is_there():
    """95% of 40 right answers are 38, which no binary fraction of 48 is exactly."""
    found = convergence(
        [curve(0, 38 / 48, 38 / 48, 1, rows=48)], [curve(0, 0, 38 / 48, 40 / 48, rows=48)], STEPS, "accuracy"
    )
    assert found.steps.score == 20 - 10


def correlated(*correlations, rows=40):
    """A training whose predictions have about these rank correlations; None for answers that are all equal."""
    gold = np.arange(rows)
    noise = np.random.default_rng(0).permutation(rows)
    return [
        pd.DataFrame(
            {
                "mode": "generation",
                "target": gold.astype(str),
                "extraction": np.zeros(rows).astype(str)
                if r is None
                else (r * gold + (1 - abs(r)) * noise).astype(str),
            }
        )
        for r in correlations
    ]


def test_nothing_comes_near_a_best_score_that_is_not_above_zero():
    negative = correlated(-1.0, -0.9, -0.8, -0.8)
    found = convergence([correlated(0.0, 0.5, 0.9, 0.9)], [negative], STEPS, "spearman")
    assert np.isnan(found.steps.score) and np.isnan(found.steps.low) and found.peak.score > 100
    nothing = [curve(0, 0, 0, 0)]
    assert np.isnan(convergence(nothing, nothing, STEPS, "accuracy").steps.score)


def test_steps_at_which_a_score_is_undefined_do_not_count():
    found = convergence([correlated(None, 0.2, 0.95, 0.95)], [correlated(None, None, None, 0.9)], STEPS, "spearman")
    assert found.steps.score == 30 - 20
    empty = convergence([correlated(None, None, None, None)], [correlated(0.1, 0.9, 0.9, 0.9)], STEPS, "spearman")
    assert empty.steps.score == 10 - 40 and np.isnan(empty.peak.score)


def test_trainings_are_averaged_and_drawn():
    high, low = curve(0.0, 1.0, 1.0, 1.0), curve(0.0, 0.5, 0.5, 0.5)
    other = [curve(0.0, 0.5, 0.5, 0.5)]
    both = convergence([high, low], other, STEPS, "accuracy")
    assert both.peak.score == pytest.approx(25)
    assert both.peak.high - both.peak.low > 40, "two trainings that far apart leave the mean open"
    assert convergence([high, low], other, STEPS, "accuracy", seed=0) == both


@given(shares=st.lists(st.lists(st.floats(0, 1), min_size=4, max_size=4), min_size=2, max_size=2))
def test_swapping_the_curves_turns_the_peak_around(shares):
    one, two = ([curve(*values)] for values in shares)
    there, back = convergence(one, two, STEPS, "accuracy"), convergence(two, one, STEPS, "accuracy")
    assert there.peak.score == pytest.approx(-back.peak.score)
    assert there.peak.low <= there.peak.score <= there.peak.high or np.isclose(there.peak.low, there.peak.high)


def test_what_cannot_be_compared_is_said():
    one = [curve(0, 1, 1, 1)]
    for this, other, steps, message in (
        ([], one, STEPS, "at least one training"),
        (one, one, STEPS[:3], "the same steps"),
        (one, [curve(0, 1, 1, 1, rows=9)], STEPS, "the same rows"),
    ):
        with pytest.raises(ValueError, match=message):
            convergence(this, other, steps, "accuracy")
