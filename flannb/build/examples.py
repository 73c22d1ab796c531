"""Examples: what a model trains on, made from a task's records for one setting.

All draws (template, style of options, number and choice of exemplars) come from one generator seeded by the run's seed,
the task and the setting, and are recorded with each example; nothing is drawn at import or depends on other tasks.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from flannb.build.options import LETTERED, STYLES, OptionStyle
from flannb.build.records import Records
from flannb.build.render import Wording, instruction, render, wordings
from flannb.build.tokenizer import Tokenizer
from flannb.collection import Task, templates
from flannb.errors import UserError
from flannb.files import digest
from flannb.vocabulary import EOS_ID

EXEMPLAR_COUNTS = (2, 3, 5)
"""Numbers of exemplars of a few-shot example (the paper's appendix A.1)."""

SHARED_TEMPLATE = 0.5
"""Share of few-shot examples whose exemplars use the query's template; in the others each exemplar draws its own. The
released code has both kinds; the paper does not state the share."""

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
        ("truncated", pa.bool_()),
    ]
)
"""Columns of a shard: texts; token ids, each ended by ``EOS_ID``; and the provenance: the row of the split, the
position of the template in its set, the style of the options (empty without options), the rows of the exemplars in
order, and whether a text was cut to the length limit."""


@dataclass(frozen=True)
class Lengths:
    """Most tokens of an input and a target, end marks included."""

    input: int
    target: int


def settings_of(task: Task, settings: Sequence[str]) -> tuple[str, ...]:
    """The settings that a task is rendered in: without answer options, ``opt`` would repeat ``noopt``."""
    if task.has_options or not any(s.endswith("noopt") for s in settings):
        return tuple(settings)
    return tuple(s for s in settings if s.endswith("noopt"))


class _Texts:
    """Texts to tokenise once each, however often they occur."""

    def __init__(self) -> None:
        self.index: dict[str, int] = {}

    def add(self, text: str) -> int:
        return self.index.setdefault(text, len(self.index))


@dataclass
class _Draft:
    """An example before tokenising: positions of its parts among the texts; exemplars may still be pruned."""

    row: int
    word: Wording
    template: int
    style: str
    before: list[int]  # instruction, where it stands first
    exemplars: list[tuple[int, int]]  # (row, text)
    after: list[int]  # instruction, where it stands last, and the query
    target: int


def make_examples(
    task: Task, setting: str, records: Records, tokenizer: Tokenizer, lengths: Lengths, seed: int
) -> tuple[pa.Table, Counter[str]]:
    """Renders and tokenises all records of a task in one setting.

    Returns:
        A table of ``SCHEMA``, one row for each usable record in the records' order, and the reasons for which records
        gave no example.

    Raises:
        UserError: the vocabulary does not fit 16 bits.
    """
    if tokenizer.vocabulary_size > 2**16:
        raise UserError(f"{tokenizer.path}: {tokenizer.vocabulary_size} pieces do not fit the shards' 16-bit ids")
    texts = _Texts()
    drafts, dropped = _draft(task, setting, records, texts, seed)
    strings = list(texts.index)
    ids = tokenizer.encode(strings)
    columns: dict[str, list[object]] = {name: [] for name in SCHEMA.names}
    for draft in drafts:
        parts, exemplars = _pruned(draft, ids, lengths.input - 1)
        if draft.exemplars and not exemplars:
            dropped["no exemplar fits the length limit"] += 1
            continue
        input_ids = [i for part in parts for i in ids[part]]
        target_ids = ids[draft.target]
        separator = draft.word.template.separator
        columns["inputs"].append(separator.join(strings[part] for part in parts))
        columns["targets"].append(strings[draft.target])
        columns["input_ids"].append([*input_ids[: lengths.input - 1], EOS_ID])
        columns["target_ids"].append([*target_ids[: lengths.target - 1], EOS_ID])
        columns["row"].append(draft.row)
        columns["template"].append(draft.template)
        columns["style"].append(draft.style)
        columns["exemplars"].append([row for row, _ in exemplars])
        columns["truncated"].append(len(input_ids) >= lengths.input or len(target_ids) >= lengths.target)
    return pa.table(columns, schema=SCHEMA), dropped


def _draft(task: Task, setting: str, records: Records, texts: _Texts, seed: int) -> tuple[list[_Draft], Counter[str]]:
    few_shot = setting.startswith("fs")
    with_options = setting.endswith("_opt") and task.has_options
    family = templates()[task.templates]
    words = wordings(family.few_shot if few_shot else family.zero_shot, with_options)
    n = len(records)
    rng = np.random.default_rng(int(digest([seed, task.name, setting])[:16], 16))
    chosen = rng.integers(len(words), size=n)
    styles = rng.integers(len(STYLES) * len(LETTERED), size=n)
    counts = rng.choice(EXEMPLAR_COUNTS, size=n)
    shared = (rng.random(n) < SHARED_TEMPLATE) | task.inverted  # see flannb.build.inversion
    candidates = rng.integers(n, size=(n, 3 * max(EXEMPLAR_COUNTS)))
    own = rng.integers(len(words), size=candidates.shape)

    drafts, dropped = [], Counter[str]()
    for i, (row, record) in enumerate(zip(records.rows, records.records, strict=True)):
        word = words[chosen[i]]
        style = _style(word, int(styles[i]))
        query = render(word, record, style)
        template = word.template
        pairs: list[tuple[int, int]] = []
        if few_shot:
            seen = {query.input}
            for candidate, other in zip(candidates[i].tolist(), own[i].tolist(), strict=True):
                # An exemplar that reads like the query would give its answer away, whichever row it is.
                if candidate == i:
                    continue
                piece = render(word, records.records[candidate], style)
                if piece.input in seen:
                    continue
                seen.add(piece.input)
                exemplar_word = word if shared[i] else words[other]
                # Letters and texts as answers do not mix in one prompt.
                if exemplar_word is not word and exemplar_word.by_letter == word.by_letter:
                    piece = render(exemplar_word, records.records[candidate], style)
                pairs.append((records.rows[candidate], texts.add(f"{piece.input}{template.between}{piece.target}")))
                if len(pairs) == counts[i]:
                    break
            if not pairs:
                dropped["no other row to draw an exemplar from"] += 1
                continue
        told = [texts.add(instruction(word, record))] if few_shot and template.instruction else []
        first = template.place == "before"
        drafts.append(
            _Draft(
                row=row,
                word=word,
                template=int(chosen[i]),
                style=style.name if with_options else "",
                before=told if first else [],
                exemplars=pairs,
                after=[*([] if first else told), texts.add(query.input)],
                target=texts.add(query.target),
            )
        )
    return drafts, dropped


def _style(word: Wording, draw: int) -> OptionStyle:
    return LETTERED[draw % len(LETTERED)] if word.by_letter else STYLES[draw % len(STYLES)]


def _pruned(draft: _Draft, ids: list[list[int]], limit: int) -> tuple[list[int], list[tuple[int, int]]]:
    """The parts of the input that fit, dropping exemplars from the far end, and the exemplars that remain."""
    exemplars = draft.exemplars
    fixed = sum(len(ids[part]) for part in (*draft.before, *draft.after))
    while exemplars and fixed + sum(len(ids[part]) for _, part in exemplars) > limit:
        exemplars = exemplars[1:]
    return [*draft.before, *(part for _, part in exemplars), *draft.after], exemplars
