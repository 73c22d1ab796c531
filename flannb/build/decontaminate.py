"""Decontamination: training rows that hold text of evaluation rows.

Two checks, on the words of every field of a row (``flannb.build.ngrams`` says what a word is):

- **13-gram**: a training row is flagged if one of its fields has 13 consecutive words in common with a field of an
  evaluation row. One shared n-gram is enough, as in GPT-3 (Brown et al. 2020, appendix C) and FLAN (Wei et al. 2022,
  appendix C). N-grams of more than 10 evaluation rows do not count: they are the boilerplate of a set, which says what
  the set is like and not what a row asks. (GPT-3 leaves out those of more than 10 training documents.)
- **whole question**: 13-grams miss every evaluation row whose texts are all shorter than 13 words, as most questions of
  CommonsenseQA are. So a question of 3 to 12 words, without its options, is looked for as a whole: anywhere in a field
  if it has at least 8 words (the smallest n of GPT-3), else only as one or more whole lines of a field. Questions that
  more than 10 rows ask ("Which of the following is true?") do not count here either.

What is not found: paraphrases, translations, numbers or names replaced, and questions of one or two words.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from flannb.build.ngrams import normalised, split_words
from flannb.build.records import Records, read_records
from flannb.build.sources import Source
from flannb.collection import Data, EvalTask, Record

NGRAM = 13
"""Words of the n-grams that are compared."""

INSIDE = 8
"""A whole question of at least so many words also counts inside a longer text."""

SHORTEST = 3
"""Whole questions of fewer words are not looked for."""

MOST_ROWS = 10
"""An n-gram or question of more evaluation rows than this is boilerplate."""

CHUNK = 1 << 22
"""Characters looked at in one go, which bounds the memory needed."""

_TABLE_BITS = 26


@dataclass(frozen=True)
class Match:
    """Why a training row is flagged.

    Attributes:
        sets: the evaluation sets whose text it holds, as ``suite/name``.
        row: a row of the first of these sets.
        words: the words that both have, normalised; the first such place.
        whole: the words are a whole question; else they are an n-gram.
    """

    sets: tuple[str, ...]
    row: int
    words: str
    whole: bool

    @property
    def reason(self) -> str:
        """How the report of a build says it."""
        kind = "asks a question" if self.whole else f"shares a {NGRAM}-gram"
        return f"{kind} {'of' if self.whole else 'with'} {self.sets[0]}"


class EvaluationText:
    """The n-grams and short questions of evaluation rows, ready to be looked up.

    Args:
        sets: name of each evaluation set, its rows' positions, and its records.
    """

    def __init__(self, sets: Iterable[tuple[str, Records]]):
        self.names: list[str] = []
        self.rows: dict[str, int] = {}
        hashes, lengths, owners, owner_set, owner_row = [], [], [], [], []
        for name, records in sets:
            first = sum(self.rows.values())
            for n, which, found in _entries(records.records):
                hashes.append(found)
                lengths.append(np.full(len(found), n, np.int8))
                owners.append((which + first).astype(np.int32))
            owner_set.append(np.full(len(records), len(self.names), np.int32))
            owner_row.append(np.array(records.rows, np.int64))
            self.names.append(name)
            self.rows[name] = len(records)
        self._set = np.concatenate([np.zeros(0, np.int32), *owner_set])
        self._row = np.concatenate([np.zeros(0, np.int64), *owner_row])
        self._index(
            np.concatenate([np.zeros(0, np.uint64), *hashes]),
            np.concatenate([np.zeros(0, np.int8), *lengths]),
            np.concatenate([np.zeros(0, np.int32), *owners]),
        )

    @classmethod
    def read(cls, source: Source, tasks: Iterable[EvalTask]) -> "EvaluationText":
        """The text of all rows of the evaluation sets that the source has.

        Sets that read the same data (BBH with and without chains of thought) count once, under the first one's name.
        """
        first: dict[Data, EvalTask] = {}
        for task in tasks:
            first.setdefault(task.data, task)
        return cls(
            (f"{task.suite}/{task.name}", read_records(source, task.data, task.fields))
            for task in first.values()
            if source.has(task.data)
        )

    def _index(self, hashes: np.ndarray, lengths: np.ndarray, owners: np.ndarray) -> None:
        """Sorts the entries by hash, each row's once, without those of too many rows."""
        order = np.lexsort((owners, hashes))
        hashes, lengths, owners = hashes[order], lengths[order], owners[order]
        new = np.concatenate([[True], (np.diff(hashes) != 0) | (np.diff(owners) != 0)])[: len(hashes)]
        hashes, lengths, owners = hashes[new], lengths[new], owners[new]
        _, inverse, counts = np.unique(hashes, return_inverse=True, return_counts=True)
        kept = counts[inverse] <= MOST_ROWS
        self._hashes, self._lengths, self._owners = hashes[kept], lengths[kept], owners[kept]
        # Most lookups fail: one probe of a table of bits, small enough to be quick, answers them.
        self._table = np.zeros(1 << _TABLE_BITS, bool)
        self._table[self._hashes & np.uint64(len(self._table) - 1)] = True

    def matches(self, records: Sequence[Record]) -> dict[int, Match]:
        """Position of each flagged record -> why."""
        found: dict[int, Match] = {}
        if not len(self._hashes):
            return found
        for start, chunk in _chunks(records):
            found |= {start + i: match for i, match in self._matches(chunk)}
        return found

    def _matches(self, records: Sequence[Record]) -> Iterator[tuple[int, Match]]:
        texts, owner = _texts(records)
        words = split_words(texts)
        places: list[tuple[int, int, int, int]] = []  # record, position of the first word, n, entry of the index
        for n, at, hashes in words.ngrams(NGRAM):
            if n < SHORTEST:
                continue
            hit = self._table[hashes & np.uint64(len(self._table) - 1)]
            if n < INSIDE:
                hit &= words.starts_line[at] & words.ends_line[at + n - 1]
            at, hashes = at[hit], hashes[hit]
            left = np.searchsorted(self._hashes, hashes, "left")
            right = np.searchsorted(self._hashes, hashes, "right")
            for i in np.flatnonzero(right > left).tolist():
                record = int(owner[words.text[at[i]]])
                places += [(record, int(at[i]), n, e) for e in range(left[i], right[i]) if self._lengths[e] == n]
        places.sort(key=lambda place: (place[0], -place[2], place[1], place[3]))
        starts = np.searchsorted(words.text, np.arange(len(texts)))
        grouped: dict[int, list[tuple[int, int, int, int]]] = {}
        for place in places:
            grouped.setdefault(place[0], []).append(place)
        for record, (first, *rest) in grouped.items():
            _, at_word, n, entry = first
            text = int(words.text[at_word])
            offset = at_word - int(starts[text])
            entries = [entry, *(place[3] for place in rest)]
            yield (
                record,
                Match(
                    sets=tuple(dict.fromkeys(self.names[self._set[self._owners[e]]] for e in entries)),
                    row=int(self._row[self._owners[entry]]),
                    words=" ".join(normalised(texts[text]).split()[offset : offset + n]),
                    whole=n < NGRAM,
                ),
            )


