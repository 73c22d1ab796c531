"""Names that people give on the command line and in files, and what happens where there is nothing of that name."""

import argparse
from collections.abc import Iterable

from flannb.errors import UserError


def split_names(text: str) -> tuple[str, ...]:
    """Names separated by commas, each once."""
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def split_counts(what: str, text: str) -> list[int]:
    """Whole numbers above 0 separated by commas, each once.

    Args:
        what: the option that they are of, such as ``--devices``; the message begins with it.

    Raises:
        UserError: one is no such number.
    """
    numbers = split_names(text)
    if not all(number.isdecimal() and int(number) for number in numbers):
        raise UserError(f"{what} {text}: give whole numbers above 0, such as 1,2")
    return [int(number) for number in numbers]


def natural(text: str) -> int:
    """A whole number from 0, as ``argparse`` takes a type; its own ``int`` takes negative ones, too."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0")
    return int(text)


def check_name(what: str, name: str, known: Iterable[str]) -> None:
    """Checks that there is something of a name.

    Args:
        what: what the name is of, such as ``--scale``; the message begins with it.

    Raises:
        UserError: the name is not among those known; the message lists them.
    """
    known = tuple(known)
    if name not in known:
        raise UserError(f"{what} {name}: unknown; choose one of {', '.join(known)}")


def known_names(what: str, text: str, known: Iterable[str]) -> tuple[str, ...]:
    """The names of a list with commas, each once.

    Raises:
        UserError: the list is empty, or a name is not among those known; the message lists them.
    """
    known, names = tuple(known), split_names(text)
    if not names:
        raise UserError(f"{what}: names nothing; choose from {', '.join(known)}")
    for name in names:
        check_name(what, name, known)
    return names
