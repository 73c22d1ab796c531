"""Mixtures: a weight for every shard, so that all ablations read the same data."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from flannb.build import INVERTED_SHARE, Build, Shard, read_shard
from flannb.collection import SUBMIXTURES
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
    """

    rates: Mapping[str, float] = field(default_factory=lambda: dict(RELEASED_RATES))
    zero_shot: float = 0.5
    few_shot: float = 0.5
    inversion: bool = True
    by_size: bool = False

    def without(self, submixture: str) -> "Mixture":
        """The same mixture less one submixture."""
        return replace(self, rates={name: rate for name, rate in self.rates.items() if name != submixture})


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
        kind = mixture.few_shot if shard.setting.startswith("fs") else mixture.zero_shot
        if mixture.rates.get(shard.submixture) and kind and (mixture.inversion or not shard.inverted):
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
