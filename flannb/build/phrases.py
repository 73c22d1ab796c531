"""Phrases: a pattern filled with many records at once, and the spans that its tokens are gathered from.

Texts are joined at white space, where tokens end (see ``flannb.build.tokenizer``). So each field of a record is
tokenised once for all templates, settings and prompts that show it, and the tokens of a text are gathered from them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flannb.build.options import STYLES, OptionStyle
from flannb.build.ragged import Ragged
from flannb.build.records import Records
from flannb.build.render import Pattern, letter, options_block
from flannb.build.tokenizer import Texts
from flannb.collection import Record

TEXT = pa.large_string()
_NOTHING = pa.scalar("", TEXT)


@dataclass(frozen=True)
class Phrases:
    """Texts as they read, and of what they are made.

    Attributes:
        text: large strings.
        spans: for each text the numbers in ``Texts`` of its spans.
    """

    text: pa.LargeStringArray
    spans: Ragged

    def take(self, order: np.ndarray) -> "Phrases":
        """The phrases at these positions, in this order."""
        return Phrases(self.text.take(pa.array(order)), self.spans.take(order))


def together(some: Sequence[Phrases]) -> Phrases:
    """All phrases, one after the other."""
    texts = [pa.array([], TEXT), *(phrases.text for phrases in some)]
    return Phrases(pa.concat_arrays(texts), Ragged.together([phrases.spans for phrases in some]))


def by_key(keys: np.ndarray, make: Callable[[int, np.ndarray], Phrases]) -> Phrases:
    """A phrase for each key, in their order; those of equal keys are made at once, ``make(key, positions)``."""
    order = np.argsort(keys, kind="stable")
    some = np.split(order, np.flatnonzero(np.diff(keys[order])) + 1) if len(keys) else []
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    return together([make(int(keys[at[0]]), at) for at in some]).take(back)


class _Shown(dict[tuple[int, int], str]):
    """What a style makes of a record's options, made once: ``shown[position of the record, position of the style]``."""

    def __init__(self, records: Sequence[Record], make: Callable[[Record, OptionStyle], str]):
        super().__init__()
        self._records, self._make = records, make

    def __missing__(self, place: tuple[int, int]) -> str:
        record, style = place
        text = self[place] = self._make(self._records[record], STYLES[style])
        return text


class Phraser:
    """Fills patterns with records.

    Args:
        records: their fields fill the patterns.
        texts: numbers the spans.

    The methods take positions of ``records``, and for each the position in ``STYLES`` of the style that shows its
    options. A pattern with a field that the records lack is a ``KeyError``.
    """

    def __init__(self, records: Records, texts: Texts):
        self._records, self._texts = records.records, texts
        self._columns: dict[str, pa.LargeStringArray] = {}
        self._numbers: dict[str, np.ndarray] = {}
        self._blocks, self._letters = _Shown(records.records, options_block), _Shown(records.records, letter)

    def phrases(self, pattern: Pattern, at: np.ndarray, styles: np.ndarray) -> Phrases:
        """The pattern filled with each of the records."""
        spans = np.empty((len(at), len(pattern.spans)), np.int64)
        for i, span in enumerate(pattern.spans):
            spans[:, i] = self._span(span, at, styles)
        lengths = np.full(len(at), len(pattern.spans))
        return Phrases(self.text(pattern, at, styles), Ragged.from_lengths(spans.ravel(), lengths))

    def text(self, pattern: Pattern, at: np.ndarray, styles: np.ndarray) -> pa.LargeStringArray:
        """The texts alone."""
        cells: list[pa.Scalar | pa.Array] = []
        for literal, name in pattern.segments:
            cells += [pa.scalar(literal, TEXT)] if literal else []
            cells += [] if name is None else [self._cells(name, at, styles)]
        if not pattern.names:
            return pa.repeat(pa.scalar(pattern.fill({}), TEXT), len(at))
        return cells[0] if len(cells) == 1 else pc.binary_join_element_wise(*cells, _NOTHING)

    def _span(self, span: Pattern, at: np.ndarray, styles: np.ndarray) -> int | list[int] | np.ndarray:
        if not span.names:
            return self._texts[span.fill({})]
        if span.bare and not self._styled(span.names[0]):
            return self._field_numbers(span.names[0])[at]
        return [self._texts[text] for text in self.text(span, at, styles).to_pylist()]

    def _styled(self, name: str) -> bool:
        """Whether only a style can say how a field reads."""
        return name in ("options", "letter") and isinstance(self._records[0].get("options"), tuple)

    def _cells(self, name: str, at: np.ndarray, styles: np.ndarray) -> pa.LargeStringArray:
        if self._styled(name):
            shown = self._blocks if name == "options" else self._letters
            return pa.array([shown[place] for place in zip(at.tolist(), styles.tolist(), strict=True)], TEXT)
        if name not in self._columns:
            self._columns[name] = pa.array([record[name] for record in self._records], TEXT)
        return self._columns[name].take(pa.array(at))

    def _field_numbers(self, name: str) -> np.ndarray:
        if name not in self._numbers:
            self._numbers[name] = np.array([self._texts[str(record[name])] for record in self._records], np.int64)
        return self._numbers[name]
