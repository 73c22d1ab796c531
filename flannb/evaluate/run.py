"""Evaluating a model on the suites: prompts, answers by generation and by ranking, and a record of every prediction."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from flannb import extra
from flannb.build import Source
from flannb.collection import MORE_SUITES, SUITES, Data, EvalTask
from flannb.evaluate.extract import correct, extract, problem
from flannb.evaluate.metrics import squad_f1
from flannb.evaluate.models import Progress, Seq2Seq
from flannb.evaluate.prompts import KINDS, NoExemplars, Prompt, PromptSet, Tokens, make_prompts, tokenize
from flannb.evaluate.record import MODES, read_predictions, recorded_keys, set_path, write_set
from flannb.files import digest, read_sums, write_sums
from flannb.progress import Bar

if TYPE_CHECKING:
    from flannb.model import Likelihood

BATCHES = 8
"""Sets are run together until they have prompts for so many batches: then their predictions are written."""


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


def suite_prompts(
    tasks: Iterable[EvalTask], suite: str, setting: str, source: Source, rows: int | None, seed: int
) -> list[Prompt]:
    """Prompts of all sets of a suite, about ``rows`` in all, equally many of each set."""
    members = [task for task in tasks if task.suite == suite]
    each = _each(members, rows)
    return [prompt for task in members for prompt in make_prompts(task, setting, source, each, seed).prompts]


def _each(members: Sequence[EvalTask], rows: int | None) -> int | None:
    """Rows of each set of a suite."""
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
    """Scores a model on sets of suites, zero-shot and few-shot; what is on record is not run again.

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
    for suite in [suite for suite in (*SUITES, *MORE_SUITES) if any(task.suite == suite for task in tasks)]:
        members = [task for task in tasks if task.suite == suite]
        for setting in settings:
            asked = [_each(members, rows), seed, limits, sorted(modes), *_own(members, source)]
            key = digest([model.name, source.name, *asked])
            wanted = [t for t in members if recorded.get(set_path(folder, suite, setting, t.name).name) != key]
            sets = _read_sets(wanted, setting, source, _each(members, rows), seed, folder, key)
            for group in _groups(sets, BATCHES * model.batch_size):
                title = f"{(SUITES | MORE_SUITES)[suite]} {setting}"
                _run(group, setting, model, limits, modes, folder, key, title, quiet)
    # In order, whatever order the sets were finished in, and without names that damage has made.
    write_sums(folder, {name: sha for name, sha in read_sums(folder).items() if (Path(folder) / name).is_file()})
    return read_predictions(folder, ("generation",) if "generation" in modes else modes[:1])


def _own(tasks: Iterable[EvalTask], source: Source) -> list[str]:
    """Hashes of what sets of one's own are made from: their file and their rows, which change more than others do."""
    own = [task for task in tasks if task in extra.declared("EVAL_TASKS")]
    rows = [source.fingerprint(data) for task in own for data in (task.data, task.exemplars) if data is not None]
    return [extra.fingerprint("EVAL_TASKS", "TEMPLATES"), *rows] if own else []


Sets = list[tuple[EvalTask, PromptSet]]


def _read_sets(
    tasks: Iterable[EvalTask], setting: str, source: Source, rows: int | None, seed: int, folder: Path, key: str
) -> Iterator[tuple[EvalTask, PromptSet]]:
    """The sets' prompts; a set that is absent is recorded at once."""
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
        write_set(set_path(folder, task.suite, setting, task.name), [], {**meta, "rejected": {}, "absent": absent})


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


def _run(
    group: Sets,
    setting: str,
    model: Seq2Seq,
    limits: tuple[int, int, int],
    modes: Sequence[str],
    folder: Path,
    key: str,
    title: str,
    quiet: bool,
) -> None:
    """Answers the prompts of some sets and writes their predictions."""
    prompt_limit, answer_limit, explanation_limit = limits
    prompts = [prompt for _, made in group for prompt in made.prompts]
    longest = explanation_limit if group[0][0].chain_of_thought else answer_limit
    ranking = any(mode != "generation" for mode in modes)
    total = len(prompts) * ("generation" in modes) + sum(map(_ranks, prompts)) * ranking
    with Bar(total=total, desc=title, unit="row", disable=quiet) as bar:
        lines = answer(prompts, model, prompt_limit, longest, modes, lambda done: bar.update(done - bar.n))
    position = 0
    for task, made in group:
        rejected = dict(made.rejected)
        few = len(made.prompts[0].exemplars)
        if setting == "fs" and few < task.shots:
            rejected[f"only {few} of {task.shots} exemplars"] = len(made.prompts)
        if ranking and (foreign := sum(bool(p.choices) and p.gold not in p.choices for p in made.prompts)):
            rejected["not ranked: the right answer is no candidate"] = foreign
        end = position + len(made.prompts)
        meta = {"key": key, "suite": task.suite, "task": task.name, "setting": setting}
        write_set(
            set_path(folder, task.suite, setting, task.name),
            [line for row in lines[position:end] for line in row],
            {**meta, "rejected": rejected, "absent": ""},
        )
        position = end


