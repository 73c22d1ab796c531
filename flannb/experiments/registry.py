"""How the steps of every artefact are made: the place where an artefact with steps of its own registers."""

from collections.abc import Callable
from dataclasses import replace

from flannb.build import Hub, open_source
from flannb.experiments.artefacts import SINGLE_TASK, WEIGHTS, Artefact
from flannb.experiments.finetuning import finetuning_steps
from flannb.experiments.reproduce import REPORT_CODE, Options, artefact_steps, command, data_digest
from flannb.experiments.scales import scale
from flannb.experiments.step import Step
from flannb.experiments.steps import present_training
from flannb.experiments.weights import weights_steps


def figure2_steps(artefact: Artefact, options: Options) -> list[Step]:
    """The step of Figure 2, which is the same for all scales and sources."""
    return [
        Step(
            name=f"{artefact.name}/report",
            folder=f"{options.reports}/{artefact.name}",
            notebook=artefact.notebook,
            function="figure2_step",
            parameters={},
            code=REPORT_CODE,
            command=f"nox -s {artefact.session}",
        )
    ]


def figure7_steps(artefact: Artefact, options: Options) -> list[Step]:
    """The step of Figure 7, which reads the source.

    Raises:
        UserError: an unknown scale, or a source that does not exist.
    """
    source = open_source(options.source)
    scale(options.scale, source.collection)
    data = {task.data for task in present_training(source) if task.submixture == "cot"}
    return [
        Step(
            name=f"{artefact.name}/report",
            folder=f"{options.reports}/{artefact.name}/{options.scale}",
            notebook=artefact.notebook,
            function="figure7_step",
            parameters={"source": options.source},
            code=(*REPORT_CODE, "build", "collection"),
            state="" if isinstance(source, Hub) else data_digest(source, data),
        )
    ]


BUILDERS: dict[str, Callable[[Artefact, Options], list[Step]]] = {
    "figure2": figure2_steps,
    "figure7": figure7_steps,
    **dict.fromkeys(SINGLE_TASK, finetuning_steps),
    WEIGHTS.name: weights_steps,
}
"""Artefact -> what makes its steps, the report last. Those that are not here are rows of models
(``flannb.experiments.reproduce.artefact_steps``)."""


def steps_of(artefact: Artefact, options: Options) -> list[Step]:
    """All steps of an artefact, each after the steps that it needs, the report last.

    Raises:
        UserError: an unknown scale or row, a source that does not exist or lacks datasets.
    """
    *before, report = BUILDERS.get(artefact.name, artefact_steps)(artefact, options)
    told = report.command or command(artefact.session, options, open_source(options.source))
    return [*before, replace(report, command=told)]
