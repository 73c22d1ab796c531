"""Program synthesis: a description of what is wanted, and the code that does it.

The paper has DeepMind's Code Contests and DrRepair, which the released collection leaves out for legal reasons. Here
Code Contests is declared, and MBPP and CoNaLa stand beside it. HumanEval is a test set and is never trained on.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from flannb.collection.task import Apply, Column, Field, RowError, Split, Task

PYTHON3 = 3
"""The number of Python 3 among the languages of Code Contests."""


def tests_to_pass(text: str, tests: Sequence[str]) -> str:
    """A description followed by the assertions that the code must pass.

    Raises:
        RowError: there are none.
    """
    if not tests:
        raise RowError("no tests")
    return "\n".join([text.strip(), "The code must pass:", *tests])


def unix_lines(code: str) -> str:
    """Code with plain newlines."""
    return (code or "").replace("\r\n", "\n").strip()


def first_python3(solutions: Mapping[str, Sequence[Any]]) -> str:
    """The first accepted solution of a contest problem in Python 3.

    Raises:
        RowError: there is none.
    """
    for language, code in zip(solutions["language"], solutions["solution"], strict=True):
        if language == PYTHON3:
            return unix_lines(code)
    raise RowError("no solution in Python 3")


def better_intent(rewritten: str | None, intent: str) -> str:
    """CoNaLa's rewritten question where there is one, which names the variables, or else the original."""
    return (rewritten or intent or "").strip()


MBPP = Split("google-research-datasets/mbpp", "full", "train")


def _task(name: str, data: Split, **fields: Field) -> Task:
    return Task(name, "program_synthesis", data, fields, "program")


TASKS: tuple[Task, ...] = (
    _task("mbpp", MBPP, question=Column("text"), answer=Apply(unix_lines, ("code",))),
    _task(
        "mbpp_tests",
        MBPP,
        question=Apply(tests_to_pass, ("text", "test_list")),
        answer=Apply(unix_lines, ("code",)),
    ),
    _task(
        "conala",
        Split("neulab/conala", "curated", "train"),
        question=Apply(better_intent, ("rewritten_intent", "intent")),
        answer=Column("snippet"),
    ),
    _task(
        "code_contests",
        Split("deepmind/code_contests", "default", "train"),
        question=Column("description"),
        answer=Apply(first_python3, ("solutions",)),
    ),
)
