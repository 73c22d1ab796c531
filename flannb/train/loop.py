"""The training loop: from a build and a mixture to a model folder, resumable at every checkpoint."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import keras
import numpy as np
import pandas as pd
from jax.experimental import multihost_utils

from flannb.build import Build, Shard
from flannb.errors import ProcessLost, UserError
from flannb.files import write_text
from flannb.mixture import BatchShape, batches
from flannb.model import T5, T5Config, build_model, load_checkpoint, save_model
from flannb.train.checkpoints import Checkpoints
from flannb.train.distribution import (
    Distribution,
    data_share,
    distribute,
    idle_gpu,
    join_processes,
    of_all_processes,
    placed,
    placer,
)
from flannb.train.feed import Feed
from flannb.train.logs import Journal
from flannb.train.memory import Demand, bytes_per_device, device_memory, is_out_of_memory
from flannb.train.optimizer import Adafactor
from flannb.train.schedules import learning_rate
from flannb.train.step import State, make_step
from flannb.train.stop import StopRequest

LOSS_CSV = "loss.csv"
MODEL = "model"
CHECKPOINTS = "checkpoints"


@dataclass(frozen=True)
class TrainOptions:
    """How a model is trained.

    Attributes:
        steps: optimizer steps.
        shape: packed batch, over all devices.
        learning_rate: of Adafactor: relative to the size of each weight matrix. The paper's is 5e-4.
        seed: fixes initial weights, dropout, and the order of the data.
        schedule, warmup: see ``flannb.train.schedules``; constant in the paper.
        accumulation: parts of a batch that are computed one after the other, to save memory.
        clip_norm: largest norm of all gradients together; None leaves them.
        average: momentum of the running average of the weights, which is what is saved; 0 saves the last weights. At a
            constant learning rate the weights circle around a minimum; over short runs the average is far closer to it.
        dropout: instead of the one in the model's shape; 0.05 in the paper.
        z_loss: see ``flannb.model.loss.token_loss``.
        dtype: Keras dtype policy.
        remat: how much is computed again in the backward pass to save memory: ``none``, ``dots`` or ``full`` (see
            ``flannb.model.T5``).
        model_parallel: devices that share one copy of the model, for sizes that one cannot hold.
        start: model whose weights training starts from (see ``flannb.model.load_checkpoint``); None draws them.
        checkpoint_every: steps between checkpoints.
        log_every: steps between fetches of the loss from the device.
    """

    steps: int
    shape: BatchShape
    learning_rate: float
    seed: int
    schedule: str = "constant"
    warmup: int = 0
    accumulation: int = 1
    clip_norm: float | None = None
    average: float = 0.0
    dropout: float | None = None
    z_loss: float = 1e-4
    dtype: str = "float32"
    remat: str = "none"
    model_parallel: int = 1
    start: str | Path | None = None
    checkpoint_every: int = 500
    log_every: int = 20


def train(
    build: Build,
    weights: Mapping[Shard, float],
    config: T5Config,
    options: TrainOptions,
    folder: Path,
    quiet: bool = False,
) -> Path:
    """Trains a model, or goes on from the last checkpoint in ``folder``.

    On one machine the same arguments give the same model, byte for byte, on CPU also after a kill. Several processes
    (see ``join_processes``) call this alike, with a folder that they share.

    Args:
        build, weights: the data and their mixture (see ``flannb.mixture.shard_weights``).
        config: the model's shape; its vocabulary is set to the build's.
        folder: gets ``checkpoints/``, ``loss.csv`` (step, loss, target tokens seen), ``progress.csv`` and
            ``tensorboard/`` (see ``flannb.train.logs``) and, when done, ``model/``.
        quiet: no progress bar.

    Returns:
        The model's folder.

    Raises:
        UserError: options that do not fit each other, the devices or their memory; a loss that is no longer finite; or
            training was asked to stop, which it does after saving a checkpoint.
    """
    folder = Path(folder)
    join_processes()
    config = config.with_vocabulary(build.vocabulary_size)
    if options.dropout is not None:
        config = replace(config, dropout=options.dropout)
    distribution = distribute(config, options.model_parallel)
    _check_batch(options, distribution)
    try:
        with distribution.scope():
            model = _initial_model(config, options)
            optimizer = make_optimizer(options)
            optimizer.build(model.trainable_variables)
    except jax.errors.JaxRuntimeError as error:
        if is_out_of_memory(error):
            raise UserError(
                "the weights alone do not fit the memory of a device; train a smaller model, or let more devices share"
                f" one copy than model_parallel={options.model_parallel}"
            ) from error
        raise
    demand = Demand(
        fixed=2 * bytes_per_device(model.trainable_variables) + bytes_per_device(optimizer.variables),
        config=config,
        shape=options.shape,
        replicas=distribution.num_model_replicas,
        accumulation=options.accumulation,
        dtype=options.dtype,
        remat=options.remat,
        scores=model.way(training=True) == "plain",
        have=device_memory(),
    )
    demand.check()
    try:
        log = _fit(build, weights, model, optimizer, options, distribution, folder, quiet)
    except jax.errors.JaxRuntimeError as error:
        if is_out_of_memory(error):
            raise demand.error() from error
        if jax.process_count() > 1:
            raise ProcessLost(
                "another process of this training was lost"
                f" ({str(error).splitlines()[0][:200]}). Start all of them, or one, with the same command: it goes on"
                " from the last checkpoint"
            ) from error
        raise
    optimizer.finalize_variable_values(model.trainable_variables)  # takes the average, if there is one
    model = _whole(model)
    if jax.process_index() == 0:
        write_text(folder / LOSS_CSV, pd.DataFrame(log).astype({"step": int}).to_csv(index=False))
        save_model(model, folder / MODEL)
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices("the model is saved")
    return folder / MODEL


def make_optimizer(options: TrainOptions) -> Adafactor:
    """The optimizer of a training."""
    average: dict[str, Any] = {"use_ema": True, "ema_momentum": options.average} if options.average else {}
    return Adafactor(_rate(options), global_clipnorm=options.clip_norm, **average)


def _rate(options: TrainOptions) -> Any:
    """The learning rate, or its schedule."""
    return learning_rate(options.schedule, options.learning_rate, options.warmup, options.steps)


def _fit(
    build: Build,
    weights: Mapping[Shard, float],
    model: T5,
    optimizer: keras.optimizers.Optimizer,
    options: TrainOptions,
    distribution: Distribution,
    folder: Path,
    quiet: bool,
) -> list[dict[str, float]]:
    """Brings model and optimizer to the last step; returns the log: step, loss and tokens seen of each."""
    variables = (model.trainable_variables, model.non_trainable_variables, optimizer.variables)
    state: State = tuple([placed(variable, distribution) for variable in group] for group in variables)  # type: ignore[assignment]
    checkpoints = Checkpoints(folder / CHECKPOINTS)
    start, pipeline = checkpoints.latest() or 0, None
    log: list[dict[str, float]] = []
    if start:
        state, pipeline, log = checkpoints.restore(start, state)
    journal = Journal(folder, model.config, options.shape, options.steps, start, quiet, jax.process_index() == 0)
    for problem in checkpoints.damaged:
        journal.say(problem)
    if advice := idle_gpu():
        journal.say(advice)
    share, shares = data_share(distribution)
    feed = Feed(batches(build, weights, options.shape, options.seed, share, shares), placer(distribution), journal.say)
    step, rate = make_step(model, optimizer, options.z_loss, options.accumulation), _rate(options)
    waiting: list[dict[str, jax.Array]] = []
    began = time.perf_counter()
    try:
        if pipeline is not None:
            feed.set_state(pipeline)
        with StopRequest() as stop:
            for number in range(start + 1, options.steps + 1):
                state, metrics = step(state, next(feed))
                waiting.append(metrics)
                save = number % options.checkpoint_every == 0 and number < options.steps
                alone = stop.asked and jax.process_count() == 1
                if not (save or alone or number in (start + 1, options.steps) or number % options.log_every == 0):
                    continue
                fetched = [{name: float(value) for name, value in entry.items()} for entry in jax.device_get(waiting)]
                waiting.clear()
                for entry in fetched:
                    seen = log[-1]["tokens"] if log else 0.0
                    log.append({"step": len(log) + 1, "loss": entry["loss"], "tokens": seen + entry["tokens"]})
                    _check_finite(len(log), entry, checkpoints)
                seconds, began = time.perf_counter() - began, time.perf_counter()
                journal.note(
                    number, fetched, seconds, feed.waited(), float(rate(number - 1) if callable(rate) else rate)
                )
                stopped = any(of_all_processes(stop.asked)) and number < options.steps
                if save or stopped:
                    checkpoints.save(number, state, feed.get_state(), log)
                if stopped:
                    raise UserError(
                        f"training was asked to stop and saved step {number} in {checkpoints.folder}; run the same"
                        " again to go on from there"
                    )
    finally:
        feed.close()
        journal.close()
        checkpoints.close()
    for group, values in zip(variables, state, strict=True):
        for variable, value in zip(group, values, strict=True):
            variable.assign(value)
    return log


def _check_batch(options: TrainOptions, distribution: Distribution) -> None:
    size, replicas = options.shape.size, distribution.num_model_replicas
    if size % replicas:
        what = "devices" if options.model_parallel == 1 else f"groups of {options.model_parallel} devices"
        raise UserError(f"batch size {size} is not divisible by {replicas} {what}; choose a multiple")
    if options.accumulation < 1 or size % (replicas * options.accumulation):
        raise UserError(
            f"batch size {size} does not come apart into {options.accumulation} parts for each of {replicas} devices;"
            " choose another accumulation"
        )


def _initial_model(config: T5Config, options: TrainOptions) -> T5:
    """A model with the weights that training starts from.

    Raises:
        UserError: the model of ``options.start`` has another shape.
    """
    model = build_model(config, options.seed, options.dtype, remat=options.remat)
    if options.start is None:
        return model
    given = load_checkpoint(options.start, options.dtype)
    differing = [
        f"{name} is {getattr(given.config, name)}, not {value}"
        for name, value in vars(config).items()
        if name != "dropout" and getattr(given.config, name) != value
    ]
    if differing:
        raise UserError(f"{options.start}: not a model of the shape that is trained: {'; '.join(differing)}")
    for variable, value in zip(model.trainable_variables, given.trainable_variables, strict=True):
        variable.assign(value.value)
    return model


def _whole(model: T5) -> T5:
    """The model itself, or a copy in the memory of this host if no process has all of its weights."""
    values = [variable.value for variable in model.trainable_variables]
    if all(value.is_fully_addressable or value.is_fully_replicated for value in values):
        return model
    gathered = [np.asarray(multihost_utils.process_allgather(value, tiled=True)) for value in values]
    with jax.default_device(jax.local_devices(backend="cpu")[0]):
        copy = T5(model.config)
        for variable, value in zip(copy.trainable_variables, gathered, strict=True):
            variable.assign(value)
    return copy


def _check_finite(step: int, values: dict[str, float], checkpoints: Checkpoints) -> None:
    for name in ("loss", "gradient_norm"):
        if not np.isfinite(values[name]):
            last = checkpoints.latest()
            good = (
                f"the last good checkpoint, of step {last}, is in {checkpoints.folder}" if last else "nothing is saved"
            )
            raise UserError(
                f"the {name.replace('_', ' ')} is {values[name]} at step {step}; {good}. Lower the learning rate, set"
                " clip_norm or use float32, then run again"
            )
