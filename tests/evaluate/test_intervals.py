"""Suite scores and their intervals: the arithmetic, the coverage, the pairing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flannb.evaluate.intervals import (
    difference,
    highest_lead,
    lowest_lead,
    of_suites,
    share_best,
    statistic,
    suite_score,
)

ONES, ZEROS = np.ones(50), np.zeros(50)
HALF = np.tile([0.0, 1.0], 25)


def draw(rng, rates, rows=50):
    return {f"task{i}": rng.random(rows) < rate for i, rate in enumerate(rates)}


def test_the_score_is_the_mean_over_tasks_of_task_means():
    # 1,000 rows of one task weigh as much as 2 rows of another.
    interval = suite_score({"large": np.ones(1000, dtype=bool), "small": np.array([True, False])})
    assert interval.score == 75.0
    assert interval.n == 1002
    assert interval.low <= 75.0 <= interval.high


def test_equal_rows_leave_nothing_to_chance():
    interval = suite_score({"a": ONES, "b": ZEROS})
    assert (interval.low, interval.score, interval.high) == (50.0, 50.0, 50.0)


def test_the_interval_is_the_normal_one_for_many_rows():
    interval = suite_score({"a": np.tile([0, 1], 2000)})
    half_width = 1.96 * 100 * 0.5 / np.sqrt(4000)
    assert interval.low == pytest.approx(50 - half_width, abs=0.15)
    assert interval.high == pytest.approx(50 + half_width, abs=0.15)


def test_resampling_counts_agrees_with_resampling_rows():
    scores = np.array([0.0, 0.2, 0.2, 0.7, 1.0, 1.0, 1.0, 0.4])
    rng = np.random.default_rng(5)
    direct = 100 * scores[rng.integers(0, len(scores), (200_000, len(scores)))].mean(axis=1)
    interval = suite_score({"a": scores})
    assert [interval.low, interval.high] == pytest.approx(np.percentile(direct, [2.5, 97.5]), abs=2.6)


@pytest.mark.parametrize("rates", [(0.5,), (0.3, 0.7, 0.55, 0.4)])
def test_intervals_cover_the_truth_95_times_in_100(rates):
    rng = np.random.default_rng(0)
    truth = 100 * np.mean(rates)
    intervals = [suite_score(draw(rng, rates), seed) for seed in range(300)]
    assert 0.92 <= np.mean([i.low <= truth <= i.high for i in intervals]) <= 0.98


def test_paired_differences_cover_the_truth_and_are_narrower_than_unpaired_ones():
    rng = np.random.default_rng(1)
    covered, widths, unpaired = [], [], []
    for seed in range(200):
        hardness = rng.random((3, 60))
        a = {str(i): row < 0.6 for i, row in enumerate(hardness)}
        b = {str(i): row < 0.5 for i, row in enumerate(hardness)}
        interval = difference(a, b, seed)
        covered.append(interval.low <= 10 <= interval.high)
        widths.append(interval.high - interval.low)
        unpaired.append(np.hypot(*(x.high - x.low for x in (suite_score(a, seed), suite_score(b, seed)))))
    assert 0.91 <= np.mean(covered) <= 0.99
    assert np.mean(widths) < 0.7 * np.mean(unpaired)


def test_a_difference_changes_its_sign_with_the_order():
    rng = np.random.default_rng(2)
    a, b = draw(rng, (0.6, 0.4)), draw(rng, (0.5, 0.5))
    one, other = difference(a, b), difference(b, a)
    assert one.score == pytest.approx(-other.score)
    assert one.score == pytest.approx(suite_score(a).score - suite_score(b).score)


def test_the_lowest_lead_is_from_the_worst_above_to_the_best_below():
    interval = statistic([{"a": ONES}, {"a": ZEROS}, {"a": HALF}], lowest_lead(1))
    assert interval.score == 50.0
    assert interval.low > 25
    assert statistic([{"a": ONES}, {"a": HALF}, {"a": ZEROS}], lowest_lead(2)).score == 50.0
    # Against two equals the best of each sample is taken, so leading by luck is not a lead.
    rng = np.random.default_rng(3)
    a, b, c = (draw(rng, (0.5,), 200) for _ in range(3))
    lead = statistic([a, b, c], lowest_lead(1))
    assert lead.low <= min(difference(a, b).low, difference(a, c).low) + 1


def test_the_highest_lead_asks_for_one_of_those_above():
    assert statistic([{"a": ZEROS}, {"a": ONES}, {"a": HALF}], highest_lead(2)).score == 50.0
    assert statistic([{"a": ZEROS}, {"a": HALF}, {"a": ONES}], highest_lead(2)).high < -25


def test_a_statistic_is_of_paired_scores_and_leaves_out_what_is_no_number():
    rng = np.random.default_rng(5)
    rows = rng.random(300) < 0.5
    models = [{"a": rows}, {"a": rows}]
    assert statistic(models, lambda scores: scores[..., 0] - scores[..., 1]) == difference(*models)
    undefined = statistic([{"a": ZEROS}], lambda scores: np.where(scores[..., 0] > 0, 1.0, np.nan))
    assert np.isnan([undefined.score, undefined.low, undefined.high]).all() and undefined.n == 50
    top = statistic([{"a": rows}], lambda scores: np.where(scores[..., 0] > 50, scores[..., 0], np.nan))
    assert top.low >= 50


def test_a_statistic_that_is_no_number_has_no_bounds():
    found = statistic([{"a": ONES}], lambda scores: np.where(np.ndim(scores) == 1, np.nan, scores[..., 0]))
    assert np.isnan([found.score, found.low, found.high]).all() and found.n == len(ONES)


def test_repeats_count_as_their_mean_and_widen_the_interval():
    rng = np.random.default_rng(7)
    rows = rng.random((400, 1)) < 0.5
    alike, apart = np.repeat(rows, 3, axis=1), rng.random((400, 3)) < (0.4, 0.5, 0.6)
    assert suite_score({"a": apart}).score == pytest.approx(100 * apart.mean())
    assert suite_score({"a": alike}) == suite_score({"a": rows[:, 0]})
    widths = [interval.high - interval.low for interval in map(suite_score, ({"a": apart[:, :1]}, {"a": apart}))]
    assert widths[1] > widths[0]


@pytest.mark.parametrize("repeats", [2, 6])
def test_repeats_of_two_models_cover_their_true_difference(repeats):
    rng = np.random.default_rng(8)
    covered = []
    for seed in range(200):
        hardness = rng.random((200, 1))
        # Training again shifts a model's rate; the mean of many would be 0.55 and 0.45.
        a, b = ({"a": hardness < mean + 0.03 * rng.standard_normal(repeats)} for mean in (0.55, 0.45))
        interval = difference(a, b, seed)
        covered.append(interval.low <= 10 <= interval.high)
    assert np.mean(covered) >= 0.89  # drawing two repeats of two instead of one gives 0.86


def test_the_share_counts_cells_won_outright():
    cells = [({"a": ONES}, [{"a": ZEROS}]), ({"a": ZEROS}, [{"a": ONES}]), ({"a": HALF}, [{"a": HALF}])]
    interval = share_best(cells)
    assert interval.score == pytest.approx(100 / 3)  # a tie is not won
    assert (interval.low, interval.high) == (interval.score, interval.score)
    assert interval.n == 150


def test_an_uncertain_cell_widens_the_share():
    rng = np.random.default_rng(4)
    even = (draw(rng, (0.5,)), [draw(rng, (0.5,))])
    interval = share_best([({"a": ONES}, [{"a": ZEROS}]), even])
    assert (interval.low, interval.high) == (50.0, 100.0)


def test_repeats_of_a_model_are_the_same_in_all_cells():
    rows = np.arange(400)[:, None] / 400
    uneven, other = {"a": rows < np.array([0.95, 0.95, 0.2])}, {"a": (rows < 0.35)[:, 0]}
    interval = share_best([(uneven, [other])] * 10)
    assert interval.score == 100
    assert (interval.low, interval.high) == (0, 100), (
        "with the third repeat drawn each time, all cells are lost at once"
    )


def test_equal_seeds_give_equal_intervals_whatever_the_order_of_tasks():
    scores = {task: np.random.default_rng(6).random(40) for task in "abc"}
    backwards = dict(reversed(scores.items()))
    assert suite_score(scores, 3) == suite_score(backwards, 3)
    assert suite_score(scores, 3) != suite_score(scores, 4)
    assert suite_score(scores, 3).score == suite_score(scores, 4).score


@given(st.dictionaries(st.text(max_size=3), st.lists(st.floats(0, 1), min_size=1, max_size=8), min_size=1, max_size=4))
@settings(max_examples=40, deadline=None)
def test_every_interval_is_within_the_range_of_scores(scores):
    interval = suite_score({task: np.array(rows) for task, rows in scores.items()})
    assert -1e-9 <= interval.low <= interval.high <= 100 + 1e-9
    assert interval.n == sum(map(len, scores.values()))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: suite_score({}), "at least one task"),
        (lambda: suite_score({"boolq": np.array([])}), "task 'boolq' has no rows"),
        (lambda: suite_score({"boolq": np.array([1.0, np.nan])}), "task 'boolq': a score is not a finite number"),
        (lambda: difference({"boolq": ONES}, {"rte": ONES}), "the same tasks; the first has boolq"),
        (lambda: difference({"boolq": ONES}, {"boolq": ONES[:9]}), r"task 'boolq'.*same rows.*\[9, 50\]"),
        (lambda: statistic([], lowest_lead(1)), "at least one model"),
        (lambda: share_best([]), "at least one cell"),
        (lambda: share_best([({"boolq": ONES}, [])]), "at least one other model"),
        (lambda: suite_score({"a": np.ones((9, 2)), "b": np.ones(9)}), r"as many repeats.*'a': 2, 'b': 1"),
    ],
)
def test_wrong_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_suites_together_score_the_mean_of_theirs_however_many_tasks_they_have():
    many = draw(np.random.default_rng(0), (0.2, 0.4, 0.6, 0.8, 0.9))
    parts = {"a": many, "b": {"a_three_objects": ONES, "a_five_objects": HALF}, "c": {"x": ZEROS}}
    both = {suite: {name: np.column_stack([rows, rows]) for name, rows in one.items()} for suite, one in parts.items()}
    wanted = np.mean([suite_score(scores).score for scores in parts.values()])
    assert suite_score(of_suites(parts)).score == pytest.approx(wanted)
    assert suite_score(of_suites(both)).score == pytest.approx(wanted)
    assert suite_score(of_suites(parts)).n == 5 * 50 + 3 * 50


def test_the_mean_of_independent_suites_varies_by_their_variances():
    rng = np.random.default_rng(0)
    parts = {name: draw(rng, (0.5,) * tasks, 200) for name, tasks in {"a": 1, "b": 4}.items()}
    widths = [(each.high - each.low) for each in map(suite_score, parts.values())]
    whole = suite_score(of_suites(parts))
    assert whole.high - whole.low == pytest.approx(np.hypot(*widths) / 2, rel=0.06)
