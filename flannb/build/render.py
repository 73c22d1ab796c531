"""Rendering: records and templates to inputs and targets, zero-shot and few-shot."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from operator import itemgetter
from typing import Any

from flannb.build.options import STYLES, OptionStyle
from flannb.collection import Task, Template, templates
from flannb.collection.submixtures import is_few_shot, shows_options
from flannb.collection.task import Record
from flannb.collection.template import Segments, parse
from flannb.errors import UserError

_OPTIONS_LINE = re.compile(r"\n?\{options\}")

Fill = Callable[[Mapping[str, Any]], str]


class Pattern:
    """A text with fields, made ready to be filled many times.

    Args:
        segments: as ``flannb.collection.template.parse`` gives them.

    Attributes:
        names: the fields, in their order.
        bare: whether the text is one field and nothing else.
        fill: gives the text with a record's values in place of its fields; the values are not parsed again. Raises
            ``KeyError`` if the record lacks a field.
    """

    def __init__(self, segments: Segments):
        self.segments = segments
        self.names = tuple(name for _, name in segments if name is not None)
        form = "".join(literal.replace("%", "%%") + ("" if name is None else "%s") for literal, name in segments)
        self.bare = form == "%s"
        self.fill: Fill
        if not self.names:
            text = form % ()
            self.fill = lambda record: text
        elif self.bare:
            self.fill = itemgetter(*self.names)
        else:
            values = itemgetter(*self.names)
            self.fill = lambda record: form % values(record)

    @cached_property
    def spans(self) -> tuple["Pattern", ...]:
        r"""The text cut at white space into as few patterns as keep the fields apart.

        Tokens end at white space, so the tokens of the text are those of its spans. ``"Q: {question}?\nThink first."``
        has three: ``Q:``, ``{question}?`` and ``Think first.``
        """
        words: list[list[tuple[str, str | None]]] = [[]]
        for literal, name in self.segments:
            head, *rest = re.split(r"[ \t\r\n]+", literal)
            words[-1].append((head, None))
            words += [[(word, None)] for word in rest]
            words[-1].append(("", name))
        made: list[list[tuple[str, str | None]]] = []
        plain = False  # whether the span before has no field, so that another word without one joins it
        for word in words:
            if any(literal or name for literal, name in word):
                bare = all(name is None for _, name in word)
                if bare and plain:
                    made[-1] += [(" ", None), *word]
                else:
                    made.append(word)
                plain = bare
        return tuple(Pattern(tuple(word)) for word in made)


@dataclass(frozen=True)
class Wording:
    """A template made ready for one setting: parsed once, with or without its line of options.

    Attributes:
        position: of the template in its set.
    """

    template: Template
    input: Pattern
    target: Pattern
    instruction: Pattern
    with_options: bool
    position: int
    explained: Pattern

    @cached_property
    def by_letter(self) -> bool:
        """Whether the target is the option's letter, which needs a lettered style."""
        return "letter" in self.target.names

    @cache  # noqa: B019 - wordings are few and stay
    def exemplar(self, between: str, explained: bool = False) -> Pattern:
        """Input and target together, as an exemplar shows them in a prompt whose template puts ``between`` there."""
        target = self.explained if explained else self.target
        return Pattern((*self.input.segments, (between, None), *target.segments))

    def values(self, record: Record, style: OptionStyle) -> Mapping[str, object]:
        """The record with the fields that only a style can give: ``options`` as a block and the answer's ``letter``."""
        if not self.with_options or not isinstance(record.get("options"), tuple):
            return record
        values: dict[str, object] = {**record, "options": options_block(record, style)}
        if self.by_letter:
            values["letter"] = letter(record, style)
        return values


def options_block(record: Record, style: OptionStyle) -> str:
    """A record's options, a line each."""
    return style.block(tuple(record["options"]))


def letter(record: Record, style: OptionStyle) -> str:
    """The mark of the right option."""
    return style.letter(record["options"].index(str(record["answer"])))


@cache
def wording(template: Template, with_options: bool, position: int = 0) -> Wording:
    """A template for a setting that shows options or does not.

    Raises:
        UserError: the template's exemplars are not separated by white space, at which tokens end.
    """
    if not template.separator.isspace():
        raise UserError(f"separator {template.separator!r}: must be white space; put other marks into the input")
    return Wording(
        template=template,
        input=Pattern(parse(template.input if with_options else _OPTIONS_LINE.sub("", template.input))),
        target=Pattern(parse(template.target)),
        instruction=Pattern(parse(template.instruction)),
        with_options=with_options,
        position=position,
        explained=Pattern(parse(template.explained)),
    )


def wordings_of(task: Task, setting: str) -> list[Wording]:
    """The wordings that an example of a task may have in a setting."""
    family = templates()[task.templates]
    shown = family.few_shot if is_few_shot(setting) else family.zero_shot
    return wordings(shown, shows_options(setting) and task.has_options)


def wordings(templates: Sequence[Template], with_options: bool) -> list[Wording]:
    """The templates usable in a setting: without options, none can ask for a letter."""
    made = [wording(template, with_options, position) for position, template in enumerate(templates)]
    return [w for w in made if with_options or not w.by_letter]


@dataclass(frozen=True)
class Piece:
    """One rendered record: the input and target of an example, or one exemplar of a few-shot prompt."""

    input: str
    target: str


def render(word: Wording, record: Record, style: OptionStyle = STYLES[0]) -> Piece:
    """Renders one record.

    Raises:
        KeyError: the template names a field that the record lacks.
    """
    values = word.values(record, style)
    return Piece(word.input.fill(values), word.target.fill(values))


def instruction(word: Wording, record: Record) -> str:
    """The instruction of a few-shot prompt, which may name fields of the query (Super-NI's definition)."""
    return word.instruction.fill(record)


def texts_of(task: Task, records: Iterable[Record]) -> Iterator[str]:
    """What records read like, each in one template: a few-shot instruction, then zero-shot input and target.

    Vocabularies are trained on these.
    """
    family = templates()[task.templates]
    words, few_shot = wordings(family.zero_shot, task.has_options), wordings(family.few_shot, task.has_options)
    for i, record in enumerate(records):
        piece = render(words[i % len(words)], record)
        yield from (instruction(few_shot[i % len(few_shot)], record), piece.input, piece.target)
