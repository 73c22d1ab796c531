"""What ``nox -s data`` does besides building: ``--list``, ``--reconcile``, ``--mixture NAME`` and ``--export DIR``."""

import argparse
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from flannb.build import Build, open_source
from flannb.build.export import FORMATS, export, quotas
from flannb.build.inventory import UNANSWERED, Holding, inventory
from flannb.collection import SUBMIXTURES, RawFile, Task, check, tasks
from flannb.errors import UserError
from flannb.experiments.artefacts import TABLE1
from flannb.files import write_json, write_text
from flannb.mixture import MIXTURES, Mixture, expected, mixture, planned_shards, shard_weights
from flannb.names import check_name
from flannb.progress import Bar, remark, say

DEFAULT_EXAMPLES = 1_000_000
DEFAULT_FORMAT = "parquet"

NEEDS = {
    "submixture": ("list", "mixture"),
    "json": ("list", "mixture"),
    "examples": ("mixture", "export"),
    "few_shot": ("mixture", "export"),
    "draw_tasks": ("mixture", "export"),
    "format": ("export",),
}
"""Options -> those without which they are about nothing."""

OF_RUNS = {"artefact": TABLE1.name, "rows": None, "repeats": "1", "start": "", "vocabulary": ""}
"""Options that say what is built or run -> their values where they are not given."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of ``data`` beyond building."""
    group = parser.add_argument_group("show, do not build")
    group.add_argument("--list", action="store_true", help="print the tasks (of --source hub unless one is named)")
    group.add_argument(
        "--reconcile", action="store_true", help="write the page that reconciles the tasks with the paper's count"
    )
    group.add_argument("--submixture", default="", metavar="NAME", help=f"only of {', '.join(SUBMIXTURES)}")
    group.add_argument("--json", default="", metavar="FILE", help="write the list or the mixture there, too")
    group = parser.add_argument_group("a mixture, to print or to export")
    group.add_argument("--mixture", default="", metavar="NAME", help=f"one of {', '.join(MIXTURES)}")
    group.add_argument(
        "--examples",
        type=int,
        metavar="N",
        help=f"drawn from the mixture (default: {DEFAULT_EXAMPLES:,} to print; to export, all of it, each once)",
    )
    group.add_argument("--few-shot", type=float, metavar="SHARE", help="share of few-shot data in the mixture, 0 to 1")
    group.add_argument("--draw-tasks", type=int, metavar="N", help="tasks drawn by --seed, the Held-In ones among them")
    group = parser.add_argument_group("build and export")
    group.add_argument("--export", default="", metavar="DIR", help="write the rendered examples there, for any trainer")
    group.add_argument("--format", choices=FORMATS, help=f"of the files (default: {DEFAULT_FORMAT})")


def wanted(given: argparse.Namespace) -> bool:
    """Whether the options ask to be shown something."""
    return bool(given.list or given.reconcile or (given.mixture and not given.export))


def check_options(given: argparse.Namespace) -> None:
    """Checks the options that need no data.

    Raises:
        UserError: the message names the option.
    """
    if bool(given.list) + bool(given.mixture) + bool(given.reconcile) > 1:
        raise UserError("--list, --mixture and --reconcile: ask for one of them")
    if given.export and (given.list or given.reconcile):
        raise UserError("--export builds, --list and --reconcile only show: ask for one of them")
    for name, needs in NEEDS.items():
        if getattr(given, name) not in (None, "") and not any(getattr(given, need) for need in needs):
            raise UserError(f"--{name.replace('_', '-')}: needs --{' or --'.join(needs)}")
    for name, usual in OF_RUNS.items():
        if wanted(given) and getattr(given, name) != usual:
            raise UserError(f"--{name}: says what to build or run; --list, --mixture and --reconcile only show")
    for name in ("examples", "draw_tasks"):
        if (number := getattr(given, name)) is not None and number < 1:
            raise UserError(f"--{name.replace('_', '-')} {number}: must be at least 1")
    if given.few_shot is not None and not 0 <= given.few_shot <= 1:
        raise UserError(f"--few-shot {given.few_shot:g}: must be from 0 to 1")
    if given.mixture:
        mixture(given.mixture)


def mixture_of(given: argparse.Namespace, among: Iterable[Task]) -> Mixture:
    """The mixture that the options name, flan2022 by default, over the tasks at hand."""
    chosen = mixture(given.mixture or "flan2022")
    if given.few_shot is not None:
        chosen = chosen.with_few_shot(given.few_shot)
    if given.draw_tasks is not None:
        try:
            chosen = chosen.of_drawn_tasks(given.draw_tasks, among, given.seed)
        except UserError as error:
            raise UserError(f"--draw-tasks: {error}") from error
    return chosen


