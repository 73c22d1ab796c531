"""The input pipeline: shards mixed by weight, packed, batched and shared between processes, by Grain.

The mixed stream is cut into windows of examples, which are packed each for itself and dealt out to lanes. A batch
takes as many rows of every lane, and a process reads some of the lanes. So the rows of a batch are the same however
many processes make it, and the state of the pipeline, which is that of its lanes, can be taken up by another number of
processes.

The stream is a pure function of (build, mixture, seed): an iterator restored from its state goes on with the very
batches that it would have given.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

import numpy as np

from flannb.build import Build, Shard, Tokenizer, open_tokenizer, token_columns
from flannb.errors import UserError
from flannb.files import digest
from flannb.mixture.packing import pack

if TYPE_CHECKING:
    import grain

LANES = 8
"""Lanes of a batch where its size and the processes allow it. Process counts that divide it give the same batches."""

WINDOW = 512
"""Examples packed together, for each 1,024 tokens of longer sequences: the more, the better sequences are filled, and
the later comes the first."""


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


@dataclass(frozen=True)
class Stream:
    """What a training reads: packed batches without end, and the vocabulary that their ids are of.

    Attributes:
        tokenizer: the vocabulary; it is saved with the model.
        batches: a function of (shape, seed, process, processes) that makes one process's part of the batches. It is a
            dataset as ``packed_batches`` gives: the same arguments make the same batches, and iterators have a state.
    """

    tokenizer: Tokenizer
    batches: Callable[[BatchShape, int, int, int], grain.IterDataset]


def mixed(build: Build, weights: Mapping[Shard, float]) -> Stream:
    """The stream of a mixture (see ``batches``)."""
    return Stream(open_tokenizer(build.tokenizer_path), partial(batches, build, weights))


def batches(
    build: Build,
    weights: Mapping[Shard, float],
    shape: BatchShape,
    seed: int,
    process: int = 0,
    processes: int = 1,
) -> grain.IterDataset:
    """An endless dataset of packed batches of a mixture (see ``packed_batches``).

    Every shard is shuffled anew each time it has been read through.

    Raises:
        UserError: examples longer than the batch's sequences, or a batch size not divisible by the processes.
    """
    if build.lengths.input > shape.input or build.lengths.target > shape.target:
        raise UserError(
            f"the data have up to {build.lengths.input}/{build.lengths.target} tokens, more than the batch's"
            f" {shape.input}/{shape.target}; build them with shorter limits or train on longer sequences"
        )
    return packed_batches(mixed_examples(build, weights, seed), shape, seed, process, processes)


def mixed_examples(build: Build, weights: Mapping[Shard, float], seed: int) -> grain.MapDataset:
    """An endless dataset of the examples of a mixture, each shard's in its share at every point of it."""
    import grain  # brings JAX, which those who only weigh and list need not wait for

    ordered = in_order(weights)
    parts = [grain.MapDataset.source(Epochs(token_columns(build, shard), shard_seed(shard, seed))) for shard in ordered]
    return grain.MapDataset.mix(parts, [weights[shard] for shard in ordered])


def in_order(weights: Mapping[Shard, float]) -> list[Shard]:
    """The shards in the order in which they are mixed."""
    return sorted(weights, key=lambda shard: shard.path)


def shard_seed(shard: Shard, seed: int) -> int:
    """The seed of a shard's orders."""
    return int(digest([seed, shard.path])[:16], 16)


def epoch_order(seed: int, epoch: int, size: int) -> np.ndarray:
    """The order in which an epoch of a shard of ``size`` examples is read, int32."""
    return np.random.default_rng([seed, epoch]).permutation(size).astype(np.int32)


def packed_batches(
    examples: grain.MapDataset, shape: BatchShape, seed: int, process: int = 0, processes: int = 1
) -> grain.IterDataset:
    """An endless dataset of packed batches for one process: its part of the rows.

    No example is read twice or left out. The state of an iterator is ``{"lanes": {lane: state}}``; the union of the
    states of all processes is that of any number of them.

    Args:
        examples: endless; ``{"encoder": ids, "decoder": ids}``, no longer than the sequences of ``shape``.
        seed: of the order of packed sequences.

    Raises:
        UserError: a batch size not divisible by the processes.
    """
    import grain
    from grain.experimental import RebatchIterDataset

    from flannb.mixture.lanes import Lanes

    if shape.size % processes:
        raise UserError(f"batch size {shape.size} is not divisible by {processes} processes; choose a multiple")
    window = WINDOW * max(1, shape.input // 1024)
    windows = examples.batch(window, batch_fn=list).map_with_index(
        lambda number, drawn: pack(drawn, shape.input, shape.target, np.random.default_rng([seed, number]))
    )
    count = math.lcm(math.gcd(shape.size, LANES), processes)
    own = count // processes

    def lane(number: int) -> grain.IterDataset:
        packed = windows[number::count].to_iter_dataset(grain.ReadOptions(num_threads=0))
        return RebatchIterDataset(packed, shape.size // count)

    return Lanes({number: lane(number) for number in range(process * own, (process + 1) * own)})


class Examples(Protocol):
    """Random access to examples, ``{"encoder": ids, "decoder": ids}``; equal ones have equal ``repr``."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> dict[str, np.ndarray]: ...


class Epochs:
    """Examples without end, every epoch in an order of its own.

    Args:
        examples: such as a shard's ``TokenColumns``.

    Grain's ``shuffle`` computes each position anew, by steps that are the more the smaller the shard: 0.1 ms at 500
    examples, 4 ms at 10. A permutation of each epoch costs four bytes an example.
    """

    def __init__(self, examples: Examples, seed: int):
        self._examples = examples
        self._seed = seed
        self._order: tuple[int, np.ndarray] = (-1, np.empty(0, np.int32))

    def __len__(self) -> int:
        return sys.maxsize

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        epoch, place = divmod(int(index), len(self._examples))
        current, order = self._order
        if current != epoch:
            order = epoch_order(self._seed, epoch, len(self._examples))
            self._order = (epoch, order)
        return self._examples[order[place]]

    def __repr__(self) -> str:  # part of Grain's state of an iterator
        return f"{self._examples!r}, shuffled by {self._seed}"
