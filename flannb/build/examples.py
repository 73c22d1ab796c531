"""Examples: what a model trains on, made from a task's records for one setting.

``drawing`` says which template, style and exemplars each gets, ``phrases`` how they read; here they become prompts
within the length limits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flannb.build.drawing import (
    EXEMPLAR_COUNTS,
    KINDS,
    NO_EXEMPLARS,
    Draws,
    Exemplars,
    choose_exemplars,
    draw_examples,
)
from flannb.build.options import STYLES
from flannb.build.phrases import TEXT, Phraser, Phrases, by_key, together
from flannb.build.ragged import Ragged
from flannb.build.records import LeftOut, Records
from flannb.build.tokenizer import Texts
from flannb.collection import Record, Task
from flannb.collection.submixtures import is_few_shot, shows_options
from flannb.errors import UserError
from flannb.vocabulary import EOS_ID

SCHEMA = pa.schema(
    [
        ("inputs", pa.string()),
        ("targets", pa.string()),
        ("input_ids", pa.list_(pa.uint16())),
        ("target_ids", pa.list_(pa.uint16())),
        ("row", pa.int32()),
        ("template", pa.int16()),
        ("style", pa.string()),
        ("exemplars", pa.list_(pa.int32())),
        ("exemplar_templates", pa.list_(pa.int16())),
        ("exemplar_style", pa.string()),
        ("exemplar_kind", pa.string()),
        ("truncated", pa.bool_()),
    ]
)
"""Columns of a shard: texts; token ids, each ended by ``EOS_ID``; and the provenance: the row of the split, the
position of the template in its set, the style of the query's options, the rows of the exemplars in order, their
templates, the style of their options, their kind (of ``KINDS``), and whether a text was cut to the length limit. A
style is empty where no options are shown, a kind where there are no exemplars. The positive examples of a task have the
rows -1, -2 and so on."""


@dataclass(frozen=True)
class Lengths:
    """Most tokens of an input and a target, end marks included."""

    input: int
    target: int


def settings_of(task: Task, settings: Sequence[str]) -> tuple[str, ...]:
    """The settings that a task is rendered in: without answer options, ``opt`` would repeat ``noopt``."""
    without = tuple(setting for setting in settings if not shows_options(setting))
    return tuple(settings) if task.has_options or not without else without


def make_examples(
    task: Task,
    setting: str,
    records: Records,
    texts: Texts,
    lengths: Lengths,
    seed: int,
    *,
    part: int = 0,
    pool: Records | None = None,
    counts: Sequence[int] = EXEMPLAR_COUNTS,
    positives: Sequence[Record] = (),
) -> tuple[pa.Table, LeftOut]:
    """Renders and tokenises all records of a part of a task in one setting.

    Args:
        texts: keeps what is tokenised already; shared by the settings of a part.
        part: number of the part; draws of different parts are independent.
        pool: where exemplars are drawn from; the records themselves by default.
        counts: numbers of exemplars.
        positives: the task's positive examples; what they do not say, such as the definition, is as in its records.

    Returns:
        A table of ``SCHEMA``, one row for each usable record in the records' order, and the rows of the records that
        gave no example, with the reasons.

    Raises:
        UserError: the vocabulary does not fit 16 bits.
    """
    if texts.tokenizer.vocabulary_size > 2**16:
        raise UserError(
            f"{texts.tokenizer.path}: {texts.tokenizer.vocabulary_size} pieces do not fit the shards' 16-bit"
            " ids; name a vocabulary of at most 65,536"
        )
    pool = records if pool is None else pool
    draws = draw_examples(task, setting, len(records), len(pool), seed, part, counts, len(positives))
    if draws.kind.any():
        pool = _with_positives(pool, records.records[0], positives)
    asked = Phraser(records, texts)
    shots = asked if pool is records else Phraser(pool, texts)
    words, styles = draws.words, draws.style
    inputs = by_key(draws.word, lambda word, at: asked.phrases(words[word].input, at, styles[at]))
    targets = by_key(draws.word, lambda word, at: asked.phrases(words[word].target, at, styles[at]))
    made, exemplars, left_out = np.arange(len(records)), NO_EXEMPLARS, LeftOut()
    if is_few_shot(setting):
        exemplars = choose_exemplars(draws, asked, records, shots, pool)
        prompts = _Prompts(draws, inputs, asked, shots, pool, exemplars)
        fits = prompts.fitting(texts.tokens(), lengths.input - 1)
        made = np.unique(exemplars.example[fits])
        inputs = prompts.inputs(fits, made)
        without = np.setdiff1d(np.arange(len(records)), exemplars.example)
        too_long = np.setdiff1d(exemplars.example, made)
        left_out = [
            *((records.rows[i], "no other row to draw an exemplar from") for i in without),
            *((records.rows[i], "no exemplar fits the length limit") for i in too_long),
        ]
        exemplars = exemplars.where(fits)
    columns = _tokenised(inputs, targets.take(made), texts.tokens(), lengths)
    columns |= _provenance(draws, records, pool, made, exemplars)
    return pa.table(columns, schema=SCHEMA), sorted(left_out)


def _with_positives(pool: Records, like: Record, positives: Sequence[Record]) -> Records:
    """The records followed by the positive examples, which have the fields that they lack from ``like``."""
    rows = [*pool.rows, *range(-1, -len(positives) - 1, -1)]
    unexplained: Record = {"explanation": ""}
    drawn = [record | unexplained for record in pool.records]
    return Records(rows, drawn + [unexplained | like | positive for positive in positives])


class _Prompts:
    """Few-shot prompts: instruction, exemplars and query in the order that a template wants.

    Args:
        queries: the query of each example.
        exemplars: of all examples.
    """

    def __init__(
        self, draws: Draws, queries: Phrases, asked: Phraser, shots: Phraser, pool: Records, exemplars: Exemplars
    ):
        self._words, self._word, self._exemplars = draws.words, draws.word, exemplars
        self._told = np.flatnonzero(np.array([bool(word.template.instruction) for word in draws.words])[draws.word])
        instructions = by_key(
            draws.word[self._told],
            lambda word, at: asked.phrases(draws.words[word].instruction, self._told[at], draws.style[self._told[at]]),
        )
        self._n = len(draws.word)
        self._parts = together([queries, instructions, _shown(draws, shots, pool, exemplars)])

    def fitting(self, tokens: Ragged, limit: int) -> np.ndarray:
        """Which exemplars are left when the first of each prompt are pruned until it has at most ``limit`` tokens."""
        ends = np.concatenate([[0], np.cumsum(tokens.lengths[self._parts.spans.values])])[self._parts.spans.offsets]
        sizes = np.diff(ends)
        room = limit - sizes[: self._n]
        room[self._told] -= sizes[self._n :][: len(self._told)]
        example, used = self._exemplars.example, np.cumsum(sizes[self._n + len(self._told) :])
        last = np.searchsorted(example, example, "right") - 1
        before = np.concatenate([[0], used])[:-1]
        return used[last] - before <= room[example]

    def inputs(self, fits: np.ndarray, made: np.ndarray) -> Phrases:
        """The prompts of the examples ``made`` with the exemplars that fit."""
        exemplars = np.flatnonzero(fits)
        told = np.flatnonzero(np.isin(self._told, made))
        first = np.array([word.template.place == "before" for word in self._words])[self._word[self._told[told]]]
        example = np.concatenate([self._exemplars.example[exemplars], self._told[told], made])
        rank = np.repeat([1, 0, 3], [len(exemplars), len(told), len(made)])
        rank[len(exemplars) : len(exemplars) + len(told)] = np.where(first, 0, 2)
        part = np.concatenate([self._n + len(self._told) + exemplars, self._n + told, made])
        chosen = Ragged.from_lengths(part[np.lexsort((rank, example))], np.unique(example, return_counts=True)[1])
        separators = pa.array([word.template.separator for word in self._words], TEXT).take(pa.array(self._word[made]))
        lists = pa.LargeListArray.from_arrays(chosen.offsets, self._parts.text.take(pa.array(chosen.values)))
        return Phrases(pc.binary_join(lists, separators), self._parts.spans.gather(chosen))


def _shown(draws: Draws, shots: Phraser, pool: Records, exemplars: Exemplars) -> Phrases:
    """Each exemplar with its answer."""
    word = draws.word[exemplars.example]
    style = draws.style[exemplars.example]
    betweens = sorted({word.template.between for word in draws.words})
    between = np.array([betweens.index(word.template.between) for word in draws.words])[word]
    explained = draws.kind[exemplars.example] == KINDS.index("explained")
    explained[explained] = [bool(pool.records[i]["explanation"]) for i in exemplars.record[explained]]
    keys = (exemplars.shown * len(betweens) + between) * 4 + 2 * draws.unlike[exemplars.example] + explained

    def phrases(key: int, at: np.ndarray) -> Phrases:
        shown, unlike, told = key // 4, key // 2 % 2, key % 2
        found = (draws.turned if unlike else draws.words)[shown // len(betweens)]
        pattern = found.exemplar(betweens[shown % len(betweens)], bool(told))
        return shots.phrases(pattern, exemplars.record[at], style[at])

    return by_key(keys, phrases)


def _tokenised(inputs: Phrases, targets: Phrases, tokens: Ragged, lengths: Lengths) -> dict[str, Any]:
    input_ids, target_ids = tokens.gather(inputs.spans), tokens.gather(targets.spans)
    return {
        "inputs": inputs.text.cast(pa.string()),
        "targets": targets.text.cast(pa.string()),
        "input_ids": input_ids.cut(lengths.input - 1).ended(EOS_ID).to_arrow(),
        "target_ids": target_ids.cut(lengths.target - 1).ended(EOS_ID).to_arrow(),
        "truncated": (input_ids.lengths >= lengths.input) | (target_ids.lengths >= lengths.target),
    }


def _provenance(
    draws: Draws, records: Records, pool: Records, made: np.ndarray, exemplars: Exemplars
) -> dict[str, Any]:
    counts = np.bincount(exemplars.example, minlength=len(records))[made]
    names = np.array([style.name for style in STYLES], object)[draws.style[made]]
    positions = np.array([word.position for word in draws.words])
    with_options = draws.words[0].with_options
    return {
        "row": np.array(records.rows)[made],
        "template": positions[draws.word[made]],
        "style": names if with_options else [""] * len(made),
        "exemplars": Ragged.from_lengths(np.array(pool.rows, np.int32)[exemplars.record], counts).to_arrow(),
        "exemplar_templates": Ragged.from_lengths(positions[exemplars.shown].astype(np.int16), counts).to_arrow(),
        "exemplar_style": np.where((draws.unlike[made] ^ with_options) & (counts > 0), names, ""),
        "exemplar_kind": np.where(counts > 0, np.array(KINDS, object)[draws.kind[made]], ""),
    }
