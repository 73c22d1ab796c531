"""Pretraining's objectives: nothing of the text is lost, and lengths are T5's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flannb.mixture.objectives import corrupt, corrupted_lengths, noise_mask, prefix_split, spans, window_length
from flannb.vocabulary import EOS_ID

FIRST = 1099
"""Sentinel 0; the text's ids are below 1,000."""


def restored(inputs, targets):
    """The text, put together again from what is left and what was taken out."""
    taken = {}
    for token in targets[:-1].tolist():
        if token > 999:
            taken[token] = current = []
        else:
            current.append(token)
    return [t for token in inputs[:-1].tolist() for t in (taken.pop(token) if token > 999 else [token])], taken


@given(st.integers(2, 700), st.integers(0, 2**32))
def test_input_and_target_together_are_the_text(length, seed):
    rng = np.random.default_rng(seed)
    tokens = rng.integers(2, 1000, length)
    inputs, targets = corrupt(tokens, FIRST, rng)
    assert (len(inputs), len(targets)) == corrupted_lengths(length)
    assert inputs[-1] == targets[-1] == EOS_ID
    text, rest = restored(inputs, targets)
    assert text == tokens.tolist() and not rest


@given(st.integers(2, 700), st.integers(0, 2**32))
def test_the_mask_has_the_spans_that_it_should(length, seed):
    mask = noise_mask(length, np.random.default_rng(seed))
    noise, count = spans(length)
    assert len(mask) == length and mask.sum() == noise and not mask[0]
    assert (mask[1:] & ~mask[:-1]).sum() == count


def test_sentinels_count_down_in_the_order_of_the_text():
    inputs, targets = corrupt(np.arange(100, 200), FIRST, np.random.default_rng(0))
    for row in (inputs, targets):
        found = row[row > 999].tolist()
        assert found == list(range(FIRST, FIRST - spans(100)[1], -1))


def test_lengths_are_those_of_t5():
    assert window_length(512, 114) == 568
    assert corrupted_lengths(568) == (512, 114)


def test_away_from_the_ends_every_token_is_taken_out_as_often_as_another():
    rng = np.random.default_rng(0)
    share = np.mean([noise_mask(568, rng) for _ in range(3000)], axis=0)
    assert share.mean() == pytest.approx(85 / 568)
    assert share[0] == 0 and share[-1] == 1  # T5's way: a window starts with text and ends with a noise span
    assert (np.abs(share[20:-20] - 0.15) < 0.035).all()


@given(st.integers(2, 300), st.integers(2, 60), st.integers(2, 60), st.integers(0, 2**32))
def test_a_prefix_is_continued_where_it_ends(length, most_inputs, most_targets, seed):
    tokens = np.arange(2, length + 2)
    inputs, targets = prefix_split(tokens, np.random.default_rng(seed), most_inputs, most_targets)
    assert 2 <= len(inputs) <= most_inputs and 2 <= len(targets) <= most_targets
    assert inputs[-1] == targets[-1] == EOS_ID
    assert targets[0] == inputs[-2] + 1
    assert (np.diff(inputs[:-1]) == 1).all() and (np.diff(targets[:-1]) == 1).all()
