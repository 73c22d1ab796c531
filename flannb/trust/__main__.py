"""The command line: ``python -m flannb.trust --areas kill,damage``; `nox -s trust` calls it."""

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from flannb import progress
from flannb.build import default_workers
from flannb.errors import UserError
from flannb.names import known_names, natural
from flannb.terminal import run_command
from flannb.trust import damage, fuzz, hostile, kills, load, processes, scarcity, together
from flannb.trust.case import Bench
from flannb.trust.report import PAGE, read_cases, summary, write_report

AREAS: dict[str, Callable[[Bench], None]] = {
    "kill": kills.run,
    "damage": damage.run,
    "together": together.run,
    "scarce": scarcity.run,
    "input": fuzz.run,
    "hostile": hostile.run,
    "load": load.run,
    "distributed": processes.run,
}
"""The areas by their names, in order."""


def main(arguments: list[str] | None = None) -> int:
    """Injects faults and writes the report.

    Returns:
        The exit code: 0, 1 where a fault was not survived, 2 for what the user can mend.
    """
    parser = argparse.ArgumentParser(prog="python -m flannb.trust", description="Makes things go wrong.")
    parser.add_argument("--areas", metavar="A,B", help=f"of {', '.join(AREAS)} (default: all)")
    parser.add_argument("--seed", type=natural, default=0, help="of moments, files and bits (default: 0)")
    parser.add_argument("--share", type=float, default=1.0, help="of the full number of faults (default: 1)")
    parser.add_argument("--jobs", type=int, default=default_workers(), help="runs side by side (default: cores)")
    parser.add_argument("--to", default="reports/trust", metavar="DIR", help="folder of the report")
    parser.add_argument("--again", action="store_true", help="only the cases that the report has as not survived")
    parser.add_argument("--work", metavar="DIR", help="folder to work in, which is kept (default: a temporary one)")
    progress.add_options(parser)
    return run_command(parser.parse_args(arguments), _run)


def _run(given: argparse.Namespace) -> int:
    to = Path(given.to).absolute()  # runs inside this process change the working directory
    areas = known_names("--areas", given.areas, AREAS) if given.areas else tuple(AREAS)
    if given.jobs < 1:
        raise UserError(f"--jobs {given.jobs}: must be at least 1")
    if not 0 < given.share <= 1:
        raise UserError(f"--share {given.share}: must be above 0 and at most 1")
    with tempfile.TemporaryDirectory(prefix="flannb-trust-", ignore_cleanup_errors=True) as temporary:
        os.environ["HF_HOME"] = str(Path(given.work or temporary).absolute() / "hf")  # before its client is there
        bench = Bench(Path(given.work or temporary).absolute(), given.seed, given.share, given.jobs)
        if given.again:
            left = [case for case in read_cases(to) if case.survived is False]
            bench.only = frozenset((case.area, case.fault) for case in left)
            areas = tuple(name for name in areas if any(case.area == name for case in left))
        for number, name in enumerate(areas, 1):
            try:
                AREAS[name](bench)
            finally:  # Ctrl-C keeps what was found
                write_report(bench, to, areas[:number])
    print(summary(bench.cases))
    progress.remark(f"The report: {to / PAGE}")
    return int(any(case.survived is False for case in bench.cases))


if __name__ == "__main__":
    # A shell has what it starts in the background ignore Ctrl-C, and so would all that is started here.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main())
