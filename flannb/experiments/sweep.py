"""A sweep: short trainings of several sizes and learning rates, compared by their loss on records that none reads.

No suite takes part, so what is chosen by it is not chosen by what tables report.
"""

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

from flannb.build import Source, open_source
from flannb.errors import UserError
from flannb.experiments.durations import Durations
from flannb.experiments.options import settle, workers_of
from flannb.experiments.reproduce import (
    RANDOM,
    TRAIN_CODE,
    Options,
    command,
    ground,
    label_of,
    pretraining_steps,
    threads,
)
from flannb.experiments.runner import run_all
from flannb.experiments.scales import PRETRAINED, SCALES, TRAINING
from flannb.experiments.scales import scale as scale_of
from flannb.experiments.step import Step
from flannb.files import digest
from flannb.names import known_names, natural, split_names
from flannb.progress import remark
from flannb.terminal import show_markdown

SWEEP_REPORT_CODE = ("report", "html.py", "markdown.py", "experiments/trials.py")

SETTINGS = tuple(name for name in TRAINING if name not in ("size", "steps", "learning_rate", "dropout"))
"""What all trials take from the scale."""


def add_options(made: argparse.ArgumentParser) -> None:
    """The options of ``nox -s sweep``."""
    made.epilog = "What is done already is skipped; what was killed goes on. It needs neither notebooks nor papermill."
    made.add_argument("--scale", default="smoke", metavar="NAME", help=f"one of {', '.join(SCALES)} (default: smoke)")
    made.add_argument("--source", default="mini", metavar="WHERE", help="mini (default), hub, or a mirror folder")
    made.add_argument("--sizes", metavar="A,B", help="keys of flannb.model.SIZES (default: that of the scale)")
    made.add_argument("--rates", metavar="X,Y", help="learning rates (default: a third, one and three of the scale's)")
    made.add_argument("--dropouts", metavar="X,Y", help="dropout probabilities (default: that of the scale)")
    made.add_argument("--steps", type=int, metavar="N", help="of each training (default: a fifth of the scale's)")
    made.add_argument(
        "--start",
        default=RANDOM,
        metavar="WHERE",
        help="what trainings start from: random (default), pretrained, a model's folder, or hf://owner/name",
    )
    made.add_argument("--seed", type=natural, default=0, help="fixes everything that is drawn (default: 0)")
    made.add_argument(
        "--workers", type=int, metavar="N", help="trainings side by side (default: as for rows of a table)"
    )
    made.add_argument("--allow-missing", action="store_true", help="go on without datasets that the source lacks")
    made.add_argument("--plain", action="store_true", help="build the data without a notebook, too")
    made.add_argument("--runs", default="runs", metavar="DIR", help="folder of data and models (default: runs)")
    made.add_argument("--reports", default="reports", metavar="DIR", help="folder of reports (default: reports)")


def run(given: argparse.Namespace) -> None:
    """Trains all settings, measures each and writes the report on them."""
    from flannb.report.site import write_site

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
    steps = sweep_steps(options, settings(given))
    durations = Durations.at(options.scale, options.runs, options.reports)
    run_all(steps, workers_of(given, steps), "", papermill=not given.plain, durations=durations)
    folder = Path(steps[-1].folder)
    show_markdown((folder / "sweep.md").read_text(encoding="utf-8"))
    remark(f"The report: {folder}")
    write_site(Path(options.reports))


@dataclass(frozen=True)
class Settings:
    """What a sweep compares: every size with every rate and dropout.

    Attributes:
        sizes: keys of ``flannb.model.SIZES``.
        rates: learning rates.
        dropouts: probabilities.
        steps: of each training.
    """

    sizes: tuple[str, ...]
    rates: tuple[float, ...]
    dropouts: tuple[float, ...]
    steps: int


