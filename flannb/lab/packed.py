"""A packed batch of one task, and where in it each example lies."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise, zip_longest

import numpy as np

from flannb.build import Lengths, Texts, Tokenizer, make_examples
from flannb.collection import Task
from flannb.lab.examples import Example, settings
from flannb.lab.rows import Sample
from flannb.mixture import Batch, pack

SIDES = {"encoder": "encoder_token_ids", "decoder": "targets"}
"""The two sides of a batch -> its array of their tokens; the decoder reads its targets one place later."""


@dataclass(frozen=True)
class Segment:
    """One example's place on one side of a batch.

    Attributes:
        row: of the batch.
        number: its segment id, from 1; the same on both sides.
        start, stop: its tokens.
        ids: they themselves.
    """

    row: int
    number: int
    start: int
    stop: int
    ids: tuple[int, ...]


@dataclass(frozen=True)
class Side:
    """One side of a packed batch.

    Attributes:
        length: of its rows, in tokens.
        rows: how many.
        segments: row by row, in order; what they leave is padding.
        own: row and number of the example that was packed with the others.
    """

    length: int
    rows: int
    segments: list[Segment]
    own: tuple[int, int]

    @property
    def filled(self) -> float:
        """Share of the tokens that are no padding."""
        return sum(s.stop - s.start for s in self.segments) / (self.rows * self.length)


def packed(
    example: Example, sample: Sample, tokenizer: Tokenizer, lengths: Lengths, rows: int, seed: int
) -> dict[str, Side]:
    """A batch with an example and others of its task, from all its settings in turn.

    Args:
        lengths: of the packed sequences, and the limits of examples.
        rows: of the batch, about: so many examples are taken as would fill them.

    Returns:
        Name of each of ``SIDES`` -> that side.
    """
    chosen = [{"encoder": np.array(example.input_ids), "decoder": np.array(example.target_ids)}]
    room = np.array([lengths.input, lengths.target]) * rows
    for other in _others(example.task, sample, tokenizer, lengths, seed):
        room -= [len(ids) for ids in chosen[-1].values()]
        if (room <= 0).any():
            break
        chosen.append(other)
    batch = pack(chosen, lengths.input, lengths.target, np.random.default_rng(seed))
    return sides(batch, example)


def _others(
    task: Task, sample: Sample, tokenizer: Tokenizer, lengths: Lengths, seed: int
) -> Iterator[dict[str, np.ndarray]]:
    """Examples of the task's rows, from its settings in turn."""
    records, texts = sample.of(task), Texts(tokenizer)
    made = [
        make_examples(task, setting, records, texts, lengths, seed, positives=sample.positives)[0].to_pylist()
        for setting in settings(task)
    ]
    for some in zip_longest(*made):
        for found in filter(None, some):
            yield {"encoder": np.array(found["input_ids"]), "decoder": np.array(found["target_ids"])}


def sides(batch: Batch, example: Example) -> dict[str, Side]:
    """Where the segments of a batch lie, and which is the example's."""
    found = {name: segments(batch[f"{name}_padding_mask"], batch[ids]) for name, ids in SIDES.items()}
    ids = {"encoder": tuple(example.input_ids), "decoder": tuple(example.target_ids)}
    alike = [{(s.row, s.number) for s in found[name] if s.ids == ids[name]} for name in SIDES]
    own = min(set.intersection(*alike))
    return {name: Side(batch[ids].shape[1], batch[ids].shape[0], found[name], own) for name, ids in SIDES.items()}


def segments(mask: np.ndarray, ids: np.ndarray) -> list[Segment]:
    """The runs of equal segment ids, int (rows, length), with the tokens that lie there."""
    found = []
    for row, numbers in enumerate(mask):
        edges = np.flatnonzero(np.diff(numbers, prepend=0, append=0))
        for start, stop in pairwise(edges):
            if numbers[start]:
                place = slice(int(start), int(stop))
                tokens = tuple(ids[row, place].tolist())
                found.append(Segment(row, int(numbers[start]), place.start, place.stop, tokens))
    return found
