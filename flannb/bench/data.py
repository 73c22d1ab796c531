"""The benchmark of the build: rows to shards on disk, beside ``datasets.map`` and sentencepiece alone.

Rounds alternate between the contenders, so that a busy machine slows all of them; figures are medians over rounds.
"""

import argparse
import statistics
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from flannb.bench.data_contenders import SETTINGS, cot_tasks
from flannb.bench.measure import Measured, load, measure
from flannb.bench.synthetic import SHARES, write_source
from flannb.build import Mirror, first_records, train_tokenizer
from flannb.errors import UserError
from flannb.experiments.runner import machine, versions
from flannb.names import known_names
from flannb.progress import Bar

CONTENDERS = "flannb.bench.data_contenders"
VOCABULARY = 16_000
TRAINING_ROWS = 1500
"""First rows of each file, whose text trains the tokenizer."""

WITH_DATASETS = 1_000_000
"""Sources with more rows are built by flannb alone, once, with fewer samples of the tokenizer."""

TARGETS = {
    ("zero_shot", "examples_per_second"): 40_000,
    ("3_shot", "examples_per_second"): 12_000,
    ("zero_shot", "times_datasets"): 2.5,
    ("3_shot", "times_datasets"): 2.5,
    ("zero_shot", "of_sentencepiece"): 0.45,
    ("3_shot", "of_sentencepiece"): 0.45,
}
"""The least of each figure on two cores that nothing else uses."""

