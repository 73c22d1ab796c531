"""Building the data: every task of a source, in every setting, to tokenised shards with an index and a manifest.

A build's folder is named by the hash of what goes into it (data, tasks, templates, code, seed, limits), so a build is
never mixed with another; each shard is stamped with the same hash, so a killed build goes on where it was.
"""

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flannb.build.decontaminate import EvaluationText
from flannb.build.examples import Lengths, make_examples, settings_of
from flannb.build.inventory import rows_by_value
from flannb.build.inversion import with_inversions
from flannb.build.records import Records, read_records
from flannb.build.render import instruction, render, wordings
from flannb.build.shards import Shard, read_shard, shard_stamp, write_shard
from flannb.build.sources import Source
from flannb.build.tokenizer import Tokenizer, train_tokenizer
from flannb.collection import SUBMIXTURES, Task, eval_tasks, templates
from flannb.errors import UserError
from flannb.files import code_digest, digest, read_json, sha256, write_json

INDEX = "index.json"
TOKENIZER = "spiece.model"
TOKENIZER_ROWS = 300
"""Records of each task whose text trains the tokenizer."""


@dataclass(frozen=True)
class BuildOptions:
    """What a build depends on besides the source.

    Attributes:
        lengths: token limits.
        rows_per_task: at most so many records of each task.
        vocabulary_size: pieces of the trained tokenizer.
        seed: fixes all draws.
        tokenizer: a SentencePiece model to use instead of training one.
        drop_contaminated: leave out the records that hold text of the source's evaluation rows.
    """

    lengths: Lengths
    rows_per_task: int
    vocabulary_size: int
    seed: int
    tokenizer: str = ""
    drop_contaminated: bool = False


def missing_tasks(source: Source, tasks: Iterable[Task]) -> list[Task]:
    """The tasks that cannot be built from a source: unavailable ones, and those of which it lacks the data or any row.

    Raises:
        UserError: as ``Source.read``, of a file that tasks share.
    """
    tasks = tuple(tasks)
    have: dict[Any, bool] = {}
    rows: dict[Any, Counter[str]] = {}
    for task in tasks:
        if task.data not in have:
            have[task.data] = not task.unavailable and source.has(task.data)
        if task.where and have[task.data] and (task.data, task.where[0]) not in rows:
            rows[task.data, task.where[0]] = rows_by_value(source, task.data, task.where[0])
    return [
        task
        for task in tasks
        if task.unavailable or not have[task.data] or (task.where and not rows[task.data, task.where[0]][task.where[1]])
    ]


def build_key(source: Source, tasks: tuple[Task, ...], options: BuildOptions) -> str:
    """The hash that names a build."""
    # What is dropped depends on the evaluation rows too.
    scored = eval_tasks(source.collection) if options.drop_contaminated else ()
    read = {task.data for task in tasks} | {task.data for task in scored if source.has(task.data)}
    data = {str(data): source.fingerprint(data) for data in read}
    code = code_digest("collection", "build", "files.py", "vocabulary.py")
    chosen = [(task.name, str(task.data)) for task in tasks]
    tokenizer = sha256(Path(options.tokenizer)) if options.tokenizer else ""
    return digest([source.collection, data, code, chosen, dataclasses.asdict(options), tokenizer])[:16]


def build_data(
    source: Source,
    tasks: tuple[Task, ...],
    options: BuildOptions,
    folder: Path,
    progress: Callable[[str, int, int], object] = lambda task, done, total: None,
) -> Path:
    """Builds all shards of the tasks and their inversions below ``folder``; what is there already is kept.

    Args:
        source: has the data of all tasks (see ``missing_tasks``).
        progress: called with a task's name, the number of tasks done, and of all.

    Returns:
        The path of the build's index.

    Raises:
        UserError: unreadable data, or a task of which no row can be used.
    """
    if not tasks:
        raise UserError(f"{source.name}: holds none of the collection's tasks; is it a mirror folder?")
    key = build_key(source, tasks, options)
    home = Path(folder) / key
    if (home / INDEX).is_file():
        return home / INDEX
    everything = with_inversions(tasks)
    reader = _Reader(source, options)
    if options.tokenizer:
        tokenizer = Tokenizer(Path(options.tokenizer))
    else:
        tokenizer = _tokenizer(everything, reader, options, home / TOKENIZER)
    entries, report = [], {}
    for done, task in enumerate(everything):
        progress(task.name, done, len(everything))
        shards, rejected = _build_task(task, reader, tokenizer, options, home, key)
        entries += shards
        if rejected:
            report[task.name] = rejected
    progress("", len(everything), len(everything))
    write_json(home / "rejected.json", report)
    write_json(
        home / INDEX,
        {
            "key": key,
            "source": source.name,
            "collection": source.collection,
            "options": dataclasses.asdict(options),
            "tokenizer": str(tokenizer.path if options.tokenizer else TOKENIZER),
            "vocabulary_size": tokenizer.vocabulary_size,
            "shards": [shard.as_json() for shard in entries],
        },
    )
    return home / INDEX


