"""A design of mixtures: weights spread so that a few trainings tell what each submixture's share does to scores.

Shares vary by factors, all by the same: what matters for a submixture of three percent is whether it gets two or ten. A
Dirichlet around Flan 2022's rates would change small shares by large factors and hardly change large ones. They vary
around the geometric mean of Flan 2022's rates and equal ones, so that both, which are trained for the paper's tables
anyway, lie among the drawn ones and not at their edge.
"""

from collections.abc import Mapping, Sequence
from statistics import NormalDist

import numpy as np

RUNS = 12
"""Mixtures of the design: with Flan 2022 and equal rates, 14 points for the six shares of a regression."""

SPREAD = 1.0
"""Standard deviation of the logarithm of a share: the outer of twelve levels are a factor of 5.6 from the middle."""

TRIES = 1000
"""Latin hypercubes of which the one that tells most is taken."""


def design(anchors: Sequence[Mapping[str, float]], runs: int = RUNS, seed: int = 0) -> list[dict[str, float]]:
    """Shares of submixtures, each of which sum to 1.

    The logarithms are a Latin hypercube with normal levels: before the shares of a mixture are made to sum to 1, each
    submixture has each level once. Of ``TRIES`` hypercubes the one with the largest determinant of the covariance of
    log shares is taken (a D-optimal choice), so that the effects of submixtures come apart.

    Args:
        anchors: rates that are trained beside the design, of the same submixtures; it lies around their geometric mean.
        runs: number of mixtures.
        seed: of the draws.
    """
    names = list(anchors[0])
    fixed = _logs(np.array([[anchor[name] for name in names] for anchor in anchors]))
    levels = SPREAD * np.array([NormalDist().inv_cdf((i + 0.5) / runs) for i in range(runs)])
    drawn = np.random.default_rng(seed).permuted(np.tile(levels, (TRIES, len(names), 1)), axis=2)
    logs = _logs(np.exp(fixed.mean(axis=0) + drawn.transpose(0, 2, 1)))
    whole = np.concatenate([logs, np.broadcast_to(fixed, (TRIES, *fixed.shape))], axis=1)
    apart = whole - whole.mean(axis=1, keepdims=True)
    best = np.linalg.slogdet(apart.transpose(0, 2, 1) @ apart).logabsdet.argmax()
    return [
        {name: round(float(share), 4) for name, share in zip(names, row, strict=True)} for row in np.exp(logs[best])
    ]


def _logs(rates: np.ndarray) -> np.ndarray:
    """Logarithms of shares that sum to 1 over the last axis."""
    return np.log(rates / rates.sum(axis=-1, keepdims=True))
