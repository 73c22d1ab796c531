"""Prompts of the evaluation suites: a training template with options, zero-shot or with exemplars, the same for a set.

Everything that makes a prompt is on record: its exemplars' rows, and how many of them had to go for the length limit.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from flannb.build import LETTERED, STYLES, Source, instruction, read_records, render, wordings
from flannb.build.options import OptionStyle
from flannb.build.records import Records
from flannb.build.render import Wording
from flannb.collection import EvalTask, Record, templates
from flannb.errors import UserError
from flannb.evaluate.models import TextEncoder
from flannb.files import digest

KINDS = ("zs", "fs")
"""Zero-shot and few-shot."""

BBH_REASONING = "Let's think step by step."


class NoExemplars(UserError):
    """A few-shot set has nothing to take exemplars from."""


@dataclass(frozen=True)
class Prompt:
    """A question to a model, and what is needed to score the answer.

    Attributes:
        suite, task, setting, split, row: which row this is; ``setting`` is ``zs`` or ``fs``.
        head: instruction before the exemplars, or empty.
        exemplars: the exemplars' texts, farthest first.
        exemplar_rows: their rows in their split.
        query: the question itself, after an instruction that stands behind the exemplars.
        separator: joins the parts.
        gold: the right answer.
        kind: how an answer is read (``EvalTask.answer``).
        options: texts of the options, or empty.
        chain_of_thought: whether an explanation is asked for.
        answers: all acceptable answers, of which ``gold`` is the first.
        choices: the answers among which ranking chooses; empty where it does not apply.
        targets: what the model would write to give each of the choices.
        metric: what the set is scored by (``EvalTask.metric``).
    """

    suite: str
    task: str
    setting: str
    split: str
    row: int
    head: str
    exemplars: tuple[str, ...]
    exemplar_rows: tuple[int, ...]
    query: str
    separator: str
    gold: str
    kind: str
    options: tuple[str, ...]
    chain_of_thought: bool
    answers: tuple[str, ...]
    choices: tuple[str, ...]
    targets: tuple[str, ...]
    metric: str

    def text(self, dropped: int = 0) -> str:
        """The prompt as a model reads it, less the ``dropped`` exemplars farthest from the question."""
        head = [self.head] if self.head else []
        return self.separator.join([*head, *self.exemplars[dropped:], self.query])


class PromptSet(NamedTuple):
    """The prompts of an evaluation set, and how many of its rows could not be used, by reason."""

    prompts: list[Prompt]
    rejected: Counter[str]


def make_prompts(task: EvalTask, setting: str, source: Source, limit: int | None, seed: int) -> PromptSet:
    """The prompts of an evaluation set.

    The template is the first of the task's set; exemplars are drawn once for the set by ``seed`` (the first rows of a
    ``dev`` split, as MMLU has it; BBH's are those of its public prompts).

    Args:
        setting: ``zs`` or ``fs``.
        limit: at most so many rows, drawn by ``seed``; ``None`` for all.

    Raises:
        NoExemplars: a few-shot set without any exemplar.
        UserError: unreadable data, or a set without any usable row.
    """
    draw = int(digest([seed, task.suite, task.name])[:16], 16)
    records = read_records(source, task.data, task.fields, limit=limit, seed=draw)
    shown = _shown(task, source, draw) if setting == "fs" else NOTHING
    return PromptSet(prompts_of(task, records, setting, shown), records.rejected)


class Shown(NamedTuple):
    """What the prompts of a few-shot set show before the question: text, exemplars, and the exemplars' rows."""

    head: str = ""
    exemplars: tuple[str, ...] = ()
    rows: tuple[int, ...] = ()


NOTHING = Shown()


def plain_wording(task: EvalTask, setting: str = "zs") -> tuple[Wording, OptionStyle]:
    """The wording of a set's prompts, which is the first of its templates, and how options are shown in it."""
    family = task.wordings or templates()[task.templates]
    word = wordings(family.few_shot if setting == "fs" else family.zero_shot, "options" in task.fields)[0]
    return word, LETTERED[0] if word.by_letter else STYLES[0]


def prompts_of(task: EvalTask, records: Records, setting: str = "zs", shown: Shown = NOTHING) -> list[Prompt]:
    """The prompts of records that are at hand, in their order. For the arguments see ``make_prompts``."""
    word, style = plain_wording(task, setting)
    separator = "\n\n" if setting == "fs" and task.prompt is not None else word.template.separator
    prompts = []
    for row, record in zip(records.rows, records.records, strict=True):
        query = render(word, {"rationale": "", **record}, style).input
        head, after = shown.head, ""
        if setting == "fs" and task.prompt is not None:
            query = f"Q: {record['question']}\nA:" + (f" {BBH_REASONING}" if task.chain_of_thought else "")
        elif setting == "fs" and word.template.instruction:
            told = instruction(word, record)
            head, after = (told, "") if word.template.place == "before" else ("", told)
        options = record.get("options", ())
        options = options if isinstance(options, tuple) else ()
        choices = () if task.chain_of_thought else options or task.candidates
        if setting == "fs" and task.prompt is not None:
            targets = choices
        else:
            targets = tuple(render_target(word, {**record, "answer": choice}, style) for choice in choices)
        answers = record.get("answers", ())
        prompts.append(
            Prompt(
                suite=task.suite,
                task=task.name,
                setting=setting,
                split=task.split,
                row=row,
                head=head,
                exemplars=shown.exemplars,
                exemplar_rows=shown.rows,
                query=separator.join([after, query]) if after else query,
                separator=separator,
                gold=str(record["answer"]),
                kind=task.answer,
                options=options,
                chain_of_thought=task.chain_of_thought,
                answers=answers if isinstance(answers, tuple) and answers else (str(record["answer"]),),
                choices=choices,
                targets=targets,
                metric=task.metric,
            )
        )
    return prompts


