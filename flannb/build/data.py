"""Building the data: every task of a source, in every setting, to tokenised shards with an index and a report.

A build's folder is named by the hash of what goes into it (data, tasks, templates, code, seed, limits), so a build is
never mixed with another. ``SHA256SUMS`` lists the files as they are finished, so a killed build goes on where it was,
and keeps none that has changed since. The bytes depend on nothing else: not on the number of workers, nor on the order
in which they finish.

The way: rows are staged and chosen (``plan``), cut into parts (``parts``), built by workers (``workers``), and the
index, with size and hash of every shard, is written when all are there.
"""

import dataclasses
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from filelock import FileLock

from flannb import extra
from flannb.build.index import INDEX, damaged_files, open_build
from flannb.build.inventory import rows_by_value
from flannb.build.inversion import with_inversions
from flannb.build.parts import (
    BuildOptions,
    Job,
    Part,
    Written,
    build_parts,
    built_settings,
    bundle,
    cut,
    sample,
    shard_path,
)
from flannb.build.plan import Plan, make_plan, positives_at
from flannb.build.records import no_usable_row
from flannb.build.render import texts_of
from flannb.build.report import Tally, counts, located, tally, together
from flannb.build.shards import Shard
from flannb.build.sources import Source
from flannb.build.tokenizer import Tokenizer, open_tokenizer, train_tokenizer
from flannb.build.workers import Run, check_main_is_guarded, default_workers, workers
from flannb.collection import EVERY_SUITE, Data, Task, check, eval_tasks
from flannb.collection.task import described
from flannb.errors import UserError
from flannb.files import (
    add_sum,
    atomic,
    code_digest,
    digest,
    is_intact,
    read_sums,
    sha256,
    write_json,
    write_sealed,
    write_sums,
)

REPORT = "report.json"
TOKENIZER = "spiece.model"
STAGING = ".staged"
TOKENIZER_ROWS = 300
"""Records of each task whose text trains the tokenizer."""

APART = (
    *("build/card.py", "build/contamination.py", "build/corpus.py", "build/download.py", "build/export.py"),
    *("build/github.py", "build/holdout.py", "build/inventory.py", "build/mirror.py", "build/workers.py"),
    *("collection/finetuning.py", "collection/licences.csv", "collection/licences.py"),
    *("collection/mini/single_task.py", "collection/public.py"),
)
"""Modules that no byte of a build depends on: what they fetch is hashed, and what they do happens before or after; the
tasks of single-task finetuning are no part of it."""

ABOUT_EVALUATION = ("build/decontaminate.py", "build/ngrams.py", "collection/single_task.py", "collection/suites.py")
"""Modules of which a build makes use only where it drops contaminated rows."""

WORTH_WORKERS = 150_000
"""Fewer examples are built before workers have started."""


def missing_tasks(source: Source, tasks: Iterable[Task]) -> list[Task]:
    """The tasks that cannot be built from a source: unavailable ones, and those of which it lacks the data or any row.

    Raises:
        UserError: as ``Source.read``, of a file that tasks share.
    """
    have: dict[Data, bool] = {}
    rows: dict[tuple[Data, str], Counter[str]] = {}

    def has_rows(task: Task) -> bool:
        if task.data not in have:
            have[task.data] = source.has(task.data)
        if not have[task.data] or task.where is None:
            return have[task.data]
        column, value = task.where
        if (task.data, column) not in rows:
            rows[task.data, column] = rows_by_value(source, task.data, column)
        return bool(rows[task.data, column][value])

    return [task for task in tasks if task.unavailable or not has_rows(task)]


def build_key(source: Source, tasks: tuple[Task, ...], options: BuildOptions) -> str:
    """The hash that names a build."""
    # What is dropped depends on the evaluation rows too.
    scored = eval_tasks(source.collection, EVERY_SUITE) if options.drop_contaminated else ()
    read = {task.data for task in tasks} | {task.data for task in scored if source.has(task.data)}
    read |= {found for task in tasks if (found := positives_at(source, task))}
    data = {str(data): source.fingerprint(data) for data in read}
    unused = APART if options.drop_contaminated else (*APART, *ABOUT_EVALUATION)
    code = code_digest("collection", "build", "files.py", "vocabulary.py", without=unused)
    chosen = [described(task) for task in tasks]
    tokenizer = sha256(Path(options.tokenizer)) if options.tokenizer else ""
    settings = dataclasses.asdict(options) | {"tokenizer": tokenizer}  # its bytes, wherever they lie
    return digest([source.collection, data, code, chosen, settings, extra.fingerprint(*extra.DATA)])[:16]


