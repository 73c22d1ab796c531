"""Ragged arrays: sequences of different lengths, laid end to end, and the offsets between them, as Arrow has it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa


@dataclass(frozen=True)
class Ragged:
    """Sequences laid end to end.

    Attributes:
        values: all sequences, one after the other.
        offsets: int64, one more than there are sequences; sequence ``i`` is ``values[offsets[i]:offsets[i + 1]]``.
    """

    values: np.ndarray
    offsets: np.ndarray

    @classmethod
    def from_lengths(cls, values: np.ndarray, lengths: np.ndarray) -> "Ragged":
        """Sequences of these lengths, which sum to the number of values."""
        return cls(values, np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @cached_property
    def lengths(self) -> np.ndarray:
        """Number of values of each sequence, int64 (sequences,)."""
        return np.diff(self.offsets)

    @classmethod
    def together(cls, parts: "Sequence[Ragged]") -> "Ragged":
        """The sequences of all parts, one part after the other."""
        values = np.concatenate([np.empty(0, parts[0].values.dtype if parts else np.int64), *(p.values for p in parts)])
        return cls.from_lengths(values, np.concatenate([np.empty(0, np.int64), *(p.lengths for p in parts)]))

    def take(self, order: np.ndarray) -> "Ragged":
        """The sequences of these numbers."""
        return self.gather(Ragged(order, np.arange(len(order) + 1)))

    def gather(self, chosen: "Ragged") -> "Ragged":
        """For each sequence of numbers in ``chosen``, the sequences of these numbers joined."""
        lengths = self.lengths[chosen.values]
        made = Ragged.from_lengths(self.values[_indices(self.offsets[chosen.values], lengths)], lengths)
        return Ragged(made.values, made.offsets[chosen.offsets])

    def cut(self, limit: int) -> "Ragged":
        """The first ``limit`` values of each sequence."""
        if not len(self) or self.lengths.max() <= limit:
            return self
        lengths = np.minimum(self.lengths, limit)
        return Ragged.from_lengths(self.values[_indices(self.offsets[:-1], lengths)], lengths)

    def ended(self, value: int) -> "Ragged":
        """Each sequence with ``value`` after its last."""
        return Ragged(np.insert(self.values, self.offsets[1:], value), self.offsets + np.arange(len(self.offsets)))

    def to_arrow(self) -> pa.ListArray:
        """The sequences as a list column; the values are not copied."""
        return pa.ListArray.from_arrays(pa.array(self.offsets.astype(np.int32)), pa.array(self.values))


def runs(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the runs of true values in a mask, bool (length,), start; and where they end, one after their last."""
    edges = np.flatnonzero(np.diff(mask, prepend=False, append=False))
    return edges[::2], edges[1::2]


def _indices(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """``starts[0], starts[0] + 1, ...``, ``lengths[0]`` of them, then the same for the next start."""
    ends = np.cumsum(lengths)
    return np.repeat(starts - (ends - lengths), lengths) + np.arange(ends[-1] if len(ends) else 0)
