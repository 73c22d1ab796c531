"""Scores, differences and shares with 95% bootstrap confidence intervals.

The score of a suite is the unweighted mean over its tasks of the mean over a task's rows, in percent; a task that comes
in several sets (two of BBH's) is the mean over them. A bootstrap sample draws, within each set, as many rows as it has,
with replacement; where ``over_tasks`` is set, it also draws as many tasks as there are. The interval spans the 2.5th to
the 97.5th percentile of 2,000 samples. Two models are compared on the same rows and tasks of each sample (paired), so
that how hard these are cancels out. Over rows, the interval covers the choice of the evaluation rows; over tasks and
rows, also the choice of the suite's tasks, and is then a little wide, since the noise of rows counts in both draws.

Of one model, the interval does not cover that training again gives another. Where a model was trained several times,
its scores are means over these repeats, and a sample also draws repeats, for each model apart: one fewer than there
are, which gives the mean its whole variance (Rao and Wu 1988); as many as there are would give half of that of two.
Still, two or three repeats tell little of their kind, and what they share, such as the model that they start from, is
not drawn.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flannb.collection.submixtures import task_of

RESAMPLES = 2000
METRIC_RESAMPLES = 1000
"""Samples for metrics that are no means over rows, which are computed anew for each."""

PERCENTILES = (2.5, 97.5)

Scores = Mapping[str, NDArray[np.generic]]
"""Evaluation set -> the scores of its rows, from 0 to 1: shape (rows,), or (rows, repeats) of a model that was trained
several times, as often in every set."""


@dataclass(frozen=True)
class Interval:
    """An estimate in percent (of a difference: percentage points) with its 95% interval, from ``n`` rows."""

    score: float
    low: float
    high: float
    n: int


def suite_score(scores: Scores, seed: int = 0, over_tasks: bool = False) -> Interval:
    """The score of one model on one suite.

    Args:
        scores: the rows' scores by evaluation set.
        seed: equal seeds and scores give equal intervals.
        over_tasks: whether tasks are resampled as well as rows.

    Raises:
        ValueError: there are no tasks, or a task has no rows or a score that is not finite; the message names the task.
    """
    means = _Means.of([scores], np.random.default_rng(seed), over_tasks)
    return interval(means.observed[0], means.resampled[:, 0], means.n)


def difference(a: Scores, b: Scores, seed: int = 0, over_tasks: bool = False) -> Interval:
    """The score of ``a`` minus that of ``b``, paired: both hold the same sets with the same rows in the same order.

    Raises:
        ValueError: as ``suite_score``, or the tasks or their numbers of rows differ.
    """
    return statistic([a, b], lowest_lead(1), seed, over_tasks)


Statistic = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Makes a number of the suite scores of several models: shape (..., models) to shape (...)."""


def statistic(models: Sequence[Scores], of: Statistic, seed: int = 0, over_tasks: bool = False) -> Interval:
    """Any number that is made of the scores of several models on the same rows, such as a slope over them.

    Args:
        models: the scores of each, paired as in ``difference``.
        of: the number; samples in which it is not a number are left out of the interval. If it is none of all rows, the
            interval has no bounds either.
        seed, over_tasks: as in ``suite_score``.

    Raises:
        ValueError: as ``difference``, or there are no models.
    """
    if not models:
        raise ValueError("a statistic needs at least one model")
    means = _Means.of(models, np.random.default_rng(seed), over_tasks)
    return finite_interval(of(means.observed), of(means.resampled), means.n)


def lowest_lead(above: int) -> Statistic:
    """The lowest score of the first ``above`` models minus the highest of the others: are all of them better?"""
    return lambda scores: scores[..., :above].min(axis=-1) - scores[..., above:].max(axis=-1)


def highest_lead(above: int) -> Statistic:
    """The highest score of the first ``above`` models minus the highest of the others: is one of them the best?"""
    return lambda scores: scores[..., :above].max(axis=-1) - scores[..., above:].max(axis=-1)