def _ranks(prompt: Prompt) -> bool:
    """Whether a prompt has options to rank."""
    return bool(prompt.choices) and prompt.gold in prompt.choices


def answer(
    prompts: Sequence[Prompt],
    model: Seq2Seq,
    prompt_limit: int,
    longest: int,
    modes: Sequence[str] = MODES[:1],
    progress: Progress = lambda done: None,
) -> list[list[dict[str, Any]]]:
    """What a model answers to prompts, scored.

    Args:
        prompt_limit: most tokens of a prompt.
        longest: most tokens generated.
        modes: of ``flannb.evaluate.record.MODES``.
        progress: called with how many are done, of all prompts that are generated for and those that are ranked.

    Returns:
        For each prompt its lines of ``flannb.evaluate.record.SCHEMA``: one of generation, then those of ranking.
    """
    tokens = tokenize(prompts, model, prompt_limit)
    ranking = [mode for mode in modes if mode != "generation"]
    lines: list[list[dict[str, Any]]] = [[] for _ in prompts]
    generated = len(prompts) if "generation" in modes else 0
    if generated:
        output = model.generate([t.ids for t in tokens], longest, progress)
        for i, text in enumerate(model.decode(output)):
            lines[i].append(_generated(prompts[i], text, tokens[i]))
    if ranked := [i for i, prompt in enumerate(prompts) if _ranks(prompt)] if ranking else []:
        texts = sorted({target for i in ranked for target in prompts[i].targets})
        ids = dict(zip(texts, model.encode(texts), strict=True))
        options = [[ids[target] for target in prompts[i].targets] for i in ranked]
        likelihoods = model.score([tokens[i].ids for i in ranked], options, lambda done: progress(generated + done))
        for i, option, found in zip(ranked, options, likelihoods, strict=True):
            sizes = [len(target) for target in option]
            lines[i] += [_ranked(prompts[i], mode, found, sizes, tokens[i]) for mode in ranking]
    return lines


def _line(prompt: Prompt, mode: str, tokens: Tokens) -> dict[str, Any]:
    return {
        "suite": prompt.suite,
        "task": prompt.task,
        "setting": prompt.setting,
        "split": prompt.split,
        "row": prompt.row,
        "mode": mode,
        "prompt": prompt.text(tokens.dropped),
        "target": prompt.gold,
        "exemplars": list(prompt.exemplar_rows[tokens.dropped :]),
        "dropped_exemplars": tokens.dropped,
        "options": list(prompt.options or prompt.choices),
        "answers": list(prompt.answers),
        "likelihoods": [],
        "problems": ["exemplars dropped"] * bool(tokens.dropped) + ["question cut"] * tokens.cut,
    }


def _generated(prompt: Prompt, prediction: str, tokens: Tokens) -> dict[str, Any]:
    options = prompt.options or None
    answer = extract(prediction, prompt.kind, options)
    if prompt.metric == "squad_f1":
        score = squad_f1(answer or "", prompt.answers)
    else:
        score = float(correct(answer, prompt.gold, prompt.kind, options))
    line = _line(prompt, "generation", tokens) | {"prediction": prediction, "extraction": answer, "score": score}
    unread = problem(prediction, answer, prompt.kind, options)
    line["problems"] += [unread] if unread else []
    return line


def _ranked(
    prompt: Prompt, mode: str, likelihoods: "Sequence[Likelihood]", sizes: Sequence[int], tokens: Tokens
) -> dict[str, Any]:
    per_token = mode == "ranking_per_token"
    values = [each.log / (size if per_token else 1) for each, size in zip(likelihoods, sizes, strict=True)]
    choice = prompt.choices[int(np.argmax(values))]
    return _line(prompt, mode, tokens) | {
        "prediction": choice,
        "extraction": choice,
        "score": float(choice == prompt.gold),
        "likelihoods": values,
    }
