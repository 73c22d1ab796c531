"""The command line: ``python -m flannb.experiments table1 --scale smoke``; the nox sessions call it."""

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from flannb import extra
from flannb.build.workers import WORKERS
from flannb.errors import ProcessLost, UserError, printable
from flannb.experiments import listing
from flannb.experiments.artefacts import ARTEFACTS, TABLE1, Artefact, artefact
from flannb.experiments.devices import default_workers
from flannb.experiments.everything import Results, all_steps, changes, read_results
from flannb.experiments.registry import steps_of
from flannb.experiments.reproduce import RANDOM, Options, enter_project, from_project, pretrain_report_steps
from flannb.experiments.runner import MANIFEST, Step, forget, is_done, run_all
from flannb.experiments.scales import PRETRAINED, SCALES
from flannb.experiments.steps import built
from flannb.experiments.tools import TOOLS
from flannb.files import write_json

ALL, PRETRAIN = "all", "pretrain"

COMMANDS = {
    **{name: f"everything that {each.title} takes: data, models, report" for name, each in ARTEFACTS.items()},
    ALL: "every table and figure, the ledger of claims, and what changed in the reports",
    "data": "only build the data",
    PRETRAIN: "pretrain a starting model on the text of the data: span corruption, prefix language modelling, report",
    "train": "build the data and train the rows of a table",
    "evaluate": "build, train and evaluate the rows of a table",
    "report": "write the report of finished runs again",
}


def parser() -> argparse.ArgumentParser:
    """The commands and their options, with their help."""
    made = argparse.ArgumentParser(prog="python -m flannb.experiments", description="Reproduces The Flan Collection.")
    commands = made.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, about in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=about,
            description=f"{about[0].upper()}{about[1:]}. What is done already is skipped; what was killed goes on.",
            epilog="Scales: " + "; ".join(f"{name}: {scale.about}" for name, scale in SCALES.items()),
        )
        if name not in (ALL, PRETRAIN):
            _add_choice(command, ARTEFACTS.get(name))
        _add_options(command)
        if name != PRETRAIN:
            _add_model_options(command)
        if name == "data":
            listing.add_options(command)
        if name in ARTEFACTS or name == "train":
            _add_dry_run(command)
    for name, (about, add_options, _) in TOOLS.items():
        add_options(commands.add_parser(name, help=about, description=f"{about[0].upper()}{about[1:]}."))
    for command in commands.choices.values():
        command.add_argument(
            "--extra",
            metavar="A,B",
            help="Python files that add data, evaluation sets, mixtures or rows (flannb/extra.py), or of"
            f" {', '.join(extra.BUILT_IN)}",
        )
    return made


def _add_choice(made: argparse.ArgumentParser, of: Artefact | None) -> None:
    """The options that choose rows, of one artefact or of the one that ``--artefact`` names."""
    if of is None:
        made.add_argument(
            "--artefact",
            default=TABLE1.name,
            metavar="NAME",
            help=f"one of {', '.join(ARTEFACTS)} (default: {TABLE1.name})",
        )
    else:
        made.set_defaults(artefact=of.name)
    made.add_argument(
        "--rows",
        metavar="A,B",
        help="rows of the table or figure, separated by commas (default: all"
        + (f" of {', '.join(row.name for row in of.rows)})" if of and of.rows else ")"),
    )


