"""What commands show: colours where there are some, Markdown, errors; and how they end."""

import argparse
import os
import sys
from collections.abc import Callable
from typing import TextIO

from flannb import progress
from flannb.errors import UserError, printable

COLOURS = {"red": 31, "green": 32, "yellow": 33, "blue": 34, "dim": 2, "bold": 1}


def coloured(text: str, colour: str, stream: TextIO | None = None) -> str:
    """Text in a colour of ``COLOURS``, where the stream (by default the output) is a terminal that has some.

    None are used where NO_COLOR is set (no-color.org), or TERM is ``dumb``.
    """
    stream = stream or sys.stdout
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not stream.isatty()
    return text if plain else f"\x1b[{COLOURS[colour]}m{text}\x1b[0m"


def show_error(error: UserError) -> None:
    """Prints what a user can mend on the error output."""
    print(f"{coloured('error:', 'red', sys.stderr)} {printable(str(error))}", file=sys.stderr, flush=True)


def run_command(given: argparse.Namespace, act: Callable[[argparse.Namespace], int | None]) -> int:
    """Runs a command, as quiet or verbose as its options say, and shows what a user can mend.

    Args:
        given: the options, those of ``flannb.progress.add_options`` among them.
        act: is called with them; it returns an exit code, or None where all is well.

    Returns:
        The exit code: that of ``act``, or 2 for what the user can mend.
    """
    try:
        with progress.as_asked(given):
            return act(given) or 0
    except UserError as error:
        show_error(error)
        return 2


def show_markdown(text: str) -> None:
    """Prints Markdown; a notebook shows it as it reads."""
    if progress.IN_NOTEBOOK:
        from IPython.display import Markdown, display

        display(Markdown(text))
    else:
        print(text)
