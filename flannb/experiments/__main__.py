"""The command line: ``python -m flannb.experiments table1 --scale smoke``; the nox sessions call it."""

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from flannb import extra, progress
from flannb.errors import ProcessLost, UserError
from flannb.experiments import listing
from flannb.experiments.artefacts import ARTEFACTS, TABLE1, Artefact, artefact
from flannb.experiments.devices import check_memory
from flannb.experiments.durations import Durations
from flannb.experiments.everything import Results, all_steps, changes, papers, read_results
from flannb.experiments.options import add_how, add_models, add_what, options_of, settle, workers_of
from flannb.experiments.registry import steps_of
from flannb.experiments.reproduce import Options, pretrain_report_steps
from flannb.experiments.runner import forget, run_all
from flannb.experiments.scales import SCALES
from flannb.experiments.status import PRETRAIN
from flannb.experiments.step import Step, is_done
from flannb.experiments.steps import built
from flannb.experiments.tools import TOOLS
from flannb.files import MANIFEST, exhausted, write_json
from flannb.names import split_names
from flannb.terminal import show_error, show_markdown

ALL = "all"

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
        if name == ALL:
            _add_only(command)
        elif name != PRETRAIN:
            _add_choice(command, ARTEFACTS.get(name))
        add_what(command)
        add_how(command)
        if name != PRETRAIN:
            add_models(command)
        if name == "data":
            listing.add_options(command)
        if name in ARTEFACTS or name == "train":
            _add_dry_run(command)
    for name, (about, add_options, _) in TOOLS.items():
        add_options(commands.add_parser(name, help=about, description=f"{about[0].upper()}{about[1:]}."))
    for command in commands.choices.values():
        built_in = ", ".join(extra.BUILT_IN)
        extra.add_option(command, f"Python files that add data, evaluation sets, mixtures or rows, or of {built_in}")
        progress.add_options(command)
    return made


def _add_only(made: argparse.ArgumentParser) -> None:
    """The option that chooses artefacts."""
    made.add_argument(
        "--only",
        metavar="A,B",
        help=f"of {', '.join(artefact.name for artefact in papers())} (default: all); where time may run short, give"
        " the rest later: what is done stays",
    )


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
    heard: list[type[KeyboardInterrupt]] = []
    try:
        check_memory()
        extra.as_asked(given)
        with _heard_signals(heard), progress.as_asked(given):
            if given.command in TOOLS:
                TOOLS[given.command].run(given)
            else:
                _run(given)
            progress.remark(f"{progress.spoken(time.monotonic() - started)} in all")
    except Exception as error:
        if heard:  # a library made another error of it, as optree does while it is imported
            return _stopped(heard[-1])
        told = error if isinstance(error, UserError) else exhausted(error)
        if told is None:
            raise
        show_error(told)
        if isinstance(told, ProcessLost):
            os._exit(2)  # at a usual exit, JAX would wait for the lost one and then abort
        return 2
    except KeyboardInterrupt as stop:
        return _stopped(type(stop))
    return 0


def _stopped(how: type[KeyboardInterrupt]) -> int:
    """Tells how to go on, and returns the exit code."""
    print("\nstopped; the same command goes on from the last checkpoint", file=sys.stderr)
    return 143 if issubclass(how, Terminated) else 130


