"""Templates: the wordings that turn a record into an input and a target.

They live in ``templates/*.yaml``, one mapping of template sets a file::

    boolq:
      zero_shot:
        - input: |-
            {passage}
            {question}?
            {options}
          target: "{answer}"
      few_shot:
        - instruction: Answer each question from its passage.
          input: |-
            {passage} {question}?
            {options}
          target: "{answer}"

``{options}`` stands alone on its line; it becomes the block of answer options, or the line vanishes where a setting
shows none. A few-shot template describes one exemplar; ``between`` (default one newline) separates input and target,
``separator`` (default a blank line) the exemplars, ``instruction`` stands before them, or after them where
``place: after``.
"""

import string
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from flannb.errors import UserError

FOLDER = Path(__file__).parent / "templates"

Segments = tuple[tuple[str, str | None], ...]
"""A parsed template: pairs of literal text and the field that follows it (``None`` after the last literal)."""


@dataclass(frozen=True)
class Template:
    """One wording. See the module's docstring for the meaning of the fields."""

    input: str
    target: str
    instruction: str = ""
    between: str = "\n"
    separator: str = "\n\n"
    place: str = "before"

    @property
    def fields(self) -> frozenset[str]:
        """The names in braces in the input, target and instruction."""
        return frozenset(
            name for text in (self.input, self.target, self.instruction) for _, name in parse(text) if name is not None
        )


@dataclass(frozen=True)
class TemplateSet:
    """All wordings of a task."""

    name: str
    zero_shot: tuple[Template, ...]
    few_shot: tuple[Template, ...]


def parse(text: str) -> Segments:
    """Splits a template's text at its ``{field}`` marks.

    Raises:
        ValueError: unbalanced braces, or a mark with an attribute, index, conversion or format.
    """
    segments = []
    for literal, name, spec, conversion in string.Formatter().parse(text):
        if name is not None and (not name.isidentifier() or spec or conversion):
            raise ValueError(f"'{{{name}}}' is not a plain field name")
        segments.append((literal, name))
    return tuple(segments)


def fill(segments: Segments, record: dict[str, Any]) -> str:
    """The template's text with the record's values in place of its marks; the values are not parsed again."""
    return "".join(literal if name is None else f"{literal}{record[name]}" for literal, name in segments)


def load_templates(path: Path) -> dict[str, TemplateSet]:
    """Reads and checks one YAML file of template sets.

    Raises:
        UserError: the file is not YAML, or a set has no wordings, an unknown key, a bad mark, two wordings alike, or
            an input that contains a field of the target. The message names file, set and position.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not readable as YAML ({error})") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected a mapping of template sets, found {type(content).__name__}")
    return {name: _template_set(path, str(name), value) for name, value in content.items()}


def _template_set(path: Path, name: str, value: Any) -> TemplateSet:
    if not isinstance(value, dict) or set(value) - {"zero_shot", "few_shot"} or not value:
        raise UserError(f"{path}: template set '{name}' needs the keys zero_shot and few_shot, and no others")
    parsed: dict[str, tuple[Template, ...]] = {}
    for kind in ("zero_shot", "few_shot"):
        wordings = value.get(kind) or []
        if not isinstance(wordings, list):
            raise UserError(f"{path}: template set '{name}': {kind} must be a list of templates")
        parsed[kind] = tuple(_template(path, name, kind, i, item) for i, item in enumerate(wordings))
    for kind, templates in parsed.items():
        if not templates:
            raise UserError(f"{path}: template set '{name}' has no {kind} templates")
        if len(set(templates)) < len(templates):
            raise UserError(f"{path}: template set '{name}' has two {kind} templates alike")
    return TemplateSet(name, **parsed)


def _template(path: Path, name: str, kind: str, position: int, value: Any) -> Template:
    where = f"{path}: template '{name}', {kind} {position}"
    try:
        template = Template(**value)
        if not_text := [key for key, item in value.items() if not isinstance(item, str)]:
            raise ValueError(f"'{not_text[0]}' must be text")
        fields = template.fields
        in_input = {field for _, field in parse(template.input)} | {field for _, field in parse(template.instruction)}
    except (TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{where}: {error}") from error
    if template.place not in ("before", "after"):
        raise UserError(f"{where}: place is '{template.place}'; it must be 'before' or 'after'")
    targets = {field for _, field in parse(template.target)} - {None}
    if leaked := sorted(targets & in_input, key=str):
        raise UserError(f"{where}: the input contains the target's field '{leaked[0]}'")
    if not fields:
        raise UserError(f"{where}: names no field")
    return template


@cache
def templates() -> dict[str, TemplateSet]:
    """All template sets of the package by name.

    Raises:
        UserError: as ``load_templates``; also a name that two files define.
    """
    sets: dict[str, TemplateSet] = {}
    for path in sorted(FOLDER.glob("*.yaml")):
        for name, value in load_templates(path).items():
            if name in sets:
                raise UserError(f"{path}: template set '{name}' is defined in another file already")
            sets[name] = value
    return sets
