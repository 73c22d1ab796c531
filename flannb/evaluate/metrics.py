"""The metrics of Table 3, over the predictions of one or several evaluation sets.

Classes are positions among a row's options, so sets whose rows have options of their own count as well. scikit-learn
and SciPy compute what they have; SQuAD's F1 follows the published evaluation script (Rajpurkar et al. 2018).
"""

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from flannb.evaluate.extract import option_index
from flannb.evaluate.intervals import Interval, Metric, interval, metric_interval, metric_samples

NO_CLASS = -1
"""The class of a prediction in which no answer could be read: wrong for every class."""


def macro_f1(gold: ArrayLike, predicted: ArrayLike, classes: int) -> float:
    """The unweighted mean over all classes of F1; a class that occurs in neither counts as 0.

    Args:
        gold, predicted: class of each row; ``NO_CLASS`` where no answer could be read.
        classes: how many there are, 3 for NLI, 4 for four options.
    """
    from sklearn.metrics import f1_score  # takes a second to import

    return float(f1_score(gold, predicted, labels=range(classes), average="macro", zero_division=0))


def auc_roc(positive: ArrayLike, margin: ArrayLike) -> float:
    """Area under the ROC curve.

    Args:
        positive: whether a row's answer is the positive one.
        margin: log-likelihood of the positive option minus that of the other.

    Returns:
        The area; not a number where all rows have the same answer.
    """
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(positive, margin)) if len(np.unique(positive)) == 2 else np.nan


def spearman(gold: ArrayLike, predicted: ArrayLike) -> float:
    """Spearman's rank correlation; not a number where one side is constant.

    A prediction that is not a number says nothing about its row, so it counts as the mean of the others. It cannot be
    left out, or answering the easy rows only would pay.
    """
    from scipy.stats import spearmanr

    values = np.asarray(predicted, np.float64)
    known = np.isfinite(values)
    values = np.where(known, values, values[known].mean() if known.any() else 0.0)
    constant = np.ptp(values) == 0 or np.ptp(np.asarray(gold, np.float64)) == 0
    return np.nan if constant else float(spearmanr(gold, values).statistic)


def squad_f1(prediction: str, answers: Sequence[str]) -> float:
    """SQuAD's F1, the best over the acceptable answers: overlap in tokens after normalisation.

    Normalised are case, punctuation, the articles and white space. Two texts without any token are equal; one is not
    equal to a text with tokens. A question without an answer has the answer ``unanswerable`` here, a token like others.
    """
    return max(_overlap(_tokens(prediction), _tokens(answer)) for answer in answers)


_ARTICLE = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def _tokens(text: str) -> list[str]:
    return _ARTICLE.sub(" ", text.lower().translate(_PUNCTUATION)).split()


def _overlap(prediction: list[str], answer: list[str]) -> float:
    if not prediction or not answer:
        return float(prediction == answer)
    shared = sum((Counter(prediction) & Counter(answer)).values())
    return 2 * shared / (len(prediction) + len(answer))


# The same values a hundred times faster, for the thousand samples of an interval -------------------------------------


def _fast_macro_f1(gold: NDArray[np.int64], predicted: NDArray[np.int64], classes: int) -> float:
    known = gold >= 0  # a gold answer that is none of the options is of no class
    right = np.bincount(gold[known & (gold == predicted)], minlength=classes)[:classes]
    counts = np.bincount(gold[known], minlength=classes) + np.bincount(predicted[predicted >= 0], minlength=classes)
    return float(np.mean(2 * right / np.maximum(counts, 1)))


def _fast_auc_roc(positive: NDArray[np.bool_], margin: NDArray[np.float64]) -> float:
    up, down = int(positive.sum()), int((~positive).sum())
    if not up or not down:
        return np.nan
    return float((_ranks(margin)[positive].sum() - up * (up + 1) / 2) / (up * down))


def _fast_spearman(gold: NDArray[np.float64], predicted: NDArray[np.float64]) -> float:
    known = np.isfinite(predicted)
    values = np.where(known, predicted, predicted[known].mean() if known.any() else 0.0)
    ranks = [_ranks(side) - (len(side) + 1) / 2 for side in (gold, values)]
    sizes = [float(side @ side) for side in ranks]
    return float(ranks[0] @ ranks[1] / np.sqrt(sizes[0] * sizes[1])) if min(sizes) > 0 else np.nan


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 1; equal values share the mean of theirs."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[places]


