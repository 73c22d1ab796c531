"""A corpus of running text for pretraining: what the training rows of a collection say, without templates.

A document is a row: its fields in their order, each text of the collection only where it occurs first. So a passage
with ten questions counts once. Rows that hold text of an evaluation row are left out by the checks of
``flannb.build.decontaminate``, always. One document in fifty is held out, to measure the loss on.
"""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pyarrow as pa
from filelock import FileLock

from flannb.build.data import TOKENIZER, build_key
from flannb.build.parts import PART_ROWS, BuildOptions
from flannb.build.plan import Plan, make_plan
from flannb.build.ragged import Ragged
from flannb.build.records import to_records
from flannb.build.shards import read_shard, write_shard
from flannb.build.sources import Source
from flannb.build.tokenizer import Tokenizer
from flannb.build.workers import Run
from flannb.collection import Record, Task
from flannb.errors import UserError
from flannb.files import atomic, code_digest, digest, is_intact, read_sealed, sha256, write_sealed

CORPUS = "corpus.json"
HELD_OUT = 50
"""One document in so many is held out."""

_PARTS = ("training", "held_out")
_FILE_TOKENS = 1 << 24


@dataclass(frozen=True)
class Corpus:
    """A corpus on disk.

    Attributes:
        home: its folder, with the tokenizer, and a folder of Arrow files for each part, whose column ``ids`` has a
            document a row.
        documents, tokens: of each part, ``training`` and ``held_out``.
        contaminated: rows left out because they hold text of evaluation rows.
        first_sentinel: id of the tokenizer's sentinel 0; the others count down from it.
    """

    home: Path
    documents: dict[str, int]
    tokens: dict[str, int]
    contaminated: int
    first_sentinel: int

    @property
    def tokenizer_path(self) -> Path:
        """The vocabulary of the ids."""
        return self.home / TOKENIZER

    def read(self, part: str) -> Ragged:
        """The token ids of all documents of a part, without end marks.

        Raises:
            UserError: a file is missing or damaged.
        """
        column = read_shard(self.home / part)["ids"].combine_chunks()
        return Ragged(column.values.to_numpy(), column.offsets.to_numpy().astype(np.int64))


def build_corpus(
    source: Source,
    tasks: tuple[Task, ...],
    tokenizer: Tokenizer,
    options: BuildOptions,
    folder: Path,
    run: Run,
    progress: Callable[[str, int, int], object] = lambda task, done, total: None,
) -> Corpus:
    """Writes the corpus of some tasks below ``folder``; one of the same content that is there already, whole, is read.

    Args:
        source: has the data of all tasks.
        tokenizer: makes the ids.
        options: of the build whose rows these are.
        folder: corpora and builds lie here, named by what they were made from.
        run: workers (``flannb.build.workers``).
        progress: called with a task's name, the number of tasks begun, and of all.

    Raises:
        UserError: unreadable data, or no text at all.
    """
    options = replace(options, drop_contaminated=True)
    made_from = [build_key(source, tasks, options), code_digest("build/corpus.py"), tokenizer.fingerprint]
    home = Path(folder) / f"corpus-{digest(made_from)[:16]}"
    home.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(home.with_name(f".{home.name}.lock")):
        if not _is_whole(home):
            shutil.rmtree(home, ignore_errors=True)
            _build(source, tasks, tokenizer, options, home, run, progress)
    return open_corpus(home)


def _is_whole(home: Path) -> bool:
    """Whether a corpus is finished and all its files are as they were written."""
    try:
        content = read_sealed(home / CORPUS)
    except UserError:
        return False
    return all(is_intact(home / name, sha) for name, sha in content["sha256"].items())


def _build(
    source: Source,
    tasks: tuple[Task, ...],
    tokenizer: Tokenizer,
    options: BuildOptions,
    folder: Path,
    run: Run,
    progress: Callable[[str, int, int], object],
) -> None:
    plan = make_plan(source, tasks, options, folder / "staged", run)
    counts = {name: {"documents": 0, "tokens": 0} for name in _PARTS}
    files = dict.fromkeys(_PARTS, 0)
    sums: dict[str, str] = {}
    waiting: dict[str, list[Ragged]] = {name: [] for name in _PARTS}

    def write(part: str) -> None:
        tokens = Ragged.together(waiting[part])
        waiting[part] = []
        counts[part]["documents"] += len(tokens)
        counts[part]["tokens"] += len(tokens.values)
        name = f"{part}/{files[part]:05d}.arrow"
        files[part] += 1
        sums[name], _ = write_shard(folder / name, pa.table({"ids": tokens.to_arrow()}), {"documents": len(tokens)})

    for number, documents in _documents(plan):
        progress(tasks[number].name, number + 1, len(tasks))
        held_out = np.array([_hash(text) % HELD_OUT == 0 for text in documents], bool)
        tokens = tokenizer.encode_ragged(documents)
        for part, chosen in zip(_PARTS, (~held_out, held_out), strict=True):
            waiting[part].append(tokens.take(np.flatnonzero(chosen)))
            if sum(len(some.values) for some in waiting[part]) > _FILE_TOKENS:
                write(part)
    for part in _PARTS:
        write(part)
    if not all(counts[part]["tokens"] for part in _PARTS):
        raise UserError(f"{source.name}: has too little text to pretrain on; draw more rows or use another source")
    with atomic(folder / TOKENIZER) as temporary:
        temporary.write_bytes(tokenizer.content)
    sums[TOKENIZER] = sha256(folder / TOKENIZER)
    write_sealed(
        folder / CORPUS,
        {
            "source": source.name,
            "parts": counts,
            "contaminated": sum(len(rows) for rows in plan.contaminated.values()),
            "first_sentinel": tokenizer.first_sentinel,
            "sha256": sums,
        },
    )
    shutil.rmtree(folder / "staged", ignore_errors=True)


def open_corpus(folder: Path) -> Corpus:
    """Reads what ``build_corpus`` wrote.

    Raises:
        UserError: it is missing or damaged.
    """
    content = read_sealed(Path(folder) / CORPUS)
    try:
        return Corpus(
            Path(folder),
            {part: content["parts"][part]["documents"] for part in _PARTS},
            {part: content["parts"][part]["tokens"] for part in _PARTS},
            content["contaminated"],
            content["first_sentinel"],
        )
    except (KeyError, TypeError) as error:
        raise UserError(f"{folder}: not a corpus ({error!r}). Delete the folder and run again.") from error


def _documents(plan: Plan) -> Iterator[tuple[int, list[str]]]:
    """The number of each task with the documents of its rows, at most ``PART_ROWS`` at a time."""
    seen: set[int] = set()
    for number, task in enumerate(plan.tasks):
        rows = plan.rows[task.name][1]
        for start in range(0, len(rows), PART_ROWS):
            some = rows[start : start + PART_ROWS]
            records = to_records(plan.staged[task.data].take(some), some.tolist(), task.fields).records
            documents = [_document(record, seen) for record in records]
            yield number, [document for document in documents if document]


def _document(record: Record, seen: set[int]) -> str:
    """The texts of a record that were not seen before, a line each."""
    fresh = []
    for value in record.values():
        text = value if isinstance(value, str) else ", ".join(value)
        if (key := _hash(text)) not in seen:
            seen.add(key)
            fresh.append(text)
    return "\n".join(fresh)


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest())
