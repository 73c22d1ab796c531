"""Commands beside those of artefacts: ``mirror``, ``contamination``, ``claims``, ``sweep`` and ``finetune``."""

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple, TypeVar

from flannb.build import open_source
from flannb.build.contamination import find_overlap, write_overlap
from flannb.build.mirror import copy_mirror, needed_data, plan_mirror
from flannb.build.sources import Hub
from flannb.collection import EVERY_SUITE, EvalTask, Task, eval_tasks, finetuning_tasks, tasks
from flannb.errors import UserError, printable
from flannb.experiments import finetune_command, status, sweep
from flannb.experiments.options import settle
from flannb.experiments.reproduce import from_project
from flannb.names import split_names
from flannb.progress import Bar, remark

T = TypeVar("T")


def _mirror_options(made: argparse.ArgumentParser) -> None:
    made.epilog = (
        "The same command goes on where it stopped; revisions stay what MANIFEST.json in the folder says. HF_ENDPOINT, "
        "HF_TOKEN and HF_HUB_OFFLINE apply."
    )
    made.add_argument("--to", required=True, metavar="DIR", help="the mirror folder")
    made.add_argument(
        "--tasks", metavar="A,B", help="training tasks or submixtures (default: all; none with --suites alone)"
    )
    made.add_argument(
        "--suites",
        metavar="A,B",
        help="evaluation suites or suite/set (default: those of Table 1; none with --tasks alone)",
    )
    made.add_argument("--single-tasks", metavar="A,B", help="tasks of Table 3 to finetune on, such as wanli; or all")
    made.add_argument("--allow-missing", action="store_true", help="go on without what the servers lack")
    made.add_argument("--update", action="store_true", help="take the newest revisions instead of the recorded ones")
    made.add_argument("--check", action="store_true", help="compare files that are there already with their hashes")
    made.add_argument("--dry-run", action="store_true", help="only say what would be copied")
    made.add_argument("--jobs", type=int, default=4, metavar="N", help="files fetched at once (default: 4)")


def mirror(given: argparse.Namespace) -> None:
    """Copies what tasks need from the Hub and from GitHub to a folder."""
    if given.jobs < 1:
        raise UserError(f"--jobs {given.jobs}: must be at least 1")
    folder, hub, collection = Path(given.to), Hub(), "flan2022"
    some = any(names is not None for names in (given.tasks, given.suites, given.single_tasks))  # leaves out the others
    training = _training(given.tasks, collection, () if some else tasks(collection))
    scored = _suites(given.suites, collection, () if some else eval_tasks(collection))
    single = [((task.name, "all"), task) for task in finetuning_tasks(collection)]
    finetuned = [] if given.single_tasks is None else _named("--single-tasks", given.single_tasks, single)
    data = needed_data(training, scored, finetuned)
    with Bar(data, desc="looking up", unit="dataset") as bar:
        plan = plan_mirror(hub, data, folder, given.update, lambda name: bar.update() and None)
    if plan.missing and not given.allow_missing:
        lines = "\n  ".join(f"{name}: {why}" for name, why in sorted(plan.missing.items()))
        raise UserError(
            f"{len(plan.missing)} datasets are not to be had:\n  {lines}\nPass --allow-missing to mirror the others."
        )
    whole = [item for item in plan.items if item.whole]
    remark(f"{len(plan.items):,} files, {plan.size / 1e6:,.1f} MB; {len(whole):,} of them are in {folder} already")
    if given.dry_run:
        print("\n".join(f"{item.remote.size:>14,}  {item.path}" for item in plan.items))
        return
    with Bar(total=plan.size, desc="mirroring", unit="B", unit_scale=True, smoothing=0.05) as bar:
        manifest = copy_mirror(plan, folder, given.jobs, given.check, bar.update)
    remark(f"{manifest} lists what is there; read it with --source {folder}")


def _contamination_options(made: argparse.ArgumentParser) -> None:
    made.epilog = (
        "What counts: a shared 13-gram, and a short question as a whole. `nox -s data -- --drop-contaminated` builds "
        "without such rows."
    )
    made.add_argument("--source", default="mini", metavar="WHERE", help="mini (default), hub, or a mirror folder")
    made.add_argument("--tasks", metavar="A,B", help="training tasks or submixtures (default: all)")
    made.add_argument("--suites", metavar="A,B", help="evaluation suites or suite/set (default: all)")
    made.add_argument(
        "--to", metavar="DIR", help="folder of the report (default: reports/contamination/<name of the source>)"
    )


