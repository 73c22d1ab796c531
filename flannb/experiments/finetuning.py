"""Single-task finetuning at a scale, and the artefacts that are made of it: Table 3, Figures 5 and 6."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from flannb.build import Source, open_source
from flannb.collection import FinetuningTask, finetuning_tasks
from flannb.errors import UserError
from flannb.experiments.artefacts import TABLE1, Artefact
from flannb.experiments.reproduce import (
    EVALUATE_CODE,
    RANDOM,
    REPORT_CODE,
    Options,
    artefact_steps,
    data_digest,
    ground,
)
from flannb.experiments.scales import PRETRAINED
from flannb.experiments.scales import scale as scale_of
from flannb.experiments.step import Step
from flannb.experiments.steps import refuse_missing
from flannb.files import checkpoint_digest, digest
from flannb.finetune import Finetuned, FinetuneOptions, finetune, own_task
from flannb.finetune.splits import FEW_ROWS, REPEATS
from flannb.mixture import BatchShape
from flannb.names import check_name

FINETUNE_CODE = (*EVALUATE_CODE, "finetune", "experiments/finetuning.py", "experiments/scales.py")

FINETUNING: dict[str, FinetuneOptions] = {
    "tiny": FinetuneOptions(4, BatchShape(2, 128, 32), learning_rate=0.005, checkpoint_every=2, most_rows=16),
    "smoke": FinetuneOptions(160, BatchShape(8, 128, 32), learning_rate=0.005, most_rows=192),
    "micro": FinetuneOptions(
        500, BatchShape(32, 512, 128), learning_rate=0.002, checkpoint_every=50, most_rows=1024, eval_batch=256
    ),
}
"""Scale -> how its models are finetuned; those of other scales as in the paper. Small models learn at higher rates."""

REAL_SMOKE = replace(FINETUNING["smoke"], shape=BatchShape(4, 384, 64), checkpoint_every=40, most_rows=128)
"""On the collection of the paper, whose texts are longer than mini's."""

STARTS = ("t5", "flan_t5")
"""What is finetuned: the model before instruction tuning, and after."""


def finetune_options(scale: str, collection: str, seed: int) -> FinetuneOptions:
    """How models of a scale are finetuned.

    Raises:
        UserError: an unknown scale; the message lists them.
    """
    chosen = scale_of(scale, collection)
    options = FINETUNING.get(scale, FinetuneOptions())
    if scale == "smoke" and collection != "mini":
        options = REAL_SMOKE
    return replace(options, dtype=chosen.dtype, seed=seed)


def task_named(name: str, collection: str) -> FinetuningTask:
    """A task of Table 3 by its name.

    Raises:
        UserError: the collection has none of that name; the message lists them.
    """
    known = {task.name: task for task in finetuning_tasks(collection)}
    check_name("--task", name, known)
    return known[name]


# --- Steps ------------------------------------------------------------------------------------------------------------


def finetune_step(
    folder: str,
    start: str,
    task: str = "",
    source: str = "mini",
    scale: str = "smoke",
    seed: int = 0,
    file: str = "",
    template: str = "",
    metric: str = "accuracy",
    quiet: bool = False,
) -> Finetuned:
    """Finetunes a checkpoint on a task of Table 3, or on one's own rows; returns what was found.

    Args:
        folder: see ``flannb.finetune.run``.
        start: the checkpoint.
        task: its key; empty for one's own.
        file, template, metric: instead of ``task`` and ``source`` a file of rows, how they read, and their metric (see
            ``flannb.finetune.own``).

    Raises:
        UserError: an unknown task or scale; or as ``flannb.finetune.own_task`` and ``flannb.finetune.finetune``.
    """
    if task:
        opened = open_source(source)
        chosen = task_named(task, opened.collection)
        options = finetune_options(scale, opened.collection, seed)
    else:
        chosen, opened = own_task({"train": Path(file)}, Path(template), metric)
        options = finetune_options(scale, "mini", seed)
    return finetune(chosen, opened, start, options, Path(folder), say=print, quiet=quiet)


