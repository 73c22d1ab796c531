"""The steps of a run as plain functions of plain values: what notebooks call, and what runs where papermill is absent.

Each step reads the folders of the steps before it and writes into its own. All values are JSON, so that papermill can
pass them on and manifests can record them.
"""

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from flannb.begun import begin
from flannb.build import (
    Build,
    Shard,
    Source,
    Tokenizer,
    asked_for,
    build_data,
    missing_tasks,
    open_build,
    open_source,
)
from flannb.collection import MORE_SUITES, EvalTask, Task, check, eval_tasks, tasks
from flannb.errors import UserError
from flannb.evaluate import MODES, FlannbModel, evaluate, fingerprint, missing_data, present_tasks, read_predictions
from flannb.experiments.artefacts import Row
from flannb.experiments.artefacts import artefact as artefact_of
from flannb.experiments.scales import Scale
from flannb.experiments.scales import scale as scale_of
from flannb.files import checkpoint_digest, digest, read_json, write_json, write_text
from flannb.mixture import mixed, seen, shard_weights
from flannb.mixture import mixture as mixture_of

if TYPE_CHECKING:
    from flannb.model import T5Config
    from flannb.report import Setup
    from flannb.report.figure4 import Point
    from flannb.train import TrainOptions

BUILD_JSON = "build.json"
PREDICTIONS = "predictions"
SEEN_CSV = "seen.csv"


def present_training(source: Source) -> tuple[Task, ...]:
    """The training tasks whose data a source has."""
    training = tasks(source.collection)
    lacking = missing_tasks(source, training)
    return tuple(task for task in training if task not in lacking)


def available(source: Source, allow_missing: bool) -> tuple[tuple[Task, ...], tuple[EvalTask, ...]]:
    """The training tasks and evaluation sets that a source has.

    Raises:
        UserError: some that the source promises are missing and ``allow_missing`` is not set; the message names every
            one.
    """
    training, scored = tasks(source.collection), eval_tasks(source.collection)
    check([*training, *scored])
    lacking = missing_tasks(source, training)
    present, absent = present_tasks(source, scored)
    # an unavailable task is nobody's fault, and neither is a shared file without rows of some of its tasks
    gone = [task for task in lacking if not task.unavailable and not source.has(task.data)]
    missing = {str(task.data) for task in gone} | {str(data) for task in absent for data in missing_data(source, task)}
    missing = {name for name in missing if source.promises(name)}
    written = {task.positives for task in training if task.positives and source.promises(task.positives, optional=True)}
    missing |= {str(data) for data in written if not source.has(data)}
    if not allow_missing:
        refuse_missing(source, missing)
    return tuple(task for task in training if task not in lacking), tuple(present)


def refuse_missing(source: Source, missing: Collection[str]) -> None:
    """Refuses to go on without data.

    Raises:
        UserError: some are missing; the message names every one.
    """
    if missing:
        raise UserError(
            f"{source.name} lacks {len(missing)} datasets:\n  "
            + "\n  ".join(sorted(missing))
            + "\nMirror them, or pass --allow-missing to go on without them; the report marks what is absent."
        )


def tokenizer_file(vocabulary: str) -> str:
    """The file of a vocabulary's tokenizer; empty for an empty name.

    Args:
        vocabulary: a file, or a checkpoint that comes with one (see ``flannb.model.open_checkpoint``).

    Raises:
        UserError: no such checkpoint, or it comes without a tokenizer.
    """
    if not vocabulary or Path(vocabulary).is_file():
        return vocabulary
    from flannb.model import open_checkpoint

    found = open_checkpoint(vocabulary).tokenizer
    if found is None:
        raise UserError(f"{vocabulary}: has no tokenizer; name the SentencePiece model that it goes with: --vocabulary")
    return str(found)


def build_step(
    folder: str,
    source: str,
    scale: str,
    seed: int,
    allow_missing: bool,
    store: str,
    drop_contaminated: bool = False,
    vocabulary: str = "",
    quiet: bool = False,
) -> Build:
    """Builds the data of a source at a scale; returns the build.

    Args:
        folder: gets ``build.json``, which names the index.
        source: ``mini``, ``hub`` or a mirror folder.
        allow_missing: go on without datasets that the source lacks.
        store: builds live below it, named by what they were made from, so that runs share them.
        drop_contaminated: leave out training rows that hold evaluation text (``flannb.build.decontaminate``).
        vocabulary: whose tokenizer makes the ids (see ``tokenizer_file``); one is trained where it is empty.

    Raises:
        UserError: as ``available``, ``tokenizer_file`` and ``flannb.build.build_data``.
    """
    opened = open_source(source)
    training, _ = available(opened, allow_missing)
    from flannb.progress import Bar

    with Bar(total=len(training), desc="building", unit="task", disable=quiet, delay=1) as bar:
        workers, cluster = asked_for()
        chosen = scale_of(scale, opened.collection)
        options = chosen.build_options(seed, drop_contaminated, tokenizer_file(vocabulary))
        index = build_data(opened, training, options, Path(store), bar.reach, count=workers, cluster=cluster)
    write_json(Path(folder) / BUILD_JSON, {"index": os.path.relpath(index, folder)})
    return open_build(index)


