"""How fast and how high learning curves climb, one beside another, with bootstrap intervals.

A curve is the score of validation rows at some steps of a training, the mean over trainings where there are several. A
bootstrap sample draws rows, the same for all steps of both curves, and trainings of each curve apart.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from flannb.evaluate.intervals import Interval, Metric, finite_interval, metric_samples
from flannb.evaluate.metrics import METRICS, ROUNDING

NEARLY = 0.95
"""The share of a best score that counts as having come near it."""

Curve = Sequence[Sequence[pd.DataFrame]]
"""The predictions of each training at each step, of the same rows in the same order."""


class Convergence(NamedTuple):
    """A curve beside another.

    Attributes:
        steps: how many steps later the other comes to 95% of its own best score than this one does; one that does not
            get there counts as one evaluation after the last. Not a number where that best score is not above 0, since
            nothing can come near it.
        peak: this one's best score minus the other's, in percentage points; not a number where one has no score.
    """

    steps: Interval
    peak: Interval


def convergence(
    this: Curve, other: Curve, steps: Sequence[int], metric: str, seed: int = 0, nearly: float = NEARLY
) -> Convergence:
    """Compares a curve with another of the same rows and steps.

    Args:
        steps: of the evaluations, rising; at least two.
        metric: a key of ``flannb.evaluate.METRICS``.
        seed: equal seeds and curves give equal intervals.

    Raises:
        ValueError: a curve without trainings, or one with other steps or rows.
    """
    if any(len(training) != len(steps) for curve in (this, other) for training in curve) or len(steps) < 2:
        raise ValueError("curves must have the same steps, at least two")
    n = len(other[0][0])
    if any(len(frame) != n for curve in (this, other) for training in curve for frame in training):
        raise ValueError("curves must be of the same rows")
    ways = [_ways(curve, metric) for curve in (this, other)]
    places = np.array([*steps, 2 * steps[-1] - steps[-2]])

    def compare(first: NDArray[np.float64], second: NDArray[np.float64]) -> tuple[float, float]:
        high, best = (float(np.fmax.reduce(curve)) for curve in (first, second))
        if not best > 0:
            return np.nan, high - best
        target = nearly * best - ROUNDING
        here, there = (places[np.argmax(np.append(curve >= target, True))] for curve in (first, second))
        return float(there - here), high - best

    observed = compare(*(_values(way, range(len(way)), np.arange(n)) for way in ways))
    rng = np.random.default_rng([seed, n])

    def sampled(rows: NDArray[np.intp]) -> tuple[float, float]:
        return compare(*(_values(way, rng.integers(len(way), size=len(way)), rows) for way in ways))

    samples = metric_samples(sampled, n, seed)
    later, higher = samples[:, 0], 100 * samples[:, 1]
    return Convergence(finite_interval(observed[0], later, n), finite_interval(100 * observed[1], higher, n))


def _ways(curve: Curve, metric: str) -> list[list[Metric]]:
    if not curve:
        raise ValueError("a curve needs at least one training")
    return [[METRICS[metric][0](frame)[1] for frame in training] for training in curve]


def _values(ways: list[list[Metric]], trainings: Iterable[int], rows: NDArray[np.intp]) -> NDArray[np.float64]:
    """The curve of some trainings: the mean score at each step; not a number where that of a training is undefined."""
    return np.mean([[way(rows) for way in ways[training]] for training in trainings], axis=0)
