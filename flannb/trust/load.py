"""Load: mixtures, sources and artefacts far larger than the paper's; time and memory are to grow as they do, no faster.

Each measurement is a process of its own, ``python -m flannb.trust.load KIND FOLDER SIZE FILE``. Its processor time
counts, to which other work on the machine does not add.
"""

import json
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from flannb.bench.measure import measure
from flannb.build import BuildOptions, Lengths, Mirror, Shard, build_data, open_build
from flannb.collection import Split, Task
from flannb.collection.task import Column
from flannb.experiments.artefacts import TABLE1
from flannb.experiments.reproduce import Options, artefact_steps
from flannb.experiments.step import is_done
from flannb.files import MANIFEST, atomic, read_sealed, write_sealed
from flannb.mixture import BatchShape, Mixture, batches, shard_weights
from flannb.trust.case import Bench, Figure, demand
from flannb.trust.reproduction import PLAIN, ROW, Rehearsed

AREA = "load"
TASKS = (1250, 2500, 5000, 10_000)
ROWS = (1_250_000, 5_000_000, 20_000_000)
RUNS = (125, 250, 500)

FASTER_THAN_LINEAR = 1.5
"""By what factor time per unit may grow from the smallest size to the largest, before it counts as more than linear."""

MOST = 2048.0
"""MB that any of it may take."""


def run(bench: Bench) -> None:
    """Measures, and counts each kind as survived where time grows no faster than the size and memory stays bounded."""
    home = bench.folder / AREA
    for kind, (what, sizes, prepare) in KINDS.items():
        some = sizes if bench.share == 1 else [max(1, int(size * bench.share / 10)) for size in sizes[:2]]
        bench.inject(
            AREA, f"{what}, up to {some[-1]:,}", partial(_grows, bench, kind, what, some, prepare, home / kind)
        )


def _grows(
    bench: Bench, kind: str, what: str, sizes: Sequence[int], prepare: Callable[[Path, int], object], home: Path
) -> str:
    figures = []
    for size in sizes:
        shutil.rmtree(home, ignore_errors=True)
        prepare(home, size)
        found = measure("flannb.trust.load", kind, str(home), str(size))
        figures.append(Figure(what, size, found.result["seconds"], found.peak_bytes / 2**20))
        for name, seconds in found.result.get("parts", {}).items():
            bench.figures.append(Figure(f"{what}: {name}", size, seconds, found.peak_bytes / 2**20))
    bench.figures += figures
    shutil.rmtree(home, ignore_errors=True)
    first, last = figures[0], figures[-1]
    growth = (last.seconds / last.size) / (first.seconds / first.size)
    demand(growth < FASTER_THAN_LINEAR, f"time per unit grew {growth:.1f}-fold")
    demand(last.memory < MOST, f"took {last.memory:.0f} MB")
    return f"{last.seconds:.1f} s and {last.memory:.0f} MB; time per unit {growth:.2f} times that at {first.size:,}"


# --- a mixture of many tasks ------------------------------------------------------------------------------------------


def _write_tasks(home: Path, size: int) -> None:
    """A build of so many tasks, all with the shard of one."""
    task = Task("t", "flan2021", Split("o/d", "c", "s"), FIELDS, "mini_question")
    _write_rows(home / "mirror", 64)
    made = open_build(build_data(Mirror(home / "mirror"), (task,), OPTIONS, home / "build"))
    content = (made.home / made.shards[0].path).read_bytes()
    shards = []
    for number in range(size):
        shard = replace(made.shards[0], task=f"t{number}", path=f"flan2021/t{number}.zs_noopt.arrow")
        (made.home / shard.path).write_bytes(content)
        shards.append(shard.as_json())
    index = made.home / "index.json"
    write_sealed(index, read_sealed(index) | {"shards": shards})