MOST_GIB = 1.0
MOST_START_SECONDS = 3.0


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of ``nox -s bench -- data``."""
    parser.add_argument(
        "--source", type=Path, metavar="DIR", help="a mirror folder (default: a synthetic source of the same shape)"
    )
    parser.add_argument(
        "--rows",
        type=int,
        default=sum(SHARES.values()),
        metavar="N",
        help="rows of the synthetic source (default: %(default)s)",
    )
    parser.add_argument(
        "--settings", default=",".join(SETTINGS), metavar="A,B", help="what is built (default: %(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="rounds (default: %(default)s)")
    parser.add_argument("--processes", type=int, default=2, metavar="N", help="of each contender (default: 2)")
    parser.add_argument(
        "--whole", action="store_true", help="also build all that the mirror folder has, in all settings"
    )


def bench(given: argparse.Namespace) -> dict[str, Any]:
    """Runs the benchmark and returns its figures.

    Raises:
        UserError: a number below 1, a source without Chain-of-Thought files, or a contender that fails.
    """
    if min(given.rows, given.rounds, given.processes) < 1:
        raise UserError("--rows, --rounds and --processes must be at least 1")
    settings = known_names("--settings", given.settings, SETTINGS)
    with tempfile.TemporaryDirectory(prefix="flannb-bench-") as folder:
        root = given.source or Path(folder) / "source"
        if given.source is None:
            write_source(root, given.rows)
        source = Mirror(root)
        found = cot_tasks(source)
        if not found:
            raise UserError(f"--source {root}: has no Chain-of-Thought files; mirror github/google-research/FLAN")
        model = Path(folder) / "spiece.model"
        drawn = (r for task in found for r in first_records(source, task.data, task.fields, TRAINING_ROWS).records)
        train_tokenizer((str(text) for record in drawn for text in record.values()), model, VOCABULARY)
        common = [str(root), str(model), str(Path(folder) / "work"), str(given.processes)]
        figures = _compare(given, settings, common)
        if given.whole:
            figures["whole"] = _alone(measure(CONTENDERS, "whole", "zero_shot", *common))
    figures |= {
        "source": root.name if given.source else "synthetic",
        "machine": machine(),
        "versions": versions() | {"datasets": version("datasets")},
    }
    return figures


def _compare(given: argparse.Namespace, settings: Sequence[str], common: Sequence[str]) -> dict[str, Any]:
    """Figures of all contenders in these settings; ``common`` are the arguments that all of them get."""
    huge = given.source is None and given.rows > WITH_DATASETS
    names = ("flannb",) if huge else ("flannb", "datasets", "datasets_batched", "sentencepiece")
    rounds = 1 if huge else given.rounds
    runs: dict[tuple[str, str], list[Measured]] = {}
    loads, starts = [load()], []
    with Bar(total=rounds * (len(names) * len(settings) + 1), desc="bench", unit="run") as bar:
        for _ in range(rounds):
            for setting in settings:
                for name in names:
                    bar.set_postfix_str(f"{name} {setting}")
                    runs.setdefault((name, setting), []).append(measure(CONTENDERS, name, setting, *common))
                    bar.update()
            starts.append(measure(CONTENDERS, "first_example", "zero_shot", *common).seconds)
            bar.update()
            loads.append(load())
    figures: dict[str, Any] = {
        "processes": given.processes,
        "rounds": rounds,
        "load_average": [round(value, 2) for value in loads],
        "first_example_seconds": round(statistics.median(starts), 2),
    }
    for setting in settings:
        by_name = {name: _median(runs[name, setting]) for name in names}
        speed = {name: found["examples_per_second"] for name, found in by_name.items()}
        figures[setting] = by_name
        if not huge:
            figures[setting] |= {
                "times_datasets": round(speed["flannb"] / speed["datasets"], 2),
                "times_datasets_batched": round(speed["flannb"] / speed["datasets_batched"], 2),
                "of_sentencepiece": round(speed["flannb"] / speed["sentencepiece"], 2),
            }
    return figures


def _median(runs: list[Measured]) -> dict[str, Any]:
    """Figures of one contender over its rounds."""
    examples = runs[0].result["examples"]
    seconds = [run.result["seconds"] for run in runs]
    made = {
        "examples": examples,
        "tokens": runs[0].result["tokens"],
        "examples_per_second": round(examples / statistics.median(seconds)),
        "best_examples_per_second": round(examples / min(seconds)),
        "seconds": [round(value, 3) for value in seconds],
        "processor_seconds": [round(run.result["processor_seconds"], 2) for run in runs],
        "peak_gib": round(max(run.peak_bytes for run in runs) / 2**30, 3),
    }
    if "workers_start_seconds" in runs[0].result:
        made["workers_start_seconds"] = [round(run.result["workers_start_seconds"], 2) for run in runs]
    return made


def _alone(run: Measured) -> dict[str, Any]:
    numbers = {name: round(value, 2) if isinstance(value, float) else value for name, value in run.result.items()}
    return {**numbers, "peak_gib": round(run.peak_bytes / 2**30, 3)}


def show(figures: dict[str, Any]) -> str:
    """The figures as a table for people, each beside what it ought to be on two free cores."""
    lines = [
        f"source: {figures['source']}; {figures['processes']} processes; load average {figures['load_average']}",
        "",
        f"{'':12}{'contender':18}{'examples/s':>12}{'best':>10}{'CPU s':>8}{'GiB':>8}",
    ]
    for setting in SETTINGS:
        for name, found in figures.get(setting, {}).items():
            if isinstance(found, dict):
                cpu = statistics.median(found["processor_seconds"])
                lines.append(
                    f"{setting:12}{name:18}{found['examples_per_second']:>12,}"
                    f"{found['best_examples_per_second']:>10,}{cpu:>8.2f}{found['peak_gib']:>8.2f}"
                )
    lines.append("")
    for (setting, name), least in TARGETS.items():
        found = figures.get(setting, {})
        value = found.get("flannb", {}).get(name) if name == "examples_per_second" else found.get(name)
        if value is not None:
            lines.append(_verdict(f"{setting} {name}", value, least, value >= least, "at least"))
    for setting in SETTINGS:
        if setting in figures:
            peak = figures[setting]["flannb"]["peak_gib"]
            most = 2 * MOST_GIB if "times_datasets" not in figures[setting] else MOST_GIB
            lines.append(_verdict(f"{setting} peak GiB", peak, most, peak <= most, "at most"))
    start = figures["first_example_seconds"]
    lines.append(_verdict("first example, s", start, MOST_START_SECONDS, start <= MOST_START_SECONDS, "at most"))
    if "whole" in figures:
        whole = figures["whole"]
        lines.append("")
        lines.append(
            f"whole source: {whole['tasks']} tasks, {whole['shards']} shards, {whole['examples']:,} examples in"
            f" {whole['seconds']:.0f} s ({whole['processor_seconds']:.0f} CPU s), peak {whole['peak_gib']:.2f} GiB"
        )
    return "\n".join(lines)


def _verdict(name: str, value: float, bound: float, good: bool, how: str) -> str:
    return f"{name:34}{value:>12,} {'reaches' if good else 'MISSES '} {how} {bound:,}"