def share_best(cells: Sequence[tuple[Scores, Sequence[Scores]]], seed: int = 0) -> Interval:
    """The share of cells, in percent, in which the first model scores higher than each of the others.

    Args:
        cells: pairs of the model's scores and the others' scores in one cell (a suite in a setting), paired row by row;
            the same models in all cells, in the same order, so that a sample draws the repeats of each once.
        seed: as in ``suite_score``.

    Raises:
        ValueError: as ``difference``, there are no cells, or a cell has no others.
    """
    if not cells:
        raise ValueError("a share needs at least one cell")
    if not all(others for _, others in cells):
        raise ValueError("a comparison needs at least one other model")
    rng = np.random.default_rng(seed)
    drawn: _Drawn = {}
    means = [_Means.of([a, *others], rng, drawn=drawn) for a, others in cells]
    lead = lowest_lead(1)
    won = float(np.mean([lead(cell.observed) > 0 for cell in means]))
    samples = np.mean([lead(cell.resampled) > 0 for cell in means], axis=0)
    return interval(100 * won, 100 * samples, sum(cell.n for cell in means))


def of_suites(suites: Mapping[str, Scores]) -> Scores:
    """The scores of several suites as of one, whose score is the mean of theirs however many tasks each has.

    A task's rows are scaled for that, so they may exceed 1.
    """
    counts = {suite: len(set(map(task_of, scores))) for suite, scores in suites.items()}
    mean = sum(counts.values()) / len(suites) if suites else 0
    return {
        f"{suite}/{name}": np.asarray(rows, np.float64) * (mean / counts[suite])
        for suite, scores in suites.items()
        for name, rows in scores.items()
    }


Metric = Callable[[NDArray[np.intp]], float]
"""The score of the rows at these indices, which may repeat; not a number where it is undefined."""


def metric_interval(metric: Metric, n: int, seed: int = 0, resampled: Metric | None = None) -> Interval:
    """A score that is no mean over rows, such as F1 or a correlation, or a difference of two, in percent.

    Args:
        metric: the score.
        n: number of rows.
        resampled: a faster way to the same values, for the samples.
        seed: as in ``suite_score``.

    Returns:
        The score of all rows, with an interval over the samples of rows in which the metric is defined; all three are
        not a number where it is undefined for all rows.
    """
    score = metric(np.arange(n)) if n else np.nan
    if not np.isfinite(score):
        return Interval(np.nan, np.nan, np.nan, n)
    return finite_interval(100 * score, 100 * metric_samples(resampled or metric, n, seed), n)


def metric_samples(metric: Callable[[NDArray[np.intp]], Any], n: int, seed: int = 0) -> NDArray[np.float64]:
    """The metric of each bootstrap sample of ``n`` rows, shape (samples,) or (samples, ...) if it gives several."""
    rng = np.random.default_rng(seed)
    return np.array([metric(rng.integers(n, size=n)) for _ in range(METRIC_RESAMPLES)])


_Drawn = dict[tuple[int, int], NDArray[np.float64]]
"""Place of a model and number of its repeats -> the share of each repeat in each sample, shape (samples, repeats)."""


