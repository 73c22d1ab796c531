"""The command line: ``python -m flannb.bench data --json FILE``; the nox session ``bench`` calls it."""

import argparse
import sys

from flannb.errors import UserError


def main(arguments: list[str] | None = None) -> int:
    """Runs a benchmark; returns the exit code: 0, or 2 for what the user can mend."""
    from flannb.bench.data import add_options, bench, show

    parser = argparse.ArgumentParser(prog="python -m flannb.bench", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    add_options(commands.add_parser("data", help="rows to shards on disk, beside datasets.map and sentencepiece"))
    given = parser.parse_args(arguments)
    try:
        if min(given.rows, given.rounds, given.processes) < 1:
            raise UserError("--rows, --rounds and --processes must be at least 1")
        print(show(bench(given)))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
