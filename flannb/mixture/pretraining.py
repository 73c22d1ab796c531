"""The data of pretraining: windows of a corpus, turned into inputs and targets by an objective, as a stream of Grain.

The stream is a pure function of (corpus, objective, seed), as that of a mixture is.
"""

from __future__ import annotations

import sys
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from flannb.build import open_tokenizer
from flannb.build.corpus import Corpus
from flannb.build.ragged import Ragged
from flannb.errors import UserError
from flannb.mixture.objectives import corrupt, prefix_split, window_length
from flannb.mixture.packing import Batch, pack
from flannb.mixture.pipeline import BatchShape, Stream, packed_batches
from flannb.names import check_name
from flannb.vocabulary import EOS_ID

if TYPE_CHECKING:
    import grain

SPAN_CORRUPTION, PREFIX_LM = OBJECTIVES = ("span_corruption", "prefix_lm")


def pretraining(corpus: Corpus, objective: str) -> Stream:
    """The stream of an objective on the training part of a corpus; its examples fill the batches' sequences.

    Raises:
        UserError: as ``pretraining_examples``, when batches are made.
    """

    def batches(shape: BatchShape, seed: int, process: int, processes: int) -> grain.IterDataset:
        examples = pretraining_examples(corpus, objective, shape.input, shape.target, seed)
        return packed_batches(examples, shape, seed, process, processes)

    return Stream(open_tokenizer(corpus.tokenizer_path), batches)


def held_out_batches(corpus: Corpus, objective: str, shape: BatchShape, most: int = 64) -> list[Batch]:
    """Packed batches of the held-out part: each of its windows once, or as many as fill ``most`` batches.

    The last batch is filled up with empty rows. Windows and what is taken out of them are the same for every training.

    Raises:
        UserError: as ``pretraining_examples``.
    """
    examples = held_out_examples(corpus, objective, shape, most * shape.size)
    rows = pack(examples, shape.input, shape.target, np.random.default_rng(0))
    short = -len(rows["targets"]) % shape.size
    filled = {name: np.pad(values, ((0, short), (0, 0))) for name, values in rows.items()}
    starts = range(0, len(filled["targets"]), shape.size)
    return [{name: values[at : at + shape.size] for name, values in filled.items()} for at in islice(starts, most)]


def held_out_examples(corpus: Corpus, objective: str, shape: BatchShape, most: int) -> list[dict[str, np.ndarray]]:
    """At most ``most`` examples of the held-out part, from all over it.

    Raises:
        UserError: as ``pretraining_examples``.
    """
    windows = _windows(corpus, objective, shape.input, shape.target, 0, "held_out")
    examples = pretraining_examples(corpus, objective, shape.input, shape.target, 0, "held_out")
    return [examples[number] for number in range(0, windows.per_epoch, -(-windows.per_epoch // most))]


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

    windows = _windows(corpus, objective, inputs, targets, seed, part)

    def example(number: int, tokens: np.ndarray) -> dict[str, np.ndarray]:
        rng = np.random.default_rng([seed, number])
        if objective == SPAN_CORRUPTION:
            pair = corrupt(tokens, corpus.first_sentinel, rng)
        else:
            pair = prefix_split(tokens, rng, inputs, targets)
        return dict(zip(("encoder", "decoder"), pair, strict=True))

    return grain.MapDataset.source(windows).map_with_index(example)


def _windows(corpus: Corpus, objective: str, inputs: int, targets: int, seed: int, part: str) -> Windows:
    """The windows of a part that an objective makes examples of."""
    check_name("objective", objective, OBJECTIVES)
    length = window_length(inputs, targets) if objective == SPAN_CORRUPTION else inputs + targets - 2
    return Windows(corpus.read(part), length, seed)


class Windows:
    """Windows of running text without end, as Grain's data sources are; every epoch has its documents in another order.

    Documents follow one another with an end mark each; a window may begin and end within one. What is left at the end
    of an epoch is shorter than a window and is left out.

    Args:
        documents: token ids of each.
        length: tokens of a window.
        seed: of the orders.

    Attributes:
        per_epoch: windows of an epoch.

    Raises:
        UserError: the documents have fewer tokens than one window.
    """

    def __init__(self, documents: Ragged, length: int, seed: int):
        self._documents, self._length, self._seed = documents, length, seed
        self.per_epoch = (len(documents.values) + len(documents)) // length
        if not self.per_epoch:
            raise UserError(f"a corpus of {len(documents.values)} tokens has no window of {length}; draw more rows")
        self._order: tuple[int, np.ndarray, np.ndarray] = (-1, np.empty(0, np.int64), np.empty(0, np.int64))

    def __len__(self) -> int:
        return sys.maxsize

    def __getitem__(self, index: int) -> np.ndarray:
        """Int32 (length,)."""
        epoch, place = divmod(int(index), self.per_epoch)
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
