"""Suite scores, differences and shares with 95% bootstrap confidence intervals.

The score of a suite is the unweighted mean over its tasks of the mean over a task's rows, in percent. A bootstrap
sample draws, within each task, as many rows as it has, with replacement; the interval spans the 2.5th to the 97.5th
percentile of 2,000 samples. Two models are compared on the same rows of each sample (paired), so that how hard the rows
are cancels out. The interval covers the choice of the evaluation rows, not that training again gives another model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
PERCENTILES = (2.5, 97.5)

Scores = Mapping[str, NDArray[np.generic]]
"""Task -> the scores of its rows, shape (rows,), from 0 to 1."""


@dataclass(frozen=True)
class Interval:
    """An estimate in percent (of a difference: percentage points) with its 95% interval, from ``n`` rows."""

    score: float
    low: float
    high: float
    n: int


def suite_score(scores: Scores, seed: int = 0) -> Interval:
    """The score of one model on one suite.

    Args:
        scores: the rows' scores by task.
        seed: equal seeds and scores give equal intervals.

    Raises:
        ValueError: there are no tasks, or a task has no rows or a score that is not finite; the message names the task.
    """
    means = _Means.of([scores], np.random.default_rng(seed))
    return _interval(means.observed[0], means.resampled[:, 0], means.n)


def difference(a: Scores, b: Scores, seed: int = 0) -> Interval:
    """The score of ``a`` minus that of ``b``, paired: both hold the same tasks with the same rows in the same order.

    Raises:
        ValueError: as ``suite_score``, or the tasks or their numbers of rows differ.
    """
    return lead(a, [b], seed)


def lead(a: Scores, others: Sequence[Scores], seed: int = 0) -> Interval:
    """The score of ``a`` minus the best score among ``others``, where the best one is found anew in each sample.

    Raises:
        ValueError: as ``difference``, or ``others`` is empty.
    """
    means = _Means.of([a, *others], np.random.default_rng(seed))
    return _interval(_lead(means.observed), _lead(means.resampled), means.n)


def share_best(cells: Sequence[tuple[Scores, Sequence[Scores]]], seed: int = 0) -> Interval:
    """The share of cells, in percent, in which the first model scores higher than each of the others.

    Args:
        cells: pairs of the model's scores and the others' scores in one cell (a suite in a setting), paired row by row.
        seed: as in ``suite_score``.

    Raises:
        ValueError: as ``lead``, or there are no cells.
    """
    if not cells:
        raise ValueError("a share needs at least one cell")
    rng = np.random.default_rng(seed)
    means = [_Means.of([a, *others], rng) for a, others in cells]
    won = float(np.mean([_lead(cell.observed) > 0 for cell in means]))
    samples = np.mean([_lead(cell.resampled) > 0 for cell in means], axis=0)
    return _interval(100 * won, 100 * samples, sum(cell.n for cell in means))


@dataclass(frozen=True)
class _Means:
    """Suite scores of several models on the same rows: observed (models,), resampled (samples, models)."""

    observed: NDArray[np.float64]
    resampled: NDArray[np.float64]
    n: int

    @classmethod
    def of(cls, models: Sequence[Scores], rng: np.random.Generator) -> "_Means":
        tasks = sorted(models[0])
        if not tasks:
            raise ValueError("a suite score needs at least one task")
        if any(sorted(model) != tasks for model in models):
            raise ValueError(f"paired scores must have the same tasks; the first has {', '.join(tasks)}")
        observed = np.zeros(len(models))
        resampled = np.zeros((RESAMPLES, len(models)))
        n = 0
        for task in tasks:
            rows = _rows(task, [model[task] for model in models])
            # Rows with equal scores are interchangeable, so drawing how often each distinct combination of scores
            # occurs is the same as drawing rows, and for right-or-wrong scores needs just a few counts.
            values, counts = np.unique(rows, axis=0, return_counts=True)
            draws = rng.multinomial(len(rows), counts / len(rows), size=RESAMPLES)
            observed += counts @ values / len(rows)
            resampled += draws @ values / len(rows)
            n += len(rows)
        # Rounded, since a tie must not be won by the last bit of a sum.
        return cls(np.round(100 * observed / len(tasks), 9), np.round(100 * resampled / len(tasks), 9), n)


def _rows(task: str, scores: Sequence[NDArray[np.generic]]) -> NDArray[np.float64]:
    """The models' scores of a task side by side, shape (rows, models)."""
    lengths = {len(column) for column in scores}
    if len(lengths) > 1:
        raise ValueError(
            f"task '{task}': paired scores must be of the same rows, but there are {sorted(lengths)} of them"
        )
    rows = np.stack([np.asarray(column, dtype=np.float64) for column in scores], axis=-1)
    if not len(rows):
        raise ValueError(f"task '{task}' has no rows; leave it out of the suite")
    if not np.isfinite(rows).all():
        raise ValueError(f"task '{task}': a score is not a finite number")
    return rows


def _lead(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    if scores.shape[-1] < 2:
        raise ValueError("a comparison needs at least one other model")
    return scores[..., 0] - scores[..., 1:].max(axis=-1)


def _interval(score: float | NDArray[np.float64], samples: NDArray[np.float64], n: int) -> Interval:
    low, high = np.percentile(samples, PERCENTILES)
    return Interval(float(score), float(low), float(high), n)
