"""The input pipeline: shards mixed by weight, packed, batched and shared between processes, by Grain.

The stream is a pure function of (build, mixture, seed, process): an iterator restored from its state goes on with the
very batches that it would have given.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from flannb.build import Build, Shard, TokenColumns
from flannb.errors import UserError
from flannb.files import digest
from flannb.vocabulary import PAD_ID

if TYPE_CHECKING:
    import grain

Batch = dict[str, np.ndarray]
"""The four inputs of ``flannb.model.T5`` and ``targets``, int32 (batch, length); masks hold segment ids."""


@dataclass(frozen=True)
class BatchShape:
    """Shape of a batch.

    Attributes:
        size: packed sequences of all processes together.
        input, target: tokens of each packed sequence.
    """

    size: int
    input: int
    target: int


def batches(
    build: Build,
    weights: Mapping[Shard, float],
    shape: BatchShape,
    seed: int,
    process: int = 0,
    processes: int = 1,
) -> grain.IterDataset:
    """An endless dataset of packed batches for one process.

    Every shard is shuffled anew each time it has been read through. Processes read disjoint elements of the mixed
    stream.

    Raises:
        UserError: examples longer than the batch's sequences, or a batch size not divisible by the processes.
    """
    import grain  # brings JAX, which those who only weigh and list need not wait for
    from grain.experimental import FirstFitPackIterDataset

    if build.lengths.input > shape.input or build.lengths.target > shape.target:
        raise UserError(
            f"the data have up to {build.lengths.input}/{build.lengths.target} tokens, more than the batch's"
            f" {shape.input}/{shape.target}; build them with shorter limits or train on longer sequences"
        )
    if shape.size % processes:
        raise UserError(f"batch size {shape.size} is not divisible by {processes} processes; choose a multiple")
    ordered = sorted(weights, key=lambda shard: shard.path)
    parts = [
        grain.MapDataset.source(
            _Epochs(TokenColumns(build.home / shard.path), int(digest([seed, shard.path])[:16], 16))
        )
        for shard in ordered
    ]
    mixed = grain.MapDataset.mix(parts, [weights[shard] for shard in ordered])
    rows = shape.size // processes
    packed = FirstFitPackIterDataset(
        mixed[process::processes].to_iter_dataset(grain.ReadOptions(num_threads=0)),
        length_struct={"encoder": shape.input, "decoder": shape.target},
        num_packing_bins=rows,
        shuffle_bins=False,
    )
    return packed.batch(rows, drop_remainder=True).map(_as_inputs)


class _Epochs:
    """A shard's examples without end, every epoch in an order of its own.

    Grain's ``shuffle`` computes each position anew, by steps that are the more the smaller the shard: 0.1 ms at 500
    examples, 4 ms at 10. A permutation of each epoch costs four bytes an example.
    """

    def __init__(self, columns: TokenColumns, seed: int):
        self._columns = columns
        self._seed = seed
        self._order: tuple[int, np.ndarray] = (-1, np.empty(0, np.int32))

    def __len__(self) -> int:
        return sys.maxsize

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        epoch, place = divmod(int(index), len(self._columns))
        current, order = self._order
        if current != epoch:
            order = np.random.default_rng([self._seed, epoch]).permutation(len(self._columns)).astype(np.int32)
            self._order = (epoch, order)
        return self._columns[order[place]]

    def __repr__(self) -> str:  # part of Grain's state of an iterator
        return f"{self._columns!r}, shuffled by {self._seed}"


def _as_inputs(packed: dict[str, np.ndarray]) -> Batch:
    """Grain's packed features as the model's inputs; each segment's decoder input starts with ``PAD_ID``."""
    targets, segments = packed["decoder"], packed["decoder_segment_ids"]
    shifted = np.roll(targets, 1, axis=1)
    starts = packed["decoder_positions"] == 0
    return {
        "encoder_token_ids": packed["encoder"],
        "encoder_padding_mask": packed["encoder_segment_ids"],
        "decoder_token_ids": np.where(starts, PAD_ID, shifted),
        "decoder_padding_mask": segments,
        "targets": targets,
    }