@dataclass(frozen=True)
class _Means:
    """Suite scores of several models on the same rows: observed (models,), resampled (samples, models)."""

    observed: NDArray[np.float64]
    resampled: NDArray[np.float64]
    n: int

    @classmethod
    def of(
        cls,
        models: Sequence[Scores],
        rng: np.random.Generator,
        over_tasks: bool = False,
        drawn: _Drawn | None = None,
    ) -> "_Means":
        """Draws rows, tasks and repeats; repeats that ``drawn`` has are taken from there, others added to it."""
        drawn = {} if drawn is None else drawn
        sets = sorted(models[0])
        if not sets:
            raise ValueError("a suite score needs at least one task")
        if any(sorted(model) != sets for model in models):
            raise ValueError(f"paired scores must have the same tasks; the first has {', '.join(sets)}")
        tasks: dict[str, list[str]] = {}
        for name in sets:
            tasks.setdefault(task_of(name), []).append(name)
        repeats = [_repeats(model) for model in models]
        observed = np.zeros((len(tasks), sum(repeats)))
        resampled = np.zeros((RESAMPLES, len(tasks), sum(repeats)))
        n = 0
        for i, members in enumerate(tasks.values()):
            for name in members:
                rows = _rows(name, [model[name] for model in models])
                # Rows with equal scores are interchangeable, so drawing how often each distinct combination of scores
                # occurs is the same as drawing rows, and for right-or-wrong scores needs just a few counts.
                values, counts = np.unique(rows, axis=0, return_counts=True)
                draws = rng.multinomial(len(rows), counts / len(rows), size=RESAMPLES)
                observed[i] += counts @ values / len(rows) / len(members)
                resampled[:, i] += draws @ values / len(rows) / len(members)
                n += len(rows)
        if over_tasks:
            times = rng.multinomial(len(tasks), np.full(len(tasks), 1 / len(tasks)), size=RESAMPLES)
            sample_means = np.einsum("st,stm->sm", times / len(tasks), resampled)
        else:
            sample_means = resampled.mean(axis=1)
        seen, samples = [], []
        for place, columns in enumerate(np.split(np.arange(sum(repeats)), np.cumsum(repeats)[:-1])):
            seen.append(observed[:, columns].mean())
            if (count := len(columns)) == 1:
                samples.append(sample_means[:, columns[0]])
                continue
            if (place, count) not in drawn:
                times = rng.multinomial(count - 1, np.full(count, 1 / count), size=RESAMPLES)
                drawn[place, count] = times / (count - 1)
            samples.append((drawn[place, count] * sample_means[:, columns]).sum(axis=1))
        # Rounded, since a tie must not be won by the last bit of a sum.
        return cls(np.round(100 * np.array(seen), 9), np.round(100 * np.stack(samples, axis=1), 9), n)


def _repeats(model: Scores) -> int:
    """How often a model was trained."""
    counts = {name: 1 if np.ndim(rows) == 1 else np.shape(rows)[1] for name, rows in model.items()}
    if len(set(counts.values())) > 1:
        raise ValueError(f"a model must have as many repeats in every task; it has {counts}")
    return next(iter(counts.values()))


def _rows(task: str, scores: Sequence[NDArray[np.generic]]) -> NDArray[np.float64]:
    """The scores of a task side by side, shape (rows, models times their repeats)."""
    lengths = {len(column) for column in scores}
    if len(lengths) > 1:
        raise ValueError(
            f"task '{task}': paired scores must be of the same rows, but there are {sorted(lengths)} of them"
        )
    rows = np.column_stack([np.asarray(column, dtype=np.float64) for column in scores])
    if not len(rows):
        raise ValueError(f"task '{task}' has no rows; leave it out of the suite")
    if not np.isfinite(rows).all():
        raise ValueError(f"task '{task}': a score is not a finite number")
    return rows


def finite_interval(score: float | NDArray[np.float64], samples: NDArray[np.float64], n: int) -> Interval:
    """As ``interval``, of the samples that are numbers; where the estimate is none, neither are the bounds."""
    if not np.isfinite(score):
        return Interval(np.nan, np.nan, np.nan, n)
    return interval(score, samples[np.isfinite(samples)], n)


def interval(score: float | NDArray[np.float64], samples: NDArray[np.float64], n: int) -> Interval:
    """An estimate with the interval of its bootstrap samples, all of one unit; without samples, bounds are no numbers.

    Args:
        score: a number, or an array of one.
        samples: shape (samples,).
        n: rows that they were drawn from.
    """
    if not len(samples):
        return Interval(float(score), np.nan, np.nan, n)
    low, high = np.percentile(samples, PERCENTILES)
    return Interval(float(score), float(low), float(high), n)
