"""Mixtures: a weight for every shard, so that all ablations read the same data."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from flannb.build import INVERTED_SHARE, Build, Shard, read_shard
from flannb.build.inversion import SUFFIX
from flannb.collection import SUBMIXTURES, Task
from flannb.errors import UserError

RELEASED_RATES: dict[str, float] = {name: s.rate for name, s in SUBMIXTURES.items() if s.rate}
"""Flan 2022's rates of its submixtures, before normalisation."""


@dataclass(frozen=True)
class Mixture:
    """What is trained on, and how much of each.

    Attributes:
        rates: submixture -> its share, before normalisation; what is absent gets none.
        zero_shot, few_shot: relative weights of the two kinds of settings; each has half by default.
        inversion: whether inverted tasks take part.
        by_size: submixtures weigh their rate times the sum of their tasks' weights, so that all tasks are alike.
        tasks: names of the tasks that take part, each with its inverted twin; all by default (see ``draw_tasks``).

    Raises:
        UserError: an unknown submixture, a rate or weight that is negative or no number, or no kind of setting.
    """

    rates: Mapping[str, float] = field(default_factory=lambda: dict(RELEASED_RATES))
    zero_shot: float = 0.5
    few_shot: float = 0.5
    inversion: bool = True
    by_size: bool = False
    tasks: frozenset[str] | None = None

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.rates) - set(SUBMIXTURES)):
            raise UserError(f"mixture: no submixture '{unknown[0]}'; use {', '.join(SUBMIXTURES)}")
        for name, value in {**self.rates, "zero_shot": self.zero_shot, "few_shot": self.few_shot}.items():
            if not 0 <= value < math.inf:
                raise UserError(f"mixture: {name} is {value}; it must be a number from 0")
        if not self.zero_shot + self.few_shot:
            raise UserError("mixture: zero_shot and few_shot are both 0; give one of them weight")

    def without(self, submixture: str) -> "Mixture":
        """The same mixture less one submixture."""
        return replace(self, rates={name: rate for name, rate in self.rates.items() if name != submixture})

    def alone(self, submixture: str) -> "Mixture":
        """The same mixture of one submixture only."""
        return replace(self, rates={submixture: 1.0})

    def with_few_shot(self, share: float) -> "Mixture":
        """The same mixture with this share of few-shot data, from 0 to 1, in every task that has both kinds.

        Raises:
            UserError: the share is not from 0 to 1.
        """
        if not 0 <= share <= 1:
            raise UserError(f"few-shot share {share}: must be from 0 to 1")
        return replace(self, zero_shot=1 - share, few_shot=share)


def draw_tasks(tasks: Iterable[Task], number: int, seed: int) -> frozenset[str]:
    """Names of tasks drawn at random, the Held-In ones always among them, as for Figure 4.

    Draws of one seed are nested: fewer tasks are a part of more.

    Args:
        tasks: to draw from; their order does not matter.
        number: of the tasks drawn, Held-In included.

    Raises:
        UserError: fewer than the Held-In tasks, or more than there are.
    """
    held_in = {task.name: task.held_in for task in tasks}
    always = [name for name, held in held_in.items() if held]
    others = sorted(name for name, held in held_in.items() if not held)
    if not len(always) <= number <= len(held_in):
        raise UserError(
            f"{number} tasks cannot be drawn: choose from {len(always)} (the Held-In ones, which always take part) "
            f"to {len(held_in)}"
        )
    order = np.random.default_rng(seed).permutation(len(others))
    return frozenset([*always, *(others[i] for i in order[: number - len(always)])])


def _takes_part(shard: Shard, mixture: Mixture) -> bool:
    kind = mixture.few_shot if shard.setting.startswith("fs") else mixture.zero_shot
    if not mixture.rates.get(shard.submixture) or not kind or (shard.inverted and not mixture.inversion):
        return False
    name = shard.task.removesuffix(SUFFIX) if shard.inverted else shard.task
    return mixture.tasks is None or name in mixture.tasks


def shard_weights(shards: Iterable[Shard], mixture: Mixture) -> dict[Shard, float]:
    """The expected share of each shard in a mixture; the shares sum to 1, and shards without weight are left out.

    Inside a submixture a task weighs min(cap, number of its records), and its inverted twin three tenths of that (3 for
    every 10). A task's weight is shared between its settings: evenly between those of a kind, and between the kinds as
    the mixture says. A submixture's rate is kept whatever its tasks have.

    Raises:
        UserError: no shard has any weight.
    """
    by_task: dict[tuple[str, str], list[Shard]] = defaultdict(list)
    for shard in shards:
        if _takes_part(shard, mixture):
            by_task[shard.submixture, shard.task].append(shard)
    weights: dict[Shard, float] = {}
    totals: dict[str, float] = defaultdict(float)
    for (submixture, _), members in by_task.items():
        first = members[0]
        task_weight = min(SUBMIXTURES[submixture].cap, first.records) * (INVERTED_SHARE if first.inverted else 1.0)
        totals[submixture] += task_weight
        kinds = [mixture.few_shot if s.setting.startswith("fs") else mixture.zero_shot for s in members]
        alike = [sum(s.setting[:2] == other.setting[:2] for other in members) for s in members]
        parts = [kind / n for kind, n in zip(kinds, alike, strict=True)]
        for shard, part in zip(members, parts, strict=True):
            weights[shard] = task_weight * part / sum(parts)
    if not weights:
        raise UserError(f"the mixture of {', '.join(mixture.rates) or 'nothing'} has no data in this build")
    rates = {name: mixture.rates[name] * (totals[name] if mixture.by_size else 1.0) for name in totals}
    return {
        shard: weight / totals[shard.submixture] * rates[shard.submixture] / sum(rates.values())
        for shard, weight in weights.items()
    }


def submixture_shares(weights: Mapping[Shard, float]) -> dict[str, float]:
    """Expected share of each submixture."""
    shares: dict[str, float] = defaultdict(float)
    for shard, weight in weights.items():
        shares[shard.submixture] += weight
    return dict(shares)


def unigram_entropy(build: Build, weights: Mapping[Shard, float]) -> float:
    """Entropy in nats of the distribution of target tokens under a mixture.

    The loss of a model that knows how often each token occurs and nothing else; a trained model is below it.
    """
    counts = np.zeros(build.vocabulary_size)
    for shard, weight in weights.items():
        targets = read_shard(build.home / shard.path)["target_ids"].combine_chunks().values.to_numpy()
        counts += weight * np.bincount(targets, minlength=build.vocabulary_size) / shard.examples
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())
