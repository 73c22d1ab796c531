"""The benchmark of a full evaluation: every suite of a source, zero-shot and few-shot, generated and ranked.

What is timed is ``python -m flannb.evaluate`` from its start to its end, as a user runs it, with the loading of the
model and all compiling in it. The weights are drawn at random, so that most answers are as long as they may be.
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flannb.bench.evaluate import CONTENDERS, train_vocabulary
from flannb.bench.generate import SIZES
from flannb.bench.measure import Measured, measure
from flannb.bench.synthetic import write_exam
from flannb.build import Mirror
from flannb.errors import UserError
from flannb.experiments.runner import machine, versions
from flannb.progress import spoken

MOST_SECONDS = 360
"""What all suites of a Base model are to take on one H200."""

SYNTHETIC = 570
"""Questions of MMLU where no source is given."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of ``nox -s bench -- suites``."""
    parser.add_argument("--source", type=Path, metavar="DIR", help="a mirror folder (default: a synthetic MMLU)")
    parser.add_argument("--size", default="tiny", choices=SIZES, help="of the model (default: tiny)")
    parser.add_argument("--questions", type=int, default=0, metavar="N", help="about so many a suite (default: all)")
    parser.add_argument("--batch", type=int, default=64, metavar="N", help="prompts a batch (default: 64)")


def bench(given: argparse.Namespace, run: Callable[..., Measured] = measure) -> dict[str, Any]:
    """Runs the benchmark and returns its figures.

    Args:
        run: runs a module with arguments, as ``measure`` does in a process of its own.

    Raises:
        UserError: a number that is none, a source without MMLU, or an evaluation that fails.
    """
    if given.questions < 0 or given.batch < 1:
        raise UserError("--batch must be at least 1, and --questions no less than 0")
    with tempfile.TemporaryDirectory(prefix="flannb-bench-") as folder:
        root = given.source or Path(folder) / "source"
        if given.source is None:
            write_exam(root, SYNTHETIC)
        vocabulary = Path(folder) / "spiece.model"
        train_vocabulary(Mirror(root), root, vocabulary)
        common = [str(root), str(Path(folder) / "checkpoint"), str(given.questions)]
        made = run(CONTENDERS, "checkpoint", *common, given.size, str(vocabulary)).result
        done = run(CONTENDERS, "suites", *common, str(given.batch), str(Path(folder) / "predictions"))
    return {
        "size": given.size,
        "source": root.name if given.source else "synthetic",
        "batch_size": given.batch,
        "seconds": round(done.seconds, 1),
        **made,
        **done.result,
        "machine": machine(),
        "versions": versions(),
    }


def show(figures: dict[str, Any]) -> str:
    """The figures as a table for people."""
    lines = [
        f"All suites, {figures['source']}; model: {figures['size']}, {figures['parameters']:,} parameters; batch"
        f" {figures['batch_size']}; {figures['device']}, {figures['dtype']}",
        "",
        f"{'':16}{'':4}{'questions':>10}{'ranked':>8}{'done after, s':>15}",
    ]
    lines += [
        f"{each['suite']:16}{each['setting']:4}{each['questions']:>10,}{each['ranked']:>8,}{each['done_after']:>15,.0f}"
        for each in sorted(figures["suites"], key=lambda each: each["done_after"])
    ]
    lines += ["", f"from start to end: {spoken(figures['seconds'])} ({figures['seconds']:,.0f} s)"]
    if figures["backend"] == "gpu" and figures["size"] == "base":
        verdict = "reaches" if figures["seconds"] <= MOST_SECONDS else "MISSES "
        lines[-1] += f", {verdict} at most {MOST_SECONDS} s"
    return "\n".join(lines)