def built(data: str) -> Build:
    """The build that ``build_step`` noted in its folder."""
    return open_build(Path(data) / read_json(Path(data) / BUILD_JSON)["index"])


def weights_of(build: Build, mixture: str, seed: int, tasks_drawn: int = 0) -> dict[Shard, float]:
    """The shares of a build's shards in a mixture, as ``train_step`` takes them.

    Args:
        mixture: as ``flannb.mixture.mixture`` takes it.
        tasks_drawn: how many of its tasks take part, drawn by ``seed`` with the Held-In ones among them; 0 for all.

    Raises:
        UserError: an unknown mixture, or more tasks than the build has.
    """
    chosen = mixture_of(mixture)
    if tasks_drawn:
        names = {shard.task for shard in build.shards}
        here = [task for task in tasks(build.collection) if task.name in names]
        chosen = chosen.of_drawn_tasks(tasks_drawn, here, seed)
    return shard_weights(build.shards, chosen)


def train_options(chosen: Scale, seed: int, start: str = "") -> "TrainOptions":
    """How the rows of a scale are trained, from the checkpoint ``start`` or, where it is empty, from random weights."""
    from flannb.train import TrainOptions

    return TrainOptions(
        steps=chosen.steps,
        shape=chosen.batch,
        learning_rate=chosen.learning_rate,
        average=chosen.average,
        dropout=chosen.dropout,
        seed=seed,
        checkpoint_every=chosen.checkpoint_every,
        dtype=chosen.dtype,
        remat=chosen.remat,
        model_parallel=chosen.model_parallel,
        start=start or None,
    )


def begin_training(
    folder: str, what: str, options: "TrainOptions", config: "T5Config", data: Mapping[str, str]
) -> None:
    """Records what is trained in a folder, the first process for all of them.

    At a constant rate one may go on for more steps, and how often it is saved changes nothing.

    Args:
        data: what tells the data.

    Raises:
        UserError: as ``flannb.begun.begin``, in every process.
    """
    import jax

    from flannb.train.distribution import join_processes, of_all_processes

    join_processes()
    start = str(options.start or "")
    passing = ("start", "checkpoint_every", "log_every", *(("steps",) if options.schedule == "constant" else ()))
    settings = {name: value for name, value in asdict(options).items() if name not in passing}
    refused = ""
    if jax.process_index() == 0:  # no other writes into a folder that this one may just be emptying
        about = {"options": settings, "size": asdict(config), "start": checkpoint_digest(start) or start, **data}
        try:
            begin(Path(folder), what, about)
        except UserError as error:
            refused = str(error)
    if refused := of_all_processes(refused)[0]:
        raise UserError(refused)


def train_step(
    folder: str,
    data: str,
    mixture: str,
    scale: str,
    seed: int,
    size: str = "",
    tasks_drawn: int = 0,
    start: str = "",
    quiet: bool = False,
) -> Path:
    """Trains a model on a mixture of the data of ``build_step``; returns its folder.

    Beside it, ``seen.csv`` says what of each task it has read (see ``flannb.mixture.seen``).

    Args:
        mixture, tasks_drawn: as in ``weights_of``.
        size: a key of ``flannb.model.SIZES``; the scale's where it is empty.
        start: checkpoint that it starts from; random weights where it is empty.

    Raises:
        UserError: as ``weights_of``, ``flannb.begun.begin`` and ``flannb.train.train``.
    """
    import jax

    from flannb.model import SIZES
    from flannb.train import LOSS_CSV, train

    build = built(data)
    chosen = scale_of(scale, build.collection)
    weights = weights_of(build, mixture, seed, tasks_drawn)
    config, options = SIZES[size or chosen.size], train_options(chosen, seed, start)
    shares = digest({shard.path: share for shard, share in weights.items()})
    begin_training(folder, "training", options, config, {"data": build.key, "mixture": shares})
    model = train(mixed(build, weights), config, options, Path(folder), quiet=quiet)
    if jax.process_index() == 0:
        targets = pd.read_csv(Path(folder) / LOSS_CSV)["tokens"].iloc[-1]
        write_text(Path(folder) / SEEN_CSV, seen(build, weights, seed, targets).to_csv(index=False))
    return model


def evaluate_step(
    folder: str,
    data: str,
    model: str,
    source: str,
    scale: str,
    seed: int,
    allow_missing: bool,
    quiet: bool = False,
) -> pd.DataFrame:
    """Scores the model of ``train_step`` on all suites; returns the predictions by greedy generation, which the paper
    scores; where the scale says so, rankings of the options are on record beside them.
    """
    import keras

    from flannb.model import load_checkpoint

    keras.distribution.set_distribution(None)  # a training before it may have left one over several processes
    opened = open_source(source)
    chosen = scale_of(scale, opened.collection)
    _, scored = available(opened, allow_missing)
    loaded, tokenizer = load_checkpoint(Path(model), chosen.dtype), Tokenizer(built(data).tokenizer_path)
    return evaluate(
        FlannbModel(loaded, tokenizer, chosen.eval_batch, name=f"flannb@{fingerprint(loaded)}"),
        opened,
        scored,
        Path(folder) / PREDICTIONS,
        rows=chosen.eval_rows,
        seed=seed,
        prompt_limit=chosen.prompt_limit,
        answer_limit=chosen.answer_limit,
        explanation_limit=chosen.explanation_limit,
        modes=MODES if chosen.ranking else MODES[:1],
        quiet=quiet,
    )


