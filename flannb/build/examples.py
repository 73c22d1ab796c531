"""Examples: what a model trains on, made from a task's records for one setting.

All draws (template, style of options, number and choice of exemplars) come from one generator seeded by the run's seed,
the task, the setting and the part of the task, and are recorded with each example; nothing is drawn at import or
depends on other tasks.

Texts are joined at white space, where tokens end (see ``flannb.build.tokenizer``). So each field of a record is
tokenised once for all templates, settings and prompts that show it, and the ids of an example are gathered from them.
They are those of the joined text, but for ties: where a text can be cut into pieces in two equally likely ways, as
``444`` into ``44 4`` and ``4 44``, rounding decides (2 of 33,136 texts of the public Chain-of-Thought files).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
import pyarrow as pa

from flannb.build.options import LETTERED, STYLES, OptionStyle
from flannb.build.ragged import Ragged
from flannb.build.records import LeftOut, Records
from flannb.build.render import Pattern, Wording, wordings
from flannb.build.tokenizer import Texts
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


@dataclass(slots=True)
class _Text:
    """A text as it reads, and the numbers of the spans that its tokens are gathered from."""

    text: str
    spans: list[int]


@dataclass(slots=True)
class _Draft:
    """An example before tokenising; exemplars may still be pruned."""

    row: int
    word: Wording
    template: int
    style: str
    query: _Text
    target: _Text
    instruction: _Text | None = None
    exemplars: list[_Text] = field(default_factory=list)
    exemplar_rows: list[int] = field(default_factory=list)

    @property
    def input(self) -> _Text:
        """The whole input."""
        if not self.exemplars:
            return self.query
        told = [] if self.instruction is None else [self.instruction]
        first = self.word.template.place == "before"
        parts = [*told, *self.exemplars, self.query] if first else [*self.exemplars, *told, self.query]
        spans = [span for part in parts for span in part.spans]
        return _Text(self.word.template.separator.join([part.text for part in parts]), spans)


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
) -> tuple[pa.Table, LeftOut]:
    """Renders and tokenises all records of a part of a task in one setting.

    Args:
        texts: keeps what is tokenised already; shared by the settings of a part.
        part: number of the part; draws of different parts are independent.
        pool: where exemplars are drawn from; the records themselves by default.
        counts: numbers of exemplars.

    Returns:
        A table of ``SCHEMA``, one row for each usable record in the records' order, and the rows of the records that
        gave no example, with the reasons.

    Raises:
        UserError: the vocabulary does not fit 16 bits.
    """
    if texts.tokenizer.vocabulary_size > 2**16:
        raise UserError(
            f"{texts.tokenizer.path}: {texts.tokenizer.vocabulary_size} pieces do not fit the shards' 16-bit ids"
        )
    left_out: LeftOut = []
    drawing = _Drawing(task, setting, seed, part, counts)
    drafts = list(drawing.drafts(records, records if pool is None else pool, texts, left_out))
    tokens = texts.tokens()
    if drawing.few_shot:
        drafts = list(_pruned(drafts, tokens.lengths.tolist(), lengths.input - 1, left_out))
    return _table(drafts, tokens, lengths), sorted(left_out)


class _Drawing:
    """What is drawn for the examples of one part of a task in one setting."""

    def __init__(self, task: Task, setting: str, seed: int, part: int, counts: Sequence[int]):
        self.task = task
        self.few_shot = setting.startswith("fs")
        self.with_options = setting.endswith("_opt") and task.has_options
        family = templates()[task.templates]
        self.words = wordings(family.few_shot if self.few_shot else family.zero_shot, self.with_options)
        self.counts = counts
        self._exemplars: dict[tuple[int, str], Pattern] = {}
        stream = [seed, task.name, setting, part] if part else [seed, task.name, setting]
        self.rng = np.random.default_rng(int(digest(stream)[:16], 16))

    def drafts(self, records: Records, pool: Records, texts: Texts, left_out: LeftOut) -> Iterable[_Draft]:
        """The examples of the records; records that give none are added to ``left_out``."""
        n, words, rng = len(records), self.words, self.rng
        chosen = rng.integers(len(words), size=n).tolist()
        styles = rng.integers(len(STYLES) * len(LETTERED), size=n).tolist()
        counts = rng.choice(self.counts, size=n).tolist()
        # The templates of inverted tasks ask for different things (see flannb.build.inversion).
        shared = ((rng.random(n) < SHARED_TEMPLATE) | self.task.inverted).tolist()
        candidates = rng.integers(max(1, len(pool)), size=(n, 3 * max(EXEMPLAR_COUNTS)))
        own = rng.integers(len(words), size=candidates.shape)
        for i, (row, record) in enumerate(zip(records.rows, records.records, strict=True)):
            word = words[chosen[i]]
            style = _style(word, styles[i])
            values = word.values(record, style)
            draft = _Draft(
                row=row,
                word=word,
                template=chosen[i],
                style=style.name if self.with_options else "",
                query=_text(word.input, values, texts),
                target=_text(word.target, values, texts),
            )
            if self.few_shot and len(pool):
                others = [word] * candidates.shape[1] if shared[i] else [words[other] for other in own[i].tolist()]
                self._add_exemplars(
                    draft, style, pool, zip(candidates[i].tolist(), others, strict=True), counts[i], texts
                )
            if self.few_shot and not draft.exemplars:
                left_out.append((row, "no other row to draw an exemplar from"))
                continue
            if self.few_shot and word.template.instruction:
                draft.instruction = _text(word.instruction, record, texts)
            yield draft

    def _exemplar(self, word: Wording, between: str) -> Pattern:
        key = (id(word), between)
        if key not in self._exemplars:
            self._exemplars[key] = word.exemplar(between)
        return self._exemplars[key]

    def _add_exemplars(
        self,
        draft: _Draft,
        style: OptionStyle,
        pool: Records,
        candidates: Iterable[tuple[int, Wording]],
        count: int,
        texts: Texts,
    ) -> None:
        """Gives a draft the first ``count`` candidates that neither read like its query nor like one another."""
        word = draft.word
        seen = {draft.query.text}
        for candidate, own in candidates:
            row, record = pool.rows[candidate], pool.records[candidate]
            if row == draft.row:
                continue
            # An exemplar that reads like the query would give its answer away, whichever row it is.
            values = word.values(record, style)
            asked = word.input.fill(values)
            if asked in seen:
                continue
            seen.add(asked)
            # Letters and texts as answers do not mix in one prompt.
            shown = own if own.by_letter == word.by_letter else word
            if shown is not word:
                values = shown.values(record, style)
            draft.exemplars.append(_text(self._exemplar(shown, word.template.between), values, texts))
            draft.exemplar_rows.append(row)
            if len(draft.exemplars) == count:
                return


def _style(word: Wording, draw: int) -> OptionStyle:
    return LETTERED[draw % len(LETTERED)] if word.by_letter else STYLES[draw % len(STYLES)]


def _pruned(drafts: Iterable[_Draft], sizes: list[int], limit: int, left_out: LeftOut) -> Iterable[_Draft]:
    """The drafts with as many of their last exemplars as fit the limit; those with none are added to ``left_out``."""
    for draft in drafts:
        told = draft.instruction.spans if draft.instruction else ()
        room = limit - sum(sizes[span] for span in (*told, *draft.query.spans))
        kept = 0
        for exemplar in reversed(draft.exemplars):
            room -= sum(sizes[span] for span in exemplar.spans)
            if room < 0:
                break
            kept += 1
        if not kept:
            left_out.append((draft.row, "no exemplar fits the length limit"))
            continue
        draft.exemplars, draft.exemplar_rows = draft.exemplars[-kept:], draft.exemplar_rows[-kept:]
        yield draft


def _table(drafts: list[_Draft], tokens: Ragged, lengths: Lengths) -> pa.Table:
    inputs = [draft.input for draft in drafts]
    input_ids = _gather(tokens, [text.spans for text in inputs])
    target_ids = _gather(tokens, [draft.target.spans for draft in drafts])
    too_long = (input_ids.lengths >= lengths.input) | (target_ids.lengths >= lengths.target)
    columns = {
        "inputs": [text.text for text in inputs],
        "targets": [draft.target.text for draft in drafts],
        "input_ids": input_ids.cut(lengths.input - 1).ended(EOS_ID).to_arrow(),
        "target_ids": target_ids.cut(lengths.target - 1).ended(EOS_ID).to_arrow(),
        "row": [draft.row for draft in drafts],
        "template": [draft.template for draft in drafts],
        "style": [draft.style for draft in drafts],
        "exemplars": [draft.exemplar_rows for draft in drafts],
        "truncated": too_long,
    }
    return pa.table(columns, schema=SCHEMA)


def _text(pattern: Pattern, values: Mapping[str, object], texts: Texts) -> _Text:
    return _Text(pattern.fill(values), [texts[span.fill(values)] for span in pattern.spans])


def _gather(tokens: Ragged, spans: list[list[int]]) -> Ragged:
    """The tokens of the texts whose spans these are."""
    lengths = np.fromiter(map(len, spans), np.int64, len(spans))
    numbers = np.fromiter(chain.from_iterable(spans), np.int64, int(lengths.sum()))
    return tokens.gather(Ragged.from_lengths(numbers, lengths))