# Of predictions -----------------------------------------------------------------------------------------------------


def _classes(frame: pd.DataFrame, column: str) -> NDArray[np.int64]:
    """Position among its options of each row's answer."""
    pairs = zip(frame[column], frame["options"], strict=True)
    found = [option_index(a, tuple(options)) if isinstance(a, str) else None for a, options in pairs]
    return np.array([NO_CLASS if index is None else index for index in found])


def _numbers(texts: pd.Series) -> NDArray[np.float64]:
    return np.array([as_number(text) for text in texts], np.float64)


def as_number(text: object) -> float:
    """A number or fraction that is written out; not a number where it is none."""
    top, _, bottom = str(text).partition("/")
    try:
        return float(top) / float(bottom or 1)
    except (ValueError, ZeroDivisionError):
        return np.nan


Pair = tuple[Metric, Metric]
"""A metric over rows, and the way to it that samples take."""


def _mean_score(frame: pd.DataFrame) -> Pair:
    scores = frame["score"].to_numpy(np.float64)

    def mean(rows: NDArray[np.intp]) -> float:
        return float(scores[rows].mean())

    return mean, mean


def _macro_f1(frame: pd.DataFrame) -> Pair:
    gold, predicted = _classes(frame, "target"), _classes(frame, "extraction")
    classes = max(map(len, frame["options"]))
    return (
        lambda rows: macro_f1(gold[rows], predicted[rows], classes),
        lambda rows: _fast_macro_f1(gold[rows], predicted[rows], classes),
    )


def _auc_roc(frame: pd.DataFrame) -> Pair:
    positive = _classes(frame, "target") == 1
    margins = np.array([values[1] - values[0] for values in frame["likelihoods"]])
    return (
        lambda rows: auc_roc(positive[rows], margins[rows]),
        lambda rows: _fast_auc_roc(positive[rows], margins[rows]),
    )


def _spearman(frame: pd.DataFrame) -> Pair:
    gold, predicted = _numbers(frame["target"]), _numbers(frame["extraction"])

    return (
        lambda rows: spearman(gold[rows], predicted[rows]),
        lambda rows: _fast_spearman(gold[rows], predicted[rows]),
    )


METRICS: dict[str, tuple[Callable[[pd.DataFrame], Pair], tuple[str, ...]]] = {
    "accuracy": (_mean_score, ("generation", "ranking", "ranking_per_token")),
    "macro_f1": (_macro_f1, ("generation", "ranking", "ranking_per_token")),
    "auc_roc": (_auc_roc, ("ranking", "ranking_per_token")),
    "squad_f1": (_mean_score, ("generation",)),
    "spearman": (_spearman, ("generation",)),
}
"""Name -> how to compute it from predictions, and the modes in which it is defined. ``squad_f1`` is in each row's score
already. The positive class of ``auc_roc`` is the second option; which one it is does not change the area."""


REPEAT = "repeat"
"""Column that numbers the models of a task that was trained several times; their predictions stand below each other."""


def metric_score(frame: pd.DataFrame, metric: str, seed: int = 0) -> Interval:
    """The score of predictions by a metric, in percent, with its 95% bootstrap interval over rows.

    Args:
        frame: the predictions of one mode and setting, of one set or of several pooled (ARC Easy and Challenge). Those
            of several models have the column ``REPEAT``: the score is the mean over the models, and the interval is
            over rows and models.
        metric: a key of ``METRICS``.

    Raises:
        ValueError: the metric is unknown, or undefined for the mode of the predictions; models with other rows.
    """
    models = _models(frame)
    exact, fast = _metric(models, metric, seed)
    return metric_interval(exact, len(models[0]), seed, fast)


def metric_value(frame: pd.DataFrame, metric: str) -> float:
    """The score of one model's predictions in percent, without an interval; not a number where it is undefined.

    Raises:
        ValueError: as ``metric_score``.
    """
    return 100 * _metric([frame], metric, 0)[1](np.arange(len(frame)))


