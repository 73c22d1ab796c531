"""How fast devices train and evaluate a size: as the benchmarks recorded it, as a short step shows it, or assumed."""

import math
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from flannb.errors import UserError
from flannb.experiments.devices import Devices
from flannb.experiments.scales import Scale
from flannb.files import read_json
from flannb.model import SIZES, T5Config, build_model, training_flops
from flannb.model.flops import device_peak_flops, generation_flops
from flannb.vocabulary import EOS_ID

TRAINING_SHARE, EVALUATION_SHARE = 0.35, 0.10
"""Of the bf16 peak, where nothing is on record. Generation reads all weights for each token, which takes longer than
its arithmetic.
"""

FORWARD_AGAIN = 4 / 3
"""What a step computes, relative to its model FLOPs, where the whole forward pass is computed again."""


@dataclass(frozen=True)
class Throughput:
    """Model FLOP/s (see ``flannb.model.flops``) of all devices together, and where the number is from."""

    flops: float
    basis: str


def throughputs(scale: Scale, config: T5Config, devices: Devices, performance: Path) -> tuple[Throughput, Throughput]:
    """The throughput of training and of evaluation.

    Args:
        scale: whose batches are trained.
        config: the model's shape.
        devices: as many as compute together.
        performance: folder of the JSON files of ``nox -s bench -- train`` and ``generate``.

    Raises:
        UserError: nothing is on record, and the peak of the devices is unknown.
    """
    if devices.kind == "cpu" and devices.here:  # a record may be of another machine, and a step takes no time
        here = _measured_here(config)
        return here, here
    training = _recorded_training(scale, devices, performance) or _assumed(devices, TRAINING_SHARE)
    return training, _recorded_generation(scale, config, devices, performance) or _assumed(devices, EVALUATION_SHARE)


def _records(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and content of the JSON files of a folder; what is none is passed over."""
    for path in sorted(Path(folder).glob("*.json")):
        try:
            content = read_json(path)
        except UserError:
            continue
        if isinstance(content, dict):
            yield path.name, content


def _count(device: Any, kind: str) -> int:
    """How many devices of the kind a record names as ``2 x KIND`` or ``KIND``; 0 for another kind."""
    count, _, name = str(device).rpartition(" x ")
    of_it = re.search(rf"\b{re.escape(kind)}\b", name, re.IGNORECASE)  # whole words: an A100 is no A10
    return int(count or 1) if (count or "1").isdigit() and of_it else 0


def _recorded_training(scale: Scale, devices: Devices, folder: Path) -> Throughput | None:
    """The record of the same size and kind of device that is most like the scale: packed, long sequences, dropout."""
    found = []
    for name, content in _records(folder):
        options, ours = content.get("options", {}), content.get("flannb", {})
        count = _count(ours.get("device"), devices.kind)
        if options.get("size") != scale.size or "tflops_per_second" not in ours or not count:
            continue
        times = _work(options.get("remat", "none")) / _work(scale.remat)
        each = 1e12 * ours["tflops_per_second"] / count * times
        packed = bool(options["packed"] or options["data"])
        unlike = (
            not packed,
            abs(math.log(options["input"] / scale.batch.input)),
            abs(options["dropout"] - scale.dropout),
        )
        again = "" if times == 1 else ", less what is computed twice"
        shape = f"{options['batch']} x {options['input']}/{options['target']}"
        basis = f"measured at {shape} on {ours['device']}{again} ({name})"
        found.append((unlike, name, Throughput(each * devices.count, basis)))
    return min(found, key=lambda entry: entry[:2])[2] if found else None


def _recorded_generation(scale: Scale, config: T5Config, devices: Devices, folder: Path) -> Throughput | None:
    found = []
    for name, content in _records(folder):
        ours, count = content.get("greedy", {}).get("flannb", {}), _count(content.get("device"), devices.kind)
        if content.get("size") != scale.size or "sequences_per_second" not in ours or not count:
            continue
        flops = generation_flops(config, 1, content["input"], content["new"]) * ours["sequences_per_second"] / count
        basis = f"measured at {content['batch']} x {content['input']} + {content['new']} ({name})"
        found.append((abs(math.log(content["input"] / scale.prompt_limit)), flops, basis))
    return Throughput(min(found)[1] * devices.count, min(found)[2]) if found else None


def _work(remat: str) -> float:
    """What a step computes, relative to its model FLOPs."""
    return FORWARD_AGAIN if remat == "full" else 1.0


def _assumed(devices: Devices, share: float) -> Throughput:
    peak = device_peak_flops(devices.kind)
    if peak is None:
        raise UserError(f"{devices}: neither a record of its speed nor its peak is known; run `nox -s bench -- train`")
    return Throughput(share * peak * devices.count, f"assumed: {share:.0%} of the bf16 peak; no record of this size")


def _measured_here(config: T5Config) -> Throughput:
    """Of a training step of one layer of the model or, if that is larger, of ``micro``."""
    import jax

    from flannb.train import Adafactor
    from flannb.train.step import make_step

    small = min(config, SIZES["micro"].with_vocabulary(4096), key=lambda each: each.hidden_dim)
    small, (rows, source, target) = replace(small, num_layers=1, dropout=0.0), (4, 128, 32)
    model, optimizer = build_model(small, seed=0), Adafactor(1e-3)
    optimizer.build(model.trainable_variables)
    groups = (model.trainable_variables, model.non_trainable_variables, optimizer.variables)
    state: Any = tuple([variable.value for variable in group] for group in groups)
    sides = {"encoder": source, "decoder": target}
    batch: dict[str, Any] = {
        f"{side}_token_ids": np.full((rows, length), EOS_ID, np.int32) for side, length in sides.items()
    }
    batch |= {f"{side}_padding_mask": np.ones((rows, length), np.int32) for side, length in sides.items()}
    batch["targets"] = batch["decoder_token_ids"]
    step = make_step(model, optimizer, z_loss=1e-4)
    seconds = []
    for _ in range(6):
        started = time.perf_counter()
        state, _ = jax.block_until_ready(step(state, batch))
        seconds.append(time.perf_counter() - started)
    speed = training_flops(small, rows, source, target) / min(seconds[2:])
    return Throughput(speed, f"measured just now, by a step of one layer of {small.hidden_dim} units")
