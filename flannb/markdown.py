"""Markdown for pages and cards: text that stays text, tables, and the head of a card of the Hugging Face Hub."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

_ESCAPES = {character: f"\\{character}" for character in "\\|*_`[]$"} | {"<": "&lt;", ">": "&gt;", "\n": " "}


def escaped(text: str) -> str:
    """Text for a cell of a Markdown table, or for a line."""
    return "".join(_ESCAPES.get(character, character) for character in text)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], numbers: int = 0) -> str:
    """A Markdown table of cells that are escaped where they need it.

    Args:
        numbers: how many columns, from the right, are of numbers.
    """
    marks = [*["---"] * (len(heads) - numbers), *["--:"] * numbers]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, marks, *rows))


def front_matter(values: Mapping[str, Any]) -> str:
    """The YAML head of a card."""
    return f"---\n{yaml.safe_dump(dict(values), sort_keys=False)}---\n"
