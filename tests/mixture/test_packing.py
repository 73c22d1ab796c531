"""Packing: every example whole and once, in few sequences."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flannb.mixture import pack
from flannb.vocabulary import PAD_ID

INPUT, TARGET = 24, 12


def numbered(lengths, first=10):
    """Examples whose tokens tell which one they are."""
    return [
        {"encoder": np.full(i, first + n, np.int32), "decoder": np.full(t, first + n, np.int32)}
        for n, (i, t) in enumerate(lengths)
    ]


def segments(batch):
    for row in range(len(batch["targets"])):
        for segment in range(1, batch["encoder_padding_mask"][row].max() + 1):
            yield (
                batch["encoder_token_ids"][row][batch["encoder_padding_mask"][row] == segment],
                batch["targets"][row][batch["decoder_padding_mask"][row] == segment],
                batch["decoder_token_ids"][row][batch["decoder_padding_mask"][row] == segment],
            )


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(1, INPUT), st.integers(1, TARGET)), min_size=1, max_size=60))
def test_every_example_is_there_once_and_whole(lengths):
    given = numbered(lengths)
    batch = pack(given, INPUT, TARGET, np.random.default_rng(0))
    found = {int(inputs[0]): (inputs, targets, shifted) for inputs, targets, shifted in segments(batch)}
    assert len(list(segments(batch))) == len(found) == len(given)
    for example in given:
        inputs, targets, shifted = found[int(example["encoder"][0])]
        assert np.array_equal(inputs, example["encoder"]) and np.array_equal(targets, example["decoder"])
        assert shifted.tolist() == [PAD_ID, *targets[:-1].tolist()]
    for mask, ids in (("encoder_padding_mask", "encoder_token_ids"), ("decoder_padding_mask", "targets")):
        assert not batch[ids][batch[mask] == 0].any()
        assert all(np.all(np.diff(row[row > 0]) >= 0) for row in batch[mask])  # segments lie side by side
    assert {name: value.dtype for name, value in batch.items()} == dict.fromkeys(batch, np.dtype(np.int32))


@settings(max_examples=50)
@given(st.lists(st.integers(1, INPUT), min_size=1, max_size=60))
def test_sequences_are_within_the_bound_of_first_fit_decreasing(lengths):
    rows = len(pack(numbered([(n, 1) for n in lengths]), INPUT, 60, np.random.default_rng(0))["targets"])
    assert rows <= 11 / 9 * np.ceil(sum(lengths) / INPUT) + 1 + sum(n > INPUT / 2 for n in lengths)
    assert rows >= sum(lengths) / INPUT


def test_a_window_of_many_sizes_leaves_little_room():
    rng = np.random.default_rng(0)
    lengths = [(int(n), 1) for n in np.clip(rng.exponential(150, 512), 10, 512)]
    batch = pack(numbered(lengths), 512, 128, rng)
    assert (batch["encoder_padding_mask"] > 0).mean() > 0.98


def test_inputs_and_targets_that_fill_up_alike_are_spread():
    """Many short targets and some as long as may be, as Flan 2022 has them."""
    rng = np.random.default_rng(0)
    inputs = np.clip(rng.exponential(220, 2048), 10, 512).astype(int)
    targets = np.where(rng.random(2048) < 0.03, 128, rng.integers(2, 6, 2048))
    batch = pack(numbered(list(zip(inputs, targets, strict=True))), 4096, 256, rng)
    real = sum((batch[name] > 0).sum() for name in ("encoder_padding_mask", "decoder_padding_mask"))
    assert real / (len(batch["targets"]) * (4096 + 256)) > 0.95
    assert len(list(segments(batch))) == 2048


def test_the_target_may_be_what_fills_a_sequence():
    batch = pack(numbered([(2, 7)] * 6), INPUT, TARGET, np.random.default_rng(0))
    assert batch["targets"].shape == (6, TARGET)


def test_the_order_of_sequences_follows_the_generator():
    lengths = [(n, 1) for n in range(1, INPUT + 1)]
    first, again, other = (
        pack(numbered(lengths), INPUT, TARGET, np.random.default_rng(seed))["targets"] for seed in (0, 0, 1)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other) and sorted(first.tolist()) == sorted(other.tolist())


def test_an_example_longer_than_a_sequence_is_refused():
    with pytest.raises(ValueError, match="could not broadcast"):
        pack(numbered([(INPUT + 1, 1)]), INPUT, TARGET, np.random.default_rng(0))
