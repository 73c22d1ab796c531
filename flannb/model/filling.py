"""From tensors in files to a model: all that does not fit is named, and memory is looked at before it is taken."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np

from flannb.errors import UserError
from flannb.model.config import T5Config
from flannb.model.t5 import T5, build_model
from flannb.model.tensors import FLOATS, Tensor, Tensors
from flannb.names import check_name

GIB = 2**30

POLICIES = ("float32", "mixed_bfloat16", "bfloat16", "mixed_float16", "float16")
"""Keras's dtype policies in which a T5 computes; of its others, JAX narrows those of 64 bits without a word."""


@dataclass(frozen=True)
class Stored:
    """Where a format keeps a variable: the tensor's name, and whether it is transposed."""

    name: str
    transposed: bool = False


def empty_model(config: T5Config, dtype: str, seed: int = 0, **options: Any) -> T5:
    """A T5 whose weights are yet to be assigned: none is drawn and none takes memory.

    The layers are built while JAX traces, so their initial weights are formulas that nobody evaluates, except those
    of what is not trained: the states of dropout.

    Args:
        seed, options: see ``build_model``.

    Raises:
        UserError: the dtype is none of ``POLICIES``.
    """
    check_name("dtype", dtype, POLICIES)
    made: list[T5] = []

    def build() -> list[jax.Array]:
        made.append(build_model(config, seed, dtype, **options))
        return [variable.value for variable in made[0].non_trainable_variables]

    fixed = jax.jit(build)()
    (model,) = made
    for variable, value in zip(model.non_trainable_variables, fixed, strict=True):
        variable.assign(value)
    return model


def check_memory(model: T5, where: str) -> None:
    """Raises ``UserError`` where the model's weights take more than the memory that is free on a device."""
    variables, distribution = model.trainable_variables, keras.distribution.distribution()
    weights = 0
    for variable in variables:
        shape = tuple(variable.shape)
        if distribution is not None:  # what one device holds
            shape = distribution.get_variable_layout(variable).backend_layout.shard_shape(shape)
        weights += math.prod(shape)
    dtype = str(variables[0].dtype)
    size = weights * jnp.dtype(dtype).itemsize
    free, device = free_memory()
    if size <= free:
        return
    way = "with dtype bfloat16" if dtype == "float32" and size / 2 <= free else "where there is more memory"
    raise UserError(
        f"{where}: its {weights:,} weights take {size / GIB:.1f} GiB as {dtype}, and {device} has {free / GIB:.1f} GiB "
        f"free. Load it {way}, or choose a smaller checkpoint."
    )


def free_memory() -> tuple[int, str]:
    """Bytes free for a model on the device that has least, and what that is."""
    devices = jax.local_devices()
    known = [(stats["bytes_limit"] - stats["bytes_in_use"], str(d)) for d in devices if (stats := d.memory_stats())]
    if known:
        return min(known)
    import psutil

    return psutil.virtual_memory().available, "this machine"


def fill(
    model: T5,
    tensors: Tensors,
    stored: Mapping[str, Stored],
    where: str | Path,
    progress: Callable[[int], object] = lambda size: None,
) -> None:
    """Assigns tensors to a model's weights, one in memory at a time.

    Args:
        stored: path of each variable -> where it is.
        where: the checkpoint, for messages.
        progress: called with the bytes of each tensor that was read.

    Raises:
        UserError: tensors are missing, unknown, of another shape, or not floating point (all are listed); one cannot
            be read.
    """
    variables = {variable.path: variable for variable in model.trainable_variables}
    wanted = {path: stored[path] for path in variables}
    names = {place.name for place in wanted.values()}
    problems = {
        "missing": sorted(names - tensors.keys()),
        "unknown": sorted(tensors.keys() - names),
        "of another shape": sorted(
            f"{place.name} {list(tensors[place.name].shape)} instead of {shape}"
            for path, place in wanted.items()
            if place.name in tensors
            and list(tensors[place.name].shape) != (shape := _shape(variables[path].shape, place.transposed))
        ),
        "not floating point": sorted(
            f"{name} {tensors[name].dtype}" for name in names & tensors.keys() if tensors[name].dtype not in FLOATS
        ),
    }
    if found := [f"\n  {what}: {', '.join(entries)}" for what, entries in problems.items() if entries]:
        raise UserError(f"{where}: the tensors are not those of its config.json:{''.join(found)}")
    by_file = sorted(wanted.items(), key=lambda item: str(tensors[item[1].name].file))
    for path, place in by_file:
        tensor = tensors[place.name]
        value = read(tensor, place.name)
        variables[path].assign(value.T if place.transposed else value)
        progress(value.nbytes)


def _shape(shape: Iterable[int], transposed: bool) -> list[int]:
    return list(shape)[::-1] if transposed else list(shape)


def read(tensor: Tensor, name: str) -> np.ndarray:
    """A tensor's values.

    Raises:
        UserError: the file cannot be read.
    """
    try:
        return tensor.read()
    except Exception as error:  # of the operating system, safetensors or HDF5
        raise UserError(f"{tensor.file}: {name} cannot be read ({error}). Download or write it again.") from error
