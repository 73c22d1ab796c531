"""Words and n-grams of many texts at once, as 64-bit hashes: what the overlap check compares.

Normalisation follows GPT-3's appendix C, which ignores case, punctuation and white space: text is lower-cased and its
words are the runs of letters and digits, so that ``Don't stop!`` is ``don t stop``. Everything happens in NumPy on the
texts' bytes; equal words have equal hashes in every process. With 64 bits, among ten million n-grams looked up in a
million, the chance that any two different ones meet is below one in a million.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from flannb.build.ragged import runs

_NO_WORD = re.compile(r"[\W_]+")
_NO_WORD_IN_LINE = re.compile(r"[^\w\n]+|_+")

# Bytes of words in lower-cased UTF-8 whose other characters are blanks: a-z, 0-9, and all of a multi-byte letter.
_IN_WORD = np.zeros(256, bool)
_IN_WORD[ord("a") : ord("z") + 1] = _IN_WORD[ord("0") : ord("9") + 1] = _IN_WORD[128:] = True

_BYTE_BASE = np.uint64(0x9E3779B97F4A7C15)
_WORD_BASE = 0xD1342543DE82EF95


def normalised(text: str) -> str:
    """The words of a text, separated by one blank each."""
    return _NO_WORD.sub(" ", text.lower()).strip()


@dataclass(frozen=True)
class Words:
    """The words of a list of texts, one after the other.

    Attributes:
        hashes: uint64, one for each word.
        text: position of the text that each word is in; ascending.
        starts_line, ends_line: whether a word is the first or last of a line of its text.
    """

    hashes: np.ndarray
    text: np.ndarray
    starts_line: np.ndarray
    ends_line: np.ndarray

    def __len__(self) -> int:
        return len(self.hashes)

    def ngrams(self, longest: int) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """For n from 1 to ``longest``: n, the positions at which an n-gram inside one text begins, and their hashes."""
        sums: np.ndarray = np.zeros(len(self), np.uint64)
        power = 1
        for n in range(1, longest + 1):
            count = len(self) - n + 1
            if count <= 0:
                return
            sums = sums[:count] + self.hashes[n - 1 :] * np.uint64(power)
            power = power * _WORD_BASE % 2**64
            at = np.flatnonzero(self.text[:count] == self.text[n - 1 :])
            yield n, at, _mixed(sums[at])


def split_words(texts: Sequence[str]) -> Words:
    """The words of the texts."""
    lowered = [text.lower() for text in texts]
    encoded = [(t if t.isascii() else _NO_WORD_IN_LINE.sub(" ", t)).encode("utf-8", "replace") for t in lowered]
    data = np.frombuffer(b"\n".join(encoded) + b"\n", np.uint8)
    starts, ends = runs(_IN_WORD[data])
    newlines = np.flatnonzero(data == ord("\n"))
    line = np.searchsorted(newlines, starts)
    text_ends = np.cumsum([len(text) + 1 for text in encoded])
    changes = np.diff(line) != 0
    return Words(
        hashes=_word_hashes(data, starts, ends),
        text=np.searchsorted(text_ends, starts, side="right").astype(np.int32),
        starts_line=np.concatenate([[True], changes])[: len(starts)],
        ends_line=np.concatenate([changes, [True]])[: len(starts)],
    )


def _word_hashes(data: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """A polynomial of each word's bytes modulo 2^64, mixed so that all bits depend on all bytes."""
    hashes = np.zeros(len(starts), np.uint64)
    left = np.arange(len(starts))
    offset = 0
    while len(left):  # one round for each letter of the longest word, over the words that are that long
        hashes[left] = (hashes[left] + data[starts[left] + offset].astype(np.uint64)) * _BYTE_BASE
        offset += 1
        left = left[starts[left] + offset < ends[left]]
    return _mixed(hashes)


def _mixed(values: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64 (Steele et al. 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
