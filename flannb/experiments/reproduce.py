"""The steps of an artefact: data, a starting model, training and evaluation of every row, then the report."""

import os
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from flannb import extra
from flannb.build import Hub, Source, open_source
from flannb.build.data import build_key
from flannb.collection import Data, EvalTask, Task
from flannb.errors import UserError
from flannb.experiments.artefacts import Artefact, Row
from flannb.experiments.pretraining import pretraining_of
from flannb.experiments.scales import EVALUATION, PRETRAINED, PRETRAINING, TRAINING, Scale
from flannb.experiments.scales import scale as scale_of
from flannb.experiments.step import Step
from flannb.experiments.steps import available, tokenizer_file
from flannb.files import checkpoint_digest, digest
from flannb.mixture import mixture, own_mixtures
from flannb.mixture.pretraining import PREFIX_LM, SPAN_CORRUPTION
from flannb.names import check_name

DATA_CODE = ("collection", "build", "files.py", "vocabulary.py")
TRAIN_CODE = (*DATA_CODE, "mixture", "model", "train")
PRETRAIN_CODE = (*TRAIN_CODE, "experiments/pretraining.py")
EVALUATE_CODE = (*TRAIN_CODE, "evaluate")
REPORT_MODULES = ("steps", "artefacts", "scales")
PAGE_CODE = ("report", "html.py", "markdown.py", "notebook.py")
REPORT_CODE = (*PAGE_CODE, "evaluate", *(f"experiments/{name}.py" for name in REPORT_MODULES))
PRETRAIN_REPORT_CODE = (*PAGE_CODE, "experiments/pretraining.py")

RANDOM = "random"
"""``--start`` of rows that begin with random weights."""


@dataclass(frozen=True)
class Options:
    """What the command line says.

    Attributes:
        scale, source, seed, allow_missing, drop_contaminated: as in ``flannb.experiments.steps``.
        rows: rows of the table; all where it is empty.
        start: what rows start from instead of the scale's own: a checkpoint, ``PRETRAINED`` or ``RANDOM``.
        vocabulary: a tokenizer for the build (see ``flannb.experiments.steps.tokenizer_file``), instead of the one of
            the checkpoint that rows start from, or one that the build trains.
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
    start: str = ""
    vocabulary: str = ""
    repeats: Mapping[str, int] = field(default_factory=dict)
    runs: str = "runs"
    reports: str = "reports"

    @property
    def store(self) -> str:
        """The folder of builds and corpora, which runs share."""
        return f"{self.runs}/data"

    @property
    def cache(self) -> str:
        """The folder of JAX's compiled programs, which runs share."""
        return f"{self.runs}/.cache/jax"

    def models_of(self, row: str) -> int:
        """How many models are trained of a row."""
        return self.repeats.get(row, self.repeats.get("", 1))


def command(session: str, options: Options, source: Source) -> str:
    """The words that reproduce an artefact in a checkout.

    Args:
        session: of nox, such as ``reproduce_table1``.
        source: that the options name; a mirror's folder is given by its name alone, wherever it was, as are files of
            one's own.
    """
    words = ["nox", "-s", session, "--", "--scale", options.scale, "--source", source.name]
    given = {
        "seed": options.seed,
        "rows": ",".join(options.rows),
        "start": options.start,
        "vocabulary": options.vocabulary,
        "extra": ",".join(extra.names()),
        "repeats": ",".join(
            f"{row}={count}" if row else str(count) for row, count in options.repeats.items() if row or count > 1
        ),
    }
    words += [word for name, value in given.items() if value for word in (f"--{name}", str(value))]
    flags = {"allow-missing": options.allow_missing, "drop-contaminated": options.drop_contaminated}
    return shlex.join([*words, *(f"--{name}" for name, value in flags.items() if value)])


