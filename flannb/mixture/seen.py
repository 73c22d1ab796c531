"""What a training has read of each task, counted again: the stream is a pure function of (build, mixture, seed).

Trainings record how many target tokens they have seen. The count is of the examples at the beginning of the mixed
stream that have so many. Packing reads a few windows of examples ahead, so at the very end some of the examples counted
here and some of those read differ; they are of the same mixture.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from flannb.build import Build, Shard, read_shard
from flannb.mixture.pipeline import epoch_order, in_order, shard_seed
from flannb.mixture.table import by_submixture

ROUNDS = 4
"""Of finding how many examples have so many target tokens; each brings it a hundred times nearer or more."""


def seen(build: Build, weights: Mapping[Shard, float], seed: int, targets: float) -> pd.DataFrame:
    """The examples and tokens of each task in the first part of a stream that has so many target tokens.

    Args:
        build, weights, seed: of the stream (``flannb.mixture.batches``).
        targets: target tokens in all.

    Returns:
        A row for each task, inverted twins apart, ordered by submixture and then by tokens: ``submixture, task``;
        ``examples`` in all settings; ``tokens`` of inputs and targets; ``share`` of all tokens; and ``epochs``, how
        often each record was read on average.
    """
    ordered = in_order(weights)
    proportions = _proportions([weights[shard] for shard in ordered])
    readers = [_Reader(build, shard, seed) for shard in ordered]
    mean = sum(weights[shard] * reader.mean_target for shard, reader in zip(ordered, readers, strict=True))
    number = round(targets / mean)
    for _ in range(ROUNDS):
        counts = counts_of_first(number, proportions)
        read = np.array([reader.tokens(count) for reader, count in zip(readers, counts, strict=True)])
        missing = round((targets - read[:, 1].sum()) / mean)
        if not missing:
            break
        number = max(0, number + missing)
    table = pd.DataFrame(
        {
            "submixture": [shard.submixture for shard in ordered],
            "task": [shard.task for shard in ordered],
            "examples": counts,
            "tokens": read.sum(axis=1),
            "records": [shard.records for shard in ordered],
        }
    )
    table = table.groupby(["submixture", "task"], as_index=False).agg(
        {"examples": "sum", "tokens": "sum", "records": "first"}
    )
    table["share"] = table["tokens"] / max(1, table["tokens"].sum())
    table["epochs"] = table["examples"] / table.pop("records")
    return by_submixture(table, "tokens")


class _Reader:
    """Lengths of a shard's examples in the order in which a stream reads them."""

    def __init__(self, build: Build, shard: Shard, seed: int):
        table = read_shard(build.home / shard.path)
        sides = (table[name].combine_chunks() for name in ("input_ids", "target_ids"))
        self._lengths = np.stack([np.diff(side.offsets.to_numpy()) for side in sides], axis=1).astype(np.int64)
        self._seed = shard_seed(shard, seed)

    @property
    def mean_target(self) -> float:
        """Target tokens of an example on average."""
        return float(self._lengths[:, 1].mean())

    def tokens(self, count: int) -> np.ndarray:
        """Input and target tokens of the first ``count`` examples, int64 (2,)."""
        epochs, rest = divmod(count, len(self._lengths))
        total = epochs * self._lengths.sum(axis=0)
        return total + self._lengths[epoch_order(self._seed, epochs, len(self._lengths))[:rest]].sum(axis=0)


def _proportions(weights: Sequence[float]) -> list[int]:
    """Weights as the whole numbers by which ``grain.MapDataset.mix`` deals out places: the smallest becomes 100."""
    scale = 100 / min(weights)
    return [int(weight * scale) for weight in weights]


def counts_of_first(number: int, proportions: Sequence[int]) -> list[int]:
    """How many of the first ``number`` elements of a mix come from each of its datasets.

    Grain deals places out without a random draw: each dataset in turn gets its part of those that the ones before it
    left, rounded up.
    """
    counts, rest, left = [], sum(proportions), number
    for proportion in proportions:
        after = left * (rest - proportion) // rest
        counts.append(left - after)
        rest, left = rest - proportion, after
    return counts
