"""How the data are weighted, and the stream of packed batches."""

from flannb.mixture.pipeline import Batch, BatchShape, batches
from flannb.mixture.weights import RELEASED_RATES, Mixture, shard_weights, submixture_shares, unigram_entropy

__all__ = [
    "RELEASED_RATES",
    "Batch",
    "BatchShape",
    "Mixture",
    "batches",
    "shard_weights",
    "submixture_shares",
    "unigram_entropy",
]
