"""What a reproduction would take, before it takes it: data, tokens, memory, FLOPs and hours of every row."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from flannb.build import Build, Hub, Shard, Source, open_source
from flannb.build.inventory import UNANSWERED, inventory, row_count
from flannb.build.tokenizer import model_vocabulary
from flannb.collection import eval_tasks, finetuning_tasks, tasks
from flannb.errors import UserError
from flannb.experiments.artefacts import SINGLE_TASK, TABLE1, WEIGHTS, Artefact
from flannb.experiments.devices import Devices
from flannb.experiments.finetuning import STARTS, finetune_options
from flannb.experiments.registry import steps_of
from flannb.experiments.reproduce import Options, run_home, start_and_vocabulary
from flannb.experiments.scales import PRETRAINED, Scale
from flannb.experiments.scales import scale as scale_of
from flannb.experiments.steps import BUILD_JSON, built, tokenizer_file, train_options
from flannb.experiments.throughput import Throughput, throughputs
from flannb.finetune.splits import read_splits
from flannb.mixture import Filling, Mixture, expected, filling, mixture, planned_shards, shard_weights
from flannb.model import SIZES, T5Config, training_flops
from flannb.model.filling import empty_model
from flannb.model.flops import forward_flops, generation_flops
from flannb.model.hub import is_address
from flannb.model.vocabulary import as_tokenizer
from flannb.train.loop import make_optimizer
from flannb.train.memory import GIB, Demand, bytes_per_device, planned_bytes


@dataclass(frozen=True)
class RowPlan:
    """What a row takes; all models of it have this each. None is what cannot be known before the data are built.

    Attributes:
        row, title, mixture, models: which row it is, and how many models are trained of it.
        tasks, examples, tokens: of its mixture; an example is a row in one setting.
        positions: token positions that the training goes through, padding included; the same for all rows.
        real_tokens, drawn: tokens and examples among them.
        epochs, most_epochs: how often a row of the data is drawn, on average, and one of the task that is drawn most.
        training_flops, evaluation_flops: the latter at most: prompts and answers are as long as the scale lets them be.
        training_hours, evaluation_hours: on all devices together.
    """

    row: str
    title: str
    mixture: str
    models: int
    tasks: int
    examples: int | None
    tokens: int | None
    positions: int
    real_tokens: int | None
    drawn: int | None
    epochs: float | None
    most_epochs: float | None
    training_flops: float
    evaluation_flops: float | None
    training_hours: float
    evaluation_hours: float | None


@dataclass(frozen=True)
class DryRun:
    """What an artefact takes.

    Attributes:
        demand: memory of a training step on each device.
        parameters: of the model.
        speeds: of training and of evaluation.
        notes: what is not known, and why.
    """

    artefact: Artefact
    options: Options
    source: str
    scale: Scale
    devices: Devices
    parameters: int
    demand: Demand
    speeds: tuple[Throughput, Throughput]
    rows: tuple[RowPlan, ...]
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The plan as JSON: bytes, FLOPs, hours, and model FLOP/s of all devices together; null for what is unknown."""
        training, evaluation = self.speeds
        return {
            "artefact": self.artefact.name,
            "scale": self.options.scale,
            "source": self.source,
            "seed": self.options.seed,
            "devices": asdict(self.devices),
            "size": self.scale.size,
            "parameters": self.parameters,
            "start": start_and_vocabulary(self.options, self.scale)[0],
            "steps": self.scale.steps,
            "batch": asdict(self.scale.batch),
            "bytes_per_device": {"fixed": self.demand.fixed, "activations": self.demand.activations},
            "training": asdict(training),
            "evaluation": asdict(evaluation),
            "rows": [asdict(row) for row in self.rows],
            "notes": list(self.notes),
        }