def _add_options(made: argparse.ArgumentParser) -> None:
    """The options of the commands that run steps."""
    made.add_argument("--scale", default="smoke", metavar="NAME", help=f"one of {', '.join(SCALES)} (default: smoke)")
    made.add_argument(
        "--source",
        metavar="WHERE",
        help="mini (embedded, no downloads; default), hub (Hugging Face Hub), or a mirror folder",
    )
    made.add_argument("--seed", type=int, default=0, help="fixes everything that is drawn (default: 0)")
    made.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="rows trained side by side, and processes of a build (default: one row for each CPU core, or for each GPU;"
        " where there are more GPUs than rows, and on TPUs, one row on all of them)",
    )
    made.add_argument("--cluster", default="", metavar="ADDRESS", help="a Dask scheduler, such as tcp://host:8786")
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
    made.add_argument("--force", action="store_true", help="run the steps again even where they are done")
    made.add_argument(
        "--plain", action="store_true", help="call the steps as functions, without notebooks and papermill"
    )
    made.add_argument(
        "--runs", default="runs", metavar="DIR", help="folder of data, models, predictions (default: runs)"
    )
    made.add_argument(
        "--reports", metavar="DIR", help="folder of reports (default: reports; with --extra, reports/extra/<its name>)"
    )


def _add_model_options(made: argparse.ArgumentParser) -> None:
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


def _add_dry_run(made: argparse.ArgumentParser) -> None:
    group = made.add_argument_group("plan, do not run")
    group.add_argument(
        "--dry-run", action="store_true", help="print what each row takes: data, tokens, memory, FLOPs, hours"
    )
    group.add_argument("--json", default="", metavar="FILE", help="write the plan there, too")
    group.add_argument(
        "--devices", default="", metavar="NxKIND", help="plan for these, such as 8xH100, not for those here"
    )


class Terminated(KeyboardInterrupt):
    """SIGTERM, as a batch system sends it before it kills."""


def main(arguments: list[str] | None = None) -> int:
    """Runs a command.

    Returns:
        The exit code: 0, 2 for what the user can mend, 130 after Ctrl-C, 143 after SIGTERM.
    """
    given = parser().parse_args(arguments)
    started = time.monotonic()
    try:
        with _sigterm_as_interrupt():
            if given.extra is not None:
                extra.use(*_names(given.extra))
            if given.command in TOOLS:
                TOOLS[given.command].run(given)
            else:
                _run(given)
    except UserError as error:
        print(printable(f"error: {error}"), file=sys.stderr, flush=True)
        if isinstance(error, ProcessLost):
            os._exit(2)  # at a usual exit, JAX would wait for the lost one and then abort
        return 2
    except KeyboardInterrupt as stop:
        print("\nstopped; the same command goes on from the last checkpoint", file=sys.stderr)
        return 143 if isinstance(stop, Terminated) else 130
    print(f"{time.monotonic() - started:.0f} s in all", file=sys.stderr)
    return 0


@contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """SIGTERM ends the block with ``Terminated``."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Terminated

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _run(given: argparse.Namespace) -> None:
    shows = given.command == "data" and listing.wanted(given)
    given.source = given.source or ("hub" if shows and given.list else "mini")
    added = "-".join(Path(path).stem for path in extra.files())
    given.reports = given.reports or (f"reports/extra/{added}" if added else "reports")
    for name in ("runs", "reports", "json", "export", "source", "start", "vocabulary"):
        value = getattr(given, name, "")
        if value and value not in ("mini", "hub", PRETRAINED, RANDOM) and "://" not in value:
            setattr(given, name, from_project(value))
    enter_project()
    if shows:
        listing.show(given)
        return
    chosen = None if given.command in (ALL, PRETRAIN) else artefact(given.artefact)
    rows = _names(given.rows or "") if chosen else ()
    if chosen and given.rows is not None and not rows:
        known = ", ".join(row.name for row in chosen.rows)
        raise UserError(f"--rows: names no row{f'; choose from {known}' if known else ''}")
    options = Options(
        scale=given.scale,
        source=given.source,
        seed=given.seed,
        allow_missing=given.allow_missing,
        drop_contaminated=given.drop_contaminated,
        rows=rows,
        repeats={} if given.command == PRETRAIN else _repeats(given.repeats),
        start="" if given.command == PRETRAIN else given.start,
        vocabulary=given.vocabulary,
        runs=given.runs,
        reports=given.reports,
    )
    if given.workers is not None and given.workers < 1:
        raise UserError(f"--workers {given.workers}: must be at least 1")
    if chosen and getattr(given, "dry_run", False):
        _plan(given, chosen, options)
        return
    exports = given.command == "data" and bool(given.export)
    if exports:
        listing.check_options(given)
    steps = _steps(given.command, chosen, options)
    before = read_results(Path(options.reports), options.scale) if given.command == ALL else {}
    if given.force:
        for step in steps:
            forget(step)
    if chosen and given.command == "report":
        for step in steps[:-1]:
            if not is_done(step):
                raise UserError(
                    f"{step.name} is not done; run 'nox -s reproduce_{given.artefact}' with the same options first"
                )
        (Path(steps[-1].folder) / MANIFEST).unlink(missing_ok=True)
    if given.workers is not None:
        os.environ[WORKERS] = str(given.workers)
    trainings = sum(step.function == "train_step" for step in steps)
    run_all(steps, given.workers or default_workers(trainings), given.cluster, papermill=not given.plain)
    if given.command == ALL:
        _show_changes(before, options)
    elif given.command == PRETRAIN:
        _show(Path(steps[-1].folder), PRETRAIN)
    elif given.command == "report" or given.command in ARTEFACTS:
        _show(Path(steps[-1].folder), given.artefact)
    if exports:
        listing.export_build(built(steps[0].folder), given)


def _plan(given: argparse.Namespace, of: Artefact, options: Options) -> None:
    """Prints the plan of an artefact, and writes it where ``--json`` says."""
    from flannb.experiments.devices import at_hand, named
    from flannb.experiments.dry_run import dry_run, show  # they bring JAX and the model

    devices = named(given.devices) if given.devices else at_hand()
    plan = dry_run(of, options, devices, Path(options.reports) / "performance")
    print(show(plan))
    if given.json:
        write_json(Path(given.json), plan.as_json())


def _steps(command: str, of: Artefact | None, options: Options) -> list[Step]:
    """The steps of a command: those of an artefact up to the last of its kind, or of all that there are."""
    if command == PRETRAIN:
        return pretrain_report_steps(options)
    if of is None:
        return all_steps(options)
    steps = steps_of(of, options)
    left_out = {"train": ("evaluate", "report"), "evaluate": ("report",)}.get(command, ())
    return steps[:1] if command == "data" else [s for s in steps if s.name.rsplit("/")[-1] not in left_out]


def _names(text: str) -> tuple[str, ...]:
    """Names separated by commas, each once."""
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def _repeats(text: str) -> dict[str, int]:
    """Row -> number of models, as ``--repeats`` says: ``2`` for all rows, whose key is "", ``flan2022=3`` for one.

    Raises:
        UserError: a number is none, or below 1.
    """
    counts: dict[str, int] = {}
    for part in _names(text):
        row, _, number = part.rpartition("=")
        if not number.isdigit() or int(number) < 1:
            raise UserError(f"--repeats {part}: give a number from 1, or ROW=NUMBER")
        counts[row] = int(number)
    return counts


def _show(folder: Path, name: str) -> None:
    """Prints a report's table and where the rest is."""
    print((folder / f"{name}.md").read_text(encoding="utf-8"))
    print(f"The whole report: {os.path.relpath(folder / f'{name}.html')}")


def _show_changes(before: Results, options: Options) -> None:
    """Writes the ledger and prints what the run changed in it and in the reports."""
    from flannb.report.ledger import write_ledger

    page = write_ledger(Path(options.reports))[1]
    print(page.read_text(encoding="utf-8").split("\n## ")[0])
    told = changes(before, read_results(Path(options.reports), options.scale))
    print("\n".join(["What changed:", *(f"  {line}" for line in told)]) if told else "Nothing changed.")
    print(f"The ledger: {os.path.relpath(page)}")


if __name__ == "__main__":
    sys.exit(main())
