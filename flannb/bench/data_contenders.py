"""The programs that the benchmark of the build compares, each a process of its own.

``python -m flannb.bench.data_contenders NAME SETTING SOURCE MODEL WORK PROCESSES FILE`` runs one. All of them get the
same rows, the same SentencePiece model and the same number of processes. What is timed begins with everything imported,
loaded and started, workers included, and ends with the shards on disk.
"""

import argparse
import json
import random
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from flannb.bench.measure import processor_seconds
from flannb.build import (
    BuildOptions,
    Lengths,
    Mirror,
    Records,
    Texts,
    build_data,
    first_records,
    make_examples,
    open_build,
    open_tokenizer,
    read_records,
    read_shard,
    workers,
)
from flannb.collection import Task, TemplateSet, tasks, templates
from flannb.vocabulary import EOS_ID

LENGTHS = Lengths(1024, 256)
SHOTS = 3
SETTINGS = {"zero_shot": "zs_opt", "3_shot": "fs_opt"}
ALL_ROWS = 2**31 - 1


def cot_tasks(source: Mirror) -> tuple[Task, ...]:
    """The Chain-of-Thought tasks whose files the source has."""
    return tuple(task for task in tasks(source.collection) if task.submixture == "cot" and source.has(task.data))


def options(model: Path, **changes: Any) -> BuildOptions:
    """Of a build with this SentencePiece model, without limit of rows."""
    return replace(BuildOptions(LENGTHS, ALL_ROWS, 0, seed=0, tokenizer=str(model), exemplars=(SHOTS,)), **changes)


def flannb(source: Mirror, model: Path, work: Path, setting: str, processes: int) -> dict[str, float]:
    """The build of this package, from the files of the source."""
    started = time.perf_counter()
    with workers(processes) as run:
        # Workers import what they need with their first work; they count as started when all of them have.
        list(run(_make_ready, [model] * processes))
        _make_ready(model)
        ready = time.perf_counter()
        before = processor_seconds()
        chosen = options(model, settings=(SETTINGS[setting],))
        index = build_data(source, cot_tasks(source), chosen, work / "shards", run=run, inversions=False)
        seconds, cpu = time.perf_counter() - ready, processor_seconds() - before
    build = open_build(index)
    return {
        "examples": sum(shard.examples for shard in build.shards),
        "tokens": sum(shard.tokens for shard in build.shards),
        "seconds": seconds,
        "processor_seconds": cpu,
        "workers_start_seconds": ready - started,
    }


def _make_ready(model: Path) -> None:
    """Makes an example, in a time that no single worker can do for all."""
    records = Records([0, 1], [{"question": name, "answer": "yes", "rationale": "so it is"} for name in ("a", "b")])
    task = next(task for task in tasks("flan2022") if task.submixture == "cot")
    make_examples(task, "fs_opt", records, Texts(open_tokenizer(model)), LENGTHS, seed=0)
    time.sleep(0.5)


def whole(source: Mirror, model: Path, work: Path, setting: str, processes: int) -> dict[str, float]:
    """The build of this package of all that the source has, in all settings and with inversions."""
    found = tuple(task for task in tasks(source.collection) if source.has(task.data))
    started = time.perf_counter()
    index = build_data(
        source, found, BuildOptions(LENGTHS, ALL_ROWS, 0, 0, str(model)), work / "whole", count=processes
    )
    seconds = time.perf_counter() - started
    build = open_build(index)
    return {
        "tasks": len({shard.task for shard in build.shards}),
        "shards": len(build.shards),
        "examples": sum(shard.examples for shard in build.shards),
        "tokens": sum(shard.tokens for shard in build.shards),
        "seconds": seconds,
        "processor_seconds": processor_seconds(),
    }


def datasets_map(source: Mirror, model: Path, work: Path, setting: str, processes: int) -> dict[str, float]:
    """Hugging Face ``datasets.map`` as it is mostly written, a row at a time: ``str.format`` and sentencepiece.

    Reading the rows is not timed.
    """
    return _datasets_map(source, model, work, setting, processes, batched=False)


def datasets_map_batched(source: Mirror, model: Path, work: Path, setting: str, processes: int) -> dict[str, float]:
    """The same with ``batched=True``: sentencepiece gets a thousand texts at a time."""
    return _datasets_map(source, model, work, setting, processes, batched=True)


