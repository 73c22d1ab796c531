"""One example, as a build makes it: the lab draws until an example is as it was asked for.

So nothing is shown that a build could not hold, and what cannot be had together (an answer's letter beside options
without letters) is told.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from flannb.build import (
    EXEMPLAR_COUNTS,
    STYLES,
    Lengths,
    OptionStyle,
    Records,
    Texts,
    Tokenizer,
    make_examples,
    wordings,
)
from flannb.build.examples import settings_of
from flannb.build.inversion import permutation_of
from flannb.build.render import Pattern, Wording
from flannb.collection import SUBMIXTURES, Record, Task, Template, templates
from flannb.errors import UserError
from flannb.lab.rows import Sample

DRAWS = 256
"""Examples that are drawn of the row at a time."""

TRIES = 24
"""How many times; the rarest example that can be had is about one of 900."""

LONGEST_TITLE = 64
"""Characters of a wording's title."""

SETTINGS = {
    "zs_opt": "zero-shot, with options",
    "zs_noopt": "zero-shot, without options",
    "fs_opt": "few-shot, with options",
    "fs_noopt": "few-shot, without options",
}
"""Key of a setting -> how it reads for a task that has options."""

Parts = tuple[tuple[str, str], ...]
"""A text in parts, each with the field of the row that it shows; the template's own words have none."""


@dataclass(frozen=True)
class Picks:
    """What an example has to be like; ``None`` leaves it to the draw.

    Attributes:
        setting: a key of ``SETTINGS``.
        row: position among the rows of the sample.
        template: position in the template set.
        style: name of an option style.
        exemplars: how many; fewer where they do not fit.
        kind: of the exemplars, one of ``flannb.build.drawing.KINDS``.
        seed: of the draws.
    """

    setting: str
    row: int = 0
    template: int | None = None
    style: str | None = None
    exemplars: int | None = None
    kind: str | None = None
    seed: int = 0


@dataclass(frozen=True)
class Example:
    """An example with what it was made of.

    Attributes:
        row: position in the split.
        record: its fields.
        template: that words the query.
        style: of the query's options; ``None`` where it shows none.
        inputs, targets: what the model reads and shall write.
        input_ids, target_ids: their tokens with the end marks.
        before: the beginning of ``inputs`` that is not the query: instruction and exemplars.
        query, answer: the rest of ``inputs``, and ``targets``, in parts.
        exemplars: rows of the exemplars; negative for positive examples of the task.
        kind: theirs, empty where there are none.
        cut: tokens of input and target that the length limits cut off.
    """

    task: Task
    setting: str
    row: int
    record: Record
    position: int
    template: Template
    style: OptionStyle | None
    inputs: str
    targets: str
    input_ids: list[int]
    target_ids: list[int]
    before: str
    query: Parts
    answer: Parts
    exemplars: list[int]
    kind: str
    cut: tuple[int, int]


def settings(task: Task) -> dict[str, str]:
    """The settings that a task is rendered in, as they read; chains of thought are settings of their own."""
    found = settings_of(task, SUBMIXTURES[task.submixture].settings)
    if task.has_options:
        return {name: SETTINGS[name] for name in found}
    return {name: SETTINGS[name].split(",")[0] for name in found}


def is_few_shot(setting: str) -> bool:
    """Whether prompts of a setting have exemplars."""
    return setting.startswith("fs")


def shows_options(task: Task, setting: str) -> bool:
    """Whether prompts of a task in a setting list its options."""
    return setting.endswith("_opt") and task.has_options


def words(task: Task, setting: str) -> list[Wording]:
    """The wordings that an example of a task in a setting may have."""
    family = templates()[task.templates]
    return list(wordings(family.few_shot if is_few_shot(setting) else family.zero_shot, shows_options(task, setting)))


