"""Packing: several examples to a sequence, told apart by segment ids."""

from collections.abc import Sequence

import numpy as np

from flannb.vocabulary import PAD_ID

Batch = dict[str, np.ndarray]
"""The four inputs of ``flannb.model.T5`` and ``targets``, int32 (batch, length); masks hold segment ids."""


def pack(examples: Sequence[dict[str, np.ndarray]], input: int, target: int, rng: np.random.Generator) -> Batch:
    """Packs a window of examples into as few sequences as first fit decreasing finds, all examples whole.

    The largest come first, each into the first sequence that has room for its input and its target; the bound is
    11/9 of the fewest possible (Johnson 1973), and windows of hundreds of examples come within a percent or two.

    Args:
        examples: token ids ``encoder`` and ``decoder`` of each, no longer than the sequences.
        input, target: tokens of each packed sequence.
        rng: orders the sequences, which would else go from those of large examples to those of small ones.

    Returns:
        A batch of as many rows as it took. The input of the decoder starts with ``PAD_ID`` in every segment.
    """
    sizes = np.array([(len(example["encoder"]), len(example["decoder"])) for example in examples])
    room = np.full((len(examples), 2), (input, target))
    rows: list[list[int]] = []
    for example in np.argsort(-(sizes / (input, target)).max(axis=1), kind="stable"):
        fits = (room[: len(rows)] >= sizes[example]).all(axis=1)
        row = int(fits.argmax()) if fits.any() else len(rows)
        if row == len(rows):
            rows.append([])
        rows[row].append(example)
        room[row] -= sizes[example]

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
