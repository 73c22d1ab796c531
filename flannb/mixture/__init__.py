"""How the data are weighted, and the stream of packed batches."""

from flannb.mixture.named import MIXTURES, mixture
from flannb.mixture.packing import Batch, pack
from flannb.mixture.pipeline import BatchShape, Epochs, batches, packed_batches
from flannb.mixture.table import expected, planned_shards
from flannb.mixture.weights import (
    RELEASED_RATES,
    Mixture,
    draw_tasks,
    shard_weights,
    submixture_shares,
    unigram_entropy,
)

__all__ = [
    "MIXTURES",
    "RELEASED_RATES",
    "Batch",
    "BatchShape",
    "Epochs",
    "Mixture",
    "batches",
    "draw_tasks",
    "expected",
    "mixture",
    "pack",
    "packed_batches",
    "planned_shards",
    "shard_weights",
    "submixture_shares",
    "unigram_entropy",
]