def single_task_step(
    folder: str,
    artefact: str,
    finetunings: Mapping[str, Mapping[str, str]],
    source: str,
    scale: str,
    seed: int,
) -> list[Path]:
    """Writes the report on Table 3, Figure 5 or Figure 6.

    Args:
        folder: of the report.
        finetunings: task -> ``t5`` or ``flan_t5`` -> folder of ``finetune_step``; none of a task that the source lacks.
    """
    from flannb.report.single_task import Comparison, SingleTaskSetup, write_single_task

    done = {
        task: Comparison(*(Finetuned.read(Path(homes[start])) for start in STARTS))
        for task, homes in finetunings.items()
        if homes
    }
    setup = SingleTaskSetup(scale, open_source(source).name, seed, list(finetunings))
    return write_single_task(Path(folder), artefact, done, setup)


# --- Plans ------------------------------------------------------------------------------------------------------------


def finetuning_steps(artefact: Artefact, options: Options) -> list[Step]:
    """All steps of an artefact of single tasks, each after the steps that it needs.

    T5 is what rows start from at the scale, and Flan-T5 the same after training on Flan 2022. Where rows start from
    random weights, both begin with the model that ``nox -s pretrain`` makes, so that they differ in nothing else.

    Raises:
        UserError: an unknown scale or task, a source that does not exist or lacks datasets, rows whose models are
            repeated, or a start that is no T5.
    """
    if any(count > 1 for count in options.repeats.values()):
        raise UserError(
            f"--repeats: the tasks of {artefact.title} are trained {REPEATS} times each where they have fewer than"
            f" {FEW_ROWS:,} training examples and once elsewhere, as in the paper's A.2; leave the option out"
        )
    if options.start == RANDOM:
        raise UserError("--start random: T5 was pretrained; name a checkpoint, or leave the option out")
    base = ground(options)
    if not base.start:
        options = replace(options, start=PRETRAINED)
        base = ground(options)
    tasks = _tasks(artefact, base.source, options)
    shared = artefact_steps(TABLE1, replace(options, rows=("flan2022",), repeats={}))
    flan = next(step for step in shared if step.function == "train_step")
    before = shared[: shared.index(flan) + 1]
    given = "" if base.start == PRETRAINED else checkpoint_digest(base.start)  # no step makes it
    starts = {
        "t5": (str(flan.parameters["start"]), given, flan.needs[-1]),
        "flan_t5": (f"{flan.folder}/model", "", flan),
    }
    home = Path(flan.folder).parents[1].as_posix()
    finetunings: dict[str, dict[str, Step]] = {name: {} for name in _names(artefact, options)}
    for task in tasks:
        for start, (checkpoint, files, need) in starts.items():
            finetunings[task.name][start] = Step(
                name=f"{task.name}/{start}",
                folder=f"{home}/finetune/{task.name}/{start}",
                notebook="notebooks/04_finetune.ipynb",
                function="finetune_step",
                parameters={**base.where, "task": task.name, "start": checkpoint},
                code=FINETUNE_CODE,
                state=digest([data_digest(base.source, task.data), files]),
                needs=(need,),
                threads=flan.threads,
                cache=flan.cache,
            )
    made = [step for by_start in finetunings.values() for step in by_start.values()]
    report = Step(
        name=f"{artefact.name}/report",
        folder=f"{options.reports}/{artefact.name}/{options.scale}",
        notebook=artefact.notebook,
        function="single_task_step",
        parameters={
            **base.where,
            "artefact": artefact.name,
            "finetunings": {
                task: {start: step.folder for start, step in by_start.items()} for task, by_start in finetunings.items()
            },
        },
        code=(*REPORT_CODE, "finetune", "experiments/finetuning.py"),
        needs=tuple(made),
    )
    return [*before, *made, report]


def _names(artefact: Artefact, options: Options) -> list[str]:
    """The tasks of an artefact that are asked for, in the order of Table 3.

    Raises:
        UserError: an unknown one.
    """
    for name in options.rows:
        artefact.row(name)
    return [row.name for row in artefact.rows if not options.rows or row.name in options.rows]


def _tasks(artefact: Artefact, source: Source, options: Options) -> list[FinetuningTask]:
    """The tasks that are asked for and that a source has.

    Raises:
        UserError: an unknown one, or one that the source promises and lacks where ``allow_missing`` is not set.
    """
    names = _names(artefact, options)
    tasks = [task for task in finetuning_tasks(source.collection) if task.name in names]
    lacking = {str(data) for task in tasks for data in task.data if not source.has(data)}
    if not options.allow_missing:
        refuse_missing(source, [name for name in lacking if source.promises(name)])
    present = [task for task in tasks if not lacking & {str(data) for data in task.data}]
    if not present:
        raise UserError(f"{source.name}: has none of the tasks {', '.join(names)}; name another --source")
    return present
