"""Synthetic sources of any size, one in the shape of the Chain-of-Thought files, written in a stream, one of MMLU."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from flannb.collection import Split, Task
from flannb.collection.cot import TASKS
from flannb.collection.suites import SUBJECTS
from flannb.files import atomic

SHARES = {
    "aqua": 2728,
    "creak": 6915,
    "ecqa": 7112,
    "gsm8k": 7473,
    "qasc": 1084,
    "sensemaking": 6070,
    "strategyqa": 2061,
}
"""Rows of the seven public files; a synthetic source has files in these proportions."""

WORDS = {"question": 28, "answer": 1, "rationale": 22}
"""Mean words of each column, as in the public files."""

VOCABULARY = 30_000


def write_source(root: Path, rows: int, seed: int = 0) -> None:
    """Writes the seven files below ``root``, ``rows`` rows in all, unless they are there."""
    words = _words(seed)
    shares = np.cumsum([0, *SHARES.values()]) / sum(SHARES.values())
    bounds = np.round(shares * rows).astype(int)
    for i, (name, first, last) in enumerate(zip(SHARES, bounds[:-1], bounds[1:], strict=True)):
        path = root / str(_task(name).data)
        if not path.is_file():
            with atomic(path) as temporary, temporary.open("w", encoding="utf-8") as file:
                lines = _lines(words, last - first, np.random.default_rng([seed, i]))
                while some := list(islice(lines, 1000)):
                    file.writelines(some)


def _task(name: str) -> Task:
    return next(task for task in TASKS if task.name == f"cot_{name}")


def _words(seed: int) -> np.ndarray:
    """Words of two to eleven letters."""
    rng = np.random.default_rng([seed, VOCABULARY])
    letters = np.array(list("etaoinshrdlucmfwygpb"))
    return np.array(["".join(rng.choice(letters, size=n)) for n in rng.integers(2, 12, size=VOCABULARY)])


def _texts(words: np.ndarray, sizes: np.ndarray, rng: np.random.Generator) -> list[str]:
    """Texts of so many words each; frequencies fall off as they do in text."""
    drawn = words[np.minimum(rng.zipf(1.2, size=sizes.sum()), VOCABULARY) - 1].tolist()
    ends = np.cumsum(sizes).tolist()
    return [" ".join(drawn[a:b]) for a, b in zip([0, *ends], ends, strict=False)]


def _lines(words: np.ndarray, rows: int, rng: np.random.Generator) -> Iterator[str]:
    for start in range(0, rows, 1000):
        n = min(1000, rows - start)
        columns = []
        for mean in WORDS.values():
            columns.append(_texts(words, rng.integers(max(1, mean // 2), mean * 3 // 2 + 1, size=n), rng))
        yield from ("\t".join(row) + "\n" for row in zip(*columns, strict=True))


SUBJECT_WORDS = (12, 20, 30, 45, 70, 120)
"""Median words of a question, subject by subject: MMLU's 5-shot prompts have a few hundred to some 2,000 tokens."""

OPTION_WORDS = (1, 2, 5, 9)
"""Mean words of an option, subject by subject."""


def write_exam(root: Path, questions: int, seed: int = 0) -> None:
    """Writes MMLU's 57 subjects below ``root``, five ``dev`` rows each, about ``questions`` ``test`` rows in all."""
    words = _words(seed)
    for i, subject in enumerate(SUBJECTS):
        rng = np.random.default_rng([seed, i])
        for split, rows in (("dev", 5), ("test", max(1, questions // len(SUBJECTS)))):
            path = root / str(Split("cais/mmlu", subject, split)) / "0000.parquet"
            sizes = rng.lognormal(np.log(SUBJECT_WORDS[i % len(SUBJECT_WORDS)]), 0.4, size=rows).astype(int) + 3
            lengths = rng.poisson(OPTION_WORDS[i % len(OPTION_WORDS)] - 1, size=(rows, 4)) + 1
            table = {
                "question": _texts(words, sizes, rng),
                "choices": [_texts(words, row, rng) for row in lengths],
                "answer": rng.integers(4, size=rows).tolist(),
            }
            with atomic(path) as temporary:
                pq.write_table(pa.table(table), temporary)
