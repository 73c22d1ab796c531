"""The training loop: from a build and a mixture to a model folder, resumable at every checkpoint."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import keras
import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from flannb.build import Build, Shard
from flannb.errors import UserError
from flannb.files import write_text
from flannb.mixture import BatchShape, batches
from flannb.model import T5Config, build_model, save_model
from flannb.train.checkpoints import Checkpoints
from flannb.train.step import make_step

LOSS_CSV = "loss.csv"
MODEL = "model"
CHECKPOINTS = "checkpoints"


@dataclass(frozen=True)
class TrainOptions:
    """How a model is trained.

    Attributes:
        steps: optimizer steps.
        shape: packed batch, over all devices.
        learning_rate: constant, as in the paper.
        average: momentum of the running average of the weights, which is what is saved; 0 saves the last weights. At a
            constant learning rate the weights circle around a minimum; over short runs the average is far closer to it.
        seed: fixes initial weights, dropout, and the order of the data.
        checkpoint_every: steps between checkpoints.
        log_every: steps between fetches of the loss from the device.
        z_loss: see ``token_loss``.
        dtype: Keras dtype policy.
    """

    steps: int
    shape: BatchShape
    learning_rate: float
    seed: int
    checkpoint_every: int = 500
    log_every: int = 20
    z_loss: float = 1e-4
    average: float = 0.0
    dtype: str = "float32"


def data_parallel() -> keras.distribution.DataParallel:
    """Replicates variables over all devices of all processes and splits batches between them; stays in force."""
    distribution = keras.distribution.DataParallel(devices=keras.distribution.list_devices())
    keras.distribution.set_distribution(distribution)
    return distribution


def train(
    build: Build,
    weights: Mapping[Shard, float],
    config: T5Config,
    options: TrainOptions,
    folder: Path,
    quiet: bool = False,
) -> Path:
    """Trains a model from random weights, or goes on from the last checkpoint in ``folder``.

    On one machine the same arguments give the same model, byte for byte, on CPU also after a kill.

    Args:
        build, weights: the data and their mixture (see ``flannb.mixture.shard_weights``).
        config: the model's shape; its vocabulary is set to the build's.
        folder: gets ``checkpoints/``, ``loss.csv`` (step, loss, tokens seen) and, when done, ``model/``.
        quiet: no progress bar.

    Returns:
        The model's folder.

    Raises:
        UserError: the batch is not divisible by the devices, or the loss is no longer finite.
    """
    distribution = data_parallel()
    devices = len(distribution.device_mesh.devices.flatten())
    if options.shape.size % devices:
        raise UserError(f"batch size {options.shape.size} is not divisible by {devices} devices; choose a multiple")
    model = build_model(config.with_vocabulary(build.vocabulary_size), options.seed, options.dtype)
    averaged = {"use_ema": True, "ema_momentum": options.average} if options.average else {}
    optimizer = keras.optimizers.Adafactor(learning_rate=options.learning_rate, relative_step=False, **averaged)
    optimizer.build(model.trainable_variables)
    variables = (model.trainable_variables, model.non_trainable_variables, optimizer.variables)
    state: Any = tuple([variable.value for variable in group] for group in variables)

    stream = iter(batches(build, weights, options.shape, options.seed, jax.process_index(), jax.process_count()))
    checkpoints = Checkpoints(Path(folder) / CHECKPOINTS)
    log: list[dict[str, float]] = []
    start = checkpoints.latest() or 0
    if start:
        state, pipeline, log = checkpoints.restore(start, state)
        stream.set_state(pipeline)

    step = make_step(model, optimizer, options.z_loss)
    place = _placer(distribution)
    seen = log[-1]["tokens"] if log else 0.0
    waiting: list[dict[str, jax.Array]] = []
    bar = tqdm(total=options.steps, initial=start, unit="step", desc="training", disable=quiet, mininterval=1.0)
    for number in range(start + 1, options.steps + 1):
        state, metrics = step(state, place(next(stream)))
        waiting.append(metrics)
        due = number % options.checkpoint_every == 0 or number == options.steps
        if number % options.log_every == 0 or due:
            for values in jax.device_get(waiting):
                seen += float(values["tokens"])
                log.append({"step": len(log) + 1, "loss": float(values["loss"]), "tokens": seen})
            waiting.clear()
            bar.update(number - bar.n)
            _check_finite(log[-1])
            bar.set_postfix(loss=f"{log[-1]['loss']:.3f}", tokens_per_s=_rate(bar, options.shape), refresh=False)
        if due and number < options.steps:
            checkpoints.save(number, state, stream.get_state(), log)
    bar.close()
    checkpoints.close()

    for group, values in zip(variables, state, strict=True):
        for variable, value in zip(group, values, strict=True):
            variable.assign(value)
    optimizer.finalize_variable_values(model.trainable_variables)  # takes the average, if there is one
    write_text(Path(folder) / LOSS_CSV, pd.DataFrame(log).astype({"step": int}).to_csv(index=False))
    save_model(model, Path(folder) / MODEL)
    return Path(folder) / MODEL


def _placer(distribution: keras.distribution.DataParallel) -> Callable[[dict[str, np.ndarray]], dict[str, jax.Array]]:
    """Puts a process's part of a batch on its devices."""

    def place(batch: dict[str, np.ndarray]) -> dict[str, jax.Array]:
        layout = distribution.get_data_layout((None, None)).backend_layout
        return {name: jax.make_array_from_process_local_data(layout, value) for name, value in batch.items()}

    return place


def _rate(bar: tqdm, shape: BatchShape) -> str:
    steps_per_second = bar.format_dict["rate"] or 0.0
    return f"{steps_per_second * shape.size * (shape.input + shape.target):,.0f}"


def _check_finite(entry: dict[str, float]) -> None:
    if not np.isfinite(entry["loss"]):
        raise UserError(
            f"the loss is {entry['loss']} at step {entry['step']:.0f}; lower the learning rate or use float32,"
            " then run again"
        )
