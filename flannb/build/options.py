"""How answer options are shown: header, marks and order of an options block."""

from dataclasses import dataclass
from functools import cache
from string import ascii_uppercase


@dataclass(frozen=True)
class OptionStyle:
    """One way to show options.

    Attributes:
        name: recorded with each example.
        header: the line above the options; empty for none.
        mark: what stands before an option; ``{letter}`` becomes A, B, C, ...
    """

    name: str
    header: str
    mark: str

    @property
    def lettered(self) -> bool:
        """Whether options bear letters, so that a target can name one by its letter."""
        return "{letter}" in self.mark

    def block(self, options: tuple[str, ...]) -> str:
        """The options, a line each, under the header."""
        lines = [self.header] if self.header else []
        lines += [_marked(self.mark, i) + option for i, option in enumerate(options)]
        return "\n".join(lines)

    def letter(self, index: int) -> str:
        """How a target names the option at ``index`` by its letter: the mark without the space after it."""
        return _marked(self.mark, index).strip()


@cache
def _marked(mark: str, index: int) -> str:
    return mark.format(letter=letter_of(index))


def letter_of(index: int) -> str:
    """A to Z, then AA, AB, ..."""
    letters = ""
    while index >= 0:
        letters = ascii_uppercase[index % 26] + letters
        index = index // 26 - 1
    return letters


STYLES: tuple[OptionStyle, ...] = (
    OptionStyle("options_dash", "Options:", "- "),
    OptionStyle("options_paren", "Options:", "({letter}) "),
    OptionStyle("choices_dash", "Choices:", "- "),
    OptionStyle("choices_dot", "Choices:", "{letter}. "),
    OptionStyle("pick_dash", "Pick one:", "- "),
    OptionStyle("pick_bracket", "Pick one:", "{letter}) "),
    OptionStyle("plain_dash", "", "- "),
    OptionStyle("plain_paren", "", "({letter}) "),
)
"""The styles drawn for training examples. Evaluation uses the first, or the first lettered one where letters are
asked for."""

LETTERED: tuple[OptionStyle, ...] = tuple(style for style in STYLES if style.lettered)