def title(task: Task, word: Wording) -> str:
    """A wording in a line: what it gives and asks for where it inverts a chain of thought, else how it begins."""
    template = word.template
    if task.inverted and task.submixture == "cot":
        return f"{word.position}: {permutation_of(template)}"
    text = " / ".join(part for part in (template.instruction, word.template.input) if part)
    line = " ".join(text.split())
    return f"{word.position}: {line if len(line) <= LONGEST_TITLE else line[: LONGEST_TITLE - 1] + '…'}"


def draw_example(task: Task, sample: Sample, tokenizer: Tokenizer, lengths: Lengths, picks: Picks) -> Example:
    """The first of the drawn examples of a row that is as picked.

    Args:
        task: of the sample, or its inverted twin.

    Raises:
        UserError: no draw is; the message says what was asked for.
    """
    at = min(picks.row, len(sample.records) - 1)
    pool = sample.of(task)
    record = pool.records[at]
    rows = Records([pool.rows[at]] * DRAWS, [record] * DRAWS)
    counts = EXEMPLAR_COUNTS if picks.exemplars is None else (picks.exemplars,)
    reason = ""
    for part in range(TRIES):
        table, left_out = make_examples(
            task,
            picks.setting,
            rows,
            Texts(tokenizer),
            lengths,
            picks.seed,
            part=part,
            pool=pool,
            counts=counts,
            positives=sample.positives,
        )
        reason = left_out[0][1] if left_out else reason
        for found in _matching(table, picks):
            return _example(task, picks, record, found, tokenizer)
    raise UserError(
        f"No example of row {rows.rows[0]} is like that"
        + (f" ({reason})" if reason else "")
        + ". An answer by letter needs options with letters; set one of the lists to 'drawn'."
    )


def _matching(table: pa.Table, picks: Picks) -> Iterator[dict[str, Any]]:
    """The rows of a table of examples that are as picked."""
    wanted = {"template": picks.template, "style": picks.style, "exemplar_kind": picks.kind}
    columns = [table[name].to_pylist() for name, value in wanted.items() if value is not None]
    values = [value for value in wanted.values() if value is not None]
    for i in range(table.num_rows):
        if [column[i] for column in columns] == values:
            yield table.slice(i, 1).to_pylist()[0]


def _example(task: Task, picks: Picks, record: Record, found: dict[str, Any], tokenizer: Tokenizer) -> Example:
    word = next(word for word in words(task, picks.setting) if word.position == found["template"])
    style = next((style for style in STYLES if style.name == found["style"]), None)
    values = word.values(record, style or STYLES[0])
    query = parts(word.input, values)
    lengths = [len(ids) for ids in tokenizer.encode([found["inputs"], found["targets"]])]
    return Example(
        task=task,
        setting=picks.setting,
        row=found["row"],
        record=record,
        position=found["template"],
        template=word.template,
        style=style,
        inputs=found["inputs"],
        targets=found["targets"],
        input_ids=found["input_ids"],
        target_ids=found["target_ids"],
        before=found["inputs"].removesuffix("".join(text for text, _ in query)),
        query=query,
        answer=parts(word.target, values),
        exemplars=found["exemplars"],
        kind=found["exemplar_kind"],
        cut=(lengths[0] + 1 - len(found["input_ids"]), lengths[1] + 1 - len(found["target_ids"])),
    )


def parts(pattern: Pattern, values: Mapping[str, object]) -> Parts:
    """A pattern filled with values, in parts."""
    made = []
    for literal, name in pattern.segments:
        made += [(literal, "")] if literal else []
        made += [(str(values[name]), name)] if name is not None else []
    return tuple(made)


def pieces(tokenizer: Tokenizer, text: str, ids: Sequence[int]) -> list[tuple[str, int]]:
    """The tokens of a text as pieces and ids, with the end mark; ``ids`` may have been cut."""
    found = [piece for word in re.split(r"[ \t\r\n]+", text) for piece in tokenizer.pieces(word)]
    return [*zip(found, ids[:-1], strict=False), ("</s>", ids[-1])]
