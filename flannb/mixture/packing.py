"""Packing: several examples to a sequence, told apart by segment ids."""

from collections.abc import Sequence

import numpy as np

from flannb.vocabulary import PAD_ID

Batch = dict[str, np.ndarray]
"""The four inputs of ``flannb.model.T5`` and ``targets``, int32 (batch, length); masks hold segment ids."""

SAVES = 0.98
"""Packing by ``_spread`` is taken where it needs less than this share of the sequences of first fit."""


def pack(examples: Sequence[dict[str, np.ndarray]], input: int, target: int, rng: np.random.Generator) -> Batch:
    """Packs a window of examples into few sequences, all examples whole.

    First fit decreasing is best where inputs or targets alone decide how many fit; where both fill up at about the same
    pace, spreading them is (on the mixture of Flan 2022, whose inputs have 21 times as many tokens as its targets: 98%
    of the positions of sequences of 4,096 and 256 tokens, and 78% by first fit). The better one is taken.

    Args:
        examples: token ids ``encoder`` and ``decoder`` of each, no longer than the sequences.
        input, target: tokens of each packed sequence.
        rng: orders the sequences, which would else go from those of large examples to those of small ones.

    Returns:
        A batch of as many rows as it took. The input of the decoder starts with ``PAD_ID`` in every segment.
    """
    sizes = np.array([(len(example["encoder"]), len(example["decoder"])) for example in examples])
    limits = np.array([input, target])
    rows = _first_fit(sizes, limits)
    fewest = int(np.ceil((sizes / limits).sum(axis=0).max()))
    # Where even the fewest would not save enough, spreading need not be tried.
    if fewest < SAVES * len(rows) and len(spread := _spread(sizes, limits, fewest)) < SAVES * len(rows):
        rows = spread

    def blank(length: int) -> np.ndarray:
        return np.full((len(rows), length), PAD_ID, np.int32)

    batch = {
        "encoder_token_ids": blank(input),
        "encoder_padding_mask": blank(input),
        "decoder_token_ids": blank(target),
        "decoder_padding_mask": blank(target),
        "targets": blank(target),
    }
    for place, row in enumerate(rng.permutation(len(rows))):
        start, begin = 0, 0
        for segment, example in enumerate(rows[row], start=1):
            inputs, targets = examples[example]["encoder"], examples[example]["decoder"]
            stop, end = start + len(inputs), begin + len(targets)
            batch["encoder_token_ids"][place, start:stop] = inputs
            batch["encoder_padding_mask"][place, start:stop] = segment
            batch["decoder_token_ids"][place, begin + 1 : end] = targets[:-1]
            batch["decoder_padding_mask"][place, begin:end] = segment
            batch["targets"][place, begin:end] = targets
            start, begin = stop, end
    return batch


def _first_fit(sizes: np.ndarray, limits: np.ndarray) -> list[list[int]]:
    """The examples of each sequence: the largest first, each into the first that has room for its input and target.

    The bound is 11/9 of the fewest possible (Johnson 1973) where one of the two decides, and windows of hundreds of
    examples come within a percent or two of it.

    Args:
        sizes: tokens, int (examples, 2).
        limits: of each sequence, int (2,).
    """
    room = np.tile(limits, (len(sizes), 1))
    rows: list[list[int]] = []
    for example in _largest_first(sizes, limits):
        fits = (room[: len(rows)] >= sizes[example]).all(axis=1)
        _put(example, int(fits.argmax()) if fits.any() else len(rows), sizes, room, rows)
    return rows


def _spread(sizes: np.ndarray, limits: np.ndarray, fewest: int) -> list[list[int]]:
    """As ``_first_fit``, but into as few sequences as all tokens would fill, each example where it leaves most room.

    What is left then has both kinds of room, whereas first fit begins with sequences that are full of targets and have
    room for inputs that no example can use.
    """
    room = np.tile(limits, (fewest + len(sizes), 1))
    rows: list[list[int]] = [[] for _ in range(fewest)]
    for example in _largest_first(sizes, limits):
        left = ((room[: len(rows)] - sizes[example]) / limits).min(axis=1)
        row = int(left.argmax())
        _put(example, row if left[row] >= 0 else len(rows), sizes, room, rows)
    return [row for row in rows if row]


def _largest_first(sizes: np.ndarray, limits: np.ndarray) -> np.ndarray:
    return np.argsort(-(sizes / limits).max(axis=1), kind="stable")


def _put(example: int, row: int, sizes: np.ndarray, room: np.ndarray, rows: list[list[int]]) -> None:
    """Puts an example into a sequence, which is a new one where it is the next."""
    if row == len(rows):
        rows.append([])
    rows[row].append(example)
    room[row] -= sizes[example]
