"""Public collections that the paper does not compare: ``--extra public`` makes them rows of Table 1.

They are instructions that a language model wrote (Self-Instruct, Unnatural Instructions) and P3's prompts with others
in many languages (xP3), of which this reads the English part. All are published as prompts and targets, so each is one
task. A source that lacks one says so (``--allow-missing`` goes on), and the report marks its row as not run.
"""

from collections.abc import Sequence
from typing import Any

from flannb.collection.task import Apply, Collection, Column, RowError, Split, Task


def completion(text: str | None) -> str:
    """A completion of Self-Instruct, without the mark that ends it."""
    return (text or "").removesuffix("<|endoftext|>")


def first_prompt(instances: Sequence[dict[str, Any]] | None) -> str:
    """The instruction of Unnatural Instructions with the first of its inputs.

    Raises:
        RowError: it has none.
    """
    return _first(instances, "instruction_with_input")


def first_output(instances: Sequence[dict[str, Any]] | None) -> str:
    """What belongs to ``first_prompt``. Raises as that does."""
    return _first(instances, "output")


def _first(instances: Sequence[dict[str, Any]] | None, key: str) -> str:
    if not instances:
        raise RowError("no instance")
    return str(instances[0][key] or "")


COLLECTIONS = (
    Collection(
        "self_instruct",
        "Self-Instruct",
        (
            Task(
                "self_instruct",
                "own",
                Split("yizhongw/self_instruct", "self_instruct", "train"),
                {"inputs": Column("prompt"), "answer": Apply(completion, ("completion",))},
                "p3_rendered",
            ),
        ),
    ),
    Collection(
        "unnatural_instructions",
        "Unnatural Instructions",
        (
            Task(
                "unnatural_instructions",
                "own",
                Split("mrm8488/unnatural-instructions-full", "default", "train"),
                {"inputs": Apply(first_prompt, ("instances",)), "answer": Apply(first_output, ("instances",))},
                "p3_rendered",
                note="the first input of each instruction; paraphrases are not used",
            ),
        ),
    ),
    Collection(
        "xp3",
        "xP3 (English)",
        (
            Task(
                "xp3_en",
                "own",
                Split("bigscience/xP3all", "en", "train"),
                {"inputs": Column("inputs"), "answer": Column("targets")},
                "p3_rendered",
            ),
        ),
    ),
)
