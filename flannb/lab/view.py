"""What the lab shows, as HTML: text of data and models is escaped, and no script runs.

It is the output of a cell, not a part of a widget, so it is there where no widget is: in executed notebooks, and in
pages that are made of them.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from markupsafe import Markup

from flannb.build import Tokenizer
from flannb.html import templates_in
from flannb.lab.examples import Example, pieces
from flannb.lab.models import UNKNOWN_ID, Answer
from flannb.lab.packed import Side

KINDS = {
    "drawn": "rows of the task",
    "positive": "positive examples that were written for the task",
    "explained": "positive examples that were written for the task, with their explanations",
}
"""Kind of exemplars -> what they are."""

LONGEST_NOTE = 160
"""Characters of a segment's text that its tooltip has."""


def example(shown: Example) -> str:
    """The row, the template, and the input and target that came of them."""
    return _page(_macros().example(shown, _colours(shown), _how(shown)))


def _how(shown: Example) -> str:
    """How the example was drawn, in words."""
    said = [f"Options are shown as {shown.style.name}."] if shown.style else []
    if shown.exemplars:
        rows = ", ".join(str(row) for row in shown.exemplars if row >= 0)
        said.append(f"{len(shown.exemplars)} exemplars, {KINDS[shown.kind]}{f': {rows}' if rows else ''}.")
    return " ".join(said)


def _colours(shown: Example) -> dict[str, int]:
    """Field -> number of its colour; what the style makes of the options has theirs."""
    colours = {name: i % 6 for i, name in enumerate(shown.record)}
    return colours | {"letter": colours.get("answer", 0)}


def tokens(shown: Example, tokenizer: Tokenizer) -> str:
    """The tokens of input and target."""
    texts = {"Input": (shown.inputs, shown.input_ids), "Target": (shown.targets, shown.target_ids)}
    made = (
        _macros().tokens(pieces(tokenizer, text, ids), name, cut, UNKNOWN_ID)
        for (name, (text, ids)), cut in zip(texts.items(), shown.cut, strict=True)
    )
    return _page(Markup("").join(made))


def batch(sides: Mapping[str, Side], tokenizer: Tokenizer) -> str:
    """A packed batch as a picture."""

    def text(ids: Sequence[int]) -> str:
        (found,) = tokenizer.decode([ids])
        return found if len(found) <= LONGEST_NOTE else found[:LONGEST_NOTE] + "…"

    return _page(_macros().batch(sides, text))


def answers(asked: str, given: Sequence[tuple[str, Answer | None, str]], gold: str = "") -> str:
    """What models answered, side by side.

    Args:
        asked: the instruction.
        given: name of each model, and its answer or why there is none.
        gold: the target of the row that the instruction was made of, if it was.
    """
    return _page(_macros().answers(asked, given, gold))


def problem(text: str) -> str:
    """A message."""
    return _page(_macros().problem(text))


def _page(content: Markup) -> str:
    """The content with its style; MathJax looks for formulas elsewhere."""
    page = Markup('<div class="flannb-lab tex2jax_ignore mathjax_ignore">{}{}</div>')
    return str(page.format(_macros().style(), content))


@cache
def _macros() -> Any:
    return templates_in(Path(__file__).parent).get_template("view.html.jinja").module
