"""All artefacts at once, and what their results changed from the reports that were there."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from flannb.errors import UserError
from flannb.experiments.artefacts import ARTEFACTS, SINGLE_TASK, Artefact
from flannb.experiments.registry import steps_of
from flannb.experiments.reproduce import Options, ground
from flannb.experiments.step import Step
from flannb.names import check_name, known_names
from flannb.report.ledger import LEDGER

ABOUT_VALUES = ("detail", "n", "source", "split")
"""Columns that tell about a result and are none."""

MOST_LINES = 40
"""Changes of one file that are told one by one."""

Results = Mapping[tuple[str, str], pd.DataFrame]
"""(folder below the reports, file) -> its values: verdicts and numbers, indexed by what they are of."""


def papers(names: str | None = None) -> list[Artefact]:
    """The artefacts of the paper that a list with commas names, in the paper's order; all without one.

    Raises:
        UserError: the list is empty, or the paper has none of a name; the message lists them.
    """
    found = {name: artefact for name, artefact in ARTEFACTS.items() if not artefact.beyond}
    chosen = known_names("--only", names, found) if names is not None else found
    return [artefact for name, artefact in found.items() if name in chosen]


def all_steps(options: Options, artefacts: Sequence[Artefact]) -> list[Step]:
    """The steps of artefacts, each after those that it needs; what artefacts share is there once.

    Rows whose models are repeated need not be in all of the artefacts.

    Raises:
        UserError: none of the artefacts has a row that is repeated; or as ``flannb.experiments.registry.steps_of``.
    """
    repeats = repeats_of(options, artefacts)
    steps = (step for each in artefacts for step in steps_of(each, replace(options, repeats=repeats[each.name])))
    return list({step.folder: step for step in steps}.values())


def repeats_of(options: Options, artefacts: Sequence[Artefact]) -> dict[str, dict[str, int]]:
    """Name of each artefact -> ``options.repeats`` of the rows that it has.

    A number for all rows is not one for single tasks, whose data decide how many trainings there are.

    Raises:
        UserError: none of them has a row; or as ``flannb.experiments.reproduce.ground``.
    """
    rows: dict[str, set[str]] = {each.name: set() if each.name in SINGLE_TASK else {""} for each in artefacts}
    if named := set(filter(None, options.repeats)):
        base = ground(options)
        for each in artefacts:
            rows[each.name] |= {row.name for row in each.at(base.scale, base.training).rows}
        known = sorted(set().union(*rows.values()) - {""})
        for name in named:
            if not known:
                raise UserError(f"--repeats {name}: nothing that is asked for has rows")
            check_name("--repeats", name, known)
    return {name: {row: count for row, count in options.repeats.items() if row in own} for name, own in rows.items()}


def read_results(reports: Path, scale: str) -> Results:
    """What the reports of a scale hold: the values of every CSV file whose lines can be told apart.

    The ledger is left out, since it repeats the reports.

    Raises:
        UserError: a file cannot be read; the message names it.
    """
    found: dict[tuple[str, str], pd.DataFrame] = {}
    folders = {path.parent for path in reports.glob("*/*.csv")} | set(reports.glob(f"*/{scale}"))
    for folder in sorted(folders - {reports / LEDGER}):
        for path in sorted(folder.glob("*.csv")):
            try:
                table = pd.read_csv(path)
            except (ValueError, OSError) as error:
                raise UserError(f"{path}: cannot be read ({error}). Delete it, or write its report again.") from None
            values = [name for name in table if name == "verdict" or pd.api.types.is_float_dtype(table[name])]
            keys = [name for name in table if name not in values and name not in ABOUT_VALUES]
            lines = [
                ", ".join("" if pd.isna(v) else str(v) for v in line)
                for line in zip(*(table[key] for key in keys), strict=True)
            ]
            if values and keys and len(set(lines)) == len(lines):
                found[folder.relative_to(reports).as_posix(), path.name] = table[values].set_index(pd.Index(lines))
    return found


def changes(before: Results, after: Results) -> list[str]:
    """What differs, a line each, verdicts first."""
    verdicts, others = [], []
    for place, now in after.items():
        name = "/".join(place)
        if place not in before:
            others.append(f"{name}: new")
            continue
        then = before[place]
        told = [line for key in now.index if key in then.index for line in _differences(now.loc[key], then.loc[key])]
        new, gone = (len(a.index.difference(b.index)) for a, b in ((now, then), (then, now)))
        verdicts += [f"{name}: {line}" for line in told if " verdict " in line]
        numbers = [f"{name}: {line}" for line in told if " verdict " not in line]
        others += numbers[:MOST_LINES]
        others += [f"{name}: {len(numbers) - MOST_LINES} more values changed"] if len(numbers) > MOST_LINES else []
        others += [f"{name}: {new} lines are new, {gone} are gone"] if new or gone else []
    return [*verdicts, *others, *(f"{'/'.join(place)}: gone" for place in before.keys() - after.keys())]


def _differences(now: pd.Series, then: pd.Series) -> list[str]:
    """A line for each value of one key that differs; ends of intervals go with what they are of."""
    lines = []
    for name, value in now.items():
        if str(name).endswith(("_low", "_high")) or name not in then.index:
            continue
        old = then[name]
        if value != old and not (pd.isna(value) and pd.isna(old)):
            lines.append(f"{now.name}: {name} {old} -> {value}")
    return lines
