"""Training examples of one task: every row in the plain wording of the task's prompts, tokenised and packed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from flannb.build import Lengths, Tokenizer
from flannb.build.ragged import Ragged
from flannb.finetune.splits import Pools
from flannb.mixture import BatchShape, Epochs, Stream, packed_batches
from flannb.vocabulary import EOS_ID

if TYPE_CHECKING:
    import grain


class Examples:
    """The examples of a task, in the order of its rows.

    Args:
        pools: the rows.
        lengths: most tokens of an input and a target, end marks included; what is longer is cut at the end.

    Attributes:
        truncated: how many were cut.
    """

    def __init__(self, pools: Pools, tokenizer: Tokenizer, lengths: Lengths):
        texts = [text for pool in pools for text in pool.texts()]
        whole = [tokenizer.encode_ragged([text[side] for text in texts]) for side in (0, 1)]
        limits = (lengths.input - 1, lengths.target - 1)
        too_long = [part.lengths > limit for part, limit in zip(whole, limits, strict=True)]
        self.truncated = int(np.logical_or(*too_long).sum())
        self._sides: list[Ragged] = [part.cut(limit).ended(EOS_ID) for part, limit in zip(whole, limits, strict=True)]

    def __len__(self) -> int:
        return len(self._sides[0])

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        inputs, targets = (
            side.values[side.offsets[index] : side.offsets[index + 1]].astype(np.int32) for side in self._sides
        )
        return {"encoder": inputs, "decoder": targets}

    def __repr__(self) -> str:  # part of Grain's state of an iterator
        return f"Examples({len(self)}, {' and '.join(str(len(side.values)) for side in self._sides)} tokens)"


def example_stream(examples: Examples, tokenizer: Tokenizer) -> Stream:
    """The endless stream of packed batches of the examples, in another order every epoch."""
    return Stream(tokenizer, partial(_batches, examples))


def _batches(
    examples: Examples, shape: BatchShape, seed: int, process: int = 0, processes: int = 1
) -> grain.IterDataset:
    import grain

    return packed_batches(grain.MapDataset.source(Epochs(examples, seed)), shape, seed, process, processes)
