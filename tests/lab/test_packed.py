"""The picture of a packed batch: segments where the mask has them, the same on both sides."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from flannb.build import Lengths
from flannb.lab.examples import Picks, draw_example
from flannb.lab.packed import SIDES, packed, segments

LENGTHS = Lengths(256, 64)


@given(st.lists(st.lists(st.integers(1, 5), max_size=6), min_size=1, max_size=4))
def test_segments_are_the_runs_of_the_mask(rows):
    mask = np.zeros((len(rows), 32), np.int32)
    for row, lengths in enumerate(rows):
        numbers = np.repeat(np.arange(1, len(lengths) + 1), lengths)
        mask[row, : len(numbers)] = numbers
    ids = np.arange(mask.size).reshape(mask.shape)
    found = segments(mask, ids)
    assert [[s.stop - s.start for s in found if s.row == row] for row in range(len(rows))] == rows
    again = np.zeros_like(mask)
    for s in found:
        again[s.row, s.start : s.stop] = s.number
        assert s.ids == tuple(ids[s.row, s.start : s.stop])
    assert (again == mask).all()


def test_the_example_lies_among_others_of_its_task(sample_of, words):
    sample = sample_of("boolq")
    example = draw_example(sample.task, sample, words, LENGTHS, Picks("fs_noopt", 7))
    found = packed(example, sample, words, LENGTHS, rows=6, seed=0)
    assert found == packed(example, sample, words, LENGTHS, rows=6, seed=0)
    assert list(found) == list(SIDES)
    encoder, decoder = found.values()
    places = [{(s.row, s.number) for s in side.segments} for side in (encoder, decoder)]
    assert places[0] == places[1] and len(places[0]) > 10
    assert 6 <= encoder.rows == decoder.rows <= 9 and encoder.filled > 0.7
    for side, ids in ((encoder, example.input_ids), (decoder, example.target_ids)):
        (own,) = [s for s in side.segments if (s.row, s.number) == side.own]
        assert list(own.ids) == ids
