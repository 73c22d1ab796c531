"""Words and n-grams by NumPy against the plain definition."""

import re

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from flannb.build.ngrams import normalised, split_words

WORD = re.compile(r"[^\W_]+")
texts = st.lists(st.text(alphabet=st.sampled_from("ab1é_’“,. -\n\tÅİ漢²\ud800"), max_size=30), max_size=6)


def ngrams(text, n):
    words = WORD.findall(text.lower())
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]


def test_normalised_text_has_no_case_punctuation_or_extra_white_space():
    assert normalised("  Don't STOP —\n“now”_2! ") == "don t stop now 2"


@settings(deadline=None)
@given(texts)
def test_words_are_the_runs_of_letters_and_digits(some):
    words = split_words(some)
    assert len(words) == sum(len(normalised(text).split()) for text in some)
    assert words.text.tolist() == [i for i, text in enumerate(some) for _ in WORD.findall(text.lower())]


@settings(deadline=None)
@given(texts)
def test_equal_ngrams_have_equal_hashes_and_others_do_not(some):
    found = {n: hashes.tolist() for n, _, hashes in split_words(some).ngrams(3)}
    for n in (1, 2, 3):
        expected = [gram for text in some for gram in ngrams(text, n)]
        hashes = found.get(n, [])
        assert len(hashes) == len(expected)
        assert len(set(zip(hashes, expected, strict=True))) == len(set(hashes)) == len(set(expected))


def test_an_ngram_stays_inside_its_text():
    positions = {n: at.tolist() for n, at, _ in split_words(["a b", "c", "", "d e f"]).ngrams(3)}
    assert positions == {1: [0, 1, 2, 3, 4, 5], 2: [0, 3, 4], 3: [3]}


def test_lines_are_known_by_their_first_and_last_words():
    words = split_words(["one two\n\n three", "four"])
    assert words.starts_line.tolist() == [True, False, True, True]
    assert words.ends_line.tolist() == [False, True, True, True]


def test_no_words():
    for nothing in ([], [""], ["?!", "\n"]):
        words = split_words(nothing)
        assert len(words) == 0 and list(words.ngrams(13)) == []
        assert words.hashes.dtype == np.uint64