def dry_run(artefact: Artefact, options: Options, devices: Devices, performance: Path) -> DryRun:
    """Plans an artefact, of which nothing is run.

    Args:
        devices: what it would run on.
        performance: folder of the benchmarks' records.

    Raises:
        UserError: an unknown scale, row or source, or devices that the scale cannot be spread over.
    """
    source = open_source(options.source)
    scale = scale_of(options.scale, source.collection)
    shards, build, notes = _data(options, source, scale)
    names = {shard.task for shard in shards}
    there = [task for task in tasks(source.collection) if task.name in names]
    words = start_and_vocabulary(options, scale)[1]
    if not is_address(words):  # a plan fetches nothing
        steps_of(artefact, replace(options, allow_missing=True))  # what a run refuses, a plan refuses
        as_tokenizer(tokenizer_file(words) or None)  # so does the build
    if artefact.name in SINGLE_TASK and not start_and_vocabulary(options, scale)[0]:
        options = replace(options, start=PRETRAINED)  # as ``flannb.experiments.finetuning`` does
    artefact = artefact.at(scale, there)
    chosen = [artefact.row(name) for name in options.rows] or list(artefact.rows)
    if not chosen:
        raise UserError(f"{artefact.title} trains no model: there is nothing to plan")
    single = [row.name for row in chosen] if artefact.name in SINGLE_TASK else []
    if single:  # all of these tasks share one model of Flan 2022
        chosen = [TABLE1.row("flan2022")]
    vocabulary = build.vocabulary_size if build is not None else model_vocabulary(scale.vocabulary_size)
    config = SIZES[scale.size].with_vocabulary(vocabulary)
    demand, parameters = _demand(scale, config, devices)
    sizes = dict.fromkeys(row.size for row in chosen)
    speeds = throughputs(scale, config, devices, performance)
    work = {size: _flops(source, scale, SIZES[size or scale.size].with_vocabulary(vocabulary)) for size in sizes}
    notes += _of_pretraining(options, scale, config, speeds[0])
    if single:
        notes.append(_of_finetuning(single, source, options, config, speeds[0]))
    if artefact.name == WEIGHTS.name:
        notes.append(
            "proposal: a model of the weights that these runs propose is trained and scored after them, as flan2022 is"
        )
    if any(evaluation is None for _, evaluation in work.values()):
        notes.append("evaluation: the source does not tell how many rows it has, so what scoring takes is not known")
    rows = []
    for row in chosen:
        of_row = mixture(row.mixture)
        if row.tasks:
            of_row = of_row.of_drawn_tasks(row.tasks, there, options.seed)
        weights, (training, evaluation) = shard_weights(shards, of_row), work[row.size]
        evaluation = 0.0 if single else evaluation  # the suites are not run
        rows.append(
            RowPlan(
                row=row.name,
                title=row.title,
                mixture=row.mixture,
                models=1 if single else options.models_of(row.name),
                tasks=len({(shard.submixture, shard.task) for shard in weights}),
                positions=scale.positions,
                **_drawn(build, weights, of_row, shards, scale, options.seed),
                training_flops=training,
                evaluation_flops=evaluation,
                training_hours=training / speeds[0].flops / 3600,
                evaluation_hours=None if evaluation is None else evaluation / speeds[1].flops / 3600,
            )
        )
    return DryRun(artefact, options, source.name, scale, devices, parameters, demand, speeds, tuple(rows), tuple(notes))


def _data(options: Options, source: Source, scale: Scale) -> tuple[list[Shard], Build | None, list[str]]:
    """The shards of the build or, where there is none yet, those that it would have; and what is to say of them."""
    folder = f"{run_home(options, source, scale)}/data"
    if (Path(folder) / BUILD_JSON).is_file():
        build = built(folder)
        return list(build.shards), build, []
    holdings = inventory(source, tasks(source.collection))
    notes = [
        "data: not built. Tasks and examples are those that the source holds; tokens and epochs are known after"
        " `nox -s data` with the same options"
    ]
    if all(holding.reason for holding in holdings):
        unanswered = any(holding.reason == UNANSWERED for holding in holdings)
        raise UserError(UNANSWERED if unanswered else f"{source.name}: holds none of the tasks; name another --source")
    if unknown := sum(holding.available and holding.rows is None for holding in holdings):
        notes.append(f"data: the source does not tell the rows of {unknown:,} tasks, which count as their cap")
    if absent := sum(not holding.available and not holding.task.unavailable for holding in holdings):
        notes.append(f"data: the source lacks {absent:,} tasks; a run needs --allow-missing")
    capped = [
        replace(holding, rows=None if holding.rows is None else min(holding.rows, scale.rows_per_task))
        for holding in holdings
    ]
    return planned_shards(capped), None, notes