def contamination(given: argparse.Namespace) -> None:
    """Checks all training text of a source against all its evaluation rows."""
    from flannb.report.site import write_site

    given.to = given.to and from_project(given.to)
    settle(given)
    source = open_source(given.source)
    training = _training(given.tasks, source.collection, tasks(source.collection))
    scored = _suites(given.suites, source.collection, eval_tasks(source.collection, EVERY_SUITE))
    with Bar(total=len(training), desc="checking", unit="task") as bar:
        found = find_overlap(source, training, scored, lambda name: bar.update() and None)
    folder = Path(given.to or Path("reports", "contamination", source.name))
    write_overlap(found, folder)
    print(printable((folder / "contamination.md").read_text(encoding="utf-8")))
    remark(f"The report: {folder}")
    if not given.to:
        write_site(folder.parents[1])


def _reports_option(made: argparse.ArgumentParser) -> None:
    made.add_argument("--reports", default="reports", metavar="DIR", help="folder of reports (default: reports)")


def _reports(given: argparse.Namespace) -> Path:
    """The folder of reports, which is there.

    Raises:
        UserError: it is not.
    """
    settle(given)
    if not (folder := Path(given.reports)).is_dir():
        raise UserError(f"--reports {folder}: no such folder")
    return folder


def claims(given: argparse.Namespace) -> None:
    """Writes the ledger of claims from the reports that there are."""
    from flannb.report.ledger import write_ledger
    from flannb.report.site import write_site

    reports = _reports(given)
    _, page, _ = paths = write_ledger(reports)
    print(page.read_text(encoding="utf-8").split("\n## ")[0])
    remark(f"The ledger: {', '.join(map(str, paths))}")
    write_site(reports)


def site(given: argparse.Namespace) -> None:
    """Writes the page of all reports from what lies in their folder."""
    from flannb.report.site import write_site

    page, _ = write_site(_reports(given))
    print(f"The page of all reports: {page}")


class Tool(NamedTuple):
    """A command of its own: what it does, its options, and how it runs with what was given."""

    about: str
    add_options: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], None]


TOOLS: dict[str, Tool] = {
    "mirror": Tool(
        "copy what tasks need from the Hugging Face Hub, and raw files from GitHub, to a folder for --source",
        _mirror_options,
        mirror,
    ),
    "sweep": Tool(
        "train short runs of several sizes and learning rates, and compare their loss on held-out records",
        sweep.add_options,
        sweep.run,
    ),
    "contamination": Tool(
        "report which training rows of a source hold text of its evaluation rows", _contamination_options, contamination
    ),
    "finetune": Tool(
        "finetune a checkpoint on a task of Table 3, or on rows of your own",
        finetune_command.add_options,
        finetune_command.run,
    ),
    "claims": Tool("write the ledger of the paper's claims from the reports that there are", _reports_option, claims),
    "status": Tool("tell what is done, running, failed and missing, and the time left", status.add_options, status.run),
    "site": Tool("write the page of all reports, index.html, from what lies in their folder", _reports_option, site),
}


def _training(names: str | None, collection: str, usual: Iterable[Task]) -> list[Task]:
    """The training tasks that ``--tasks`` names; without it the usual ones."""
    known = [((task.name, task.submixture), task) for task in tasks(collection)]
    return list(usual) if names is None else _named("--tasks", names, known)


def _suites(names: str | None, collection: str, usual: Iterable[EvalTask]) -> list[EvalTask]:
    """The evaluation sets that ``--suites`` names; without it the usual ones."""
    known = [((f"{each.suite}/{each.name}", each.suite), each) for each in eval_tasks(collection, EVERY_SUITE)]
    return list(usual) if names is None else _named("--suites", names, known)


def _named(option: str, names: str, known: list[tuple[tuple[str, str], T]]) -> list[T]:
    """What an option names, each by its own or its group's name."""
    wanted = set(split_names(names))
    unknown = sorted(wanted - {name for both, _ in known for name in both})
    if unknown or not wanted:
        groups = ", ".join(dict.fromkeys(group for (_, group), _ in known))
        wrong = f"{option} {unknown[0]}: unknown" if unknown else f"{option}: names nothing"
        raise UserError(f"{wrong}; name one of {groups}, or one of their members")
    return [thing for both, thing in known if wanted & set(both)]