def question_of(record: Record) -> str:
    """What an evaluation row asks, without answer options: its question, else all texts but the answer in their order.

    Some sets print the options after the question, under a line ``Options:``.
    """
    question = record.get("question")
    if not isinstance(question, str):
        question = "\n".join(v for name, v in record.items() if isinstance(v, str) and name != "answer")
    return question.partition("\nOptions:\n")[0]


def _entries(records: Sequence[Record]) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """What is looked for: n, position of the record, hash; of all n-grams, then of whole questions."""
    for start, chunk in _chunks(records):
        texts, owner = _texts(chunk)
        words = split_words(texts)
        for n, at, hashes in words.ngrams(NGRAM):
            if n == NGRAM:
                yield n, owner[words.text[at]] + start, hashes
        questions = split_words([question_of(record) for record in chunk])
        lengths = np.bincount(questions.text, minlength=len(chunk))
        begins = np.concatenate([[0], np.cumsum(lengths)])[:-1]
        for n, at, hashes in questions.ngrams(NGRAM - 1):
            whole = (lengths[questions.text[at]] == n) & (begins[questions.text[at]] == at)
            if n >= SHORTEST:
                yield n, questions.text[at[whole]] + start, hashes[whole]


def _chunks(records: Sequence[Record]) -> Iterator[tuple[int, Sequence[Record]]]:
    """Runs of records of at most about ``CHUNK`` characters, with the position of the first."""
    start, size = 0, 0
    for i, record in enumerate(records):
        size += sum(len(value) if isinstance(value, str) else sum(map(len, value)) for value in record.values())
        if size >= CHUNK or i == len(records) - 1:
            yield start, records[start : i + 1]
            start, size = i + 1, 0


def _texts(records: Sequence[Record]) -> tuple[list[str], np.ndarray]:
    """The texts of all fields, the options of a record as lines of one text, and the record that each is of."""
    texts = [[v if isinstance(v, str) else "\n".join(v) for v in record.values()] for record in records]
    return [text for of_record in texts for text in of_record], np.repeat(np.arange(len(texts)), list(map(len, texts)))