def _drawn(
    build: Build | None, weights: Mapping[Shard, float], of: Mixture, shards: Iterable[Shard], scale: Scale, seed: int
) -> dict[str, Any]:
    """The fields of ``RowPlan`` about the mixture, and about what training draws of it."""
    examples = sum(shard.examples for shard in weights)
    if build is None:
        unknown = ("tokens", "real_tokens", "drawn", "epochs", "most_epochs")
        return {"examples": examples, **dict.fromkeys(unknown)}
    found: Filling = filling(build, weights, scale.batch, seed)
    sequences = scale.steps * scale.batch.size
    drawn = round(found.examples * sequences)
    table = expected(shards, of, drawn)
    return {
        "examples": examples,
        "tokens": sum(shard.tokens for shard in weights),
        "real_tokens": round((found.inputs + found.targets) * sequences),
        "drawn": drawn,
        "epochs": drawn / int(table["rows"].sum()),
        "most_epochs": float(table["epochs"].max()),
    }


def _demand(scale: Scale, config: T5Config, devices: Devices) -> tuple[Demand, int]:
    """What a training step asks of each device, and the model's parameters; nothing of it is made.

    Raises:
        UserError: the devices do not come apart into copies of the model, or the batch into them.
    """
    if devices.count % scale.model_parallel:
        raise UserError(
            f"{devices}: the scale has {scale.model_parallel} devices share a copy of the model; plan for a multiple"
        )
    replicas = devices.count // scale.model_parallel
    if scale.batch.size % replicas:
        raise UserError(f"{devices}: a batch of {scale.batch.size} is not divisible by {replicas}; plan others")
    model = empty_model(config, scale.dtype, remat=scale.remat)
    optimizer = make_optimizer(train_options(scale, seed=0))
    optimizer.build(model.trainable_variables)
    weights = planned_bytes(model.trainable_variables, config, scale.model_parallel)
    demand = Demand(
        fixed=2 * weights + bytes_per_device(optimizer.variables),
        config=config,
        shape=scale.batch,
        replicas=replicas,
        accumulation=1,
        dtype=scale.dtype,
        remat=scale.remat,
        scores=not (devices.fused and scale.dtype != "float32"),
        have=devices.memory,
    )
    return demand, planned_bytes(model.trainable_variables, config, 1) // 4


def _flops(source: Source, scale: Scale, config: T5Config) -> tuple[float, float | None]:
    """FLOPs of training one model, and of scoring it."""
    training = scale.steps * training_flops(config, scale.batch.size, scale.batch.input, scale.batch.target)
    return training, _evaluation_flops(source, scale, config)


def _of_pretraining(options: Options, scale: Scale, config: T5Config, speed: Throughput) -> list[str]:
    """What is to say of the model that rows start from, where it is yet to be pretrained."""
    if scale.pretraining is None or start_and_vocabulary(options, scale)[0] != PRETRAINED:
        return []
    shape = scale.pretraining.batch or scale.batch
    steps = scale.pretraining.span_corruption.steps + scale.pretraining.prefix_lm.steps
    flops = steps * training_flops(config, shape.size, shape.input, shape.target)
    return [
        f"start: rows start from one model that is pretrained before them, unless it is there: {steps:,} steps,"
        f" {_prefixed(flops)}FLOP, {_hours(flops / speed.flops / 3600)} hours"
    ]


def _of_finetuning(names: list[str], source: Source, options: Options, config: T5Config, speed: Throughput) -> str:
    """What is to say of the trainings on single tasks that the source has."""
    there = [t for t in finetuning_tasks(source.collection) if t.name in names and all(map(source.has, t.data))]
    chosen = finetune_options(options.scale, source.collection, options.seed)
    remote = isinstance(source, Hub)  # whose rows would have to be fetched to be split
    models = [1 if remote else read_splits(task, source, options.seed, chosen.most_rows).repeats for task in there]
    trainings, shape = len(STARTS) * sum(models), chosen.shape
    flops = chosen.steps * training_flops(config, shape.size, shape.input, shape.target)
    return (
        f"finetuning: {len(there)} of {len(names)} tasks, from T5 and from the model above: {'at least ' * remote}"
        f"{trainings} trainings of {chosen.steps:,} steps of {shape.size} sequences of {shape.input:,} and"
        f" {shape.target:,} positions, {_prefixed(flops)}FLOP each, {_hours(trainings * flops / speed.flops / 3600)}"
        f" hours in all; validation every {chosen.checkpoint_every:,} steps is not counted"
    )


