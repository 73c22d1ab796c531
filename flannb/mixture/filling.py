"""How full packed sequences are, which no formula tells: it depends on how the lengths of examples go together."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from flannb.build import Build, Shard
from flannb.mixture.pipeline import BatchShape, batches

SAMPLE = 512
"""Sequences that are looked at."""


@dataclass(frozen=True)
class Filling:
    """What a packed sequence holds on average.

    Attributes:
        examples: whole ones.
        inputs, targets: tokens of them.
    """

    examples: float
    inputs: float
    targets: float


def filling(build: Build, weights: Mapping[Shard, float], shape: BatchShape, seed: int) -> Filling:
    """The filling of the first sequences of a mixture's stream. Arguments and errors are those of ``batches``."""
    stream, sums, count = iter(batches(build, weights, shape, seed)), np.zeros(3), 0
    while count < SAMPLE:
        batch = next(stream)
        inputs, targets = batch["encoder_padding_mask"], batch["decoder_padding_mask"]
        sums += (inputs.max(axis=1).sum(), (inputs > 0).sum(), (targets > 0).sum())
        count += len(inputs)
    return Filling(*(float(value) for value in sums / count))
