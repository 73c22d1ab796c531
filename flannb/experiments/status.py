"""The command ``status``: what of a reproduction is done, at work, failed or missing, and how long the rest takes."""

import argparse
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from flannb.errors import UserError, printable
from flannb.experiments.artefacts import ARTEFACTS
from flannb.experiments.condition import (
    DAMAGED,
    DONE,
    FAILED,
    MISSING,
    OUTDATED,
    RUNNING,
    STATES,
    STOPPED,
    Condition,
    log_of,
)
from flannb.experiments.condition import condition as condition_of
from flannb.experiments.devices import default_workers
from flannb.experiments.durations import Durations, Left, time_left
from flannb.experiments.everything import repeats_of
from flannb.experiments.options import add_models, add_what, options_of, settle
from flannb.experiments.registry import steps_of
from flannb.experiments.reproduce import Options, pretrain_report_steps
from flannb.experiments.step import Step
from flannb.files import write_json
from flannb.names import known_names, split_names
from flannb.progress import is_quiet, is_verbose, spoken
from flannb.terminal import coloured

PRETRAIN = "pretrain"
COLOURS = {DONE: "green", RUNNING: "blue", FAILED: "red", DAMAGED: "red", STOPPED: "yellow", OUTDATED: "yellow"}


@dataclass(frozen=True)
class Status:
    """Where an artefact stands.

    Attributes:
        title: how people call it.
        steps: its steps, in the order in which they run, with their conditions.
        left: how long the rest takes; None where all is done, or nothing can be planned.
        error: why it cannot be planned; empty where it can.
    """

    title: str
    steps: Sequence[tuple[Step, Condition]] = ()
    left: Left | None = None
    error: str = ""

    def as_json(self) -> dict[str, Any]:
        """As plain values."""
        steps = [
            {"name": step.name, "folder": step.folder, "log": str(log_of(step.folder)), **asdict(found)}
            for step, found in self.steps
        ]
        left = self.left and asdict(self.left)
        return {"title": self.title, "steps": steps, "left": left, "error": self.error}


def add_options(made: argparse.ArgumentParser) -> None:
    """The options of the command."""
    made.epilog = "Give the options that the run was given: another source, seed or start has other steps."
    made.add_argument(
        "--artefact",
        metavar="A,B",
        help=f"of {', '.join(ARTEFACTS)}, {PRETRAIN} (default: all of them but {PRETRAIN})",
    )
    made.add_argument("--rows", default="", metavar="A,B", help="only these rows (default: all)")
    add_what(made)
    add_models(made)
    made.add_argument("--workers", type=int, metavar="N", help="steps side by side, for the time left (as in runs)")
    made.add_argument("--verify", action="store_true", help="compare the hashes of all files, not only their sizes")
    made.add_argument("--json", nargs="?", const="-", default="", metavar="FILE", help="as JSON, printed or to a file")


def run(given: argparse.Namespace) -> None:
    """Tells where artefacts stand.

    Raises:
        UserError: an unknown artefact, or wrong options.
    """
    given.source = given.source or "mini"
    settle(given)
    chosen = tuple(ARTEFACTS)
    if given.artefact is not None:
        chosen = known_names("--artefact", given.artefact, (*ARTEFACTS, PRETRAIN))
    options = options_of(given, split_names(given.rows))
    if Path(options.runs).is_file():
        raise UserError(f"--runs {options.runs}: is no folder")
    found, left = status(chosen, options, given.workers, given.verify)
    if given.json:
        value = {
            "scale": options.scale,
            "source": options.source,
            "seed": options.seed,
            "artefacts": {name: each.as_json() for name, each in found.items()},
            "left": asdict(left),
        }
        if given.json == "-":
            print(json.dumps(value, indent=2, ensure_ascii=False))
            return
        write_json(Path(given.json), value)
    if not is_quiet() or not given.json:
        print(show(found, left, options))


