"""The steps of an artefact: data, then training and evaluation of every row, then the report."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from flannb.build import Hub, Source, open_source
from flannb.build.data import build_key
from flannb.collection import EvalTask
from flannb.experiments.artefacts import Artefact
from flannb.experiments.runner import Step
from flannb.experiments.scales import scale as scale_of
from flannb.experiments.steps import available, vocabulary
from flannb.files import digest

DATA_CODE = ("collection", "build", "files.py", "vocabulary.py")
TRAIN_CODE = (*DATA_CODE, "mixture", "model", "train", "experiments/scales.py")
EVALUATE_CODE = (*TRAIN_CODE, "evaluate")
REPORT_CODE = ("report", "evaluate", "experiments/steps.py", "experiments/artefacts.py")


@dataclass(frozen=True)
class Options:
    """What the command line says.

    Attributes:
        scale, source, seed, allow_missing, drop_contaminated: as in ``flannb.experiments.steps``.
        rows: rows of the table; all where it is empty.
        repeats: row -> how many models are trained of it, with seeds that count up from ``seed``; the key "" is for all
            rows that are absent, else it is 1.
        runs, reports: folders of results.
    """

    scale: str = "smoke"
    source: str = "mini"
    seed: int = 0
    allow_missing: bool = False
    drop_contaminated: bool = False
    rows: tuple[str, ...] = ()
    repeats: Mapping[str, int] = field(default_factory=dict)
    runs: str = "runs"
    reports: str = "reports"


def run_home(options: Options, source: Source) -> str:
    """The folder of the runs of a scale, source and seed, which lie side by side with those of others."""
    clean = "-decontaminated" if options.drop_contaminated else ""
    return f"{options.runs}/{options.scale}/{source.name}-{options.seed}{clean}"


def artefact_steps(artefact: Artefact, options: Options) -> list[Step]:
    """All steps of an artefact, each after the steps that it needs.

    Models are kept by what they are (``Row.model``), whichever artefact they are for.

    Raises:
        UserError: an unknown scale or row, a source that does not exist or lacks datasets.
    """
    source = open_source(options.source)
    chosen = scale_of(options.scale, source.collection)
    home = run_home(options, source)
    training, scored = available(source, options.allow_missing)
    artefact = artefact.at(chosen, training)
    rows = [artefact.row(name) for name in options.rows] or list(artefact.rows)
    for name in filter(None, options.repeats):
        artefact.row(name)
    where = {"source": options.source, "scale": options.scale, "seed": options.seed}
    build_options = chosen.build_options(options.seed, options.drop_contaminated, vocabulary(chosen.start))
    data = Step(
        name="data",
        folder=f"{home}/data",
        notebook="notebooks/01_build.ipynb",
        function="build_step",
        parameters={
            **where,
            "allow_missing": options.allow_missing,
            "drop_contaminated": options.drop_contaminated,
            "store": f"{options.runs}/data",
        },
        code=DATA_CODE,
        state="" if isinstance(source, Hub) else build_key(source, training, build_options),
    )
    state = _fingerprint(source, scored)
    threads = 1 if chosen.size == "smoke" else 0
    cache = f"{options.runs}/.cache/jax"
    steps = [data]
    models: dict[str, list[Step]] = {row.name: [] for row in rows}
    evaluations: dict[str, list[Step]] = {row.name: [] for row in rows}
    for row in rows:
        for repeat in range(options.repeats.get(row.name, options.repeats.get("", 1))):
            suffix = f"-repeat{repeat}" if repeat else ""
            folder = f"{home}/{row.model}{suffix}"
            train = Step(
                name=f"{row.name}{suffix}/train",
                folder=f"{folder}/train",
                notebook="notebooks/02_train.ipynb",
                function="train_step",
                parameters={
                    "data": data.folder,
                    "mixture": row.mixture,
                    "scale": options.scale,
                    "seed": options.seed + repeat,
                    "size": row.size,
                    "tasks_drawn": row.tasks,
                },
                code=TRAIN_CODE,
                needs=(data,),
                threads=threads,
                cache=cache,
            )
            evaluate = Step(
                name=f"{row.name}{suffix}/evaluate",
                folder=f"{folder}/evaluate",
                notebook="notebooks/03_evaluate.ipynb",
                function="evaluate_step",
                parameters={
                    **where,
                    "data": data.folder,
                    "model": f"{train.folder}/model",
                    "allow_missing": options.allow_missing,
                },
                code=EVALUATE_CODE,
                state=state,
                needs=(train,),
                threads=threads,
                cache=cache,
            )
            steps += [train, evaluate]
            models[row.name].append(train)
            evaluations[row.name].append(evaluate)
    report = Step(
        name=f"{artefact.name}/report",
        folder=f"{options.reports}/{artefact.name}/{options.scale}",
        notebook=artefact.notebook,
        function="report_step",
        parameters={
            **where,
            "artefact": artefact.name,
            "evaluations": {row: [step.folder for step in made] for row, made in evaluations.items()},
            "models": {row: made[0].folder for row, made in models.items()},
        },
        code=REPORT_CODE,
        needs=tuple(step for made in evaluations.values() for step in made),
    )
    return [*steps, report]


def _fingerprint(source: Source, scored: tuple[EvalTask, ...]) -> str:
    """Hash of the evaluation data; the Hub's are pinned by commit when they are read."""
    if isinstance(source, Hub):
        return ""
    parts = {d for task in scored for d in (task.data, task.exemplars, task.prompt) if d is not None}
    return digest({str(data): source.fingerprint(data) for data in parts})


def project_root() -> Path:
    """The folder that holds ``notebooks/`` and ``flannb/``, from which all paths of runs count."""
    return Path(__file__).resolve().parents[2]


def from_project(path: str) -> str:
    """A path given in the working directory, as it reads after ``enter_project``: relative if inside the project."""
    absolute = Path(path).absolute()
    root = project_root()
    return absolute.relative_to(root).as_posix() if absolute.is_relative_to(root) else str(absolute)


def enter_project() -> None:
    """Makes the project's root the working directory, wherever a notebook was opened."""
    os.chdir(project_root())