@dataclass(frozen=True)
class Ground:
    """What all runs of a source at a scale stand on.

    Attributes:
        source, scale: that the options name.
        training: the training tasks that the source has.
        scored: the evaluation sets that the source has.
        start: what rows start from: a checkpoint, ``PRETRAINED``, or empty for random weights.
        where: the parameters that most steps share.
        home: folder of the runs. Those of other sources, seeds and vocabularies live side by side; the scale alone
            would let them overwrite each other.
        data: builds the data.
        text: hash of the source's data, evaluation sets included.
    """

    source: Source
    scale: Scale
    training: tuple[Task, ...]
    scored: tuple[EvalTask, ...]
    start: str
    where: dict[str, Any]
    home: str
    data: Step
    text: str


def start_and_vocabulary(options: Options, scale: Scale) -> tuple[str, str]:
    """What rows start from and whose vocabulary the build takes, both empty for none."""
    start = "" if options.start == RANDOM else options.start or scale.start
    return start, options.vocabulary or ("" if start == PRETRAINED else start)


def run_home(options: Options, source: Source, scale: Scale) -> str:
    """The folder of the runs of some options."""
    vocabulary = start_and_vocabulary(options, scale)[1]
    usual = start_and_vocabulary(Options(options.scale), scale)[1]
    clean = "-decontaminated" if options.drop_contaminated else ""
    words = "" if vocabulary == usual else f"-{label_of(vocabulary or 'trained')}"
    return f"{options.runs}/{options.scale}/{source.name}-{options.seed}{clean}{words}{own_suffix(*extra.DATA)}"


def own_suffix(*kinds: str) -> str:
    """A part of a folder's name that tells runs with data or sets of one's own from those without."""
    found = extra.fingerprint(*kinds)
    return f"-own-{found[:8]}" if found else ""


def ground(options: Options) -> Ground:
    """What the runs of some options stand on.

    Raises:
        UserError: an unknown scale, a source that does not exist or lacks datasets, or a checkpoint without tokenizer.
    """
    source = open_source(options.source)
    chosen = scale_of(options.scale, source.collection)
    training, scored = available(source, options.allow_missing)
    start, vocabulary = start_and_vocabulary(options, chosen)
    where = {"source": options.source, "scale": options.scale, "seed": options.seed}
    home = run_home(options, source, chosen)
    build_options = chosen.build_options(options.seed, options.drop_contaminated, tokenizer_file(vocabulary))
    remote = isinstance(source, Hub)  # what it holds is pinned by commit when it is read
    data = Step(
        name="data",
        folder=f"{home}/data",
        notebook="notebooks/01_build.ipynb",
        function="build_step",
        parameters={
            **where,
            "allow_missing": options.allow_missing,
            "drop_contaminated": options.drop_contaminated,
            "vocabulary": vocabulary,
            "store": options.store,
        },
        code=DATA_CODE,
        state=extra.fingerprint(*extra.DATA) if remote else build_key(source, training, build_options),
    )
    text = data.state if remote else build_key(source, training, replace(build_options, drop_contaminated=True))
    return Ground(source, chosen, training, scored, start, where, home, data, text)


def label_of(checkpoint: str) -> str:
    """A checkpoint or vocabulary as a part of a folder's name."""
    return f"{re.sub('[^A-Za-z0-9.]+', '-', Path(checkpoint).name).strip('-')}-{digest(checkpoint)[:6]}"


def pretraining_steps(base: Ground, options: Options, size: str = "") -> list[Step]:
    """Data and the two stages of pretraining, which all rows of a size share, whichever artefact they are for.

    Args:
        size: of the model, where it is not the scale's.

    Raises:
        UserError: the scale does not pretrain.
    """
    pretraining_of(base.scale, options.scale)
    suffix = f"-{size}" if size else ""
    steps = [base.data]
    for objective in (SPAN_CORRUPTION, PREFIX_LM):
        before = steps[1:]
        stage = Step(
            name=f"pretrain{suffix}/{objective}",
            folder=f"{base.home}/pretrain{suffix}/{objective}",
            notebook="notebooks/06_pretrain.ipynb",
            function="pretrain_step",
            parameters={
                **base.where,
                "objective": objective,
                "data": base.data.folder,
                "allow_missing": options.allow_missing,
                "store": options.store,
                "size": size,
                "start": f"{before[-1].folder}/model" if before else "",
            },
            code=PRETRAIN_CODE,
            state=digest([base.text, base.scale.settings(PRETRAINING)]),
            needs=tuple(steps[-1:]),
            threads=threads(base.scale),
            cache=options.cache,
        )
        steps.append(stage)
    return steps