def predictions_of(evaluations: Mapping[str, Sequence[str]], mode: str = "generation") -> dict[str, pd.DataFrame]:
    """Row -> its predictions, whose column ``repeat`` numbers its models.

    Args:
        evaluations: row -> folders of ``evaluate_step``, one for each model trained of the row.
        mode: of ``flannb.evaluate.MODES``.

    Raises:
        UserError: a folder has none, or they are damaged.
    """
    return {
        row: pd.concat(
            [
                read_predictions(Path(home) / PREDICTIONS, (mode,)).assign(repeat=repeat)
                for repeat, home in enumerate(homes)
            ]
        )
        for row, homes in evaluations.items()
    }


def setup_of(source: Source, scale: str, seed: int) -> "Setup":
    """What was measured, as reports are told."""
    from flannb.report import Setup, limits

    sets: dict[str, list[str]] = {}
    for task in eval_tasks(source.collection):
        sets.setdefault(task.suite, []).append(task.name)
    chosen = scale_of(scale, source.collection)
    return Setup(scale, source.name, seed, sets, positions=chosen.positions, limits=limits(scale, source.collection))


def report_step(
    folder: str,
    artefact: str,
    evaluations: Mapping[str, Sequence[str]],
    models: Mapping[str, str],
    source: str,
    scale: str,
    seed: int,
) -> list[Path]:
    """Writes the report on an artefact.

    Args:
        folder: of the report.
        artefact: a key of ``flannb.experiments.ARTEFACTS``.
        evaluations: row -> folders of ``evaluate_step``, one for each model trained of the row.
        models: row -> folder of the first ``train_step``.

    Raises:
        UserError: predictions are missing or damaged.
    """
    from flannb.report import layout, majority_baseline, one_model, write_table
    from flannb.report.figure1 import write_figure1
    from flannb.report.figure3 import write_figure3
    from flannb.report.figure4 import layout_of, write_figure4
    from flannb.train import LOSS_CSV

    opened = open_source(source)
    chosen = scale_of(scale, opened.collection)
    training = present_training(opened)
    found = artefact_of(artefact).at(chosen, training)
    predictions, setup = predictions_of(evaluations), setup_of(opened, scale, seed)
    shows_ranked = chosen.ranking and artefact != "figure1"
    ranked = predictions_of(evaluations, "ranking") if shows_ranked else None
    if ranked and all(frame.empty for frame in ranked.values()):
        ranked = None  # the source has no set with options
    if artefact == "figure4":
        points = _points(found.rows, training, chosen.size, models)
        return write_figure4(Path(folder), predictions, replace(setup, layout=layout_of(points)), points, ranked)
    suites = [suite for suite in MORE_SUITES if suite in setup.sets]
    setup = replace(setup, layout=layout(artefact).extended({row.name: row.title for row in found.own_rows()}, suites))
    if artefact == "figure1":
        return write_figure1(Path(folder), predictions, setup)
    if artefact == "figure3":
        return write_figure3(Path(folder), predictions, setup, ranked)
    losses, tokens = (
        {row: pd.read_csv(Path(home) / name) for row, home in models.items()} for name in (LOSS_CSV, SEEN_CSV)
    )
    return write_table(
        Path(folder),
        predictions,
        losses,
        setup,
        {row.name: row.title for row in found.rows},
        majority_baseline(one_model(predictions)),
        tokens,
        ranked,
    )


def _points(rows: Sequence[Row], training: Sequence[Task], size: str, models: Mapping[str, str]) -> "dict[str, Point]":
    """Row of Figure 4 -> its size, number of tasks, and parameters where it was trained.

    Args:
        size: of rows that do not say theirs.
        models: row -> folder of its training.
    """
    from flannb.model.checkpoint import parameters
    from flannb.report.figure4 import Point

    return {
        row.name: Point(
            row.size or size,
            row.tasks or len(mixture_of(row.mixture).members(training)),
            parameters(Path(models[row.name]) / "model") if row.name in models else None,
        )
        for row in rows
    }


def figure2_step(folder: str) -> list[Path]:
    """Writes the report on Figure 2 into a folder."""
    from flannb.report.figure2 import write_figure2

    return write_figure2(Path(folder))


def figure7_step(folder: str, source: str) -> list[Path]:
    """Writes the report on Figure 7, made of a source's rows, into a folder."""
    from flannb.report.figure7 import write_figure7

    opened = open_source(source)
    return write_figure7(Path(folder), opened, present_training(opened))