def _mix(home: Path, size: int) -> dict[str, Any]:
    import grain  # noqa: F401, which takes seconds and is no part of it

    began = time.process_time()
    build = open_build(next((home / "build").glob("*/index.json")))
    opened = time.process_time()
    weights: dict[Shard, float] = shard_weights(build.shards, Mixture({"flan2021": 1.0}, few_shot=0.0))
    weighed = time.process_time()
    next(iter(batches(build, weights, BatchShape(8, 128, 64), seed=0)))
    ended = time.process_time()
    assert len(weights) == size
    parts = {"index read": opened - began, "weights": weighed - opened, "to the first batch": ended - weighed}
    return {"seconds": ended - began, "parts": parts}


# --- a source of many rows --------------------------------------------------------------------------------------------

DATA = Split("o/d", "c", "s")
FIELDS = {"question": Column("question"), "answer": Column("answer")}
OPTIONS = BuildOptions(Lengths(64, 32), rows_per_task=10**9, vocabulary_size=300, seed=0, settings=("zs_noopt",))
FILE_ROWS = 1_000_000


def _write_rows(root: Path, size: int) -> None:
    """Parquet files of short questions, all different."""
    for number, start in enumerate(range(0, size, FILE_ROWS)):
        ids = np.arange(start, min(size, start + FILE_ROWS))
        names = np.array([f"word{i % 977} and word{i % 613}" for i in range(10_000)], object)
        questions = pa.array(np.char.add("what follows on number ", ids.astype(str)))
        table = pa.table({"question": questions, "answer": pa.array(names[ids % 10_000])})
        with atomic(root / str(DATA) / f"{number:04d}.parquet") as temporary:
            pq.write_table(table, temporary)


def _build(home: Path, size: int) -> dict[str, Any]:
    task = Task("t", "flan2021", DATA, FIELDS, "mini_question")
    began = time.process_time()
    build = open_build(build_data(Mirror(home), (task,), OPTIONS, home / "build", count=1))
    seconds = time.process_time() - began
    assert sum(shard.examples for shard in build.shards) == size
    return {"seconds": seconds}


# --- an artefact of many runs -----------------------------------------------------------------------------------------


def _options(home: Path, size: int) -> Options:
    runs, reports = str(home / "runs"), str(home / "reports")
    return Options(scale="tiny", rows=(ROW,), repeats={ROW: size}, runs=runs, reports=reports)


def _write_runs(home: Path, size: int) -> None:
    """One run done in earnest; the others have its files, under their own keys."""
    rehearsed = Rehearsed(home)
    for step in artefact_steps(TABLE1, _options(home, size)):
        kind = step.name.rsplit("/")[-1]
        if "-repeat" in step.name:
            shutil.copytree(rehearsed.steps()[kind].folder, step.folder)
            manifest = Path(step.folder) / MANIFEST
            write_sealed(manifest, read_sealed(manifest) | {"key": step.key})


def _report(home: Path, size: int) -> dict[str, Any]:
    from flannb.experiments.__main__ import main

    began = time.process_time()
    steps = artefact_steps(TABLE1, _options(home, size))
    planned = time.process_time()
    assert all(is_done(step) for step in steps[:-1])
    checked = time.process_time()
    where = ["--runs", str(home / "runs"), "--reports", str(home / "reports")]
    main(["table1", "--scale", "tiny", "--rows", ROW, "--repeats", str(size), *where, *PLAIN])
    ended = time.process_time()
    parts = {"planning": planned - began, "all hashes": checked - planned, "report": ended - checked}
    return {"seconds": ended - began, "parts": parts}


KINDS: dict[str, tuple[str, tuple[int, ...], Callable[[Path, int], object]]] = {
    "tasks": ("tasks in a mixture, to the first batch", TASKS, _write_tasks),
    "runs": ("runs in an artefact, checked and reported", RUNS, _write_runs),
    "rows": ("rows of a source, built", ROWS, _write_rows),
}
MEASURED: dict[str, Callable[[Path, int], dict[str, Any]]] = {"tasks": _mix, "rows": _build, "runs": _report}

if __name__ == "__main__":
    _, chosen, folder, number, path = sys.argv
    Path(path).write_text(json.dumps(MEASURED[chosen](Path(folder), int(number))), encoding="utf-8")
