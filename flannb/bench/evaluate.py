"""The benchmark of evaluation: MMLU 5-shot by likelihood, beside lm-evaluation-harness's own sequence-to-sequence path.

Both get the same questions, with the same exemplars and options, and the same checkpoint; each is a process of its own.
What is timed begins with the model loaded and the prompts rendered, and ends with the likelihood of every option: it
has the tokenising, and flannb's compiling. Each contender's batch size is the fastest of several on some of the
questions, found in a process before. The model's weights are drawn at random, and its head is tied to its embedding:
the harness's release 0.4.13 ties all heads.
"""

import argparse
import statistics
import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from flannb.bench.generate import SIZES
from flannb.bench.measure import Measured, load, measure
from flannb.bench.synthetic import write_exam
from flannb.build import Mirror, read_records, train_tokenizer
from flannb.collection import eval_tasks
from flannb.errors import UserError
from flannb.experiments.runner import machine, versions
from flannb.names import split_counts

CONTENDERS = "flannb.bench.evaluate_contenders"
VOCABULARY = 16_000
TRAINING_ROWS = 100
"""Rows of each subject whose text trains the tokenizer."""

TARGETS = {"cpu": 2.0, "gpu": 4.0}
"""How many times as fast as the harness flannb is to be: with a tiny model on a CPU, with Base on one H200."""

CLOSE = 1e-3
"""Most that two log-likelihoods of the same may differ, in float32."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of ``nox -s bench -- evaluate``."""
    parser.add_argument(
        "--source", type=Path, metavar="DIR", help="a mirror folder with MMLU (default: synthetic, of the same shape)"
    )
    parser.add_argument("--size", default="tiny", choices=SIZES, help="of the model (default: tiny)")
    parser.add_argument("--questions", type=int, default=2000, metavar="N", help="about so many (default: 2000)")
    parser.add_argument(
        "--batches", metavar="A,B", help="batch sizes that are tried (default: 8,16,32; GPU: 32,64,128)"
    )
    parser.add_argument("--rounds", type=int, default=1, metavar="N", help="rounds (default: 1)")


def bench(given: argparse.Namespace, run: Callable[..., Measured] = measure) -> dict[str, Any]:
    """Runs the benchmark and returns its figures.

    Args:
        run: runs a module with arguments, as ``measure`` does in a process of its own.

    Raises:
        UserError: a number that is none, a source without MMLU, or a contender that fails.
    """
    if min(given.questions, given.rounds) < 1:
        raise UserError("--questions and --rounds must be at least 1")
    batches = split_counts("--batches", given.batches or "")
    with tempfile.TemporaryDirectory(prefix="flannb-bench-") as folder:
        root = given.source or Path(folder) / "source"
        if given.source is None:
            write_exam(root, given.questions)
        vocabulary = Path(folder) / "spiece.model"
        train_vocabulary(Mirror(root), root, vocabulary)
        checkpoint = Path(folder) / "checkpoint"
        common = [str(root), str(checkpoint), str(given.questions)]
        made = run(CONTENDERS, "checkpoint", *common, given.size, str(vocabulary)).result
        sizes = ",".join(map(str, batches)) or ("8,16,32" if made["backend"] == "cpu" else "32,64,128")
        figures: dict[str, Any] = {"size": given.size, **made, "load_average": round(load(), 2)}
        runs: dict[str, list[dict[str, Any]]] = {}
        best = {name: run(CONTENDERS, name, *common, "tune", sizes).result for name in ("flannb", "harness")}
        for _ in range(given.rounds):
            for name, tuned in best.items():
                if "absent" not in tuned:
                    result = run(CONTENDERS, name, *common, "run", str(tuned["batch_size"])).result
                    runs.setdefault(name, []).append(result)
    for name, tuned in best.items():
        figures[name] = _figures(tuned, runs[name]) if name in runs else tuned
    if len(runs) == 2:
        ours, theirs = figures["flannb"], figures["harness"]
        figures["times_harness"] = round(ours["questions_per_second"] / theirs["questions_per_second"], 2)
        figures |= compare(runs["flannb"][0]["logs"], runs["harness"][0]["logs"], runs["flannb"][0]["uncut"])
    figures |= {
        "source": root.name if given.source else "synthetic",
        "machine": machine(),
        "versions": versions() | {name: _version(name) for name in ("lm_eval", "transformers", "torch")},
    }
    return figures


