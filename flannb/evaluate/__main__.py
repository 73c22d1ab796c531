"""The command line: ``python -m flannb.evaluate CHECKPOINT --source DIR`` scores any checkpoint on the suites."""

import argparse
import re
import sys
import time
from pathlib import Path

import pandas as pd

from flannb import extra, progress
from flannb.build import open_source
from flannb.collection import EVERY_SUITE, SUITES, eval_tasks
from flannb.errors import UserError, printable
from flannb.evaluate.models import open_model
from flannb.evaluate.prompts import KINDS
from flannb.evaluate.record import MODES, read_predictions, read_problems
from flannb.evaluate.run import asked_of, evaluate
from flannb.evaluate.scores import suite_scores
from flannb.files import digest
from flannb.names import known_names, natural
from flannb.terminal import run_command


def count(text: str) -> int:
    """A whole number of 1 or more, as an option gives it."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is below 1")
    return number


def parser() -> argparse.ArgumentParser:
    """The options, with their help."""
    known = ", ".join(EVERY_SUITE)
    made = argparse.ArgumentParser(prog="python -m flannb.evaluate", description="Scores a checkpoint on the suites.")
    made.add_argument("checkpoint", help="a folder of flannb, Hugging Face or KerasHub, or hf://owner/name[@revision]")
    made.add_argument("--source", default="mini", metavar="WHERE", help="mini (default), hub, or a mirror folder")
    made.add_argument("--suites", default=",".join(SUITES), metavar="A,B", help=f"of {known} (default: %(default)s)")
    made.add_argument("--settings", default=",".join(KINDS), metavar="A,B", help="zs, fs, or both (default)")
    made.add_argument("--modes", default=",".join(MODES), metavar="A,B", help=f"of {', '.join(MODES)} (default: all)")
    made.add_argument("--rows", type=count, metavar="N", help="about so many rows of each suite (default: all)")
    made.add_argument("--seed", type=natural, default=0, help="draws rows and exemplars (default: 0)")
    made.add_argument("--folder", metavar="DIR", help="gets the predictions (default: one below runs/evaluate a model)")
    made.add_argument("--tokenizer", default="", metavar="FILE", help="a SentencePiece model, where it has none")
    made.add_argument("--batch-size", type=count, default=64, metavar="N", help="prompts a batch (default: 64)")
    made.add_argument("--dtype", default="float32", help="or mixed_bfloat16 (default: float32)")
    libraries = ("flannb", "transformers")
    made.add_argument("--library", choices=libraries, default="", help="computes (flannb for T5, else transformers)")
    made.add_argument("--prompt-limit", type=count, default=1024, metavar="N", help="most tokens of a prompt (1024)")
    made.add_argument("--answer-limit", type=count, default=32, metavar="N", help="most tokens of a direct answer (32)")
    made.add_argument("--explanation-limit", type=count, default=256, metavar="N", help="and of an explanation (256)")
    extra.add_option(made, "Python files that add evaluation sets")
    progress.add_options(made)
    return made


def main(arguments: list[str] | None = None) -> int:
    """Evaluates, prints the suites' scores and what went wrong; returns the exit code."""
    return run_command(parser().parse_args(arguments), _run)


def _run(given: argparse.Namespace) -> None:
    began = time.monotonic()
    extra.as_asked(given)
    source = open_source(given.source)
    tasks = eval_tasks(source.collection, known_names("--suites", given.suites, EVERY_SUITE))
    modes = known_names("--modes", given.modes, MODES)
    settings = known_names("--settings", given.settings, KINDS)
    if not tasks:
        raise UserError(f"--suites {given.suites}: there are no such sets; sets of your own come with --extra FILE")
    model = open_model(given.checkpoint, given.tokenizer, given.batch_size, given.dtype, given.library)
    label = re.sub("[^A-Za-z0-9.]+", "-", Path(given.checkpoint).name).strip("-")
    folder = Path(given.folder or f"runs/evaluate/{label}-{digest(model.name)[:6]}")
    evaluate(
        model,
        source,
        tasks,
        folder,
        rows=given.rows,
        seed=given.seed,
        prompt_limit=given.prompt_limit,
        answer_limit=given.answer_limit,
        explanation_limit=given.explanation_limit,
        modes=modes,
        settings=settings,
    )
    names = asked_of(tasks, settings)
    problems = read_problems(folder, names)
    if len(problems):
        print(printable(_counted(problems).to_string(index=False, max_colwidth=90)), end="\n\n")
    predictions = read_predictions(folder, modes, names)
    if predictions.empty:
        raise UserError(f"{given.source} has none of the sets of {given.suites}; name other --suites")
    print(suite_scores(predictions, tasks, given.seed).round(1).to_string(index=False))
    progress.remark(f"The predictions: {folder}")
    progress.remark(f"{progress.spoken(time.monotonic() - began)} in all")


def _counted(problems: pd.DataFrame) -> pd.DataFrame:
    """The problems of each suite with the sets and rows that have them; absent sets share a line, with one reason."""
    absent = problems["problem"].str.startswith("absent: ")
    keys = ["suite", "setting", "mode"]
    counts = problems[~absent].groupby([*keys, "problem"], sort=False)["rows"].agg(["size", "sum"]).reset_index()
    lacking = problems[absent].groupby(keys, sort=False)["problem"].agg(["first", "size"]).reset_index()
    lacking = lacking.rename(columns={"first": "problem"}).assign(sum=0)
    return pd.concat([lacking, counts]).rename(columns={"size": "sets", "sum": "rows"})


if __name__ == "__main__":
    sys.exit(main())
