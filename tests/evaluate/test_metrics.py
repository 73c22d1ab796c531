"""Table 3's metrics against the libraries' values, and against cases worked out by hand."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flannb.evaluate.metrics import (
    NO_CLASS,
    _fast_auc_roc,
    _fast_macro_f1,
    _fast_spearman,
    auc_roc,
    macro_f1,
    metric_difference,
    metric_score,
    metric_value,
    share_not_worse,
    spearman,
    squad_f1,
)

sklearn = pytest.importorskip("sklearn", reason="needs scikit-learn, which requirements.lock pins")

NLI = ["yes", "it is not possible to tell", "no"]


def predictions(targets, extractions, options, likelihoods=None, scores=None, mode="generation", task="a"):
    """Predictions with the columns that metrics read."""
    n = len(targets)
    return pd.DataFrame(
        {
            "task": task,
            "row": range(n),
            "mode": mode,
            "target": targets,
            "extraction": extractions,
            "options": [options] * n,
            "likelihoods": likelihoods or [[]] * n,
            "score": scores or [float(a == b) for a, b in zip(targets, extractions, strict=True)],
        }
    )


def by_hand(gold, predicted, classes):
    """Macro F1 from its definition."""
    scores = []
    for c in range(classes):
        both = sum(g == p == c for g, p in zip(gold, predicted, strict=True))
        total = sum(g == c for g in gold) + sum(p == c for p in predicted)
        scores.append(2 * both / total if total else 0.0)
    return sum(scores) / classes


@pytest.mark.parametrize("classes", [3, 4])
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_macro_f1_is_scikit_learns_and_its_definition(classes, data):
    pairs = data.draw(st.lists(st.tuples(st.integers(0, classes - 1), st.integers(-1, classes - 1)), min_size=1))
    gold, predicted = zip(*pairs, strict=True)
    found = macro_f1(gold, predicted, classes)
    assert found == pytest.approx(by_hand(gold, predicted, classes))
    assert found == pytest.approx(_fast_macro_f1(np.array(gold), np.array(predicted), classes))
    report = sklearn.metrics.classification_report(
        gold, predicted, labels=range(classes), output_dict=True, zero_division=0
    )
    assert found == pytest.approx(report["macro avg"]["f1-score"])


@given(st.lists(st.tuples(st.booleans(), st.integers(-5, 5)), min_size=2, max_size=30))
@settings(max_examples=40, deadline=None)
def test_auc_is_the_share_of_pairs_in_the_right_order(rows):
    positive, margins = zip(*rows, strict=True)
    up, down = ([m for p, m in rows if p is side] for side in (True, False))
    found = auc_roc(positive, margins)
    assert found == pytest.approx(_fast_auc_roc(np.array(positive), np.array(margins)), nan_ok=True)
    if not up or not down:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(np.mean([(a > b) + (a == b) / 2 for a in up for b in down]))


def test_spearman_is_scipys_and_unreadable_predictions_count_against_it():
    from scipy.stats import spearmanr

    gold = [0.0, 1.56, 3.1, 2.7, 5.0, 4.2]
    predicted = [1, 1, 3, 2, 5, 5]
    assert spearman(gold, predicted) == pytest.approx(spearmanr(gold, predicted).statistic)
    assert spearman(gold, gold) == pytest.approx(1) and spearman(gold, [-x for x in gold]) == pytest.approx(-1)
    lucky = [np.nan, np.nan, np.nan, np.nan, 5, 4.2]
    assert spearman(gold, lucky) < spearman(gold[4:], lucky[4:]) == pytest.approx(1)
    assert np.isnan(spearman(gold, [2.0] * 6)) and np.isnan(spearman(gold, [np.nan] * 6))


SQUAD_CASES = [
    ("the Normans", ["Normans"], 1.0),
    ("normans.", ["The Normans"], 1.0),
    ("in France", ["France"], 2 / 3),
    ("France and Italy", ["France", "France, Italy"], 0.8),
    ("10th and 11th centuries", ["in the 10th and 11th centuries"], 8 / 9),
    ("unanswerable", ["unanswerable"], 1.0),
    ("Unanswerable.", ["unanswerable"], 1.0),
    ("France", ["unanswerable"], 0.0),
    ("", ["France"], 0.0),
    ("the", ["a"], 1.0),
    ("the", ["France"], 0.0),
    ("U.S.", ["US"], 1.0),
    ("twenty-one", ["twentyone"], 1.0),
    ("an apple  a day", ["apple day"], 1.0),
    ("France France", ["France"], 2 / 3),
    ("theatre", ["atre"], 0.0),
]


@pytest.mark.parametrize(("prediction", "answers", "expected"), SQUAD_CASES)
def test_squad_f1(prediction, answers, expected):
    assert squad_f1(prediction, answers) == pytest.approx(expected)


def test_f1_of_predictions_counts_the_unread_as_wrong_for_every_class():
    frame = predictions(["yes", "no", "no", NLI[1]], ["yes", "no", None, "yes"], NLI)
    interval = metric_score(frame, "macro_f1")
    assert interval.score == pytest.approx(100 * by_hand([0, 2, 2, 1], [0, 2, NO_CLASS, 0], 3))
    assert interval.low <= interval.score <= interval.high and interval.n == 4


def test_f1_classes_are_positions_where_rows_have_options_of_their_own():
    frame = predictions(["oak", "b"], ["oak", "(A)"], ["elm", "oak", "ash", "fir"])
    frame["options"] = [["elm", "oak", "ash", "fir"], ["a", "b", "c", "d"]]
    assert metric_score(frame, "macro_f1").score == pytest.approx(100 * by_hand([1, 1], [1, 0], 4))


def test_auc_of_predictions_is_the_same_whichever_option_is_positive():
    rng = np.random.default_rng(0)
    targets = rng.choice(["no", "yes"], 60).tolist()
    logs = [[a + (t == "no"), b + (t == "yes")] for t, (a, b) in zip(targets, rng.normal(size=(60, 2)), strict=True)]
    ordered = predictions(targets, targets, ["no", "yes"], logs, mode="ranking")
    swapped = predictions(targets, targets, ["yes", "no"], [pair[::-1] for pair in logs], mode="ranking")
    interval = metric_score(ordered, "auc_roc")
    assert interval.score == pytest.approx(metric_score(swapped, "auc_roc").score)
    margins = [pair[1] - pair[0] for pair in logs]
    assert interval.score == pytest.approx(100 * sklearn.metrics.roc_auc_score([t == "yes" for t in targets], margins))
    assert 50 < interval.low < interval.score < interval.high < 100


def test_spearman_of_predictions_reads_extracted_numbers():
    frame = predictions(["0.0", "1.56", "3.1", "5"], ["0", "1/3", "2.5", "4"], [])
    assert metric_score(frame, "spearman").score == pytest.approx(100)


def test_an_undefined_metric_is_not_a_number():
    frame = predictions(["yes", "yes"], ["yes", "yes"], ["no", "yes"], [[0.0, 1.0], [0.0, 2.0]], mode="ranking")
    interval = metric_score(frame, "auc_roc")
    assert np.isnan([interval.score, interval.low, interval.high]).all() and interval.n == 2


def test_differences_are_paired_by_task_and_row():
    rng = np.random.default_rng(1)
    targets = rng.choice(NLI, 80).tolist()
    noisy = [t if rng.random() < 0.6 else NLI[0] for t in targets]
    first, second = predictions(targets, targets, NLI), predictions(targets, noisy, NLI)
    shuffled = second.sample(frac=1, random_state=0)
    interval = metric_difference(first, shuffled, "macro_f1")
    assert interval == metric_difference(first, second, "macro_f1")
    assert interval.score == pytest.approx(100 - metric_score(second, "macro_f1").score) and interval.low > 0
    assert metric_difference(first, first, "macro_f1").high == 0
    with pytest.raises(ValueError, match="of the same rows"):
        metric_difference(first, second.head(5), "macro_f1")


def test_wrong_use_is_named():
    frame = predictions(["yes"], ["yes"], ["no", "yes"])
    with pytest.raises(ValueError, match="'bleu' is unknown; it must be one of accuracy, macro_f1"):
        metric_score(frame, "bleu")
    with pytest.raises(ValueError, match="'auc_roc' is undefined for mode 'generation'; it needs ranking"):
        metric_score(frame, "auc_roc")


def several(*frames):
    """The predictions of several models below each other."""
    return pd.concat([frame.assign(repeat=number) for number, frame in enumerate(frames)], ignore_index=True)


RIGHT = predictions(["yes", "no"] * 20, ["yes", "no"] * 20, NLI)
HALF = predictions(["yes", "no"] * 20, ["yes", "yes"] * 20, NLI)


def test_several_models_score_their_mean():
    both = metric_score(several(RIGHT, HALF), "accuracy")
    assert (both.score, both.n) == (75, 40)
    assert both.low < 60 and both.high > 90, "drawing models leaves open which of the two it is"
    same = metric_score(several(RIGHT, RIGHT, RIGHT), "macro_f1")
    alone = metric_score(RIGHT, "macro_f1")
    assert same.score == pytest.approx(alone.score)


def test_differences_of_several_models_are_paired_by_rows():
    found = metric_difference(several(RIGHT, RIGHT), HALF, "accuracy")
    assert (found.score, found.n) == (50, 40)
    shuffled = several(RIGHT, HALF).sample(frac=1, random_state=0)
    assert metric_difference(shuffled, several(HALF, RIGHT), "accuracy").score == 0
    with pytest.raises(ValueError, match="predictions of the same rows"):
        metric_score(several(RIGHT, HALF.head(30)), "accuracy")


def test_a_value_is_the_score_without_its_interval():
    for metric in ("accuracy", "macro_f1"):
        assert metric_value(HALF, metric) == pytest.approx(metric_score(HALF, metric).score)
    assert np.isnan(metric_value(predictions(["1", "2"], ["1", "1"], []), "spearman"))


def test_the_share_of_tasks_that_are_not_worse():
    pairs = [(RIGHT, HALF, "accuracy"), (HALF, RIGHT, "accuracy"), (RIGHT, RIGHT, "macro_f1"), (HALF, HALF, "accuracy")]
    share = share_not_worse(pairs)
    assert (share.score, share.n) == (75, 160)
    assert share.low == share.high == 75, "two ties and two clear differences"
    with pytest.raises(ValueError, match="at least one task"):
        share_not_worse([])
    numbers = predictions(["1", "2", "3"] * 10, ["1", "2", "3"] * 10, [])
    constant = predictions(["1", "2", "3"] * 10, ["1"] * 30, [])
    share = share_not_worse([(RIGHT, HALF, "accuracy"), (numbers, constant, "spearman")])
    assert share.score == share.low == 100, "a task without a defined difference does not count"


def test_a_gold_answer_that_is_no_option_is_of_no_class():
    gold, predicted = np.array([0, -1, 1, 1, -1]), np.array([0, 0, 1, -1, -1])
    expected = macro_f1(gold, predicted, 2)
    assert _fast_macro_f1(gold, predicted, 2) == pytest.approx(expected)


@given(
    gold=st.lists(st.integers(0, 5), min_size=2, max_size=40),
    data=st.data(),
)
def test_the_fast_rank_correlation_is_scipys(gold, data):
    predicted = data.draw(
        st.lists(st.one_of(st.integers(0, 5), st.just(np.nan)), min_size=len(gold), max_size=len(gold))
    )
    sides = np.array(gold, float), np.array(predicted, float)
    assert _fast_spearman(*sides) == pytest.approx(spearman(*sides), nan_ok=True)
