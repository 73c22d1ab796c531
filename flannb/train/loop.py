"""The training loop: from a stream of batches to a model folder, resumable at every checkpoint."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import jax
import keras
import numpy as np
import pandas as pd
from jax.experimental import multihost_utils

from flannb.build import Tokenizer
from flannb.errors import ProcessLost, UserError
from flannb.files import write_text
from flannb.mixture import BatchShape, Stream
from flannb.model import T5, Checkpoint, T5Config, build_model, open_checkpoint, save_model
from flannb.train.checkpoints import Checkpoints, Log
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
from flannb.train.feed import Feed, within
from flannb.train.logs import Journal
from flannb.train.memory import Demand, bytes_per_device, device_memory, is_out_of_memory
from flannb.train.optimizer import Adafactor
from flannb.train.schedules import learning_rate
from flannb.train.step import State, make_step
from flannb.train.stop import StopRequest

LOSS_CSV = "loss.csv"
EVALUATION_CSV = "evaluation.csv"
MODEL = "model"
CHECKPOINTS = "checkpoints"

Evaluate: TypeAlias = Callable[[int, T5], Mapping[str, float]]
"""What is measured of a model after so many steps, by name."""


class Diverged(UserError):
    """The loss is no longer a finite number."""


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
        start: model whose weights training starts from (see ``flannb.model.load_checkpoint``), of the shape that is
            trained but for its vocabulary, which the data must be of; None draws them.
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
    stream: Stream,
    config: T5Config,
    options: TrainOptions,
    folder: Path,
    evaluate: Evaluate | None = None,
    quiet: bool = False,
) -> Path:
    """Trains a model, or goes on from the last checkpoint in ``folder``.

    On one machine the same arguments give the same model, byte for byte, on CPU also after a kill. Several processes
    (see ``join_processes``) call this alike, with a folder that they share.

    Args:
        stream: the data, such as ``flannb.mixture.mixed``.
        config: the model's shape; its vocabulary is set to that of the data, or of the model that training starts from.
        folder: gets ``checkpoints/``, ``loss.csv`` (step, loss, target tokens seen), ``progress.csv`` and
            ``tensorboard/`` (see ``flannb.train.logs``) and, when done, ``model/``.
        evaluate: called before the first step (as step 0), at every checkpoint and after the last step, with the
            weights that would be saved there; what it returns goes to ``evaluation.csv``, one line a step. A training
            that goes on does not call it again for what is done.
        quiet: no progress bar.

    Returns:
        The model's folder, which has the vocabulary too.

    Raises:
        UserError: options that do not fit each other, the data, the devices or their memory; a loss that is no longer
            finite; or training was asked to stop, which it does after saving a checkpoint.
    """
    folder = Path(folder)
    join_processes()
    start = None if options.start is None else open_checkpoint(options.start)
    size = stream.tokenizer.vocabulary_size if start is None else start.config.vocabulary_size
    config = config.with_vocabulary(size)
    if options.dropout is not None:
        config = replace(config, dropout=options.dropout)
    if start is not None:
        _check_start(start, config, stream.tokenizer)
    distribution = distribute(config, options.model_parallel)
    _check_batch(options, distribution)
    try:
        with distribution.scope():
            model = _initial_model(start, config, options)
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
        log = _fit(stream, model, optimizer, options, distribution, folder, evaluate, quiet)
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
    model = _whole(model)
    if jax.process_index() == 0:
        for name, rows in log.items():
            if rows:
                write_text(folder / name, pd.DataFrame(rows).astype({"step": int}).to_csv(index=False))
        save_model(model, folder / MODEL, stream.tokenizer)
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
    stream: Stream,
    model: T5,
    optimizer: keras.optimizers.Optimizer,
    options: TrainOptions,
    distribution: Distribution,
    folder: Path,
    evaluate: Evaluate | None,
    quiet: bool,
) -> Log:
    """Brings the model to the last step; returns the log: step, loss and tokens seen of each, and the evaluations."""
    variables = (model.trainable_variables, model.non_trainable_variables, optimizer.variables)
    state: State = tuple([placed(variable, distribution) for variable in group] for group in variables)  # type: ignore[assignment]
    checkpoints = Checkpoints(folder / CHECKPOINTS)
    start, pipeline = checkpoints.latest() or 0, None
    log: Log = {LOSS_CSV: [], EVALUATION_CSV: []}
    if start:
        state, pipeline, log = checkpoints.restore(start, state)
    losses = log[LOSS_CSV]

    def use_state() -> None:
        """Gives the model the weights of the state, or their average where there is one."""
        for group, values in zip(variables, state, strict=True):
            for variable, value in zip(group, values, strict=True):
                variable.assign(value)
        optimizer.finalize_variable_values(model.trainable_variables)

    def measure(step: int) -> None:
        if evaluate is not None:
            use_state()
            log[EVALUATION_CSV].append({"step": step, **evaluate(step, model)})

    journal = Journal(folder, model.config, options.shape, options.steps, start, quiet, jax.process_index() == 0)
    for problem in checkpoints.damaged:
        journal.say(problem)
    if advice := idle_gpu():
        journal.say(advice)
    share, shares = data_share(distribution)
    batches = stream.batches(options.shape, options.seed, share, shares).map(within(model.config.vocabulary_size))
    feed = Feed(batches, placer(distribution), journal.say)
    step, rate = make_step(model, optimizer, options.z_loss, options.accumulation), _rate(options)
    waiting: list[dict[str, jax.Array]] = []
    try:
        if pipeline is not None:
            feed.set_state(pipeline)
        if not start:
            measure(0)
        began = time.perf_counter()
        with StopRequest() as stop:
            for number in range(start + 1, options.steps + 1):
                state, metrics = step(state, next(feed))
                waiting.append(metrics)
                save = number % options.checkpoint_every == 0 and number < options.steps
                # One process may stop after any step; several must agree on it, for which all of them wait.
                stops = stop.asked and jax.process_count() == 1
                if not (save or stops or number in (start + 1, options.steps) or number % options.log_every == 0):
                    continue
                fetched = [{name: float(value) for name, value in entry.items()} for entry in jax.device_get(waiting)]
                waiting.clear()
                for entry in fetched:
                    seen = losses[-1]["tokens"] if losses else 0.0
                    losses.append({"step": len(losses) + 1, "loss": entry["loss"], "tokens": seen + entry["tokens"]})
                    _check_finite(len(losses), entry, checkpoints)
                seconds = time.perf_counter() - began
                journal.note(
                    number, fetched, seconds, feed.waited(), float(rate(number - 1) if callable(rate) else rate)
                )
                stopped = any(of_all_processes(stop.asked)) and number < options.steps
                if save or number == options.steps:
                    measure(number)
                if save or stopped:
                    checkpoints.save(number, state, feed.get_state(), log)
                if stopped:
                    raise UserError(
                        f"training was asked to stop and saved step {number} in {checkpoints.folder}; run the same"
                        " again to go on from there"
                    )
                began = time.perf_counter()
    finally:
        feed.close()
        journal.close()
        checkpoints.close()
    use_state()
    return log


def _check_batch(options: TrainOptions, distribution: Distribution) -> None:
    size, replicas = options.shape.size, distribution.num_model_replicas
    what = "devices" if options.model_parallel == 1 else f"groups of {options.model_parallel} devices"
    if size % replicas:
        raise UserError(f"batch size {size} is not divisible by {replicas} {what}; choose a multiple")
    if options.accumulation < 1 or size % (replicas * options.accumulation):
        raise UserError(
            f"batch size {size} does not come apart into {options.accumulation} parts for each of {replicas} {what};"
            " choose another accumulation"
        )


def _check_start(start: Checkpoint, config: T5Config, tokenizer: Tokenizer) -> None:
    """Raises ``UserError`` where a checkpoint is not of the shape that is trained, or not of the data's vocabulary."""
    differing = [
        f"{name} is {getattr(start.config, name)}, not {value}"
        for name, value in vars(config).items()
        if name != "dropout" and getattr(start.config, name) != value
    ]
    if differing:
        raise UserError(f"{start.name}: not a model of the shape that is trained: {'; '.join(differing)}; name another")
    if start.tokenizer is not None and not Tokenizer(start.tokenizer).has_pieces_of(tokenizer):
        raise UserError(f"{start.name}: has another vocabulary than the data; build the data with {start.tokenizer}")


def _initial_model(start: Checkpoint | None, config: T5Config, options: TrainOptions) -> T5:
    """A model with the weights that training starts from."""
    if start is None:
        return build_model(config, options.seed, options.dtype, remat=options.remat)
    return replace(start, config=config).load(options.dtype, seed=options.seed, remat=options.remat)


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
            raise Diverged(
                f"the {name.replace('_', ' ')} is {values[name]} at step {step}; {good}. Lower the learning rate, set"
                " clip_norm or use float32, then run again"
            )
