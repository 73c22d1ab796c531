r"""Templates: the wordings that turn a record into an input and a target.

They live in ``templates/*.yaml``, one mapping of template sets a file; a task names the set that renders it::

    boolean_qa:
      zero_shot:
        - input: |-
            {passage}
            {question}?
            {options}
          target: "{answer}"
      few_shot:
        - instruction: "Answer each question from its passage."
          input: |-
            {passage} {question}?
            {options}
            Answer:
          target: "{answer}"
          between: " "

To add a wording, add an item to a list; to add a set, add a name with both lists, and give a task its name.

``{field}`` is a field of the task's records (``Task.fields``); a brace that is meant as a brace is doubled. Two marks
come from the way options are shown, which is drawn for each example and not worded here:

- ``{options}`` stands alone on its line of the input. It becomes the block of answer options; in a setting that shows
  none its line vanishes, so a good wording reads well without it, too.
- ``{letter}`` in a target is the mark of the right option, such as ``(B)``. Settings without options leave such
  templates out.

A few-shot template words one exemplar and the query alike, and has five more keys:

- ``instruction`` stands in front of the exemplars, or with ``place: after`` between them and the query. It may name
  fields that are the same in all rows, or that belong to the query, such as the definition of a task.
- ``between`` (one newline by default) separates input and target of an exemplar. An input that ends in a cue such as
  ``Answer:`` goes with ``between: " "``; the query then ends in the cue, and the target is the bare answer.
- ``separator`` (a blank line by default) is the white space between exemplars.
- ``explained`` is the target of an exemplar that is shown with its ``{explanation}``, as the positive examples of
  Super-Natural Instructions may be. The query's target stays what it is.

The first template of each list also makes the prompts of evaluation, so let that one be plain. Vary the others: the
instruction first or last, a question or a command, the fields in another order, headings or none.

A file is checked when it is loaded (``load_templates``); that a task has all fields of its set is checked with the
tasks (``flannb.collection.check``).
"""

import string
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from flannb import extra
from flannb.errors import UserError

FOLDER = Path(__file__).parent / "templates"
KINDS = ("zero_shot", "few_shot")
KEYS = {
    "zero_shot": ("input", "target"),
    "few_shot": ("input", "target", "instruction", "place", "between", "separator", "explained"),
}
"""The keys of a template of each kind."""

PLACES = ("before", "after")
"""Where an instruction stands: before the exemplars, or after them."""

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
    explained: str = ""

    @property
    def fields(self) -> frozenset[str]:
        """The names in braces in the input, target and instruction."""
        return names_in(self.input) | names_in(self.target) | names_in(self.instruction)


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


def names_in(text: str) -> frozenset[str]:
    """The field names that a template's text marks.

    Raises:
        ValueError: as ``parse``.
    """
    return frozenset(name for _, name in parse(text) if name is not None)


def fill(segments: Segments, record: dict[str, Any]) -> str:
    """The template's text with the record's values in place of its marks; the values are not parsed again."""
    return "".join(literal if name is None else f"{literal}{record[name]}" for literal, name in segments)