@contextmanager
def _heard_signals(heard: list[type[KeyboardInterrupt]]) -> Iterator[None]:
    """Ctrl-C ends the block with ``KeyboardInterrupt`` and SIGTERM with ``Terminated``; ``heard`` gets which.

    Where Python cannot raise an exception, as in JAX's callback of the garbage collector, they come again. Ctrl-C that
    is ignored, as in the background of a shell, stays so.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        heard.append(Terminated if number == signal.SIGTERM else KeyboardInterrupt)
        raise heard[-1]

    def not_raised(unraisable: Any) -> None:
        lost = unraisable.exc_value
        if not isinstance(lost, KeyboardInterrupt):
            hook_before(unraisable)
            return
        number = signal.SIGTERM if isinstance(lost, Terminated) else signal.SIGINT
        again = threading.Timer(0.05, signal.pthread_kill, (threading.get_ident(), number))  # wakes this thread
        again.start()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [signal.SIGTERM]
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        numbers.append(signal.SIGINT)
    before = {number: signal.signal(number, stop) for number in numbers}
    hook_before, sys.unraisablehook = sys.unraisablehook, not_raised
    try:
        yield
    finally:
        sys.unraisablehook = hook_before
        for number, handler in before.items():
            signal.signal(number, handler)


def _run(given: argparse.Namespace) -> None:
    if not getattr(given, "dry_run", True):
        for name in ("json", "devices"):
            if getattr(given, name):
                raise UserError(f"--{name}: needs --dry-run")
    shows = given.command == "data" and listing.wanted(given)
    given.source = given.source or ("hub" if shows and given.list else "mini")
    settle(given)
    if given.command == "data":
        listing.check_options(given)
    if shows:
        listing.show(given)
        return
    chosen = None if given.command in (ALL, PRETRAIN) else artefact(given.artefact)
    options = options_of(given, _rows(given.rows, chosen) if chosen else ())
    if chosen and not (chosen.rows or chosen.rows_at):
        _check_of_no_rows(given, chosen, options)
    if chosen and getattr(given, "dry_run", False):
        _plan(given, chosen, options)
        return
    exports = given.command == "data" and bool(given.export)
    steps = all_steps(options, papers(given.only)) if given.command == ALL else _steps(given.command, chosen, options)
    before = read_results(Path(options.reports), options.scale) if given.command == ALL else {}
    made = steps
    if chosen and given.command == "report":
        made = steps[-1:]
        _check_done(steps[:-1], chosen)
        (Path(made[0].folder) / MANIFEST).unlink(missing_ok=True)
    if given.force:
        for step in made:
            forget(step)
    durations = Durations.at(options.scale, options.runs, options.reports)
    run_all(steps, workers_of(given, steps), given.cluster, papermill=not given.plain, durations=durations)
    if given.command == ALL:
        _show_changes(before, options)
    elif given.command == PRETRAIN:
        _show(Path(steps[-1].folder), PRETRAIN)
    elif given.command == "report" or given.command in ARTEFACTS:
        _show(Path(steps[-1].folder), given.artefact)
    if given.command not in ("data", "train", "evaluate"):
        from flannb.report.site import write_site  # it brings Matplotlib

        write_site(Path(options.reports))
    if exports:
        listing.export_build(built(steps[0].folder), given)


def _check_of_no_rows(given: argparse.Namespace, of: Artefact, options: Options) -> None:
    """Checks that nothing is asked about the models of an artefact that has none.

    Raises:
        UserError: something is.
    """
    asked = "--rows" if options.rows else "--repeats" if any(options.repeats) else ""
    if asked or given.command in ("train", "evaluate"):
        raise UserError(f"{asked or given.command}: {of.title} has no models; 'nox -s {of.session}' makes it")


def _rows(names: str | None, of: Artefact) -> tuple[str, ...]:
    """The rows that ``--rows`` names; none where it is not given.

    Raises:
        UserError: it is given and names none.
    """
    rows = split_names(names or "")
    if names is not None and not rows:
        known = ", ".join(row.name for row in of.rows)
        raise UserError(f"--rows: names no row{f'; choose from {known}' if known else ''}")
    return rows


def _check_done(steps: Iterable[Step], of: Artefact) -> None:
    """Checks that what a report reads is there.

    Raises:
        UserError: a step is not done; the message says which command does it.
    """
    for step in steps:
        if not is_done(step):
            raise UserError(f"{step.name} is not done; run 'nox -s {of.session}' with the same options first")


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
    """The steps of a command: those of an artefact up to the last of its kind, or of pretraining."""
    if of is None:
        return pretrain_report_steps(options)
    steps = steps_of(of, options)
    if command == "data":
        if not (builds := [step for step in steps if step.function == "build_step"]):
            raise UserError(f"--artefact {of.name}: builds no data; 'nox -s {of.session}' makes all of it")
        return builds
    left_out = {"train": ("evaluate", "report"), "evaluate": ("report",)}.get(command, ())
    kept: dict[str, Step] = {}
    for step in steps:  # what needs a step that is left out is left out, too
        if step.name.rsplit("/")[-1] not in left_out and all(need.folder in kept for need in step.needs):
            kept[step.folder] = step
    return list(kept.values())


def _show(folder: Path, name: str) -> None:
    """Prints a report's table and where the rest is."""
    show_markdown((folder / f"{name}.md").read_text(encoding="utf-8"))
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
