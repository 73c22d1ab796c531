"""Evaluating a model on the suites: prompts, greedy generation, extraction, and a record of every prediction."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm.auto import tqdm

from flannb.build import Source, Tokenizer
from flannb.collection import SUITES, Data, EvalTask
from flannb.errors import UserError
from flannb.evaluate.extract import correct, extract
from flannb.evaluate.prompts import KINDS, Prompt, make_prompts, tokenize
from flannb.files import atomic

if TYPE_CHECKING:
    from flannb.model import T5


def missing_data(source: Source, task: EvalTask) -> list[Data]:
    """What an evaluation set needs (rows, exemplars, prompt) and the source lacks."""
    needed = [data for data in (task.data, task.exemplars, task.prompt) if data is not None]
    return [data for data in needed if not source.has(data)]


def present_tasks(source: Source, tasks: Iterable[EvalTask]) -> tuple[list[EvalTask], list[EvalTask]]:
    """The evaluation sets whose data the source has, and the others."""
    have: list[EvalTask] = []
    lack: list[EvalTask] = []
    for task in tasks:
        (lack if missing_data(source, task) else have).append(task)
    return have, lack


def suite_prompts(
    tasks: Iterable[EvalTask], suite: str, setting: str, source: Source, rows: int, seed: int
) -> list[Prompt]:
    """Prompts of all sets of a suite, about ``rows`` in all, equally many of each set."""
    members = [task for task in tasks if task.suite == suite]
    each = max(1, rows // max(1, len(members)))
    return [prompt for task in members for prompt in make_prompts(task, setting, source, each, seed)]


def evaluate(
    model: "T5",
    tokenizer: Tokenizer,
    source: Source,
    tasks: Iterable[EvalTask],
    folder: Path,
    *,
    rows: int,
    seed: int,
    prompt_limit: int,
    answer_limit: int,
    explanation_limit: int,
    batch_size: int = 64,
    quiet: bool = False,
) -> pd.DataFrame:
    """Scores a model on every suite, zero-shot and few-shot; a suite and setting already on record is not run again.

    Args:
        tasks: evaluation sets that the source has (see ``present_tasks``).
        folder: gets one Parquet file of predictions for each suite and setting.
        rows: about so many rows of each suite.
        seed: draws rows and exemplars.
        prompt_limit: most tokens of a prompt.
        answer_limit, explanation_limit: most tokens generated for a direct answer, and for an explanation.
        quiet: no progress bar.

    Returns:
        All predictions, one line each.
    """
    from flannb.model import generate  # JAX and Keras, which reading predictions does without

    tasks = list(tasks)
    suites = [suite for suite in SUITES if any(task.suite == suite for task in tasks)]
    for suite in suites:
        for setting in KINDS:
            path = Path(folder) / f"{suite}.{setting}.parquet"
            if path.is_file():
                continue
            prompts = suite_prompts(tasks, suite, setting, source, rows, seed)
            tokens = tokenize(prompts, tokenizer, prompt_limit)
            longest = explanation_limit if prompts[0].chain_of_thought else answer_limit
            with tqdm(total=len(prompts), desc=f"{SUITES[suite]} {setting}", unit="row", disable=quiet) as bar:

                def advance(done: int, bar: tqdm = bar) -> None:
                    bar.update(done - bar.n)

                output = generate(model, [ids for ids, _ in tokens], longest, batch_size, progress=advance)
            texts = tokenizer.decode(output)
            table = pa.Table.from_pylist(
                [_scored(p, text, dropped) for p, text, (_, dropped) in zip(prompts, texts, tokens, strict=True)]
            )
            with atomic(path) as temporary:
                pq.write_table(table, temporary)
    return read_predictions(folder)


def _scored(prompt: Prompt, prediction: str, dropped: int) -> dict[str, object]:
    options = prompt.options or None
    answer = extract(prediction, prompt.kind, options)
    return {
        "suite": prompt.suite,
        "task": prompt.task,
        "setting": prompt.setting,
        "split": prompt.split,
        "row": prompt.row,
        "mode": "generation",
        "prompt": prompt.text(dropped),
        "target": prompt.gold,
        "prediction": prediction,
        "extraction": answer,
        "score": correct(answer, prompt.gold, prompt.kind, options),
        "exemplars": list(prompt.exemplar_rows[dropped:]),
        "dropped_exemplars": dropped,
        "options": list(prompt.options),
    }


def read_predictions(folder: Path) -> pd.DataFrame:
    """The predictions of a run.

    Raises:
        UserError: there are none, or a file is damaged.
    """
    paths = sorted(Path(folder).glob("*.parquet"))
    if not paths:
        raise UserError(f"{folder}: no predictions here; evaluate the model first")
    tables = []
    for path in paths:
        try:
            tables.append(pq.read_table(path))
        except (pa.ArrowException, OSError) as error:
            raise UserError(
                f"{path}: not a whole file of predictions ({error}). Delete it and evaluate again."
            ) from error
    return pa.concat_tables(tables, promote_options="permissive").to_pandas()