class _Loader(getattr(yaml, "CBaseLoader", yaml.BaseLoader)):  # type: ignore[misc]
    """YAML's plainest loader, the fast one where there is one: all that is no list and no mapping is text as written.

    So ``yes`` and ``3`` need no quotes, and no tag makes an object. A key that stands twice is an error.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key, _ in node.value:
            name = (key.tag, key.value) if isinstance(key, yaml.ScalarNode) else id(key)
            if name in seen:
                raise yaml.MarkedYAMLError(problem=f"'{key.value}' is there twice", problem_mark=key.start_mark)
            seen.add(name)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        return mapping


def read_yaml(path: Path) -> Any:
    """The content of a YAML file; an empty mapping where it has none.

    Raises:
        UserError: the file is missing or no YAML.
    """
    try:
        return yaml.load(Path(path).read_text(encoding="utf-8"), _Loader) or {}
    # a file that is no UTF-8 is a ValueError, and brackets without end are a RecursionError
    except (OSError, yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: not readable as YAML ({error}). Correct it.") from error


def load_templates(path: Path) -> dict[str, TemplateSet]:
    """Reads and checks one YAML file of template sets.

    Raises:
        UserError: the file is not YAML; a set has a key too many or too few, or two templates that differ in white
            space or case only; a template has an unknown key, a bad mark, an unknown place, no field in its input or
            target, or an input that holds a field of the target. The message names file, set and position (from 0).
    """
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected a mapping of template sets, found a {type(content).__name__}")
    return {name: _template_set(path, name, value) for name, value in content.items()}


def _template_set(path: Path, name: str, value: Any) -> TemplateSet:
    if not isinstance(value, dict) or set(value) != set(KINDS):
        raise UserError(f"{path}: template set '{name}' needs the keys zero_shot and few_shot, and no others")
    lists = {}
    for kind in KINDS:
        items, where = value[kind], f"{path}: template set '{name}', {kind}"
        if not isinstance(items, list) or not items:
            raise UserError(f"{where}: must be a list of templates, at least one")
        lists[kind] = tuple(read_template(f"{where} {i}", kind, item) for i, item in enumerate(items))
        seen: dict[str, int] = {}
        for i, template in enumerate(lists[kind]):
            if (twin := seen.setdefault(_essence(template), i)) != i:
                raise UserError(f"{where} {twin} and {i} are alike but for white space and case; take one out")
    return TemplateSet(name, **lists)


def _essence(template: Template) -> str:
    """What tells wordings apart: tokenizers make little of white space, and a reader little of case."""
    texts = (template.instruction, template.place, template.input, template.between, template.target)
    return "\0".join(" ".join(text.split()).casefold() for text in texts)


def read_template(where: str, kind: str, value: Any) -> Template:
    """A template from its mapping.

    Args:
        where: what errors begin with.
        kind: ``zero_shot`` or ``few_shot``.

    Raises:
        UserError: as ``load_templates`` says of a template.
    """
    try:
        if not isinstance(value, dict):
            raise ValueError(f"must be a mapping with input and target, is a {type(value).__name__}")
        known = KEYS[kind]
        if unknown := [key for key in value if key not in known]:
            raise ValueError(f"unknown key '{unknown[0]}'; a {kind} template has {', '.join(known)}")
        if missing := [key for key in ("input", "target") if key not in value]:
            raise ValueError(f"has no {missing[0]}")
        for key, text in value.items():
            if not isinstance(text, str):
                raise ValueError(f"{key} must be text, is a {type(text).__name__}; put it in quotes")
        template = Template(**value)
        _check(template)
    except ValueError as error:
        raise UserError(f"{where}: {error}") from error
    return template


def _check(template: Template) -> None:
    """Raises a ``ValueError`` that says what is wrong with a template."""
    names = {}
    for key in ("input", "target", "instruction", "explained"):
        try:
            names[key] = names_in(getattr(template, key))
        except ValueError as error:
            raise ValueError(f"{key}: {error}; write braces that are meant as braces twice") from error
    for key in ("input", "target"):
        if not names[key] - {"options"}:
            raise ValueError(f"the {key} names no field, so it would be the same for every row")
    given = names["input"] | names["instruction"]
    if leaked := sorted(names["target"] & given):
        raise ValueError(f"the input contains the target's field '{leaked[0]}'")
    if "options" in names["instruction"] | names["target"]:
        raise ValueError("{options} belongs in the input")
    lines = template.input.split("\n")
    if template.input.count("{options}") != lines[1:].count("{options}"):
        raise ValueError("{options} must stand alone on its line of the input, and not on the first one")
    if lines.count("{options}") > 1:
        raise ValueError("{options} is there twice")
    if template.explained and names["explained"] != names["target"] | {"explanation"}:
        raise ValueError("explained must show {explanation} and the fields of the target, and no others")
    if "letter" in given:
        raise ValueError("{letter} names the right option, so it belongs in the target only")
    if "letter" in names["target"] and ("options" not in given or "answer" in given):
        raise ValueError("a target with {letter} needs {options}, and no {answer}, in the input")
    if template.place not in PLACES:
        raise ValueError(f"place is '{template.place}'; it must be one of {', '.join(PLACES)}")
    if not template.between:
        raise ValueError("between is empty; input and target would run together")
    if not template.separator or template.separator.strip():
        # the parts of a prompt are tokenised one by one, which white space alone leaves the same as all at once
        raise ValueError("separator must be white space; begin the input with any other mark")


def templates() -> dict[str, TemplateSet]:
    """All template sets by name: the package's, and those of one's own (``flannb.extra``).

    Raises:
        UserError: as ``load_templates``; also a name that is defined twice.
    """
    sets, own = _templates(), extra.declared("TEMPLATES")
    return sets | _checked(own, sets) if own else sets


def _checked(own: list[TemplateSet], sets: dict[str, TemplateSet]) -> dict[str, TemplateSet]:
    for position, made in enumerate(own):
        if made.name in sets or made.name in (other.name for other in own[:position]):
            raise UserError(f"--extra: template set '{made.name}' is defined already; give yours another name")
        check_templates("--extra", made)
    return {made.name: made for made in own}


def check_templates(where: str, made: TemplateSet) -> None:
    """Checks a set that was made in Python, as ``load_templates`` checks those of files.

    Args:
        where: what errors begin with.

    Raises:
        UserError: as ``load_templates`` says of a template.
    """
    for kind in KINDS:
        for i, template in enumerate(getattr(made, kind)):
            try:
                _check(template)
            except ValueError as error:
                raise UserError(f"{where}: template set '{made.name}', {kind} {i}: {error}") from error


@cache
def _templates() -> dict[str, TemplateSet]:
    sets: dict[str, TemplateSet] = {}
    for path in sorted(FOLDER.glob("*.yaml")):
        for name, value in load_templates(path).items():
            if name in sets:
                raise UserError(f"{path}: template set '{name}' is defined in another file already")
            sets[name] = value
    return sets