def build_data(
    source: Source,
    tasks: tuple[Task, ...],
    options: BuildOptions,
    folder: Path,
    progress: Callable[[str, int, int], object] = lambda task, done, total: None,
    *,
    count: int | None = None,
    cluster: str = "",
    run: Run | None = None,
    inversions: bool = True,
) -> Path:
    """Builds all shards of the tasks and their inversions below ``folder``; what is there already is kept.

    Args:
        source: has the data of all tasks (see ``missing_tasks``).
        progress: called with a task's name, the number of tasks done, and of all.
        count: worker processes; by default one for each core, or none beside this one where there is little to do. As
            ever with processes, a script that starts them needs ``if __name__ == "__main__":``.
        cluster: address of a Dask scheduler whose workers share ``folder``, instead of processes of this machine.
        run: workers that are there already (see ``workers``), instead of new ones.
        inversions: build the tasks' inversions too.

    Returns:
        The path of the build's index.

    Raises:
        UserError: two tasks of one name, unreadable data, or a task of which no row can be used. The message names
            task and file.
    """
    check_main_is_guarded()
    if not tasks:
        raise UserError(f"{source.name}: holds none of the collection's tasks; is it a mirror folder?")
    everything = with_inversions(tasks) if inversions else tasks
    check(everything)
    key = build_key(source, everything, options)
    home = Path(folder) / key
    home.mkdir(parents=True, exist_ok=True)
    with FileLock(home.with_name(f".{key}.lock")), ExitStack() as stack:
        if not _is_whole(home):
            _sweep(home)
            started = run or stack.enter_context(workers(count or 1, cluster))
            plan = make_plan(source, everything, options, home / STAGING, started)
            if run is None and count is None and not cluster and plan.examples > WORTH_WORKERS:
                started = stack.enter_context(workers(default_workers()))
            _build(plan, key, home, started, progress)
    return home / INDEX


def _build(plan: Plan, key: str, home: Path, run: Run, progress: Callable[[str, int, int], object]) -> None:
    """Builds what is planned and writes report and index."""
    options = plan.options
    sums, path = read_sums(home), home / TOKENIZER
    if not is_intact(path, sums.get(TOKENIZER)):
        if options.tokenizer:
            with atomic(path) as temporary:
                temporary.write_bytes(open_tokenizer(Path(options.tokenizer)).content)
        else:
            progress("tokenizer", 0, len(plan.tasks))
            _tokenizer(plan, path)
        add_sum(home, TOKENIZER)
    tokenizer = open_tokenizer(path)
    parts = _parts(plan)
    waiting = Counter(task.name for part in parts for task in part.tasks)
    total, done = len(plan.tasks), len(plan.tasks) - len(waiting)
    progress(plan.tasks[0].name, done, total)
    written: dict[tuple[str, str], list[Written]] = defaultdict(list)
    jobs = [Job(some, home, key, path, options, _known(some, sums, options)) for some in bundle(parts)]
    for job, made in run(build_parts, jobs):
        for file in made:
            written[file.task, file.setting].append(file)
            if sums.get(file.path) != file.sha256:
                add_sum(home, file.path, file.sha256)
        for task in (task for part in job.parts for task in part.tasks):
            waiting[task.name] -= 1
            if not waiting[task.name]:
                done += 1
                progress(task.name if done < total else "", done, total)
    report, shards = _summary(
        plan, {place: sorted(files, key=lambda file: file.part) for place, files in written.items()}
    )
    write_json(home / REPORT, report)
    files = {file.path: file.sha256 for made in written.values() for file in made}
    own = {name: sha256(home / name) for name in (REPORT, TOKENIZER)}
    write_sums(home, files | own)
    write_sealed(
        home / INDEX,
        {
            "key": key,
            "source": plan.source.name,
            "collection": plan.source.collection,
            "options": dataclasses.asdict(options),
            "tokenizer": TOKENIZER,
            "vocabulary_size": tokenizer.vocabulary_size,
            "sha256": own,
            "shards": [shard.as_json() for shard in shards],
        },
    )
    shutil.rmtree(home / STAGING, ignore_errors=True)


