"""The benchmark of generation and scoring, side by side with KerasHub's stock T5 and with ``transformers``.

All get the same weights, drawn at random, and the same prompts, all of one length; each is a process of its own. The
time of the first call, which compiles, stands apart; the others' median counts. Greedy decoding goes on for all tokens
asked for. What is not installed is reported as absent.
"""

import argparse
import tempfile
from collections.abc import Callable
from typing import Any

from flannb.bench.measure import Measured, measure
from flannb.errors import UserError
from flannb.experiments.runner import machine, versions

CONTENDERS = "flannb.bench.generate_contenders"
SIZES = ("tiny", "smoke", "micro", "small", "base", "large", "xl", "xxl")
"""One that a CPU runs in a moment, and those of ``flannb.model.SIZES``, which takes seconds to import."""

OPTIONS, OPTION_TOKENS = 4, 8
SHAPES = {"batch": "sequences a batch", "input": "tokens of a prompt", "new": "tokens generated"}

TARGETS = {"keras_hub": 1.5, "transformers": 4.5, "one_by_one": 3.0}
"""How many times as fast flannb is to be on a GPU."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of ``nox -s bench -- generate``."""
    parser.add_argument("--size", default="base", choices=SIZES, help="of the model (default: base)")
    for (name, meaning), default in zip(SHAPES.items(), (256, 512, 64), strict=True):
        parser.add_argument(f"--{name}", type=int, default=default, metavar="N", help=f"{meaning} (default: {default})")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), help="(default: bfloat16, on a CPU float32)")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="calls that are timed (default: 5)")


def bench(given: argparse.Namespace, run: Callable[..., Measured] = measure) -> dict[str, Any]:
    """Runs the benchmark and returns its figures.

    Args:
        run: runs a module with arguments, as ``measure`` does in a process of its own.

    Raises:
        UserError: a number below 1, or a contender that fails.
    """
    if min(given.batch, given.input, given.new, given.rounds) < 1:
        raise UserError("--batch, --input, --new and --rounds must be at least 1")
    common = [given.size, str(given.batch), str(given.input), str(given.new), str(given.rounds), given.dtype or "auto"]
    with tempfile.TemporaryDirectory(prefix="flannb-bench-") as folder:
        found = {
            name: run(CONTENDERS, name, folder, *common).result
            for name in ("flannb", "keras_hub", "transformers", "together", "one_by_one")
        }
    return {
        "size": given.size,
        **{name: getattr(given, name) for name in SHAPES},
        "dtype": found["flannb"]["dtype"],
        "greedy": {name: _compared(found[name], found["flannb"]) for name in ("flannb", "keras_hub", "transformers")},
        "scoring": {
            "options": OPTIONS,
            "tokens_of_an_option": OPTION_TOKENS,
            **{name: _compared(found[name], found["together"]) for name in ("together", "one_by_one")},
        },
        "device": found["flannb"]["device"],
        "machine": machine(),
        "versions": versions(),
    }


def _compared(result: dict[str, Any], ours: dict[str, Any]) -> dict[str, Any]:
    """A contender's figures, with how many times as fast flannb is and the share of outputs that are the same."""
    if "absent" in result:
        return result
    pairs = list(zip(result["outputs"], ours["outputs"], strict=True))
    return {
        **{name: result[name] for name in ("sequences_per_second", "seconds", "first_call_seconds")},
        "flannb_times": round(result["median_seconds"] / ours["median_seconds"], 2),
        "same": round(sum(a == b for a, b in pairs) / len(pairs), 3),
    }


def show(figures: dict[str, Any]) -> str:
    """The figures as a table for people."""
    shape = f"{figures['batch']} x {figures['input']} + {figures['new']}"
    lines = [
        f"{figures['size']}, {shape} tokens, {figures['dtype']}, {figures['device']}",
        "",
        f"{'':14}{'sequences/s':>12}{'first call, s':>15}{'flannb is':>12}{'same output':>13}",
    ]
    for name, found in [*figures["greedy"].items(), *figures["scoring"].items()]:
        if isinstance(found, dict) and "absent" in found:
            lines.append(f"{name:14}absent: {found['absent']}")
        elif isinstance(found, dict):
            target = f"   aim on a GPU: {TARGETS[name]}" if name in TARGETS else ""
            lines.append(
                f"{name:14}{found['sequences_per_second']:>12,}{found['first_call_seconds']:>15}"
                f"{found['flannb_times']:>11}x{found['same']:>13.1%}{target}"
            )
    lines += ["", f"together, one_by_one: flannb's scoring of {OPTIONS} options in one row, and with a pass for each"]
    return "\n".join(lines)
