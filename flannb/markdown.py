"""Markdown as GitHub and the Hugging Face Hub show it: texts that stay texts, tables, and the head of a card."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import yaml

_SIGNS = {character: f"\\{character}" for character in "\\|*_`[]$~"} | {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
_SPECIAL = re.compile(r"\r\n?|\n|[\\|*_`\[\]$~<>]|&(?=#?\w+;)")
"""Line ends, signs that Markdown takes for its own, and the beginning of what HTML reads as another character."""


class Markdown(str):
    """Text that is Markdown already, so that it is not escaped again."""

    __slots__ = ()


def escaped(text: str) -> Markdown:
    """Text as Markdown that shows it, also in a cell of a table, with spaces for the ends of its lines.

    What is Markdown already stays as it is.
    """
    if isinstance(text, Markdown):
        return text
    return Markdown(_SPECIAL.sub(lambda found: _SIGNS.get(found[0], " "), text))


def link(text: str, address: str) -> Markdown:
    """A link with a text; what an address cannot hold of the path is quoted."""
    return Markdown(f"[{escaped(text)}]({quote(address)})")


def table(heads: Sequence[str], rows: Iterable[Iterable[str]], right: Iterable[int] = ()) -> list[str]:
    """The lines of a table of GitHub's Markdown; what is not ``Markdown`` is escaped.

    Args:
        heads: the columns' names.
        rows: the texts of each row.
        right: the positions of columns that are aligned to the right.
    """
    numbers = set(right)
    rule = ("---:" if place in numbers else "---" for place in range(len(heads)))
    return [f"| {' | '.join(line)} |" for line in (map(escaped, heads), rule, *(map(escaped, row) for row in rows))]


def front_matter(values: Mapping[str, Any]) -> str:
    """The YAML head of a card."""
    return f"---\n{yaml.safe_dump(dict(values), sort_keys=False)}---\n"