def _known(parts: Sequence[Part], sums: Mapping[str, str], options: BuildOptions) -> dict[str, str]:
    """The hashes on record of the files of some parts."""
    paths = [part.path(task, setting).as_posix() for part in parts for task, setting in part.wanted(options)]
    return {path: sums[path] for path in paths if path in sums}


def _sweep(home: Path) -> None:
    """Removes what a killed build left that nothing reads: temporary files, and rows staged halfway."""
    shutil.rmtree(home / STAGING, ignore_errors=True)
    for path in home.rglob(".*.tmp"):
        path.unlink(missing_ok=True)


def _parts(plan: Plan) -> list[Part]:
    """The parts of all tasks; a task and its inverted twin, which follows it, have theirs together."""
    parts: list[Part] = []
    i = 0
    while i < len(plan.tasks):
        task = plan.tasks[i]
        twins = plan.tasks[i + 1 : i + 2]
        twins = twins if twins and twins[0].inverted and not task.inverted else ()
        i += 1 + len(twins)
        if len(rows := plan.rows[task.name][1]):
            positives = plan.positives.get(task.name, ())
            parts += cut((task, *twins), plan.staged[task.data], rows, plan.options.seed, positives)
    return parts


def _summary(plan: Plan, written: dict[tuple[str, str], list[Written]]) -> tuple[dict[str, Any], list[Shard]]:
    """The report and the shards of what was written.

    Raises:
        UserError: a task has no usable row.
    """
    report, shards = {}, []
    for task in plan.tasks:
        staged, (rows, used) = plan.staged[task.data], plan.rows[task.name]
        files = {setting: written.get((task.name, setting), []) for setting in built_settings(task, plan.options)}
        first = next(iter(files.values()), [])
        dropped = tally(plan.contaminated[task.name])
        unusable = together([dropped, *(file.stamp["rows"] for file in first)])
        records = sum(file.stamp["records"] for file in first)
        if len(used) and first and not records:
            raise UserError(f"task {task.name}: {plan.source.name}: {task.data} {no_usable_row(counts(unusable))}")
        entry: dict[str, Any] = {
            "data": str(task.data),
            "rows": rows,
            "not_drawn": rows - len(used) - len(plan.contaminated[task.name]),
            "records": records,
            "unusable": located(unusable, staged),
            "settings": {},
        }
        if unused := plan.contaminated_positives.get(task.name):
            entry["contaminated_positives"] = counts(tally(unused))
        for setting, made in files.items():
            total = Counter[str]()
            for file in made:
                total.update({name: file.stamp[name] for name in ("examples", "tokens", "truncated")})
            left_out: Tally = together(file.stamp["left_out"] for file in made)
            entry["settings"][setting] = {
                "examples": total["examples"],
                "truncated": total["truncated"],
                "left_out": located(left_out, staged),
            }
            if total["examples"]:
                path = shard_path(task, setting, len(made) == 1)
                shards.append(_shard(task, setting, path, made, records, total))
        report[task.name] = entry
    return report, shards


def _shard(task: Task, setting: str, path: Path, files: Sequence[Written], records: int, total: Counter[str]) -> Shard:
    return Shard(
        task=task.name,
        submixture=task.submixture,
        setting=setting,
        inverted=task.inverted,
        path=path.as_posix(),
        examples=total["examples"],
        records=records,
        tokens=total["tokens"],
        sha256=files[0].sha256 if len(files) == 1 else digest([file.sha256 for file in files]),
        bytes=sum(file.bytes for file in files),
    )


def _tokenizer(plan: Plan, path: Path) -> Tokenizer:
    """A tokenizer trained on a sample of each task's zero-shot texts."""

    def texts() -> Iterable[str]:
        for task in plan.tasks:
            found = sample(task, plan.staged[task.data], plan.rows[task.name][1], TOKENIZER_ROWS)
            yield from texts_of(task, found.records)

    return train_tokenizer(texts(), path, plan.options.vocabulary_size)


def _is_whole(home: Path) -> bool:
    """Whether a build is finished and all its files are as they were written."""
    try:
        return not damaged_files(open_build(home / INDEX))
    except UserError:
        return False
