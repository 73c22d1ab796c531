"""Mixtures: a weight for every shard, so that all ablations read the same data."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace

import numpy as np

from flannb.build import INVERTED_SHARE, Build, Shard, read_shard
from flannb.build.inversion import regular_name
from flannb.collection import SUBMIXTURES, Task
from flannb.collection.submixtures import is_few_shot
from flannb.errors import UserError
from flannb.files import digest

RELEASED_RATES: dict[str, float] = {name: s.rate for name, s in SUBMIXTURES.items() if s.rate}
"""Flan 2022's rates of its submixtures, before normalisation."""


@dataclass(frozen=True)
class Mixture:
    """What is trained on, and how much of each.

    Attributes:
        rates: submixture -> its share, before normalisation; what is absent gets none.
        zero_shot, few_shot: weights of the two kinds of settings in the whole, relative to each other; half by default.
            Tasks that have both kinds make up for those that have one (a few rows can be too long for few-shot).
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

    @property
    def digest(self) -> str:
        """A hash of all that it says."""
        return digest(asdict(self) | {"tasks": sorted(self.tasks) if self.tasks is not None else None})

    def without(self, submixture: str) -> "Mixture":
        """The same mixture less one submixture."""
        return replace(self, rates={name: rate for name, rate in self.rates.items() if name != submixture})

    def alone(self, submixture: str) -> "Mixture":
        """The same mixture of one submixture only."""
        return replace(self, rates={submixture: 1.0})

    def with_few_shot(self, share: float) -> "Mixture":
        """The same mixture with this share of few-shot data, from 0 to 1.

        Raises:
            UserError: the share is not from 0 to 1.
        """
        if not 0 <= share <= 1:
            raise UserError(f"few-shot share {share}: must be from 0 to 1")
        return replace(self, zero_shot=1 - share, few_shot=share)

    def members(self, among: Iterable[Task]) -> list[Task]:
        """The tasks that have weight in this mixture."""
        return [
            task
            for task in among
            if self.rates.get(task.submixture) and (self.tasks is None or task.name in self.tasks)
        ]

    def of_drawn_tasks(self, number: int, among: Iterable[Task], seed: int) -> "Mixture":
        """The same mixture of ``number`` of these tasks, drawn by ``draw_tasks`` from its members.

        Raises:
            UserError: as ``draw_tasks``.
        """
        return replace(self, tasks=draw_tasks(self.members(among), number, seed))


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
    kind = mixture.few_shot if is_few_shot(shard.setting) else mixture.zero_shot
    if not mixture.rates.get(shard.submixture) or not kind or (shard.inverted and not mixture.inversion):
        return False
    return mixture.tasks is None or regular_name(shard.task, shard.inverted) in mixture.tasks


def shard_weights(shards: Iterable[Shard], mixture: Mixture) -> dict[Shard, float]:
    """The expected share of each shard in a mixture; the shares sum to 1, and shards without weight are left out.

    Inside a submixture a task weighs min(cap, number of its records), and its inverted twin three tenths of that (3 for
    every 10). A submixture's rate is kept whatever its tasks have. A task's weight is shared between its settings:
    between the two kinds so that the mixture's few-shot share is what it says, and evenly between those of a kind.

    Raises:
        UserError: no shard has any weight.
    """
    tasks: dict[tuple[str, str], list[Shard]] = defaultdict(list)
    for shard in shards:
        if _takes_part(shard, mixture) and shard.records:
            tasks[shard.submixture, shard.task].append(shard)
    if not tasks:
        raise UserError(
            f"the mixture of {', '.join(mixture.rates) or 'nothing'} has no data in this build; try another"
        )
    shares = _task_shares([members[0] for members in tasks.values()], mixture)
    kinds = [
        [[s for s in members if is_few_shot(s.setting) == few] for few in (False, True)] for members in tasks.values()
    ]
    part = _few_shot_part(shares, kinds, mixture)
    weights: dict[Shard, float] = {}
    for share, (zero, few) in zip(shares, kinds, strict=True):
        few_part = part if zero and few else float(bool(few))
        weights |= {shard: share * (1 - few_part) / len(zero) for shard in zero}
        weights |= {shard: share * few_part / len(few) for shard in few}
    return {shard: weight for shard, weight in weights.items() if weight}


def task_weight(shard: Shard) -> float:
    """What the task of a shard weighs inside its submixture: min(cap, records), a twin ``INVERTED_SHARE`` of that."""
    return min(SUBMIXTURES[shard.submixture].cap, shard.records) * (INVERTED_SHARE if shard.inverted else 1.0)


def _task_shares(tasks: list[Shard], mixture: Mixture) -> list[float]:
    """The share of each task, of which one shard is given."""
    sizes = [task_weight(shard) for shard in tasks]
    totals: dict[str, float] = defaultdict(float)
    for task, size in zip(tasks, sizes, strict=True):
        totals[task.submixture] += size
    rates = {name: mixture.rates[name] * (total if mixture.by_size else 1.0) for name, total in totals.items()}
    return [
        size / totals[task.submixture] * rates[task.submixture] / sum(rates.values())
        for task, size in zip(tasks, sizes, strict=True)
    ]


def _few_shot_part(shares: list[float], kinds: list[list[list[Shard]]], mixture: Mixture) -> float:
    """How much of a task that has both kinds is few-shot, so that the whole has the mixture's few-shot share.

    Where tasks of one kind alone make that impossible, it is as near as can be.
    """
    wanted = mixture.few_shot / (mixture.zero_shot + mixture.few_shot)
    both = sum(share for share, (zero, few) in zip(shares, kinds, strict=True) if zero and few)
    only_few = sum(share for share, (zero, _) in zip(shares, kinds, strict=True) if not zero)
    if not both or all(zero and few for zero, few in kinds):
        return wanted
    return min(max((wanted - only_few) / both, 0.0), 1.0)


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
    return entropy(counts)


def entropy(counts: np.ndarray) -> float:
    """Entropy in nats of the distribution with these counts, or weights."""
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())
