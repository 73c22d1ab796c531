"""Generated data sets: seeded rows, and splits that share no text with one another, whatever the data set."""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pyarrow as pa

Row = dict[str, Any]
"""Column -> value: text, an integer, a boolean, a list of texts, or ``{"text": [...], "label": [...]}``."""

Generator = Callable[[Random, int], Row]
"""Makes the ``i``-th row. It takes its class from ``i`` (``i % 2`` for two labels), so that classes are balanced."""

TRAIN_ROWS = 480
EVAL_ROWS = 96
EXEMPLAR_ROWS = 5

TRAINING = {"train": TRAIN_ROWS, "validation": EVAL_ROWS, "test": EVAL_ROWS}
"""Splits and rows of a data set that a task trains on."""

HELD_OUT = {"test": EVAL_ROWS, "dev": EXEMPLAR_ROWS}
"""Splits and rows of a data set that no task trains on."""

# Percent of all texts that may occur in each split.
_SHARES = (("train", 60), ("validation", 16), ("test", 16), ("dev", 8))


@dataclass(frozen=True)
class DataSet:
    """A generated data set.

    Attributes:
        name: the part of ``repo_id`` after ``mini/``.
        make: its generator.
        inputs: the columns that a prompt shows; together they are a row's text.
        rows: split -> number of rows.
    """

    name: str
    make: Generator
    inputs: tuple[str, ...]
    rows: Mapping[str, int] = field(default_factory=lambda: TRAINING)

    def table(self, split: str) -> pa.Table:
        """All rows of a split: the same bytes on every call and machine, and no text twice.

        Raises:
            RuntimeError: the generator cannot make that many different texts.
        """
        rng = Random(zlib.crc32(f"{self.name}/{split}".encode()))
        rows, seen = [], set()
        for i in range(self.rows[split]):
            for _ in range(10_000):
                row = self.make(rng, i)
                text = row_text(row, self.inputs)
                if text not in seen and split_of(text) == split:
                    break
            else:
                raise RuntimeError(f"mini/{self.name}: too few different texts for {split} (row {i})")
            seen.add(text)
            rows.append(row)
        rng.shuffle(rows)
        return pa.Table.from_pylist(rows)


def row_text(row: Row, columns: tuple[str, ...]) -> str:
    """The normalised text of a row's input columns, with one space between words."""
    return " ".join(word for column in columns for word in _words(row[column]))


def split_of(text: str) -> str:
    """The only split in which a text may occur.

    It depends on nothing but the text, so an evaluation row never equals a training row, not even one of another task.
    """
    place = zlib.crc32(text.encode()) % 100
    for split, share in _SHARES:
        if place < share:
            return split
        place -= share
    raise AssertionError("the shares sum to 100")


def _words(value: Any) -> list[str]:
    if isinstance(value, dict):
        value = value["text"]
    texts = value if isinstance(value, list) else [str(value)]
    return [word for text in texts for word in text.lower().split()]
