"""The steps of a sweep as plain functions of plain values: one training, and the report on all of them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from flannb.build import Build, Holdout, Shard, open_source, part_of, token_columns
from flannb.errors import UserError
from flannb.experiments.scales import scale as scale_of
from flannb.experiments.steps import built, train_options
from flannb.files import read_json, write_json
from flannb.mixture import BatchShape, batches, mixed, shard_weights
from flannb.mixture import mixture as mixture_of

if TYPE_CHECKING:
    from flannb.train import HeldOut

TRIAL_JSON = "trial.json"

HELD_OUT = 0.02
"""Share of the records of every task that is held out."""

SEQUENCES = 1024
"""Packed sequences of held-out examples whose loss is measured."""

MEASUREMENTS = 5
"""Times that the held-out loss is measured, the last of them at the end."""


def trial_step(
    folder: str,
    data: str,
    size: str,
    rate: float,
    dropout: float,
    steps: int,
    scale: str,
    seed: int,
    start: str = "",
    quiet: bool = False,
) -> dict[str, Any]:
    """Trains one setting of a sweep without the records that are held out, and measures the loss on them as it goes.

    Args:
        folder: gets what ``flannb.train.train`` writes, and ``trial.json``.
        size: a key of ``flannb.model.SIZES``.
        rate, dropout, steps: of the training; the rest is the scale's.
        start: as in ``flannb.experiments.steps.train_step``.

    Returns:
        What ``trial.json`` holds: ``size, parameters, rate, dropout, steps, tokens`` (of targets), ``training_loss``
        (the mean of the last tenth), ``held_out_loss`` (at the end), ``best_step`` and ``best_loss`` (where the
        held-out loss was smallest), ``curve`` (pairs of step and held-out loss), ``seconds`` and ``mfu``. Losses, in
        nats a target token, are None where the training left the finite numbers.
    """
    from flannb.model import SIZES
    from flannb.model.checkpoint import parameters
    from flannb.train import EVALUATION_CSV, LOSS_CSV, PROGRESS_CSV, Diverged, train

    build = built(data)
    changes: dict[str, Any] = {"size": size, "learning_rate": rate, "dropout": dropout, "steps": steps}
    chosen = replace(scale_of(scale, build.collection), **changes, checkpoint_every=-(-steps // MEASUREMENTS))
    training, apart = (part_of(build, Holdout(HELD_OUT, inside, seed)) for inside in (False, True))
    weights = shard_weights(build.shards, mixture_of("flan2022"))
    losses = held_out(apart, weights, chosen.batch, seed)
    result: dict[str, Any] = {"size": size, "rate": rate, "dropout": dropout, "steps": steps, "curve": []}
    try:
        home = train(
            mixed(training, weights),
            SIZES[size],
            train_options(chosen, seed, start),
            Path(folder),
            lambda step, model: losses(model),
            quiet,
        )
    except Diverged:
        names = ("parameters", "tokens", "training_loss", "held_out_loss", "best_step", "best_loss", "seconds", "mfu")
        result |= dict.fromkeys(names)
    else:
        log, curve, progress = (pd.read_csv(Path(folder) / name) for name in (LOSS_CSV, EVALUATION_CSV, PROGRESS_CSV))
        best = curve.loc[curve["loss"].idxmin()]
        mfu = progress["mfu"].median()
        result |= {
            "parameters": parameters(home),
            "tokens": int(log["tokens"].iloc[-1]),
            "training_loss": float(log["loss"].tail(max(1, steps // 10)).mean()),
            "held_out_loss": float(curve["loss"].iloc[-1]),
            "best_step": int(best["step"]),
            "best_loss": float(best["loss"]),
            "curve": [[int(step), float(loss)] for step, loss in zip(curve["step"], curve["loss"], strict=True)],
            "seconds": float(progress["seconds"].iloc[-1]),
            "mfu": None if pd.isna(mfu) else float(mfu),
        }
    write_json(Path(folder) / TRIAL_JSON, result)
    return result


def sweep_report_step(folder: str, trials: Sequence[str], scale: str, source: str, seed: int, start: str) -> list[Path]:
    """Writes the report on a sweep.

    Args:
        folder: of the report.
        trials: folders of ``trial_step``.
        start: what trainings started from, such as ``random``.
    """
    from flannb.report.sweep import write_sweep

    results = [read_json(Path(home) / TRIAL_JSON) for home in trials]
    return write_sweep(Path(folder), results, scale, open_source(source).name, seed, HELD_OUT, start)


def held_out(apart: Build, weights: Mapping[Shard, float], shape: BatchShape, seed: int) -> "HeldOut":
    """Measures the loss on the first held-out examples of a mixture.

    Args:
        apart: the part of a build that is held out.
        weights: of the mixture; shards that have nothing held out do without.

    Raises:
        UserError: nothing is held out.
    """
    from flannb.train import HeldOut

    present = {shard: weight for shard, weight in weights.items() if len(token_columns(apart, shard))}
    if not present:
        raise UserError("no record is held out: the tasks have too few rows; build more of them")
    stream = iter(batches(apart, present, shape, seed))
    return HeldOut({"loss": [next(stream) for _ in range(-(-SEQUENCES // shape.size))]})
