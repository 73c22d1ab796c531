"""Ragged arrays behave like lists of lists."""

from itertools import chain

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from flannb.build.ragged import Ragged

LISTS = st.lists(st.lists(st.integers(0, 65_535), max_size=6), max_size=8)


def ragged(lists, dtype=np.uint16):
    return Ragged.from_lengths(np.array([*chain(*lists)], dtype), np.array([len(x) for x in lists], np.int64))


@settings(deadline=None)
@given(LISTS, st.data())
def test_gathering_joins_the_chosen_sequences(lists, data):
    one = st.integers(0, len(lists) - 1)
    chosen = data.draw(st.lists(st.lists(one, max_size=5), max_size=5)) if lists else []
    expected = [[value for number in some for value in lists[number]] for some in chosen]
    assert ragged(lists).gather(ragged(chosen, np.int64)).to_arrow().to_pylist() == expected


@settings(deadline=None)
@given(LISTS, st.integers(0, 7))
def test_cutting_and_ending(lists, limit):
    made = ragged(lists).cut(limit).ended(1)
    assert made.to_arrow().to_pylist() == [[*values[:limit], 1] for values in lists]
    assert made.lengths.tolist() == [min(len(values), limit) + 1 for values in lists] and len(made) == len(lists)
    assert made.values.dtype == np.uint16


@settings(deadline=None)
@given(st.lists(LISTS, max_size=4), st.data())
def test_parts_together_are_one_and_any_of_it_can_be_taken(parts, data):
    together = Ragged.together([ragged(part) for part in parts])
    lists = [values for part in parts for values in part]
    assert together.to_arrow().to_pylist() == lists and len(together) == len(lists)
    order = data.draw(st.lists(st.integers(0, len(lists) - 1), max_size=9)) if lists else []
    assert together.take(np.array(order, np.int64)).to_arrow().to_pylist() == [lists[i] for i in order]
