r"""Chain-of-Thought: questions with a written-out way to the answer.

The files are the Flan repository's: question, answer and rationale a line, newlines written as ``\n``, options inside
the question. Two of them overlap with the Chain-of-Thought suite, in the paper too: ECQA was drawn from CommonsenseQA's
training and validation questions, and the Hub splits StrategyQA otherwise than its source does, so rows of its ``test``
are in ``strategyqa_train.tsv``. Build without the rows whose question an evaluation set asks (``flannb.build``).
"""

from collections.abc import Mapping

from flannb.collection.task import Apply, Field, RawFile, Task

FOLDER = "github/google-research/FLAN/flan/v2/cot_data"
COLUMNS = ("question", "answer", "rationale")


def with_newlines(text: str) -> str:
    r"""``text`` with its written ``\n`` as newlines."""
    return (text or "").replace("\\n", "\n").strip()


def as_sentence(text: str) -> str:
    """``text``, newlines read, with a full stop where it ends without any mark: another sentence is to follow."""
    text = with_newlines(text)
    return f"{text}." if text and (text[-1].isalnum() or text[-1] in "%$°") else text


FIELDS: Mapping[str, Field] = {
    "question": Apply(with_newlines, ("question",)),
    "answer": Apply(with_newlines, ("answer",)),
    "rationale": Apply(as_sentence, ("rationale",)),
}


def cot_file(name: str) -> RawFile:
    """The Flan repository's file of one set, such as ``gsm8k``."""
    return RawFile(f"{FOLDER}/{name}_train.tsv", COLUMNS)


SETS = {
    "aqua": "math_cot",
    "creak": "cot",
    "ecqa": "cot",
    "esnli": "cot",
    "gsm8k": "math_cot",
    "qasc": "cot",
    "qed": "cot",
    "sensemaking": "cot",
    "strategyqa": "cot",
}
"""Name of each of the nine sets -> its template set."""

TASKS: tuple[Task, ...] = tuple(
    Task(f"cot_{name}", "cot", cot_file(name), FIELDS, templates) for name, templates in SETS.items()
)