def settings(given: argparse.Namespace) -> Settings:
    """The settings that the options name.

    Raises:
        UserError: an unknown size, a rate or dropout that is none, or a number of steps below 1.
    """
    from flannb.model import SIZES

    chosen = scale_of(given.scale, open_source(given.source).collection)
    sizes = known_names("--sizes", given.sizes, SIZES) if given.sizes else (chosen.size,)
    rates = _numbers("--rates", given.rates) or tuple(float(f"{chosen.learning_rate * f:.2g}") for f in (1 / 3, 1, 3))
    if not all(0 < rate < float("inf") for rate in rates):
        raise UserError(f"--rates {given.rates}: give numbers above 0")
    dropouts = _numbers("--dropouts", given.dropouts) or (chosen.dropout,)
    if not all(0 <= dropout < 1 for dropout in dropouts):
        raise UserError(f"--dropouts {given.dropouts}: give numbers from 0 to below 1")
    steps = max(1, chosen.steps // 5) if given.steps is None else given.steps
    if steps < 1:
        raise UserError(f"--steps {steps}: must be at least 1")
    return Settings(tuple(sizes), rates, dropouts, steps)


def _numbers(option: str, text: str | None) -> tuple[float, ...]:
    try:
        numbers = tuple(dict.fromkeys(float(word) for word in split_names(text or "")))
    except ValueError as error:
        raise UserError(f"{option} {text}: give numbers, such as 0.001,0.003 ({error})") from error
    if text is not None and not numbers:
        raise UserError(f"{option}: names no number; give some, such as 0.001,0.003")
    return numbers


def sweep_steps(options: Options, compared: Settings) -> list[Step]:
    """The steps that trainings need, which tables share, a step for each setting, and the report last.

    Raises:
        UserError: an unknown scale, a source that does not exist or lacks datasets.
    """
    from flannb.report.catalogue import SINCE

    base = ground(options)
    before, trials = {base.data.name: base.data}, []
    for size in compared.sizes:
        needs: tuple[Step, ...] = (base.data,)
        start = base.start
        if start == PRETRAINED:
            stages = pretraining_steps(base, options, "" if size == base.scale.size else size)
            before |= {stage.name: stage for stage in stages}
            needs, start = (base.data, stages[-1]), f"{stages[-1].folder}/model"
        label = f"-from-{label_of(base.start)}" if start else ""
        trials += [
            Step(
                name=f"{size}/{rate}/{dropout}",
                folder=f"{base.home}/sweep/{size}-{rate}-{dropout}-{compared.steps}{label}",
                notebook="",
                function="trial_step",
                parameters={
                    "data": base.data.folder,
                    "size": size,
                    "rate": rate,
                    "dropout": dropout,
                    "steps": compared.steps,
                    "scale": options.scale,
                    "seed": options.seed,
                    "start": start,
                },
                code=(*TRAIN_CODE, "experiments/trials.py"),
                state=digest(base.scale.settings(SETTINGS)),
                needs=needs,
                threads=threads(replace(base.scale, size=size)),
                cache=options.cache,
            )
            for rate in compared.rates
            for dropout in compared.dropouts
        ]
    labels = {RANDOM: "", PRETRAINED: f"{SINCE}{PRETRAINED}"}
    label = labels[options.start] if options.start in labels else f"{SINCE}{label_of(options.start)}"
    report = Step(
        name="sweep/report",
        folder=f"{options.reports}/sweep/{options.scale}{label}",
        notebook="",
        function="sweep_report_step",
        parameters={
            "trials": [step.folder for step in trials],
            "scale": options.scale,
            "source": options.source,
            "seed": options.seed,
            "start": options.start,
        },
        code=SWEEP_REPORT_CODE,
        needs=tuple(trials),
        command=_command(options, base.source, compared),
    )
    return [*before.values(), *trials, report]


def _command(options: Options, source: Source, compared: Settings) -> str:
    """The words that make a sweep again in a checkout."""
    lists = {"sizes": compared.sizes, "rates": compared.rates, "dropouts": compared.dropouts}
    more = [f"--{name} {','.join(map(str, values))}" for name, values in lists.items()]
    return " ".join([command("sweep", options, source), *more, f"--steps {compared.steps}"])