def pretrain_report_steps(options: Options) -> list[Step]:
    """The steps of pretraining, the report on it last. Raises as ``ground`` and ``pretraining_steps``."""
    base = ground(options)
    steps = pretraining_steps(base, options)
    report = Step(
        name="pretrain/report",
        folder=f"{options.reports}/pretrain/{options.scale}",
        notebook="notebooks/07_pretrain_report.ipynb",
        function="pretrain_report_step",
        parameters={
            "source": options.source,
            "scale": options.scale,
            "seed": options.seed,
            "stages": {step.parameters["objective"]: step.folder for step in steps[1:]},
        },
        code=PRETRAIN_REPORT_CODE,
        needs=tuple(steps[1:]),
        command=command("pretrain", options, base.source),
    )
    return [*steps, report]


def artefact_steps(artefact: Artefact, options: Options) -> list[Step]:
    """All steps of an artefact, each after the steps that it needs.

    Models are kept by what they are (``Row.model``), whichever artefact they are for.

    Raises:
        UserError: an unknown row; or as ``ground`` and ``pretraining_steps``.
    """
    base = ground(options)
    artefact = artefact.at(base.scale, base.training)
    rows = _with_data([artefact.row(name) for name in options.rows] or list(artefact.rows), base.training, options)
    for name in filter(None, options.repeats):
        check_name("--repeats", name, [row.name for row in artefact.rows])
    sizes = list(dict.fromkeys(row.size for row in rows)) if base.start == PRETRAINED else []
    pretrained = {size: pretraining_steps(base, options, size) for size in sizes}
    steps = list({step.folder: step for made in pretrained.values() for step in made}.values()) or [base.data]
    checkpoint = "" if base.start == PRETRAINED else checkpoint_digest(base.start)
    scored = _scoring(base)
    models: dict[str, list[Step]] = {row.name: [] for row in rows}
    evaluations: dict[str, list[Step]] = {row.name: [] for row in rows}
    for row in rows:
        needs = (base.data, *pretrained.get(row.size, [])[-1:])
        start = f"{needs[-1].folder}/model" if pretrained else base.start
        for repeat in range(options.models_of(row.name)):
            train = _training(base, options, row, repeat, start, checkpoint, needs)
            evaluate = _evaluation(base, options, train, scored)
            steps += [train, evaluate]
            models[row.name].append(train)
            evaluations[row.name].append(evaluate)
    report = Step(
        name=f"{artefact.name}/report",
        folder=f"{options.reports}/{artefact.name}/{options.scale}",
        notebook=artefact.notebook,
        function="report_step",
        parameters={
            **base.where,
            "artefact": artefact.name,
            "evaluations": {row: [step.folder for step in made] for row, made in evaluations.items()},
            "models": {row: made[0].folder for row, made in models.items()},
        },
        code=REPORT_CODE,
        state=extra.fingerprint(*extra.KINDS),
        needs=tuple(step for made in evaluations.values() for step in made),
    )
    return [*steps, report]