def train_vocabulary(source: Mirror, root: Path, path: Path) -> None:
    """Trains a tokenizer on MMLU's questions.

    Raises:
        UserError: the source has no MMLU.
    """
    tasks = [task for task in eval_tasks(source.collection, ["mmlu"]) if source.has(task.data)]
    if not tasks:
        raise UserError(f"--source {root}: has no MMLU (cais/mmlu/<subject>/test); mirror it")
    drawn = (row for task in tasks for row in read_records(source, task.data, task.fields, limit=TRAINING_ROWS).records)
    train_tokenizer((text for row in drawn for text in (str(row["question"]), *row["options"])), path, VOCABULARY)


def _figures(tuned: dict[str, Any], runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    seconds = statistics.median(run["seconds"] for run in runs)
    return {
        "questions": len(runs[0]["logs"]),
        "questions_per_second": round(len(runs[0]["logs"]) / seconds, 2),
        "seconds": [round(run["seconds"], 2) for run in runs],
        "processor_seconds": [round(run["processor_seconds"], 1) for run in runs],
        "batch_size": tuned["batch_size"],
        "tried": tuned["tried"],
        "dtype": runs[0]["dtype"],
        "device": runs[0]["device"],
    }


def compare(
    ours: Sequence[Sequence[float]], theirs: Sequence[Sequence[float]], uncut: Sequence[bool]
) -> dict[str, Any]:
    """How far two programs' log-likelihoods are apart, and the share of questions in which they choose the same.

    Only questions count whose prompt is ``uncut``: a longer one loses exemplars here and its end there.
    """
    pairs = [(one, other) for one, other, whole in zip(ours, theirs, uncut, strict=True) if whole]
    if not pairs:
        return {"compared": 0}
    return {
        "compared": len(pairs),
        "largest_difference": max(abs(a - b) for one, other in pairs for a, b in zip(one, other, strict=True)),
        "same_choice": float(np.mean([np.argmax(one) == np.argmax(other) for one, other in pairs])),
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def show(figures: dict[str, Any]) -> str:
    """The figures as a table for people."""
    lines = [
        f"MMLU 5-shot, {figures['source']}; model: {figures['size']}, {figures['parameters']:,} parameters",
        "",
        f"{'':10}{'questions/s':>12}{'seconds':>10}{'CPU s':>9}{'batch':>7}  device, type",
    ]
    for name in ("flannb", "harness"):
        found = figures[name]
        if "absent" in found:
            lines.append(f"{name:10}absent: {found['absent']}")
        else:
            lines.append(
                f"{name:10}{found['questions_per_second']:>12,}{statistics.median(found['seconds']):>10.1f}"
                f"{statistics.median(found['processor_seconds']):>9.1f}{found['batch_size']:>7}"
                f"  {found['device']}, {found['dtype']}"
            )
    if "times_harness" in figures:
        target = TARGETS["cpu" if figures["backend"] == "cpu" else "gpu"]
        verdict = "reaches" if figures["times_harness"] >= target else "MISSES "
        lines += ["", f"times the harness: {figures['times_harness']} {verdict} at least {target}"]
        if figures["compared"]:
            lines.append(
                f"largest difference of a log-likelihood: {figures['largest_difference']:.2g} (in float32 at most"
                f" {CLOSE}); same choice in {figures['same_choice']:.1%} of the {figures['compared']:,} questions whose"
                " prompts fit whole"
            )
    return "\n".join(lines)