def metric_difference(a: pd.DataFrame, b: pd.DataFrame, metric: str, seed: int = 0) -> Interval:
    """The score of ``a`` minus that of ``b``, paired by task and row, in percentage points.

    Raises:
        ValueError: as ``metric_score``, or the two are not of the same rows.
    """
    exact, fast, n = _paired(a, b, metric, seed)
    return metric_interval(exact, n, seed, fast)


def share_not_worse(pairs: Sequence[tuple[pd.DataFrame, pd.DataFrame, str]], seed: int = 0) -> Interval:
    """The share of tasks, in percent, in which the first predictions score at least as well as the second.

    In a sample of rows in which a task's metric is undefined, the task does not count.

    Args:
        pairs: for each task the predictions of two models and the metric, as ``metric_difference`` takes them.
        seed: as in ``metric_difference``.

    Raises:
        ValueError: as ``metric_difference``, or there are no tasks.
    """
    if not pairs:
        raise ValueError("a share needs at least one task")
    # Models of different tasks were trained apart from each other, so they are drawn apart, too.
    tasks = [_paired(a, b, metric, seed + 2 * place) for place, (a, b, metric) in enumerate(pairs)]
    share = _share_of_wins(np.array([[exact(np.arange(n))] for exact, _, n in tasks]))
    samples = [metric_samples(fast, n, seed + place) for place, (_, fast, n) in enumerate(tasks)]
    return interval(100 * float(share[0]), 100 * _share_of_wins(np.array(samples)), sum(n for _, _, n in tasks))


def _share_of_wins(differences: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each column of (tasks, samples), the share of those that are not negative among the defined ones."""
    defined = np.isfinite(differences)
    wins, tasks = (defined & (differences >= -ROUNDING)).sum(axis=0), defined.sum(axis=0)
    return wins[tasks > 0] / tasks[tasks > 0] if tasks.any() else np.full(1, np.nan)


ROUNDING = 1e-9
"""Differences within it are none: a tie must not be lost by the last bit of a sum."""


def _paired(a: pd.DataFrame, b: pd.DataFrame, metric: str, seed: int) -> tuple[Metric, Metric, int]:
    """The difference of two models' scores as a metric over rows, the way to it that samples take, and the rows."""
    first, second = _models(a), _models(b)
    if _rows(first[0]) != _rows(second[0]):
        raise ValueError("a paired difference needs predictions of the same rows")
    # models of the two are drawn apart from each other
    exact, fast = zip(_metric(first, metric, seed), _metric(second, metric, seed + 1), strict=True)
    return lambda rows: exact[0](rows) - exact[1](rows), lambda rows: fast[0](rows) - fast[1](rows), len(first[0])


def _models(frame: pd.DataFrame) -> list[pd.DataFrame]:
    """The predictions of each model, in one order of rows."""
    ordered = frame.sort_values(["task", "row"], kind="stable")
    models = [part for _, part in ordered.groupby(REPEAT)] if REPEAT in frame else [ordered]
    if any(_rows(model) != _rows(models[0]) for model in models):
        raise ValueError("the models of one task must have predictions of the same rows")
    return models


def _rows(frame: pd.DataFrame) -> list[list[object]]:
    return frame[["task", "row"]].to_numpy().tolist()


def _metric(models: Sequence[pd.DataFrame], metric: str, seed: int) -> Pair:
    """The mean of a metric over models; a sample draws as many of them as there are."""
    if metric not in METRICS:
        raise ValueError(f"metric '{metric}' is unknown; it must be one of {', '.join(METRICS)}")
    make, modes = METRICS[metric]
    if undefined := sorted({mode for frame in models for mode in frame["mode"]} - set(modes)):
        raise ValueError(f"metric '{metric}' is undefined for mode '{undefined[0]}'; it needs {' or '.join(modes)}")
    pairs = [make(frame) for frame in models]
    if len(pairs) == 1:
        return pairs[0]
    rng = np.random.default_rng([seed, len(pairs)])
    return (
        lambda rows: float(np.mean([exact(rows) for exact, _ in pairs])),
        lambda rows: float(np.mean([pairs[i][1](rows) for i in rng.integers(len(pairs), size=len(pairs))])),
    )
