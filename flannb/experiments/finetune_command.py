"""The command ``finetune``: a checkpoint on a task of Table 3, or on rows of one's own."""

import argparse
import math
import re
from dataclasses import replace
from pathlib import Path

import pandas as pd

from flannb.build import Source, open_source
from flannb.errors import UserError
from flannb.evaluate import METRICS, Interval, metric_difference, metric_score
from flannb.experiments.finetuning import finetune_options, task_named
from flannb.experiments.scales import SCALES
from flannb.finetune import Finetuned, FinetuneOptions, finetune, own_task
from flannb.mixture import BatchShape
from flannb.names import natural


def add_options(made: argparse.ArgumentParser) -> None:
    """The options of the command, with their help."""
    made.epilog = (
        "The same command goes on where it stopped. Without --validation or --test, rows are held out of the training "
        "rows: 1,024, or a fifth of small data."
    )
    made.add_argument("--start", required=True, metavar="WHERE", help="a checkpoint: a folder, or hf://owner/name")
    made.add_argument("--vocabulary", default="", metavar="FILE", help="a SentencePiece model, where it has none")
    made.add_argument("--task", metavar="NAME", help="a task of Table 3, such as wanli")
    made.add_argument("--source", default="mini", metavar="WHERE", help="of its rows: mini (default), hub, or a mirror")
    made.add_argument("--data", metavar="FILE", help="rows of your own: .parquet, .csv, .tsv or .jsonl")
    made.add_argument("--validation", metavar="FILE", help="validation rows, like --data")
    made.add_argument("--test", metavar="FILE", help="test rows, like --data")
    made.add_argument("--template", metavar="FILE", help="how these rows read, in YAML: input, target, options")
    made.add_argument("--metric", metavar="NAME", help=f"of {', '.join(METRICS)} (default: accuracy)")
    made.add_argument(
        "--scale",
        default="smoke",
        metavar="NAME",
        help=f"one of {', '.join(SCALES)}: batch, steps and learning rate, from small on as in the paper (%(default)s)",
    )
    made.add_argument("--steps", type=int, metavar="N", help="instead of the scale's")
    made.add_argument("--checkpoint-every", type=int, metavar="N", help="steps between scores of the validation rows")
    made.add_argument("--learning-rate", type=float, metavar="X", help="instead of the scale's")
    made.add_argument("--batch", metavar="N,IN,OUT", help="packed sequences, and their tokens of input and target")
    made.add_argument("--seed", type=natural, default=0, help="fixes everything that is drawn (default: 0)")
    made.add_argument("--to", metavar="DIR", help="gets models and predictions (default: runs/finetune/NAME)")


def run(given: argparse.Namespace) -> None:
    """Finetunes and prints scores.

    Raises:
        UserError: options that do not go together; or as ``flannb.finetune.finetune``.
    """
    if (given.task is None) == (given.data is None):
        raise UserError("name either --task, or --data with its --template")
    source: Source
    if empty := [name for name in ("data", "validation", "test", "template") if getattr(given, name) == ""]:
        raise UserError(f"--{empty[0]}: names no file; correct the path")
    if given.task is None:
        if given.template is None:
            raise UserError("--data: needs --template, a YAML file that says how its rows read")
        files = {"train": given.data, "validation": given.validation, "test": given.test}
        named = {split: Path(path) for split, path in files.items() if path is not None}
        metric = "accuracy" if given.metric is None else given.metric
        task, source = own_task(named, Path(given.template), metric)
    else:
        own = ("validation", "test", "template", "metric")
        if extra := [name for name in own if getattr(given, name) is not None]:
            raise UserError(f"--{extra[0]}: goes with --data, not with --task")
        source = open_source(given.source)
        task = task_named(given.task, source.collection)
    options = _changed(finetune_options(given.scale, source.collection, given.seed), given)
    folder = Path(given.to or Path("runs", "finetune", task.name))
    tuned = finetune(task, source, given.start, options, folder, given.vocabulary, say=print)
    print(_summary(tuned, given.seed))


def _changed(options: FinetuneOptions, given: argparse.Namespace) -> FinetuneOptions:
    """The options of the scale, and what was given instead."""
    changes = {
        name: value
        for name in ("steps", "checkpoint_every", "learning_rate")
        if (value := getattr(given, name)) is not None
    }
    for name, value in changes.items():
        if not 0 < value < math.inf:
            raise UserError(f"--{name.replace('_', '-')} {value}: must be above 0, and finite")
    if given.batch is not None:
        if not re.fullmatch(r"[1-9]\d*(,[1-9]\d*){2}", given.batch):
            raise UserError(f"--batch {given.batch}: give three numbers from 1, such as 128,512,128")
        changes["shape"] = BatchShape(*map(int, given.batch.split(",")))
    return replace(options, **changes)


def _summary(tuned: Finetuned, seed: int) -> str:
    """The test scores as a table, and where the best model is."""
    scores = {
        "as it is": metric_score(tuned.start, tuned.metric, seed),
        "finetuned": metric_score(tuned.tested, tuned.metric, seed),
        "difference": metric_difference(tuned.tested, tuned.start, tuned.metric, seed),
    }
    lines = {name: _line(interval) for name, interval in scores.items()}
    best = max(tuned.about["trainings"], key=lambda training: training["validation"])
    table = pd.DataFrame(lines).T.to_string()
    heading = f"{tuned.about['title']}, {tuned.metric} on the test rows (%)"
    return f"\n{heading}:\n{table}\n\nmodel: {tuned.folder / best['model']}"


def _line(found: Interval) -> dict[str, object]:
    return {"score": f"{found.score:.1f}", "low": f"{found.low:.1f}", "high": f"{found.high:.1f}", "n": found.n}