def _datasets_map(
    source: Mirror, model: Path, work: Path, setting: str, processes: int, batched: bool
) -> dict[str, float]:
    import datasets
    import sentencepiece as spm

    datasets.disable_progress_bars()
    processor = spm.SentencePieceProcessor(model_file=str(model))
    found = [(task, read_records(source, task.data, task.fields)) for task in cot_tasks(source)]
    rows = [{**record, "task": i} for i, (_, records) in enumerate(found) for record in records.records]
    datasets.Dataset.from_list(rows).save_to_disk(str(work / "rows"))
    loaded = datasets.load_from_disk(str(work / "rows"))
    sets = [templates()[task.templates] for task, _ in found]
    render = _zero_shot(sets) if setting == "zero_shot" else _few_shot(sets, [records for _, records in found])

    def one(row: dict[str, Any], number: int) -> dict[str, Any]:
        given, target = render(row, random.Random(number))
        return {
            "inputs": given,
            "targets": target,
            "input_ids": [*processor.encode(given)[: LENGTHS.input - 1], EOS_ID],
            "target_ids": [*processor.encode(target)[: LENGTHS.target - 1], EOS_ID],
        }

    def many(batch: dict[str, list[Any]], numbers: list[int]) -> dict[str, list[Any]]:
        rng = random.Random(numbers[0])
        names = list(batch)
        pairs = [render(dict(zip(names, values, strict=True)), rng) for values in zip(*batch.values(), strict=True)]
        inputs, targets = [i for i, _ in pairs], [t for _, t in pairs]
        return {
            "inputs": inputs,
            "targets": targets,
            "input_ids": [[*ids[: LENGTHS.input - 1], EOS_ID] for ids in processor.encode(inputs, num_threads=1)],
            "target_ids": [[*ids[: LENGTHS.target - 1], EOS_ID] for ids in processor.encode(targets, num_threads=1)],
        }

    make = many if batched else one
    how = {"batched": batched, "with_indices": True, "remove_columns": loaded.column_names}
    loaded.select(range(min(100, len(loaded)))).map(make, **how, cache_file_name=str(work / "warm.arrow"))
    before, started = processor_seconds(), time.perf_counter()
    made = loaded.map(make, **how, num_proc=processes, cache_file_name=str(work / "made.arrow"))
    seconds, cpu = time.perf_counter() - started, processor_seconds() - before
    tokens = sum(len(ids) for name in ("input_ids", "target_ids") for ids in made[name])
    return {"examples": len(made), "tokens": tokens, "seconds": seconds, "processor_seconds": cpu}


Render = Callable[[dict[str, Any], random.Random], tuple[str, str]]


def _zero_shot(sets: list[TemplateSet]) -> Render:
    def render(row: dict[str, Any], rng: random.Random) -> tuple[str, str]:
        words = sets[row["task"]].zero_shot
        word = words[rng.randrange(len(words))]
        return word.input.format(**row), word.target.format(**row)

    return render


def _few_shot(sets: list[TemplateSet], pools: list[Records]) -> Render:
    def render(row: dict[str, Any], rng: random.Random) -> tuple[str, str]:
        words, pool = sets[row["task"]].few_shot, pools[row["task"]].records
        word = words[rng.randrange(len(words))]
        query = word.input.format(**row)
        shots: list[str] = []
        while len(shots) < SHOTS:
            exemplar = pool[rng.randrange(len(pool))]
            asked = word.input.format(**exemplar)
            if asked != query:
                shots.append(f"{asked}{word.between}{word.target.format(**exemplar)}")
        told = word.instruction.format(**row)
        parts = [told, *shots, query] if word.place == "before" else [*shots, told, query]
        return word.separator.join(part for part in parts if part), word.target.format(**row)

    return render


def sentencepiece(source: Mirror, model: Path, work: Path, setting: str, processes: int) -> dict[str, float]:
    """The tokenizer alone, with threads, on the very strings of flannb's build."""
    import sentencepiece as spm

    chosen = options(model, settings=(SETTINGS[setting],))
    build = open_build(build_data(source, cot_tasks(source), chosen, work / "strings", count=1, inversions=False))
    tables = [read_shard(build.home / shard.path) for shard in build.shards]
    strings = [text for table in tables for name in ("inputs", "targets") for text in table[name].to_pylist()]
    processor = spm.SentencePieceProcessor(model_file=str(model))
    processor.encode(strings[:1000], num_threads=processes)
    before, started = processor_seconds(), time.perf_counter()
    ids = processor.encode(strings, num_threads=processes, return_type="numpy")
    seconds, cpu = time.perf_counter() - started, processor_seconds() - before
    return {
        "examples": len(strings) // 2,
        "tokens": sum(map(len, ids)),
        "seconds": seconds,
        "processor_seconds": cpu,
    }


def first_example(source: Mirror, model: Path, work: Path, setting: str, processes: int) -> dict[str, float]:
    """A first example, rendered and tokenised; what counts is how long the whole process takes."""
    task = cot_tasks(source)[0]
    records = first_records(source, task.data, task.fields, 100)
    table, _ = make_examples(task, SETTINGS[setting], records, Texts(open_tokenizer(model)), LENGTHS, seed=0)
    return {"examples": table.num_rows, "tokens": len(table["input_ids"][0])}


CONTENDERS = {
    "flannb": flannb,
    "datasets": datasets_map,
    "datasets_batched": datasets_map_batched,
    "sentencepiece": sentencepiece,
    "first_example": first_example,
    "whole": whole,
}


def main() -> None:
    """Runs one contender and writes what it measured as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=CONTENDERS)
    parser.add_argument("setting", choices=SETTINGS)
    parser.add_argument("source", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("processes", type=int)
    parser.add_argument("result", type=Path)
    given = parser.parse_args()
    shutil.rmtree(given.work, ignore_errors=True)
    given.work.mkdir(parents=True)
    contender = CONTENDERS[given.name]
    result = contender(Mirror(given.source), given.model, given.work, given.setting, given.processes)
    given.result.write_text(json.dumps(result))
    shutil.rmtree(given.work)


if __name__ == "__main__":
    main()
