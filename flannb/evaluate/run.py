"""Evaluating a model on the suites: prompts, answers by generation and by ranking, and a record of every prediction."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from flannb import extra
from flannb.build import Hub, Source
from flannb.build.sources import is_own
from flannb.collection import EVERY_SUITE, MORE_SUITES, SUITES, Data, EvalTask
from flannb.evaluate.answers import Answers, ask, rankings, ranks, read_answers
from flannb.evaluate.beside import Behind, ahead
from flannb.evaluate.models import Seq2Seq
from flannb.evaluate.prompts import KINDS, NoExemplars, PromptSet, make_prompts
from flannb.evaluate.record import MODES, read_predictions, recorded_keys, set_path, write_set
from flannb.files import code_digest, digest, read_sums, write_sums
from flannb.progress import Bar

BATCHES = 8
"""Sets are run together until they have prompts for so many batches: then their predictions are written."""


Sets = list[tuple[EvalTask, PromptSet]]
"""Sets that are run together, with their prompts."""


def missing_data(source: Source, task: EvalTask, setting: str = "fs") -> list[Data]:
    """What an evaluation set needs (rows, and few-shot exemplars or a prompt) and the source lacks."""
    needed = [task.data, task.exemplars, task.prompt] if setting == "fs" else [task.data]
    return [data for data in needed if data is not None and not source.has(data)]


def present_tasks(source: Source, tasks: Iterable[EvalTask]) -> tuple[list[EvalTask], list[EvalTask]]:
    """The evaluation sets whose data the source has, and the others."""
    have: list[EvalTask] = []
    lack: list[EvalTask] = []
    for task in tasks:
        (lack if missing_data(source, task) else have).append(task)
    return have, lack


def _each(members: Sequence[EvalTask], rows: int | None) -> int | None:
    """Rows of each set of a suite, so that there are about ``rows`` in all; None for all."""
    return None if rows is None else max(1, rows // max(1, len(members)))


def evaluate(
    model: Seq2Seq,
    source: Source,
    tasks: Iterable[EvalTask],
    folder: Path,
    *,
    rows: int | None,
    seed: int,
    prompt_limit: int,
    answer_limit: int,
    explanation_limit: int,
    modes: Sequence[str] = MODES,
    settings: Sequence[str] = KINDS,
    quiet: bool = False,
) -> pd.DataFrame:
    """Scores a model on sets of suites, zero-shot and few-shot; what is on record of this model and data is kept.

    Sets that the source lacks, and few-shot sets without exemplars, are recorded as absent.

    Args:
        model: such as ``FlannbModel`` or ``TransformersModel``.
        tasks: evaluation sets.
        folder: gets one Parquet file of predictions for each set and setting (see ``flannb.evaluate.record``).
        rows: about so many rows of each suite, equally many of each set; ``None`` for all.
        seed: draws rows and exemplars.
        prompt_limit: most tokens of a prompt.
        answer_limit, explanation_limit: most tokens generated for a direct answer, and for an explanation.
        modes: of ``MODES``. Ranking applies where there are options, or few possible answers, and no explanation.
        settings: ``zs``, ``fs``, or both.
        quiet: no progress bar.

    Returns:
        The predictions by generation, or by the first of ``modes`` where that is not among them, one line each.
    """
    tasks = list(tasks)
    limits = (prompt_limit, answer_limit, explanation_limit)
    recorded = recorded_keys(folder)

    def groups() -> Iterator[tuple[str, str, str, Sets]]:
        """Title, setting, and key of the record, of the sets that are run together."""
        for suite in [suite for suite in EVERY_SUITE if any(task.suite == suite for task in tasks)]:
            members = [task for task in tasks if task.suite == suite]
            asked = [_each(members, rows), seed, limits, sorted(modes), _read(members, source)]
            key = digest([model.name, source.name, *asked, code_digest("collection", "evaluate")])
            for setting in settings:
                wanted = [t for t in members if recorded.get(set_path(folder, suite, setting, t.name).name) != key]
                sets = _read_sets(wanted, setting, source, _each(members, rows), seed, folder, key)
                for group in _groups(sets, BATCHES * model.batch_size):
                    yield f"{(SUITES | MORE_SUITES)[suite]} {setting}", setting, key, group

    many = rows is None or rows >= model.batch_size
    with Behind() as behind:
        for number, (title, setting, key, group) in enumerate(ahead(groups())):
            if many and not number:
                longest = sorted({explanation_limit if task.chain_of_thought else answer_limit for task in tasks})
                model.prepare(prompt_limit, longest if "generation" in modes else (), bool(rankings(modes)))
            found = _ask_all(group, model, limits, modes, title, quiet)
            behind(_record, group, setting, found, modes, folder, key)
    # In order, whatever order the sets were finished in, and without names that damage has made.
    write_sums(folder, {name: sha for name, sha in read_sums(folder).items() if (Path(folder) / name).is_file()})
    return read_predictions(folder, ("generation",) if "generation" in modes else modes[:1], asked_of(tasks, settings))


def asked_of(tasks: Iterable[EvalTask], settings: Sequence[str] = KINDS) -> list[str]:
    """The names of the files of predictions of some sets; others of their folder may be of another model."""
    return [set_path(Path(), task.suite, setting, task.name).name for task in tasks for setting in settings]


def _read(tasks: Iterable[EvalTask], source: Source) -> dict[str, Any]:
    """What sets read: the hashes of their data, of the Hub only of files of one's own, and of files that declare some.

    To ask the Hub for the revision of every dataset takes longer than many evaluations.
    """
    tasks = list(tasks)
    data = {data for task in tasks for data in (task.data, task.exemplars, task.prompt) if data is not None}
    known = [each for each in data if source.has(each) and (is_own(each) or not isinstance(source, Hub))]
    own = any(task in extra.declared("EVAL_TASKS") for task in tasks)
    return {
        "data": {str(each): source.fingerprint(each) for each in known},
        "own": extra.fingerprint("EVAL_TASKS", "TEMPLATES") if own else "",
    }


def _read_sets(
    tasks: Iterable[EvalTask],
    setting: str,
    source: Source,
    rows: int | None,
    seed: int,
    folder: Path,
    key: str,
) -> Iterator[tuple[EvalTask, PromptSet]]:
    """The sets' prompts; of a set that is absent, that it is goes on record."""
    for task in tasks:
        try:
            if not source.has(task.data):
                absent = f"{source.name} lacks {task.data}"
            elif setting == "fs" and task.prompt is not None and not source.has(task.prompt):
                absent = f"{source.name} lacks {task.prompt}"
            else:
                yield task, make_prompts(task, setting, source, rows, seed)
                continue
        except NoExemplars as error:
            absent = str(error)
        meta = {"key": key, "suite": task.suite, "task": task.name, "setting": setting}
        path = set_path(folder, task.suite, setting, task.name)
        write_set(path, [], {**meta, "rejected": {}, "absent": absent})


