"""Program synthesis: a description of what is wanted, and the code that does it.

The paper has DeepMind's Code Contests and four forms of DrRepair, which the released collection leaves out for legal
reasons. Code Contests is the original. DrRepair is not on the Hub: its tasks stay as rows without data, and
CodeXGLUE's code refinement is its public successor. MBPP and CoNaLa are public additions of the same kind as Code
Contests. HumanEval is a test set and is never trained on.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from flannb.collection.task import Apply, Column, Data, Field, RawFile, RowError, Split, Task

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

DR_REPAIR = ("error_comments", "line_numbers", "no_errors", "plain_code")
"""The forms of DrRepair in the paper's list: how the program is shown."""


def _task(name: str, data: Data, templates: str = "program", note: str = "", **fields: Field) -> Task:
    return Task(name, "program_synthesis", data, fields, templates, note=note)


def _dr_repair(form: str) -> Task:
    return Task(
        f"dr_repair_{form}",
        "program_synthesis",
        RawFile(f"dr_repair/{form}.json"),
        {"broken": Column("broken"), "answer": Column("fixed")},
        "code_repair",
        unavailable="on its authors' site only, and not in the released collection; "
        "code_refinement is its public successor",
    )


TASKS: tuple[Task, ...] = (
    _task(
        "mbpp",
        MBPP,
        note="public addition beside code_contests",
        question=Column("text"),
        answer=Apply(unix_lines, ("code",)),
    ),
    _task(
        "mbpp_tests",
        MBPP,
        note="public addition beside code_contests, with the tests that the code must pass",
        question=Apply(tests_to_pass, ("text", "test_list")),
        answer=Apply(unix_lines, ("code",)),
    ),
    _task(
        "conala",
        Split("neulab/conala", "curated", "train"),
        note="public addition beside code_contests",
        question=Apply(better_intent, ("rewritten_intent", "intent")),
        answer=Column("snippet"),
    ),
    _task(
        "code_contests",
        Split("deepmind/code_contests", "default", "train"),
        question=Column("description"),
        answer=Apply(first_python3, ("solutions",)),
    ),
    _task(
        "code_refinement",
        Split("google/code_x_glue_cc_code_refinement", "medium", "train"),
        "code_repair",
        note="public successor of DrRepair: Java, names made anonymous; columns from the dataset's documentation; "
        "not checked against its Parquet files",
        broken=Column("buggy"),
        answer=Column("fixed"),
    ),
    *(_dr_repair(form) for form in DR_REPAIR),
)
