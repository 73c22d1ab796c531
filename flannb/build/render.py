"""Rendering: records and templates to inputs and targets, zero-shot and few-shot."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flannb.build.options import STYLES, OptionStyle
from flannb.collection import Template
from flannb.collection.task import Record
from flannb.collection.template import Segments, fill, parse

_OPTIONS_LINE = re.compile(r"\n?\{options\}")


@dataclass(frozen=True)
class Wording:
    """A template made ready for one setting: parsed once, with or without its line of options."""

    template: Template
    input: Segments
    target: Segments
    instruction: Segments
    with_options: bool

    @property
    def by_letter(self) -> bool:
        """Whether the target is the option's letter, which needs a lettered style."""
        return any(name == "letter" for _, name in self.target)

    def values(self, record: Record, style: OptionStyle) -> Mapping[str, object]:
        """The record with the fields that only a style can give: ``options`` as a block and the answer's ``letter``."""
        options = record.get("options")
        if not self.with_options or not isinstance(options, tuple):
            return record
        values: dict[str, object] = {**record, "options": style.block(options)}
        if self.by_letter:
            values["letter"] = style.letter(options.index(str(record["answer"])))
        return values


def wording(template: Template, with_options: bool) -> Wording:
    """A template for a setting that shows options or does not."""
    text = template.input if with_options else _OPTIONS_LINE.sub("", template.input)
    return Wording(template, parse(text), parse(template.target), parse(template.instruction), with_options)


def wordings(templates: Sequence[Template], with_options: bool) -> list[Wording]:
    """The templates usable in a setting: without options, none can ask for a letter."""
    made = [wording(template, with_options) for template in templates]
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
    return Piece(fill(word.input, dict(values)), fill(word.target, dict(values)))


def instruction(word: Wording, record: Record) -> str:
    """The instruction of a few-shot prompt, which may name fields of the query (Super-NI's definition)."""
    return fill(word.instruction, dict(record))
