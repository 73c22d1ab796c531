"""Scores by the logarithms of shares, and predictions of runs that took no part."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flannb.errors import UserError
from flannb.search import MEAN, errors, left_out, regress


def test_a_law_is_found_again(shares, scores, effects):
    found = regress(shares, scores)
    np.testing.assert_allclose(found.effects, effects, atol=0.6)
    np.testing.assert_allclose(found.intercepts, 70, atol=4)
    np.testing.assert_allclose(found.predict(shares), scores, atol=1.5)


def test_predicting_does_not_mind_the_order_of_submixtures(shares, scores):
    found = regress(shares, scores)
    pd.testing.assert_frame_equal(found.predict(shares[shares.columns[::-1]]), found.predict(shares))


def test_a_law_is_worth_something_for_runs_left_out_and_chance_is_not(shares, scores):
    table = errors(scores, left_out(shares, scores))
    assert list(table.index) == [*scores, MEAN]
    assert (table["regression"] < table["others"] / 3).all()
    chance = pd.DataFrame(np.random.default_rng(0).normal(50, 5, scores.shape), scores.index, scores.columns)
    table = errors(chance, left_out(shares, chance))
    assert (table["regression"] > 0.9 * table["others"]).all()  # a penalty that leaves no effect is the mean itself


@settings(max_examples=6)
@given(run=st.integers(0, 13), score=st.floats(0, 100))
def test_the_score_of_a_run_has_no_part_in_what_is_predicted_for_it(shares, scores, run, score):
    changed = scores.copy()
    changed.iloc[run] = score
    before, after = (left_out(shares, table).iloc[run] for table in (scores, changed))
    assert after.tolist() == pytest.approx(before.tolist())


def test_errors_are_those_of_the_others_mean_and_of_what_was_predicted():
    scores = pd.DataFrame({"a": [0.0, 10.0, 20.0], "b": [0.0, 0.0, 30.0]})
    table = errors(scores, scores + pd.Series({"a": 1, "b": -1}))
    assert table["regression"].tolist() == pytest.approx([1, 1, 0])
    others = [np.sqrt(np.mean(np.square(miss))) for miss in ([-15, 0, 15], [-15, -15, 30], [-15, -7.5, 22.5])]
    assert table["others"].tolist() == pytest.approx(others)


def test_equal_scores_have_no_effects(shares):
    flat = pd.DataFrame(25.0, shares.index, ["mmlu"])
    assert np.abs(regress(shares, flat).effects.to_numpy()).max() < 1e-9
    assert errors(flat, left_out(shares, flat)).to_numpy().max() < 1e-9


def test_too_few_runs_and_missing_submixtures_are_told(shares, scores):
    with pytest.raises(UserError, match="takes 5 runs or more; there are 4"):
        regress(shares[:4], scores[:4])
    with pytest.raises(UserError, match="takes a suite that all rows were scored on"):
        regress(shares, scores[[]])
    lacking = shares.copy()
    lacking.loc["equal", "cot"] = 0
    with pytest.raises(UserError, match=r"row 'equal' has no cot: .*--rows"):
        left_out(lacking, scores)
