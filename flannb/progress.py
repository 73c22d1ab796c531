"""Progress of a stage, for people as a bar and for other processes as a file.

Whoever runs a stage may name a file in ``FLANNB_PROGRESS``: every bar then notes there how far it has come, at most
once a second, whether it is shown or not. ``FLANNB_QUIET`` leaves out bars and remarks.
"""

import argparse
import contextlib
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from flannb.errors import UserError
from flannb.files import atomic

PROGRESS, QUIET, VERBOSE = "FLANNB_PROGRESS", "FLANNB_QUIET", "FLANNB_VERBOSE"

INTERVAL = 1.0
"""Least seconds between two notes."""

IN_NOTEBOOK = any(base.__name__ == "tqdm_notebook" for base in tqdm.__mro__)
"""Whether this process is a notebook's kernel that shows widgets."""

BAR = "{bar}" if IN_NOTEBOOK else "{bar:20}"
"""The bar itself in a ``bar_format``; a notebook puts its widget in the place of one without a width."""


@dataclass(frozen=True)
class Progress:
    """How far a stage has come.

    Attributes:
        what: it does, such as ``training``.
        done, total: so many of how many, where that is known; ``first`` of them were done when it began.
        unit: of these, such as ``step``.
        since, at: when it began and when this was noted, in seconds of the clock.
    """

    what: str
    done: float
    total: float | None
    first: float
    unit: str
    since: float
    at: float

    @property
    def share(self) -> float | None:
        """The part that is done, from 0 to 1."""
        return min(1.0, self.done / self.total) if self.total else None

    def __str__(self) -> str:
        total = f" of {self.total:,.0f}" if self.total else ""
        return f"{self.what} {self.done:,.0f}{total} {self.unit}s"


def read_progress(path: Path) -> Progress | None:
    """What was noted last in a file; None where there is nothing to read."""
    try:
        return Progress(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


class Bar(tqdm):
    """tqdm's bar. It is shown in notebooks and terminals, and not in files; it counts and notes even when it is not."""

    def __init__(self, iterable: Iterable[Any] | None = None, disable: bool = False, **options: Any) -> None:
        file = options.get("file") or sys.stderr
        shown = IN_NOTEBOOK or (hasattr(file, "isatty") and file.isatty())
        super().__init__(iterable, disable=disable or is_quiet() or not shown, **options)
        self._what, self._unit = str(options.get("desc") or ""), str(options.get("unit") or "")
        self._first, self._since, self._noted = self.n, time.time(), 0.0
        self._note()

    def update(self, n: float | None = 1) -> bool | None:
        """Counts ``n`` more; returns whether the bar was drawn anew, as tqdm does."""
        shown = super().update(n)
        if self.disable:
            self.n += n or 0
        self._note()
        return shown

    def reach(self, what: str, done: int, total: int) -> None:
        """Shows that so many of ``total`` are done, ``what`` the last of them."""
        self.total = total
        self.set_postfix_str(what, refresh=False)
        self.update(done - self.n)

    def _note(self) -> None:
        path, now = os.environ.get(PROGRESS), time.time()
        if not path or not self._what or (now - self._noted < INTERVAL and self.n != self.total):
            return
        self._noted = now
        noted = Progress(self._what, self.n, self.total, self._first, self._unit, self._since, now)
        with contextlib.suppress(UserError), atomic(Path(path), durable=False) as temporary:  # it is only a note
            temporary.write_text(json.dumps(asdict(noted)), encoding="utf-8")


def spoken(seconds: float) -> str:
    """Seconds in the unit that people use."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def say(text: str) -> None:
    """Prints a warning on the error output without breaking a bar."""
    Bar.write(text, file=sys.stderr)


def remark(text: str) -> None:
    """Prints what is no warning, unless people want quiet; a notebook would show the error output in red."""
    if not is_quiet():
        Bar.write(text, file=sys.stdout if IN_NOTEBOOK else sys.stderr)


def is_quiet() -> bool:
    """Whether bars and remarks are left out."""
    return bool(os.environ.get(QUIET))


def is_verbose() -> bool:
    """Whether what steps say is shown, too."""
    return bool(os.environ.get(VERBOSE))


def add_options(made: argparse.ArgumentParser) -> None:
    """``--quiet`` and ``--verbose``."""
    group = made.add_mutually_exclusive_group()
    group.add_argument("-q", "--quiet", action="store_true", help="no bars and remarks; only results and errors")
    group.add_argument("-v", "--verbose", action="store_true", help="show what steps say, too, line by line")


@contextlib.contextmanager
def as_asked(given: argparse.Namespace) -> Iterator[None]:
    """In the block, this process and those that it starts are as quiet or verbose as the options say."""
    asked = {QUIET: given.quiet, VERBOSE: given.verbose}
    with environment({name: "1" for name, wanted in asked.items() if wanted}):
        yield


@contextlib.contextmanager
def environment(changes: dict[str, str]) -> Iterator[None]:
    """In the block, these variables are set; after it, all are as they were, those that the block has set, too."""
    before = dict(os.environ)
    os.environ.update(changes)
    try:
        yield
    finally:
        # One by one: threads, Python's and others, read variables meanwhile that nobody has changed.
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update({name: value for name, value in before.items() if os.environ.get(name) != value})