def _groups(sets: Iterable[tuple[EvalTask, PromptSet]], size: int) -> Iterator[Sets]:
    """The sets in order, together until there are ``size`` prompts; those with explanations apart from the others."""
    group: Sets = []
    for task, made in sets:
        if group and group[0][0].chain_of_thought != task.chain_of_thought:
            yield group
            group = []
        group.append((task, made))
        if sum(len(each.prompts) for _, each in group) >= size:
            yield group
            group = []
    if group:
        yield group


def _ask_all(
    group: Sets, model: Seq2Seq, limits: tuple[int, int, int], modes: Sequence[str], title: str, quiet: bool
) -> Answers:
    """What a model makes of the prompts of some sets."""
    prompt_limit, answer_limit, explanation_limit = limits
    prompts = [prompt for _, made in group for prompt in made.prompts]
    longest = explanation_limit if group[0][0].chain_of_thought else answer_limit
    total = len(prompts) * ("generation" in modes) + sum(map(ranks, prompts)) * bool(rankings(modes))
    with Bar(total=total, desc=title, unit="row", disable=quiet) as bar:
        return ask(prompts, model, prompt_limit, longest, modes, lambda done: bar.update(done - bar.n))


def _record(group: Sets, setting: str, found: Answers, modes: Sequence[str], folder: Path, key: str) -> None:
    """Reads the answers to the prompts of some sets, and writes the predictions."""
    lines = read_answers([prompt for _, made in group for prompt in made.prompts], found, modes)
    position = 0
    for task, made in group:
        rejected = dict(made.rejected)
        few = len(made.prompts[0].exemplars)
        if setting == "fs" and few < task.shots:
            rejected[f"only {few} of {task.shots} exemplars"] = len(made.prompts)
        if rankings(modes) and (foreign := sum(bool(p.choices) and p.gold not in p.choices for p in made.prompts)):
            rejected["not ranked: the right answer is no candidate"] = foreign
        end = position + len(made.prompts)
        due = {position + i for i, prompt in enumerate(made.prompts) if rankings(modes) and ranks(prompt)}
        if due := due - found.likelihoods.keys():
            rejected["not ranked: an option has no token"] = len(due)
        meta = {"key": key, "suite": task.suite, "task": task.name, "setting": setting}
        write_set(
            set_path(folder, task.suite, setting, task.name),
            [line for row in lines[position:end] for line in row],
            {**meta, "rejected": rejected, "absent": ""},
        )
        position = end