class _Reader:
    """Reads a task's records once for all its settings, without contaminated ones where the options say so."""

    def __init__(self, source: Source, options: BuildOptions):
        self.source, self.options = source, options
        scored = eval_tasks(source.collection) if options.drop_contaminated else ()
        self._evaluation = EvaluationText.read(source, scored)
        self._last: tuple[Any, Records] | None = None

    def __call__(self, task: Task) -> Records:
        key = (task.data, task.where, tuple(task.fields))
        if self._last is None or self._last[0] != key:
            seed = int(digest([self.options.seed, str(task.data), task.where])[:16], 16)
            try:
                records = read_records(
                    self.source, task.data, task.fields, task.where, self.options.rows_per_task, seed
                )
            except UserError as error:
                raise UserError(f"task {task.name}: {error}") from error
            self._last = (key, self._evaluation.without_matches(records))
        return self._last[1]


def _build_task(
    task: Task, reader: _Reader, tokenizer: Tokenizer, options: BuildOptions, home: Path, key: str
) -> tuple[list[Shard], dict[str, Any]]:
    """The shards of one task, and the reasons for which its rows or records were left out."""
    records = reader(task)
    rejected: dict[str, Any] = {"rows": dict(records.rejected)} if records.rejected else {}
    shards: list[Shard] = []
    if not records:
        return shards, rejected  # all rows were contaminated
    for setting in settings_of(task, SUBMIXTURES[task.submixture].settings):
        path = home / task.submixture / f"{task.name}.{setting}.arrow"
        if shard_stamp(path).get("key") != key:
            examples, dropped = make_examples(task, setting, records, tokenizer, options.lengths, options.seed)
            write_shard(path, examples, key, dropped)
        table = read_shard(path)
        if left_out := shard_stamp(path)["dropped"]:
            rejected[setting] = left_out
        if not table.num_rows:
            continue
        tokens = sum(len(table[name].combine_chunks().values) for name in ("input_ids", "target_ids"))
        shards.append(
            Shard(
                task=task.name,
                submixture=task.submixture,
                setting=setting,
                inverted=task.inverted,
                path=str(path.relative_to(home)),
                examples=table.num_rows,
                records=len(records),
                tokens=tokens,
                sha256=sha256(path),
            )
        )
    return shards, rejected


def _tokenizer(tasks: tuple[Task, ...], reader: _Reader, options: BuildOptions, path: Path) -> Tokenizer:
    """A tokenizer trained on a sample of each task's zero-shot texts."""
    if path.is_file():
        return Tokenizer(path)

    def texts() -> Iterable[str]:
        for task in tasks:
            records = reader(task).records[:TOKENIZER_ROWS]
            family = templates()[task.templates]
            words = wordings(family.zero_shot, task.has_options)
            few_shot = wordings(family.few_shot, task.has_options)
            for i, record in enumerate(records):
                yield instruction(few_shot[i % len(few_shot)], record)
                piece = render(words[i % len(words)], record)
                yield piece.input
                yield piece.target

    return train_tokenizer(texts(), path, options.vocabulary_size)


@dataclass(frozen=True)
class Build:
    """A finished build, as later stages read it."""

    home: Path
    key: str
    source: str
    collection: str
    lengths: Lengths
    tokenizer_path: Path
    vocabulary_size: int
    shards: tuple[Shard, ...]


def open_build(index: Path) -> Build:
    """Reads a build's index.

    Raises:
        UserError: the index is missing or damaged.
    """
    content = read_json(index)
    home = Path(index).parent
    try:
        return Build(
            home=home,
            key=content["key"],
            source=content["source"],
            collection=content["collection"],
            lengths=Lengths(**content["options"]["lengths"]),
            tokenizer_path=home / content["tokenizer"],
            vocabulary_size=content["vocabulary_size"],
            shards=tuple(Shard(**entry) for entry in content["shards"]),
        )
    except (KeyError, TypeError) as error:
        raise UserError(f"{index}: not an index of shards ({error!r}). Delete the folder and build again.") from error