def render_target(word: Wording, record: Record, style: OptionStyle) -> str:
    """What a template has a model write for the record's answer."""
    return word.target.fill(word.values(record, style))


def _shown(task: EvalTask, source: Source, draw: int) -> Shown:
    """What a few-shot set's prompts show: its public prompt, or exemplars drawn once for the set."""
    if task.prompt is not None:
        head, exemplars = _public_prompt(task, source)
        return Shown(head, exemplars, tuple(range(len(exemplars))))
    word, style = plain_wording(task, "fs")
    drawn = _exemplars(task, source, draw)
    pieces = [render(word, record, style) for record in drawn.records]
    texts = tuple(f"{piece.input}{word.template.between}{piece.target}" for piece in pieces)
    return Shown("", texts, tuple(drawn.rows))


def _exemplars(task: EvalTask, source: Source, draw: int) -> Records:
    """The exemplars of a set: distinct questions, drawn by the seed; a ``dev`` split's first ones."""
    if task.exemplars is None:
        raise NoExemplars(f"{task.suite}/{task.name}: has no split to take exemplars from")
    fields = task.exemplar_fields or task.fields
    columns = tuple(dict.fromkeys(column for read in fields.values() for column in read.columns))
    if not source.has(task.exemplars) or not source.read(task.exemplars, columns).num_rows:
        raise NoExemplars(f"{task.suite}/{task.name}: {task.exemplars}, from which exemplars come, has no rows")
    found = read_records(source, task.exemplars, fields)
    order: Sequence[int] = range(len(found))
    if getattr(task.exemplars, "split", "") != "dev":
        order = np.random.default_rng(draw).permutation(len(found)).tolist()
    chosen: dict[str, int] = {}
    for i in order:
        if len(chosen) == task.shots:
            break
        record = found.records[i]
        chosen.setdefault(str((record.get("question", i), record.get("options"))), i)
    return Records([found.rows[i] for i in chosen.values()], [found.records[i] for i in chosen.values()])


def _public_prompt(task: EvalTask, source: Source) -> tuple[str, tuple[str, ...]]:
    """Description and exemplars of a BBH prompt file; without chains of thought, the reasoning is left out."""
    assert task.prompt is not None
    text = str(source.read(task.prompt, ("text",))["text"][0].as_py())
    description, *blocks = text.split("-----", 1)[-1].strip().split("\n\nQ: ")
    exemplars = []
    for block in blocks:
        question, mark, answer = block.partition("\nA:")
        if not mark:
            raise UserError(f"{task.prompt}: an exemplar has no line that starts with 'A:'. Copy the file again.")
        if not task.chain_of_thought:
            answer = " " + answer.rsplit("answer is", 1)[-1].strip().removesuffix(".")
        exemplars.append(f"Q: {question.strip()}\nA:{answer.rstrip()}")
    return description.strip(), tuple(exemplars)


class Tokens(NamedTuple):
    """A prompt's token ids; how many exemplars had to go to fit the limit; whether the question itself was cut."""

    ids: list[int]
    dropped: int
    cut: bool


def tokenize(prompts: Sequence[Prompt], encoder: TextEncoder, limit: int) -> list[Tokens]:
    """Token ids of each prompt, with the encoder's marks, at most ``limit`` in all.

    Exemplars are dropped from the far end until the prompt fits; a question that is too long by itself is cut at the
    end. Where the encoder's tokens do not cross white space, the parts of prompts, which it separates, are tokenised
    one by one, each only once, and joined; else, whole prompts are. The marks stay, even where they are more than
    ``limit``.
    """
    room = max(0, limit - len(encoder.prefix) - len(encoder.suffix))
    texts = sorted({text for p in prompts for text in (p.head, *p.exemplars, p.query) if text})
    ids = dict(zip(texts, encoder.encode(texts), strict=True))
    ids[""] = []
    made = []
    for prompt in prompts:
        dropped, fixed = 0, len(ids[prompt.head]) + len(ids[prompt.query])
        sizes = [len(ids[text]) for text in prompt.exemplars]
        while dropped < len(sizes) and fixed + sum(sizes[dropped:]) > room:
            dropped += 1
        if encoder.joins:
            parts = (prompt.head, *prompt.exemplars[dropped:], prompt.query)
            tokens = [i for text in parts for i in ids[text]]
        else:
            tokens = encoder.encode([prompt.text(dropped)])[0]
            while len(tokens) > room and dropped < len(sizes):  # what separates the parts takes tokens too
                dropped += 1
                tokens = encoder.encode([prompt.text(dropped)])[0]
        made.append(Tokens([*encoder.prefix, *tokens[:room], *encoder.suffix], dropped, len(tokens) > room))
    return made