def _evaluation_flops(source: Source, scale: Scale, config: T5Config) -> float | None:
    """FLOPs of scoring one model, at most; None where the source does not tell how many rows it has."""
    total = 0.0
    scored = [task for task in eval_tasks(source.collection) if source.has(task.data)]
    generate = partial(generation_flops, config, 1, scale.prompt_limit)
    for task in scored:
        have = row_count(source, task.data)
        if have is None:
            return None
        sets = sum(other.suite == task.suite for other in scored)
        rows = have if scale.eval_rows is None else min(have, max(1, scale.eval_rows // sets))
        each = generate(scale.explanation_limit if task.chain_of_thought else scale.answer_limit)
        if scale.ranking and not task.chain_of_thought and ("options" in task.fields or task.candidates):
            each += forward_flops(config, 1, scale.prompt_limit, scale.answer_limit)
        total += 2 * rows * each  # zero-shot and few-shot
    return total


def show(plan: DryRun) -> str:
    """The plan as text for a terminal."""
    scale, demand, batch = plan.scale, plan.demand, plan.scale.batch
    training, evaluation = plan.speeds
    need = (demand.fixed + demand.activations) / GIB
    have = "" if demand.have is None else f" of the {demand.have / GIB:.1f} that JAX may use"
    start = start_and_vocabulary(plan.options, scale)[0] or "random weights"
    lines = [
        f"{plan.artefact.title} at the scale {plan.options.scale}, source {plan.source}, seed {plan.options.seed}:"
        " a dry run, nothing is trained",
        "",
        f"devices     {plan.devices}{'' if plan.devices.here else ' (not this machine)'}",
        f"model       {scale.size}, {plan.parameters:,} parameters, from {start}",
        f"training    {scale.steps:,} steps of {batch.size} packed sequences of {batch.input:,} and {batch.target:,}"
        f" positions, {_prefixed(plan.rows[0].positions)} in all; {scale.dtype}, remat {scale.remat}",
        f"memory      about {need:.1f} GiB of each device{have}: weights, gradients and optimizer"
        f" {demand.fixed / GIB:.1f}, activations {demand.activations / GIB:.1f}",
        f"speed       training {_prefixed(training.flops)}FLOP/s, {training.basis}",
        f"            evaluation {_prefixed(evaluation.flops)}FLOP/s, {evaluation.basis}",
        "",
        *_table(plan.rows),
    ]
    if demand.have is not None and need * GIB > demand.have:
        lines += ["", f"warning: {demand.error()}"]
    lines += ["", *plan.notes]
    return "\n".join(lines).rstrip()


HEADS = (
    *("row", "models", "tasks", "examples", "tokens", "epochs", "most", "tokens trained on"),
    *("training FLOP", "hours", "evaluation FLOP", "hours"),
)


def _table(rows: tuple[RowPlan, ...]) -> list[str]:
    cells: list[tuple[str, ...]] = [HEADS]
    for row in rows:
        epochs = tuple("-" if value is None else f"{value:.2f}" for value in (row.epochs, row.most_epochs))
        data = (f"{row.tasks:,}", *map(_prefixed, (row.examples, row.tokens)), *epochs, _prefixed(row.real_tokens))
        training = (_prefixed(row.training_flops), _hours(row.training_hours))
        evaluation = (_prefixed(row.evaluation_flops), _hours(row.evaluation_hours))
        cells.append((row.title, str(row.models), *data, *training, *evaluation))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "  ".join(
            [line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))]
        )
        for line in cells
    ]
    trained = sum(row.models * row.training_hours for row in rows)
    scored = sum(row.models * (row.evaluation_hours or 0.0) for row in rows)
    known = "" if all(row.evaluation_hours is not None for row in rows) else " (evaluation not counted)"
    total = f"{_hours(trained + scored)} hours in all, on all devices together{known}"
    return [*lines, "", f"{total}; evaluation at most, of prompts and answers as long as they may be"]


def _hours(value: float | None) -> str:
    return "-" if value is None else f"{value:.2g}" if value < 10 else f"{value:,.0f}"


def _prefixed(value: float | None) -> str:
    """A number with three digits and a prefix, such as ``12.3 M``."""
    if value is None:
        return "-"
    for power, prefix in ((21, "Z"), (18, "E"), (15, "P"), (12, "T"), (9, "G"), (6, "M"), (3, "k")):
        if value >= 10**power:
            return f"{value / 10**power:.3g} {prefix}"
    return f"{value:.3g}"
