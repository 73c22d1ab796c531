"""The benchmark of a training step, side by side with KerasHub's stock T5 and with ``transformers``.

All train a model of the same shape, from random weights, on batches of the same shape; each is a process of its own.
FLOPs are those of the model's formula (``flannb.model.flops``) for all of them: padding and what is computed twice do
not count as work done. What is not installed, or fails, is reported so.
"""

import argparse
import json
from collections.abc import Callable
from typing import Any

from flannb.bench.measure import Measured, measure
from flannb.errors import UserError
from flannb.experiments.runner import machine, versions
from flannb.names import known_names, split_counts
from flannb.progress import Bar

CONTENDERS = "flannb.bench.train_contenders"
NAMES = ("flannb", "keras_hub", "transformers", "transformers_compiled")
NUMBERS = {
    "batch": (128, "sequences of a step"),
    "input": (512, "input tokens of a sequence"),
    "target": (128, "target tokens of a sequence"),
    "steps": (10, "steps of a round"),
    "rounds": (5, "rounds that are timed, after a warm-up"),
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of ``nox -s bench -- train``."""
    parser.add_argument("--size", default="base", metavar="SIZE", help="a key of flannb.model.SIZES (default: base)")
    for name, (default, meaning) in NUMBERS.items():
        parser.add_argument(f"--{name}", type=int, default=default, metavar="N", help=f"{meaning} (default: {default})")
    parser.add_argument("--dropout", type=float, default=0.0, metavar="P", help="(default: 0)")
    parser.add_argument("--packed", action="store_true", help="several examples a row; the others' rows stay whole")
    parser.add_argument("--data", metavar="INDEX", help="batches of this build, by the input pipeline; packed")
    parser.add_argument("--dtype", choices=("float32", "mixed_bfloat16"), help="(default: mixed_bfloat16 on a GPU)")
    parser.add_argument("--attention", default="auto", help="flannb's: auto, plain, flash, cudnn (default: auto)")
    parser.add_argument("--remat", default="none", help="flannb's: none, dots, full (default: none)")
    parser.add_argument(
        "--parts",
        type=int,
        default=1,
        metavar="N",
        help="transformers adds the gradients of N parts of a batch, where memory is short for all of it (default: 1)",
    )
    parser.add_argument(
        "--devices",
        metavar="N,M",
        help="compares flannb on N and on M devices, --batch sequences each, instead of contenders",
    )
    parser.add_argument(
        "--limit", type=float, metavar="SECONDS", help="gives up on a contender that takes longer (default: none)"
    )
    parser.add_argument(
        "--contenders", default=",".join(NAMES), metavar="A,B", help="what is measured (default: %(default)s)"
    )


def bench(given: argparse.Namespace, run: Callable[..., Measured] = measure) -> dict[str, Any]:
    """Runs the benchmark and returns its figures.

    Args:
        run: runs a module with arguments, as ``measure`` does in a process of its own.

    Raises:
        UserError: a number below 1, a batch without so many parts, or an unknown contender.
    """
    if wrong := next((name for name in (*NUMBERS, "parts") if getattr(given, name) < 1), None):
        raise UserError(f"--{wrong} must be at least 1")
    if given.batch % given.parts:
        raise UserError(f"--parts {given.parts}: --batch {given.batch} is not divisible by it")
    names = known_names("--contenders", given.contenders, NAMES)
    options = {
        name: value for name, value in vars(given).items() if name not in ("json", "contenders", "command", "limit")
    }
    runs = {name: (name, options) for name in names}
    if given.devices:
        runs = {
            _on(number): ("flannb", options | {"devices": number, "batch": number * given.batch})
            for number in split_counts("--devices", given.devices)
        }
    figures: dict[str, Any] = {"options": options}
    for name, (contender, asked) in Bar(runs.items(), desc="bench", unit="contender"):
        try:
            figures[name] = run(CONTENDERS, contender, json.dumps(asked), limit=given.limit).result
        except UserError as error:
            figures[name] = {"failed": str(error).strip().splitlines()[-1]}
    figures |= {"machine": machine(), "versions": versions()}
    return figures


def _on(devices: int) -> str:
    return f"flannb, {devices} device{'s' if devices > 1 else ''}"


def show(figures: dict[str, Any]) -> str:
    """The figures as a table for people."""
    options = figures["options"]
    kind = "packed" if options["packed"] or options["data"] else "one example a row"
    if options["data"]:
        kind += " by the input pipeline"
    devices = split_counts("--devices", options.get("devices") or "")
    each = " a device" if devices else ""
    lines = [
        f"{options['size']}, {options['batch']} x {options['input']}/{options['target']}{each}, {kind},"
        f" dropout {options['dropout']}",
        "",
        f"{'':24}{'TFLOP/s':>9}{'MFU':>7}{'step, ms':>10}{'sequences/s':>13}{'GiB':>7}  attention, device",
    ]
    ours = figures.get("flannb", {}).get("step_seconds")
    one: float | None = None
    for name in (*NAMES, *map(_on, devices)):
        found = figures.get(name)
        if found is None:
            continue
        if "step_seconds" not in found:
            reason, text = next(iter(found.items()))
            lines.append(f"{name:24}{reason}: {text}")
            continue
        part = "" if found["mfu"] is None else f"{found['mfu']:.1%}"
        memory = "" if found["peak_gib"] is None else f"{found['peak_gib']:.1f}"
        note = f"; flannb is {found['step_seconds'] / ours:.2f}x" if ours and name != "flannb" else ""
        if name in NAMES and found.get("parts", 1) > 1:
            note += f"; a batch in {found['parts']} parts"
        if devices:
            speed = found["sequences_per_second"] / int(found["device"].split()[0])
            one = one or speed
            note = f"; {speed / one:.1%} of the first's speed for each device"
        lines.append(
            f"{name:24}{found['tflops_per_second']:>9,.4g}{part:>7}{1000 * found['step_seconds']:>10,.1f}"
            f"{found['sequences_per_second']:>13,.1f}{memory:>7}  {found['attention']}, {found['device']}{note}"
        )
    return "\n".join(lines)
