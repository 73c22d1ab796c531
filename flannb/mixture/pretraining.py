"""The data of pretraining: windows of a corpus, turned into inputs and targets by an objective, as a stream of Grain.

The stream is a pure function of (corpus, objective, seed), as that of a mixture is.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np

from flannb.build.corpus import Corpus
from flannb.build.ragged import Ragged
from flannb.errors import UserError
from flannb.mixture.objectives import corrupt, prefix_split, window_length
from flannb.vocabulary import EOS_ID

if TYPE_CHECKING:
    import grain

OBJECTIVES = ("span_corruption", "prefix_lm")


def pretraining_examples(
    corpus: Corpus, objective: str, inputs: int, targets: int, seed: int, part: str = "training"
) -> grain.MapDataset:
    """An endless dataset of examples, ``{"encoder": ids, "decoder": ids}``, at most so long, end marks included.

    Args:
        corpus: what to read.
        objective: one of ``OBJECTIVES``.
        inputs, targets: token limits.
        part: ``training`` or ``held_out``.

    Raises:
        UserError: an unknown objective, or a corpus that is shorter than one window.
    """
    import grain  # brings JAX, which those who only weigh and list need not wait for

    if objective not in OBJECTIVES:
        raise UserError(f"objective '{objective}': unknown; choose one of {', '.join(OBJECTIVES)}")
    corrupts = objective == "span_corruption"
    windows = Windows(corpus.read(part), window_length(inputs, targets) if corrupts else inputs + targets - 2, seed)

    def example(number: int, tokens: np.ndarray) -> dict[str, np.ndarray]:
        rng = np.random.default_rng([seed, number])
        pair = corrupt(tokens, corpus.first_sentinel, rng) if corrupts else prefix_split(tokens, rng, inputs, targets)
        return dict(zip(("encoder", "decoder"), pair, strict=True))

    return grain.MapDataset.source(windows).map_with_index(example)


class Windows:
    """Windows of running text without end, as Grain's data sources are; every epoch has its documents in another order.

    Documents follow one another with an end mark each; a window may begin and end within one. What is left at the end
    of an epoch is shorter than a window and is left out.

    Args:
        documents: token ids of each.
        length: tokens of a window.
        seed: of the orders.

    Raises:
        UserError: the documents have fewer tokens than one window.
    """

    def __init__(self, documents: Ragged, length: int, seed: int):
        self._documents, self._length, self._seed = documents, length, seed
        self._per_epoch = (len(documents.values) + len(documents)) // length
        if not self._per_epoch:
            raise UserError(f"a corpus of {len(documents.values)} tokens has no window of {length}; draw more rows")
        self._order: tuple[int, np.ndarray, np.ndarray] = (-1, np.empty(0, np.int64), np.empty(0, np.int64))

    def __len__(self) -> int:
        return sys.maxsize

    def __getitem__(self, index: int) -> np.ndarray:
        """Int32 (length,)."""
        epoch, place = divmod(int(index), self._per_epoch)
        current, order, ends = self._order
        if current != epoch:
            order = np.random.default_rng([self._seed, epoch]).permutation(len(self._documents))
            ends = np.cumsum(self._documents.lengths[order] + 1)
            self._order = (epoch, order, ends)
        start = place * self._length
        first, last = np.searchsorted(ends, [start, start + self._length - 1], side="right")
        text = self._documents.take(order[first : last + 1]).ended(EOS_ID).values
        skipped = start - (ends[first - 1] if first else 0)
        return text[skipped : skipped + self._length].astype(np.int32)

    def __repr__(self) -> str:  # part of Grain's state of an iterator
        return f"Windows({len(self._documents.values)} tokens by {self._length}, shuffled by {self._seed})"