def _training(
    base: Ground, options: Options, row: Row, repeat: int, start: str, checkpoint: str, needs: tuple[Step, ...]
) -> Step:
    """Trains a model of a row.

    Args:
        repeat: number of the model among those of the row, from 0.
        start: what it starts from.
        checkpoint: hash of that, where no step makes it.
    """
    suffix = f"-repeat{repeat}" if repeat else ""
    made = own_mixtures().get(row.mixture)
    return Step(
        name=f"{row.name}{suffix}/train",
        folder=f"{_home_of_models(base)}/{row.model}{suffix}/train",
        notebook="notebooks/02_train.ipynb",
        function="train_step",
        parameters={
            "data": base.data.folder,
            "mixture": row.mixture,
            "scale": options.scale,
            "seed": options.seed + repeat,
            "size": row.size,
            "tasks_drawn": row.tasks,
            "start": start,
        },
        code=TRAIN_CODE,
        state=digest([base.scale.settings(TRAINING), checkpoint, made.digest if made else ""]),
        needs=needs,
        threads=threads(base.scale),
        cache=options.cache,
    )


def _evaluation(base: Ground, options: Options, train: Step, scored: str) -> Step:
    """Evaluates the model of a training.

    Args:
        scored: hash of what it is scored on, and how.
    """
    return Step(
        name=f"{train.name.removesuffix('/train')}/evaluate",
        folder=f"{train.folder.removesuffix('/train')}/evaluate{own_suffix('EVAL_TASKS')}",
        notebook="notebooks/03_evaluate.ipynb",
        function="evaluate_step",
        parameters={
            **base.where,
            "data": base.data.folder,
            "model": f"{train.folder}/model",
            "allow_missing": options.allow_missing,
        },
        code=EVALUATE_CODE,
        state=scored,
        needs=(train,),
        threads=threads(base.scale),
        cache=options.cache,
    )


def _home_of_models(base: Ground) -> str:
    """The folder of the models that rows become, apart where they start from something else than the scale says."""
    vocabulary = base.data.parameters["vocabulary"]
    told = base.start == base.scale.start or (base.start and base.start == vocabulary)  # by the home's own name
    return base.home if told else f"{base.home}/from-{label_of(base.start or RANDOM)}"


def _with_data(rows: list[Row], training: Sequence[Task], options: Options) -> list[Row]:
    """The rows less those of one's own of which the source has no data; the report marks them as not run.

    Raises:
        UserError: ``--rows`` names one of these.
    """
    empty = [row for row in rows if row.mixture in own_mixtures() and not mixture(row.mixture).members(training)]
    if empty and options.rows:
        raise UserError(f"--rows {empty[0].name}: {options.source} has none of its data")
    return [row for row in rows if row not in empty]


def _scoring(base: Ground) -> str:
    """Hash of the evaluation rows, those of the Hub aside, which are pinned by commit when they are read; and of how
    they are scored.
    """
    parts = {d for task in base.scored for d in (task.data, task.exemplars, task.prompt) if d is not None}
    rows = "" if isinstance(base.source, Hub) else data_digest(base.source, parts)
    return digest([rows, base.scale.settings(EVALUATION), extra.fingerprint("EVAL_TASKS")])


def data_digest(source: Source, parts: Iterable[Data]) -> str:
    """Hash of some data of a source."""
    return digest({str(data): source.fingerprint(data) for data in parts})


def threads(scale: Scale) -> int:
    """CPU threads of the kernel of a training: one for the smallest model, 0 for JAX to choose."""
    return 1 if scale.size == "smoke" else 0


def project_root() -> Path:
    """The folder that holds ``notebooks/`` and ``flannb/``, from which all paths of runs count."""
    return Path(__file__).resolve().parents[2]


def from_project(path: str) -> str:
    """A path given in the working directory, as it reads after ``enter_project``: relative if inside the project."""
    absolute = Path(path).absolute()
    root = project_root()
    return absolute.relative_to(root).as_posix() if absolute.is_relative_to(root) else str(absolute)


def enter_project() -> None:
    """Makes the project's root the working directory, wherever a notebook was opened, and text in tables mere text.

    pandas would take what is in a cell for HTML where a table has a style, and for a formula where it has dollar signs.
    """
    os.chdir(project_root())
    pd.set_option("styler.format.escape", "html")
    pd.set_option("styler.html.mathjax", False)
    pd.set_option("display.html.use_mathjax", False)
