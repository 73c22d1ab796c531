"""The command line: ``python -m flannb.bench train --json FILE``; the nox session ``bench`` calls it."""

import argparse
import shlex
import sys
import time
from pathlib import Path

from flannb import progress
from flannb.bench.report import write_report
from flannb.files import write_json
from flannb.terminal import run_command


def main(arguments: list[str] | None = None) -> int:
    """Runs a benchmark; returns the exit code: 0, or 2 for what the user can mend."""
    from flannb.bench import data, evaluate, generate, suites, train

    benchmarks = {
        "data": (data, "rows to shards on disk, beside datasets.map and sentencepiece"),
        "train": (train, "a training step, beside KerasHub and transformers"),
        "generate": (generate, "greedy generation and scoring, beside KerasHub and transformers"),
        "evaluate": (evaluate, "MMLU 5-shot by likelihood, beside lm-evaluation-harness"),
        "suites": (suites, "a full evaluation: every suite of a source, generated and ranked"),
    }
    parser = argparse.ArgumentParser(prog="python -m flannb.bench", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (module, meaning) in benchmarks.items():
        command = commands.add_parser(name, help=meaning)
        module.add_options(command)
        command.add_argument("--json", type=Path, metavar="FILE", help="writes every figure there")
    report = commands.add_parser("report", help="a page of the figures that --json kept in a folder")
    report.add_argument("folder", type=Path, metavar="DIR", help="gets README.md")
    for command in commands.choices.values():
        progress.add_options(command)
    words = sys.argv[1:] if arguments is None else arguments

    def run(given: argparse.Namespace) -> None:
        if given.command == "report":
            shows = {name: module.show for name, (module, _) in benchmarks.items()}
            print(write_report(given.folder, shows))
            return
        chosen, _ = benchmarks[given.command]
        figures = chosen.bench(given)
        figures |= {
            "benchmark": given.command,
            "command": f"nox -s bench -- {shlex.join(words)}",
            "date": time.strftime("%Y-%m-%d", time.gmtime()),
        }
        if given.json:
            write_json(given.json, figures)
        print(chosen.show(figures))

    return run_command(parser.parse_args(arguments), run)


if __name__ == "__main__":
    sys.exit(main())