def export_build(build: Build, given: argparse.Namespace) -> None:
    """Exports a build as the options say."""
    built = {shard.task for shard in build.shards}
    weights = shard_weights(
        build.shards, mixture_of(given, [task for task in tasks(build.collection) if task.name in built])
    )
    counts = quotas(weights, given.examples) if given.examples else {shard: shard.examples for shard in weights}
    name = given.mixture or "flan2022"
    name += f", {given.few_shot:.0%} few-shot" if given.few_shot is not None else ""
    name += f", {given.draw_tasks:,} tasks drawn" if given.draw_tasks is not None else ""
    with Bar(total=sum(counts.values()), desc="exporting", unit="example") as bar:
        card = export(build, Path(given.export), given.format or DEFAULT_FORMAT, counts, name, given.seed, bar.update)
    remark(f"{sum(counts.values()):,} examples in {given.export}; {card} describes them")


def show(given: argparse.Namespace) -> None:
    """Prints the list or the mixture, or writes the page, that the options ask for.

    Raises:
        UserError: an unknown name, a source that does not exist, a damaged file.
    """
    if given.reconcile:
        from flannb.report.collection import write_collection

        print("\n".join(map(str, write_collection(Path(given.reports) / "collection"))))
        return
    if given.submixture:
        check_name("--submixture", given.submixture, SUBMIXTURES)
    source = open_source(given.source)
    everything = tasks(source.collection)
    check(everything)
    chosen = [task for task in everything if given.submixture in ("", task.submixture)]
    holdings = inventory(source, chosen)
    if any(holding.reason == UNANSWERED for holding in holdings):
        say(f"warning: {UNANSWERED}")
    try:
        if given.list:
            _list(holdings, source.name, given.json)
        else:
            _mixture(holdings, given)
        sys.stdout.flush()
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def entry(holding: Holding) -> dict[str, Any]:
    """One task as JSON: its source, size, cap and state. ``rows`` is null where the source cannot tell cheaply."""
    task = holding.task
    if isinstance(task.data, RawFile):
        parts = task.data.path.split("/")
        depth = 3 if parts[0] == "github" else 1
        place = {"repo_id": "/".join(parts[:depth]), "config": "/".join(parts[depth:]), "split": ""}
    else:
        place = {"repo_id": task.data.repo_id, "config": task.data.config, "split": task.data.split}
    return {
        "name": task.name,
        "submixture": task.submixture,
        **place,
        "where": dict([task.where]) if task.where else {},
        "rows": holding.rows,
        "cap": SUBMIXTURES[task.submixture].cap,
        "available": holding.available,
        "reason": holding.reason,
        "held_in": task.held_in,
        "templates": task.templates,
        "note": task.note,
    }


def _list(holdings: list[Holding], source: str, json: str) -> None:
    entries = [entry(holding) for holding in holdings]
    if json:
        write_json(Path(json), entries)
    line = "{:<64} {:<27} {:>9} {:>8}  {:<5} {}".format
    print(line("task", "submixture", "rows", "cap", "here", "data"))
    for holding, task in zip(holdings, entries, strict=True):
        rows = "" if task["rows"] is None else f"{task['rows']:,}"
        state = "yes" if task["available"] else "no"
        name = task["name"] if len(task["name"]) <= 64 else f"{task['name'][:61]}..."
        why = f"  ({holding.task.unavailable})" if holding.task.unavailable else ""
        print(line(name, task["submixture"], rows, f"{task['cap']:,}", state, f"{holding.task.data}{why}"))
    print()
    for name in SUBMIXTURES:
        of_it = [task for task in entries if task["submixture"] == name]
        if of_it:
            _total(name, of_it, source)
    _total("all", entries, source)


def _total(name: str, entries: list[dict[str, Any]], source: str) -> None:
    here = sum(task["available"] for task in entries)
    rows = sum(task["rows"] or 0 for task in entries)
    counted = f", {rows:,} rows counted" if rows else ""
    print(f"{name:<27} {len(entries):>5,} tasks, {here:>5,} available from {source}{counted}")


def _mixture(holdings: list[Holding], given: argparse.Namespace) -> None:
    import pandas as pd

    available = [holding for holding in holdings if holding.available]
    chosen = mixture_of(given, [holding.task for holding in available])
    table = expected(planned_shards(available), chosen, given.examples or DEFAULT_EXAMPLES)
    if given.json:
        write_text(Path(given.json), table.to_json(orient="records", indent=2) + "\n")
    with pd.option_context("display.max_rows", None, "display.width", 200, "display.max_colwidth", 60):
        shown = table.drop(columns="weight").round({"share": 6, "few_shot": 3, "examples": 0, "epochs": 3})
        print(shown.to_string(index=False))
    print()
    for name, part in table.groupby("submixture", sort=False):
        print(f"{name:<27} {len(part):>5,} tasks, share {part['share'].sum():.4f}")
    few_shot = (table["share"] * table["few_shot"]).sum()
    print(f"{'all':<27} {len(table):>5,} tasks, share {table['share'].sum():.4f}, of it few-shot {few_shot:.4f}")
    if unknown := sum(holding.rows is None for holding in available):
        print(f"{unknown:,} tasks of unknown size count as their cap; their epochs are those of so many rows")