def status(
    chosen: Sequence[str], options: Options, workers: int | None = None, verify: bool = False
) -> tuple[dict[str, Status], Left]:
    """Where artefacts stand, and how long the rest of them takes in all.

    Args:
        chosen: keys of ``ARTEFACTS``, or ``PRETRAIN``.
        workers: steps side by side; as a run would have by default.
        verify: as in ``flannb.experiments.condition.condition``.
    """
    durations = Durations.at(options.scale, options.runs, options.reports)
    conditions: dict[str, Condition] = {}
    steps: dict[str, Step] = {}
    found: dict[str, Status] = {}

    def left(some: Sequence[Step]) -> Left:
        done = {step.folder for step in some if conditions[step.folder].state == DONE}
        running = {s.folder: conditions[s.folder] for s in some if conditions[s.folder].state == RUNNING}
        trainings = sum(step.function == "train_step" for step in some)
        return time_left(some, done, running, durations, workers or default_workers(trainings))

    repeats = repeats_of(options, [ARTEFACTS[name] for name in chosen if name != PRETRAIN])
    for name in chosen:
        title = "Pretraining" if name == PRETRAIN else ARTEFACTS[name].title
        try:
            if name == PRETRAIN:
                own = pretrain_report_steps(options)
            else:
                own = steps_of(ARTEFACTS[name], replace(options, repeats=repeats[name]))
        except UserError as error:
            found[name] = Status(title, error=str(error))
            continue
        for step in own:
            if step.folder not in conditions:
                conditions[step.folder], steps[step.folder] = condition_of(step, verify), step
        rest = None if all(conditions[step.folder].state == DONE for step in own) else left(own)
        found[name] = Status(title, [(step, conditions[step.folder]) for step in own], rest)
    return found, left(list(steps.values()))


def show(found: Mapping[str, Status], left: Left, options: Options) -> str:
    """The statuses to read on a terminal: a line for each artefact, then each step that is not just done or missing;
    all steps where people want it, or asked for one artefact.
    """
    lines = [coloured(f"Scale {options.scale}, source {options.source}, seed {options.seed}", "bold"), ""]
    lines += _table(found)
    told: set[str] = set()
    for each in found.values():
        notable = [
            _line(step, condition)
            for step, condition in each.steps
            if step.folder not in told
            and (is_verbose() or len(found) == 1 or condition.state not in (DONE, MISSING, OUTDATED))
        ]
        told |= {step.folder for step, _ in each.steps}
        lines += ["", coloured(each.title, "bold"), *notable] if notable else []
        lines += ["", f"{each.title} cannot be planned: {printable(each.error)}"] if each.error else []
    states = [condition.state for each in found.values() for _, condition in each.steps]
    if any(state != DONE for state in states):
        lines += ["", f"In all: {left}."]
    elif states:
        lines += ["", "All is done."]
    return "\n".join(lines)


def _table(found: Mapping[str, Status]) -> list[str]:
    """A line for each artefact with its steps by their states."""
    counts = {name: Counter(condition.state for _, condition in each.steps) for name, each in found.items()}
    shown = [state for state in STATES if state == DONE or any(count[state] for count in counts.values())]
    width = max(len(each.title) for each in found.values())
    lines = ["  ".join([" " * width, *(f"{state:>8}" for state in shown), " left"])]
    for name, each in found.items():
        cells = [coloured(f"{counts[name][s] or '':>8}", COLOURS.get(s, "dim")) for s in shown]
        rest = "cannot be planned" if each.error else str(each.left) if each.left else ""
        lines.append("  ".join([f"{each.title:<{width}}", *cells, f" {rest.replace(' left', '', 1)}"]).rstrip())
    return lines


def _line(step: Step, condition: Condition) -> str:
    """A step with its condition."""
    state = coloured(f"{condition.state:<8}", COLOURS.get(condition.state, "dim"))
    took = "" if condition.seconds is None else spoken(condition.seconds)
    first, *more = printable(condition.detail).splitlines() or [""]
    return "\n".join([f"  {state}  {step.name:<40}  {took:>8}  {first}".rstrip(), *(f"            {m}" for m in more)])
