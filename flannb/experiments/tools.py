"""Commands about data with options of their own: ``mirror`` and ``contamination``; and the options of ``--export``."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from tqdm.auto import tqdm

from flannb.build import Build, open_source
from flannb.build.contamination import find_overlap, write_overlap
from flannb.build.export import FORMATS, export, quotas
from flannb.build.mirror import copy_mirror, needed_data, plan_mirror
from flannb.build.sources import Hub
from flannb.collection import EvalTask, Task, eval_tasks, tasks
from flannb.errors import UserError
from flannb.experiments.table1 import ROWS
from flannb.experiments.table1 import row as row_of
from flannb.mixture import shard_weights

T = TypeVar("T")


def mirror(arguments: Sequence[str]) -> None:
    """Copies what tasks need from the Hub and from GitHub to a folder."""
    made = argparse.ArgumentParser(
        prog="nox -s mirror --",
        description="Copies what tasks need from the Hugging Face Hub, and raw files from GitHub, to a folder for "
        "--source. The same command goes on where it stopped; revisions stay what MANIFEST.json in the folder says.",
        epilog="HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE apply.",
    )
    made.add_argument("--to", required=True, metavar="DIR", help="the mirror folder")
    made.add_argument(
        "--tasks", metavar="A,B", help="training tasks or submixtures (default: all; none with --suites alone)"
    )
    made.add_argument(
        "--suites", metavar="A,B", help="evaluation suites or suite/set (default: all; none with --tasks alone)"
    )
    made.add_argument("--allow-missing", action="store_true", help="go on without what the servers lack")
    made.add_argument("--update", action="store_true", help="take the newest revisions instead of the recorded ones")
    made.add_argument("--check", action="store_true", help="compare files that are there already with their hashes")
    made.add_argument("--dry-run", action="store_true", help="only say what would be copied")
    made.add_argument("--jobs", type=int, default=4, metavar="N", help="files fetched at once (default: 4)")
    given = made.parse_args(arguments)
    if given.jobs < 1:
        raise UserError(f"--jobs {given.jobs}: must be at least 1")
    folder, hub = Path(given.to), Hub()
    data = needed_data(*_chosen(given.tasks, given.suites))
    with tqdm(data, desc="looking up", unit="dataset") as bar:
        plan = plan_mirror(hub, data, folder, given.update, lambda name: bar.update() and None)
    if plan.missing and not given.allow_missing:
        lines = "\n  ".join(f"{name}: {why}" for name, why in sorted(plan.missing.items()))
        raise UserError(
            f"{len(plan.missing)} datasets are not to be had:\n  {lines}\nPass --allow-missing to mirror the others."
        )
    whole = [item for item in plan.items if item.whole]
    print(
        f"{len(plan.items):,} files, {plan.size / 1e6:,.1f} MB; {len(whole):,} of them are in {folder} already",
        file=sys.stderr,
    )
    if given.dry_run:
        print("\n".join(f"{item.remote.size:>14,}  {item.path}" for item in plan.items))
        return
    with tqdm(total=plan.size, desc="mirroring", unit="B", unit_scale=True, smoothing=0.05) as bar:
        manifest = copy_mirror(plan, folder, given.jobs, given.check, bar.update)
    print(f"{manifest} lists what is there; read it with --source {folder}", file=sys.stderr)


def contamination(arguments: Sequence[str]) -> None:
    """Checks all training text of a source against all its evaluation rows."""
    made = argparse.ArgumentParser(
        prog="nox -s contamination --",
        description="Reports which training rows hold text of evaluation rows: 13-grams, and short questions as a "
        "whole. `nox -s data -- --drop-contaminated` builds without them.",
    )
    made.add_argument("--source", default="mini", metavar="WHERE", help="mini (default), hub, or a mirror folder")
    made.add_argument("--tasks", metavar="A,B", help="training tasks or submixtures (default: all)")
    made.add_argument("--suites", metavar="A,B", help="evaluation suites or suite/set (default: all)")
    made.add_argument(
        "--to", metavar="DIR", help="folder of the report (default: reports/contamination/<name of the source>)"
    )
    given = made.parse_args(arguments)
    source = open_source(given.source)
    training, scored = _chosen(given.tasks, given.suites, source.collection, alone=False)
    with tqdm(total=len(training), desc="checking", unit="task") as bar:
        found = find_overlap(source, training, scored, lambda name: bar.update() and None)
    folder = Path(given.to or Path("reports", "contamination", source.name))
    write_overlap(found, folder)
    print((folder / "contamination.md").read_text(encoding="utf-8"))
    print(f"The report: {folder}", file=sys.stderr)


TOOLS: dict[str, Callable[[Sequence[str]], None]] = {"mirror": mirror, "contamination": contamination}
"""Name of a command -> what runs it with the words after its name."""


def add_export_options(group: argparse._ArgumentGroup) -> None:
    """The options of ``data`` that say what to export."""
    group.add_argument("--export", default="", metavar="DIR", help="write the rendered examples there, for any trainer")
    group.add_argument("--format", default="parquet", choices=FORMATS, help="of the files (default: parquet)")
    group.add_argument(
        "--examples", type=int, metavar="N", help="draw N examples at the mixture's rates (default: all, each once)"
    )
    group.add_argument("--mixture", default="flan2022", metavar="NAME", help="a row of Table 1 (default: flan2022)")


def check_export_options(given: argparse.Namespace) -> None:
    """Checks the options of ``add_export_options`` before anything is built.

    Raises:
        UserError: the message names the option.
    """
    if given.command != "data":
        raise UserError("--export goes with the command data: nox -s data -- --export DIR")
    if given.examples is not None and given.examples < 1:
        raise UserError(f"--examples {given.examples}: must be at least 1")
    if given.mixture not in [row.name for row in ROWS]:
        raise UserError(f"--mixture {given.mixture}: unknown; choose from {', '.join(row.name for row in ROWS)}")


def export_build(build: Build, given: argparse.Namespace) -> None:
    """Exports a build as the options of ``add_export_options`` say."""
    weights = shard_weights(build.shards, row_of(given.mixture).mixture)
    wanted = quotas(weights, given.examples) if given.examples else {shard: shard.examples for shard in weights}
    with tqdm(total=sum(wanted.values()), desc="exporting", unit="example") as bar:
        card = export(build, Path(given.export), given.format, wanted, given.mixture, given.seed, bar.update)
    print(f"{sum(wanted.values()):,} examples in {given.export}; {card} describes them", file=sys.stderr)


def _chosen(
    names: str | None, suites: str | None, collection: str = "flan2022", alone: bool = True
) -> tuple[list[Task], list[EvalTask]]:
    """The training tasks and evaluation sets that the options name.

    Args:
        alone: naming one kind only leaves the other out.
    """
    training, scored = tasks(collection), eval_tasks(collection)
    left_out = alone and (names is not None) != (suites is not None)
    return (
        _named("--tasks", names, left_out, [((t.name, t.submixture), t) for t in training]),
        _named("--suites", suites, left_out, [((f"{e.suite}/{e.name}", e.suite), e) for e in scored]),
    )


def _named(option: str, names: str | None, left_out: bool, known: list[tuple[tuple[str, str], T]]) -> list[T]:
    """What an option names, each by its own or its group's name; everything where it is not given."""
    if names is None:
        return [] if left_out else [thing for _, thing in known]
    wanted = {name.strip() for name in names.split(",") if name.strip()}
    if unknown := sorted(wanted - {name for both, _ in known for name in both}):
        groups = ", ".join(dict.fromkeys(group for (_, group), _ in known))
        raise UserError(f"{option} {unknown[0]}: unknown; name one of {groups}, or one of their members")
    return [thing for both, thing in known if wanted & set(both)]
