"""The options of commands that are about runs: what is run, of which models, and how."""

import argparse
import os
from collections.abc import Iterable
from pathlib import Path

from flannb import extra
from flannb.build.workers import WORKERS
from flannb.errors import UserError
from flannb.experiments.devices import default_workers
from flannb.experiments.reproduce import RANDOM, Options, enter_project, from_project
from flannb.experiments.scales import PRETRAINED, SCALES
from flannb.experiments.step import Step
from flannb.names import natural, split_names


def add_what(made: argparse.ArgumentParser) -> None:
    """The options that say what is run, and where its results are."""
    made.add_argument("--scale", default="smoke", metavar="NAME", help=f"one of {', '.join(SCALES)} (default: smoke)")
    made.add_argument(
        "--source",
        metavar="WHERE",
        help="mini (embedded, no downloads; default), hub (Hugging Face Hub), or a mirror folder",
    )
    made.add_argument("--seed", type=natural, default=0, help="fixes everything that is drawn (default: 0)")
    made.add_argument(
        "--vocabulary",
        default="",
        metavar="WHERE",
        help="a SentencePiece model, or a checkpoint with one, to build with (default: by --start, else trained)",
    )
    made.add_argument("--allow-missing", action="store_true", help="go on without datasets that the source lacks")
    made.add_argument(
        "--drop-contaminated", action="store_true", help="build without training rows that hold evaluation text"
    )
    made.add_argument(
        "--runs", default="runs", metavar="DIR", help="folder of data, models, predictions (default: runs)"
    )
    made.add_argument(
        "--reports", metavar="DIR", help="folder of reports (default: reports; with --extra, reports/extra/<its name>)"
    )


def add_how(made: argparse.ArgumentParser) -> None:
    """The options that say how it is run."""
    made.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="rows trained side by side, and processes of a build (default: one row for each CPU core, or for each GPU;"
        " where there are more GPUs than rows, and on TPUs, one row on all of them)",
    )
    made.add_argument("--cluster", default="", metavar="ADDRESS", help="a Dask scheduler, such as tcp://host:8786")
    made.add_argument("--force", action="store_true", help="run the steps again even where they are done")
    made.add_argument(
        "--plain", action="store_true", help="call the steps as functions, without notebooks and papermill"
    )


def add_models(made: argparse.ArgumentParser) -> None:
    """The options about the models of rows."""
    made.add_argument(
        "--repeats",
        default="1",
        metavar="N,ROW=N",
        help="models trained of each row, with seeds counted up from --seed; 1,flan2022=3 trains one row three times"
        " (default: 1)",
    )
    made.add_argument(
        "--start",
        default="",
        metavar="WHERE",
        help=f"what rows start from: a model's folder, hf://owner/name, {PRETRAINED} or {RANDOM} (default: by scale)",
    )


def settle(given: argparse.Namespace) -> None:
    """Makes paths of the working directory those of the project's root, and enters it.

    Raises:
        UserError: ``--workers`` is below 1.
    """
    workers = getattr(given, "workers", None)
    if workers is not None and workers < 1:
        raise UserError(f"--workers {workers}: must be at least 1")
    added = "-".join(Path(path).stem for path in extra.files())
    given.reports = getattr(given, "reports", None) or (f"reports/extra/{added}" if added else "reports")
    for name in ("runs", "reports", "json", "export", "source", "start", "vocabulary"):
        value = getattr(given, name, "")
        if value and value not in ("mini", "hub", "-", PRETRAINED, RANDOM) and "://" not in value:
            setattr(given, name, from_project(value))
    enter_project()


def workers_of(given: argparse.Namespace, steps: Iterable[Step]) -> int:
    """How many steps run side by side: what ``--workers`` says, which builds then keep to as well, or what suits the
    devices and the number of trainings.
    """
    if given.workers is not None:
        os.environ[WORKERS] = str(given.workers)
        return int(given.workers)
    return default_workers(sum(step.function in ("train_step", "trial_step") for step in steps))


def options_of(given: argparse.Namespace, rows: tuple[str, ...]) -> Options:
    """What the options say.

    Args:
        rows: of the artefact; all where it is empty.

    Raises:
        UserError: ``--repeats`` has something else than numbers.
    """
    return Options(
        scale=given.scale,
        source=given.source,
        seed=given.seed,
        allow_missing=given.allow_missing,
        drop_contaminated=given.drop_contaminated,
        rows=rows,
        repeats=_repeats(getattr(given, "repeats", "1")),
        start=getattr(given, "start", ""),
        vocabulary=given.vocabulary,
        runs=given.runs,
        reports=given.reports,
    )


def _repeats(text: str) -> dict[str, int]:
    """Row -> number of models, as ``--repeats`` says: ``2`` for all rows, whose key is "", ``flan2022=3`` for one.

    Raises:
        UserError: a number is none, or below 1.
    """
    counts: dict[str, int] = {}
    for part in split_names(text):
        row, _, number = part.rpartition("=")
        if not number.isdecimal() or int(number) < 1:
            raise UserError(f"--repeats {part}: give a number from 1, or ROW=NUMBER")
        counts[row] = int(number)
    return counts
