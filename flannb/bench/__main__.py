"""The command line: ``python -m flannb.bench train --json FILE``; the nox session ``bench`` calls it."""

import argparse
import sys

from flannb.errors import UserError, printable


def main(arguments: list[str] | None = None) -> int:
    """Runs a benchmark; returns the exit code: 0, or 2 for what the user can mend."""
    from flannb.bench import data, evaluate, generate, train

    benchmarks = {
        "data": (data, "rows to shards on disk, beside datasets.map and sentencepiece"),
        "train": (train, "a training step, beside KerasHub and transformers"),
        "generate": (generate, "greedy generation and scoring, beside KerasHub and transformers"),
        "evaluate": (evaluate, "MMLU 5-shot by likelihood, beside lm-evaluation-harness"),
    }
    parser = argparse.ArgumentParser(prog="python -m flannb.bench", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (module, meaning) in benchmarks.items():
        module.add_options(commands.add_parser(name, help=meaning))
    given = parser.parse_args(arguments)
    chosen, _ = benchmarks[given.command]
    try:
        print(chosen.show(chosen.bench(given)))
    except UserError as error:
        print(printable(f"error: {error}"), file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
