"""A sweep: short trainings of several sizes and learning rates, compared by their loss on records that none reads.

No suite takes part, so what is chosen by it is not chosen by what tables report.
"""

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from flannb.build import Build, Shard, columns, open_source
from flannb.build.workers import WORKERS
from flannb.errors import UserError
from flannb.experiments.devices import default_workers
from flannb.experiments.durations import Durations
from flannb.experiments.options import settle
from flannb.experiments.reproduce import (
    RANDOM,
    TRAIN_CODE,
    Options,
    ground,
    label_of,
    pretraining_steps,
)
from flannb.experiments.runner import Step, run_all
from flannb.experiments.scales import PRETRAINED, SCALES, TRAINING
from flannb.experiments.scales import scale as scale_of
from flannb.files import digest, read_json
from flannb.mixture import BatchShape, batches
from flannb.names import known_names, split_names
from flannb.progress import remark
from flannb.terminal import show_markdown

if TYPE_CHECKING:
    from flannb.model import T5

HELD_OUT = 0.02
"""Share of the records of every task that is held out."""

SETTINGS = tuple(name for name in TRAINING if name not in ("size", "steps", "learning_rate"))
"""What all trials take from the scale."""

SEQUENCES = 1024
"""Packed sequences of held-out examples whose loss is measured."""


def add_options(made: argparse.ArgumentParser) -> None:
    """The options of ``nox -s sweep``."""
    made.epilog = "What is done already is skipped; what was killed goes on. It needs neither notebooks nor papermill."
    made.add_argument("--scale", default="smoke", metavar="NAME", help=f"one of {', '.join(SCALES)} (default: smoke)")
    made.add_argument("--source", default="mini", metavar="WHERE", help="mini (default), hub, or a mirror folder")
    made.add_argument("--sizes", metavar="A,B", help="keys of flannb.model.SIZES (default: that of the scale)")
    made.add_argument("--rates", metavar="X,Y", help="learning rates (default: a third, one and three of the scale's)")
    made.add_argument("--steps", type=int, metavar="N", help="of each training (default: a fifth of the scale's)")
    made.add_argument(
        "--start",
        default=RANDOM,
        metavar="WHERE",
        help="what trainings start from: random (default), pretrained, a model's folder, or hf://owner/name",
    )
    made.add_argument("--seed", type=int, default=0, help="fixes everything that is drawn (default: 0)")
    made.add_argument(
        "--workers", type=int, metavar="N", help="trainings side by side (default: as for rows of a table)"
    )
    made.add_argument("--allow-missing", action="store_true", help="go on without datasets that the source lacks")
    made.add_argument("--plain", action="store_true", help="build the data without a notebook, too")
    made.add_argument("--runs", default="runs", metavar="DIR", help="folder of data and models (default: runs)")
    made.add_argument("--reports", default="reports", metavar="DIR", help="folder of reports (default: reports)")


def run(given: argparse.Namespace) -> None:
    """Trains all settings, measures each and writes the report on them."""
    from flannb.report.catalogue import SINCE
    from flannb.report.site import write_site
    from flannb.report.sweep import write_sweep

    settle(given)
    options = Options(
        given.scale,
        given.source,
        given.seed,
        given.allow_missing,
        start=given.start,
        runs=given.runs,
        reports=given.reports,
    )
    before, trials = sweep_steps(options, *settings(given))
    if given.workers is not None:
        os.environ[WORKERS] = str(given.workers)
    workers = given.workers or default_workers(len(trials))
    durations = Durations.at(options.scale, options.runs, options.reports)
    run_all([*before, *trials], workers, "", papermill=not given.plain, durations=durations)
    results = [read_json(Path(step.folder) / "trial.json") for step in trials]
    labels = {RANDOM: "", PRETRAINED: f"{SINCE}{PRETRAINED}"}
    label = labels[given.start] if given.start in labels else f"{SINCE}{label_of(given.start)}"
    folder = Path(options.reports) / "sweep" / f"{options.scale}{label}"
    source = open_source(options.source).name
    write_sweep(folder, results, options.scale, source, options.seed, HELD_OUT, given.start)
    show_markdown((folder / "sweep.md").read_text(encoding="utf-8"))
    remark(f"The report: {folder}")
    write_site(Path(options.reports))


def settings(given: argparse.Namespace) -> tuple[list[str], list[float], int]:
    """Sizes, learning rates and steps that the options name.

    Raises:
        UserError: an unknown size, a rate that is no positive number, or a number of steps below 1.
    """
    from flannb.model import SIZES

    chosen = scale_of(given.scale, open_source(given.source).collection)
    sizes = list(known_names("--sizes", given.sizes, SIZES)) if given.sizes else [chosen.size]
    try:
        rates = [float(rate) for rate in split_names(given.rates)] if given.rates else []
    except ValueError as error:
        raise UserError(f"--rates {given.rates}: give numbers, such as 0.001,0.003 ({error})") from error
    rates = rates or [float(f"{chosen.learning_rate * factor:.2g}") for factor in (1 / 3, 1, 3)]
    if not all(0 < rate < float("inf") for rate in rates):
        raise UserError(f"--rates {given.rates}: give numbers above 0")
    steps = max(1, chosen.steps // 5) if given.steps is None else given.steps
    if steps < 1:
        raise UserError(f"--steps {steps}: must be at least 1")
    return sizes, rates, steps


def sweep_steps(options: Options, sizes: list[str], rates: list[float], steps: int) -> tuple[list[Step], list[Step]]:
    """The steps that trainings need, which tables share, and a step for each setting.

    Raises:
        UserError: an unknown scale, a source that does not exist or lacks datasets.
    """
    base = ground(options)
    before, trials = {base.data.name: base.data}, []
    for size in sizes:
        needs: tuple[Step, ...] = (base.data,)
        start = base.start
        if start == PRETRAINED:
            stages = pretraining_steps(base, options, "" if size == base.scale.size else size)
            before |= {stage.name: stage for stage in stages}
            needs, start = (base.data, stages[-1]), f"{stages[-1].folder}/model"
        label = f"-from-{label_of(base.start)}" if start else ""
        trials += [
            Step(
                name=f"{size}/{rate:g}",
                folder=f"{base.home}/sweep/{size}-{rate:g}-{steps}{label}",
                notebook="",
                function="trial_step",
                parameters={
                    "data": base.data.folder,
                    "size": size,
                    "rate": rate,
                    "steps": steps,
                    "share": HELD_OUT,
                    "scale": options.scale,
                    "seed": options.seed,
                    "start": start,
                },
                code=(*TRAIN_CODE, "experiments/sweep.py"),
                state=digest(base.scale.settings(SETTINGS)),
                needs=needs,
                threads=1 if size == "smoke" else 0,
                cache=f"{options.runs}/.cache/jax",
            )
            for rate in rates
        ]
    return list(before.values()), trials


def held_out_loss(model: "T5", apart: Build, weights: Mapping[Shard, float], shape: BatchShape, seed: int) -> float:
    """Mean cross-entropy, in nats a target token, on the first held-out examples of a mixture; nothing is dropped.

    Args:
        apart: the part of a build that is held out.
        weights: of the mixture; shards that have nothing held out do without.
    """
    from flannb.train import HeldOut

    present = {shard: weight for shard, weight in weights.items() if len(columns(apart, shard))}
    if not present:
        raise UserError("no record is held out: the tasks have too few rows; build more of them")
    stream = iter(batches(apart, present, shape, seed))
    return HeldOut({"loss": [next(stream) for _ in range(-(-SEQUENCES // shape.size))]})(model)["loss"]
