"""What the data is: tasks, templates, submixtures and evaluation suites.

``tasks(source)`` and ``eval_tasks(source)`` list them for a source of data: ``"mini"`` has its own embedded collection;
every other source holds the real one.
"""

from collections.abc import Collection as Names
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from importlib import import_module

from flannb import extra
from flannb.collection.submixtures import (
    ALWAYS_OPTIONS,
    MORE_SUITES,
    SETTINGS,
    SUBMIXTURES,
    SUITES,
    Submixture,
    shows_options,
    task_of,
)
from flannb.collection.task import (
    Collection,
    Data,
    EvalTask,
    Field,
    FinetuningSet,
    FinetuningTask,
    RawFile,
    Record,
    RowError,
    Split,
    Task,
)
from flannb.collection.template import KINDS, Template, TemplateSet, check_templates, names_in, templates
from flannb.errors import UserError

__all__ = [
    "ALWAYS_OPTIONS",
    "EVERY_SUITE",
    "MORE_SUITES",
    "SETTINGS",
    "SUBMIXTURES",
    "SUITES",
    "Collection",
    "Data",
    "EvalTask",
    "Field",
    "FinetuningSet",
    "FinetuningTask",
    "RawFile",
    "Record",
    "RowError",
    "Split",
    "Submixture",
    "Task",
    "Template",
    "TemplateSet",
    "check",
    "eval_tasks",
    "finetuning_tasks",
    "task_of",
    "tasks",
    "templates",
]

EVERY_SUITE = (*SUITES, *MORE_SUITES)
"""The suites of Table 1 and all others."""

_MODULES = ("flan2021", "flan2021_more", "t0_sf", "super_natural_instructions", "cot", "dialog", "program_synthesis")


def tasks(source_name: str) -> tuple[Task, ...]:
    """The training tasks of a source, in a fixed order; last those of one's own (``flannb.extra``).

    Args:
        source_name: ``"mini"`` for the embedded collection; any other name for the real one.
    """
    modules = ("mini",) if source_name == "mini" else _MODULES
    own = [*extra.declared("TASKS"), *(task for each in extra.declared("COLLECTIONS") for task in each.tasks)]
    return (*(task for module in modules for task in import_module(f"flannb.collection.{module}").TASKS), *own)


def eval_tasks(source_name: str, suites: Names[str] = (*SUITES, "own")) -> tuple[EvalTask, ...]:
    """The evaluation sets of a source, suite by suite; last those of one's own. ``source_name`` as in ``tasks``.

    Args:
        suites: keys of ``SUITES`` and ``MORE_SUITES``; the suites of Table 1 and one's own by default.
    """
    module = import_module(f"flannb.collection.{'mini' if source_name == 'mini' else 'suites'}")
    every = (*module.EVAL_TASKS, *getattr(module, "MORE_EVAL_TASKS", ()), *extra.declared("EVAL_TASKS"))
    return tuple(task for task in every if task.suite in suites)


def finetuning_tasks(source_name: str) -> tuple[FinetuningTask, ...]:
    """The tasks of Table 3 that a source may have, to finetune on one by one. ``source_name`` as in ``tasks``."""
    module = import_module(f"flannb.collection.{'mini.single_task' if source_name == 'mini' else 'finetuning'}")
    return tuple(module.FINETUNING_TASKS)


def check(tasks: Iterable[Task | EvalTask], sets: Mapping[str, TemplateSet] | None = None) -> None:
    """Checks tasks against each other and against the templates.

    Args:
        tasks: training tasks, evaluation sets, or both.
        sets: the template sets; the package's and those of ``flannb.extra`` by default.

    Raises:
        UserError: a name used twice (by two tasks, or by two sets of a suite), an unknown submixture or suite, a
            template set that does not exist, options without an answer, or a template that names a field which its
            task lacks. An evaluation set's own ``wordings`` are checked like a file of templates, too.
    """
    tasks, sets = tuple(tasks), templates() if sets is None else sets
    named: dict[str, Task | EvalTask] = {}
    for task in tasks:
        if other := named.get(_title(task)):
            raise UserError(
                f"{_title(task)} is defined twice: {_place(other)}, and {_place(task)}; "
                "give every task a name of its own"
            )
        named[_title(task)] = task
    for task in tasks:
        known = EVERY_SUITE if isinstance(task, EvalTask) else tuple(SUBMIXTURES)
        if _group(task) not in known:
            raise UserError(f"{_title(task)}: unknown '{_group(task)}'; use one of {', '.join(known)}")
        if "options" in task.fields and "answer" not in task.fields:
            raise UserError(f"{_title(task)}: has options, but no field 'answer' that says which of them is right")
        family = _templates_of(task, sets)
        _check_fields(task, family)
        if isinstance(task, Task):
            _check_usable(task, family)


def _group(task: Task | EvalTask) -> str:
    return task.suite if isinstance(task, EvalTask) else task.submixture


def _title(task: Task | EvalTask) -> str:
    return f"evaluation set '{task.suite}/{task.name}'" if isinstance(task, EvalTask) else f"task '{task.name}'"


def _place(task: Task | EvalTask) -> str:
    """Where a task belongs and what it reads, which tells two of one name apart."""
    where = f" where {task.where[0]} is {task.where[1]}" if isinstance(task, Task) and task.where else ""
    return f"in '{_group(task)}', from {task.data}{where}"


def _templates_of(task: Task | EvalTask, sets: Mapping[str, TemplateSet]) -> TemplateSet:
    """The wordings of a task.

    Raises:
        UserError: there is no set of that name, or the evaluation set's own wordings are no good.
    """
    if isinstance(task, EvalTask) and task.wordings is not None:
        check_templates(_title(task), task.wordings)
        return task.wordings
    if task.templates not in sets:
        raise UserError(f"{_title(task)}: no template set '{task.templates}'; write one, or name another")
    return sets[task.templates]


# Rendering supplies these: a task without options loses the line, and the templates that ask for a letter.
_FROM_RENDERING = frozenset({"options", "letter"})


def _check_fields(task: Task | EvalTask, family: TemplateSet) -> None:
    for kind in KINDS:
        for position, template in enumerate(getattr(family, kind)):
            for wanted, present in _needs(task, template, kind):
                if missing := sorted(wanted - set(present) - _FROM_RENDERING):
                    raise UserError(
                        f"{_title(task)}: template '{family.name}', {kind} {position}, names the field "
                        f"'{missing[0]}', which the task lacks; it has {', '.join(sorted(present))}"
                    )


def _check_usable(task: Task, family: TemplateSet) -> None:
    """Where options are not shown, a template that asks for a letter is of no use."""
    if task.has_options and all(map(shows_options, SUBMIXTURES[task.submixture].settings)):
        return
    for kind in KINDS:
        if all("letter" in names_in(template.target) for template in getattr(family, kind)):
            raise UserError(
                f"{_title(task)}: all templates of '{family.name}', {kind}, ask for the letter of an option, and the"
                " task is also shown without options; write one that asks for the answer"
            )


def _needs(
    task: Task | EvalTask, template: Template, kind: str
) -> Iterator[tuple[frozenset[str], Mapping[str, Field]]]:
    """Pairs of the fields that the template names and those that there are."""
    if isinstance(task, Task):
        yield template.fields, task.fields
        return
    # a scored row fills the prompt only; an exemplar, like a training row, fills the target too
    yield replace(template, target="").fields, task.fields
    if task.exemplars is not None and kind == "few_shot":
        yield template.fields, task.exemplar_fields or task.fields
