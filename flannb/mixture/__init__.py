"""How the data are weighted, and the stream of packed batches."""

from flannb.mixture.filling import Filling, filling
from flannb.mixture.named import DESIGN, FEW_SHOT_SHARES, MIXTURES, mixture, own_mixtures
from flannb.mixture.packing import Batch, pack
from flannb.mixture.pipeline import BatchShape, Epochs, Stream, batches, mixed, packed_batches
from flannb.mixture.seen import seen
from flannb.mixture.table import expected, planned_shards
from flannb.mixture.weights import (
    RELEASED_RATES,
    Mixture,
    draw_tasks,
    entropy,
    shard_weights,
    submixture_shares,
    unigram_entropy,
)

__all__ = [
    "DESIGN",
    "FEW_SHOT_SHARES",
    "MIXTURES",
    "RELEASED_RATES",
    "Batch",
    "BatchShape",
    "Epochs",
    "Filling",
    "Mixture",
    "Stream",
    "batches",
    "draw_tasks",
    "entropy",
    "expected",
    "filling",
    "mixed",
    "mixture",
    "own_mixtures",
    "pack",
    "packed_batches",
    "planned_shards",
    "seen",
    "shard_weights",
    "submixture_shares",
    "unigram_entropy",
]
