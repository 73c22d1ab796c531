"""Training, validation and test rows of a task, by the rules of the paper's appendix A.2.

- No validation split: 1,024 training rows are held out for validation.
- No test split: 1,024 training rows are held out for validation, and scores are on the original validation split.
- Neither: rows are held out for both.
- Under 1,000 training rows: the mean over three trainings, which differ in their seeds.

The paper does not say what becomes of small data. Here, where 1,024 rows would be more than half of the training rows,
a fifth of them is held out instead. A training row whose prompt is also one of the validation or test rows is left out.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from flannb.build import Records, Source, first_records, render
from flannb.collection import Data, EvalTask, FinetuningTask, Split
from flannb.errors import UserError
from flannb.evaluate import Prompt, plain_wording, prompts_of
from flannb.finetune.own import OwnData

HELD_OUT = 1024
SMALL_SHARE = 5
"""One in so many training rows is held out where ``HELD_OUT`` would be more than half of them."""

FEW_ROWS = 1000
REPEATS = 3
"""Trainings of a task with fewer than ``FEW_ROWS`` training rows."""

LEAST_ROWS = 10
"""Fewer rows than that cannot be split and learned from."""

MOST_REASONS = 3
"""Reasons, the most frequent ones, that are named why rows are left out."""


@dataclass(frozen=True)
class Pool:
    """Rows of one dataset.

    Attributes:
        reads: what their prompts look like and how answers are found; its ``data`` is where they are from.
        file: the file that they are from, where it is one's own.
    """

    reads: EvalTask
    records: Records
    file: str = ""

    def __len__(self) -> int:
        return len(self.records)

    @property
    def name(self) -> str:
        """What messages call the rows."""
        return self.file or self.reads.name

    def take(self, which: np.ndarray) -> "Pool":
        """The rows for which ``which`` (rows,) is true."""
        places = np.flatnonzero(which).tolist()
        rows, records = self.records.rows, self.records.records
        return replace(self, records=Records([rows[i] for i in places], [records[i] for i in places]))

    def prompts(self) -> list[Prompt]:
        """A zero-shot prompt for each row."""
        return prompts_of(self.reads, self.records)

    def texts(self) -> list[tuple[str, str]]:
        """Input and target of each row, as a model is trained on them."""
        word, style = plain_wording(self.reads)
        pieces = [render(word, {"rationale": "", **record}, style) for record in self.records.records]
        return [(piece.input, piece.target) for piece in pieces]


Pools = tuple[Pool, ...]


@dataclass(frozen=True)
class Splits:
    """The rows of a task.

    Attributes:
        train, validation, test: a pool for each dataset of the task.
        notes: what was done to get them, in sentences.
    """

    train: Pools
    validation: Pools
    test: Pools
    notes: tuple[str, ...]

    @property
    def repeats(self) -> int:
        """How many models are trained."""
        return REPEATS if size(self.train) < FEW_ROWS else 1


def size(pools: Pools) -> int:
    """Rows of all pools."""
    return sum(map(len, pools))


def read_splits(task: FinetuningTask, source: Source, seed: int = 0, most: int | None = None) -> Splits:
    """The rows of a task; all that is drawn is drawn by ``seed``.

    Args:
        most: at most so many rows are used for validation, and so many for the test; ``None`` for all.

    Raises:
        UserError: missing or unreadable data, no usable row, or too few rows to hold some out.
    """
    train = tuple(_pool(part.reads, part.train, source, dict(part.train_fields)) for part in task.sets)
    public = {
        name: tuple(_pool(part.reads, data, source) for part in task.sets if (data := getattr(part, name)) is not None)
        for name in ("validation", "test")
    }
    splits = split_rows(train, public["validation"], public["test"], seed)
    if most is None:
        return splits
    few = {name: _sample(getattr(splits, name), most, seed) for name in ("validation", "test")}
    cut = [
        f"Of {size(getattr(splits, name)):,} {name} rows, {most:,} are scored."
        for name in few
        if size(getattr(splits, name)) > most
    ]
    return replace(splits, **few, notes=(*splits.notes, *cut))


def _pool(reads: EvalTask, data: Data, source: Source, fields: dict | None = None) -> Pool:
    records = first_records(source, data, fields or reads.fields, sys.maxsize)
    file = str(source.file(data)) if isinstance(source, OwnData) else ""
    if not records.records:
        raise UserError(f"{file or f'{source.name}: {data}'}: has no usable row ({_reasons(records)})")
    return Pool(replace(reads, data=data), records, file)


def _reasons(records: Records) -> str:
    """Why rows cannot be used."""
    counts = records.rejected.most_common()
    most = counts[:MOST_REASONS]
    if others := sum(n for _, n in counts[MOST_REASONS:]):
        most.append(("other reasons", others))
    return ", ".join(f"{n:,} rows: {reason}" for reason, n in most) or "the split is empty"


def split_rows(train: Pools, validation: Pools, test: Pools, seed: int = 0) -> Splits:
    """The rows of a task by the rules above.

    Args:
        train, validation, test: the public splits with answers; the latter two are empty where there is none.

    Raises:
        UserError: too few rows to hold some out.
    """
    unusable = [note for pool in (*train, *validation, *test) for note in _left_out(pool)]
    notes = [*unusable]
    if validation and not test:
        validation, test = (), validation
        notes.append(f"There is no public test split, so scores are on the {_names(test)} split.")
    train, twins = _without(train, (*validation, *test))
    asked = {"test": test, "validation": validation}
    for draw, name in enumerate(asked):
        if asked[name]:
            continue
        where, total = _names(train), size(train)
        if total < LEAST_ROWS:
            left = f" after {twins:,} were left out whose prompts are validation or test prompts too" if twins else ""
            raise UserError(
                f"{train[0].name}: {total} rows{left} are too few to hold some out for {name}; give at least"
                f" {LEAST_ROWS}{' that differ' if twins else ''}, or splits of your own"
                + "".join(f". {note}" for note in unusable)
            )
        count = HELD_OUT if total >= 2 * HELD_OUT else total // SMALL_SHARE
        asked[name], train = _parted(train, count, np.random.default_rng([seed, draw]))
        train, more = _without(train, asked[name])
        twins += more
        small = "" if count == HELD_OUT else f", one in {SMALL_SHARE}, since {HELD_OUT:,} would be more than half"
        notes.append(f"For {name}, {count:,} of {total:,} rows of the {where} split are held out{small}.")
    if twins:
        notes.append(f"{twins:,} training rows are left out: their prompts are validation or test prompts too.")
    if not size(train):
        raise UserError(
            f"{train[0].name}: no training row is left; every prompt is one of validation or test too. Give other rows."
        )
    if size(train) < FEW_ROWS:
        notes.append(f"With {size(train):,} training rows, scores are means over {REPEATS} trainings.")
    return Splits(train, asked["validation"], asked["test"], tuple(notes))


def _left_out(pool: Pool) -> list[str]:
    """What a note says of the rows that cannot be used, if there are any."""
    left = len(pool.records.left_out)
    rows = f"{left:,} of {left + len(pool):,} rows of the {_names((pool,))} split"
    return [f"{pool.reads.name}: {rows} are left out ({_reasons(pool.records)})."] if left else []


def _names(pools: Pools) -> str:
    names = (pool.reads.data.split if isinstance(pool.reads.data, Split) else str(pool.reads.data) for pool in pools)
    return " and ".join(dict.fromkeys(names))


def _without(pools: Pools, others: Pools) -> tuple[Pools, int]:
    """The rows whose prompt is none of the others', and how many are not among them."""
    taken = {text for pool in others for text, _ in pool.texts()}
    kept = tuple(pool.take(np.array([text not in taken for text, _ in pool.texts()], bool)) for pool in pools)
    return kept, size(pools) - size(kept)


def _parted(pools: Pools, count: int, rng: np.random.Generator) -> tuple[Pools, Pools]:
    """``count`` rows that are drawn from all pools together, and the others."""
    drawn = np.zeros(size(pools), bool)
    drawn[rng.permutation(len(drawn))[:count]] = True
    masks: Sequence[np.ndarray] = np.split(drawn, np.cumsum([len(pool) for pool in pools])[:-1])
    parts = tuple(zip(pools, masks, strict=True))
    return tuple(pool.take(mask) for pool, mask in parts), tuple(pool.take(~mask) for pool, mask in parts)


def _sample(pools: Pools, most: int, seed: int) -> Pools:
    return pools if size(pools) <= most else _parted(pools, most, np.random.default_rng([seed, most]))[0]
