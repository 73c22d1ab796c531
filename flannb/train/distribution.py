"""Devices and processes: who joins a run, where variables and batches lie."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import jax
import keras
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import NamedSharding, PartitionSpec

from flannb.errors import UserError
from flannb.model import T5Config
from flannb.processes import COORDINATOR, are_several

Distribution: TypeAlias = Any  # DataParallel or ModelParallel of keras.distribution, which has no types

BATCH, MODEL = "batch", "model"


def join_processes(environment: Mapping[str, str] = os.environ) -> None:
    """Joins the processes of a run where the environment tells of several; does nothing otherwise, or a second time.

    ``JAX_COORDINATOR_ADDRESS`` (host:port of process 0), ``JAX_NUM_PROCESSES`` and ``JAX_PROCESS_ID`` say so by hand.
    The tasks of one ``srun`` or ``mpirun`` and the hosts of a TPU pod are found by JAX itself. CPUs talk through Gloo.

    Raises:
        UserError: one of the three variables is missing or no number, or JAX has computed something already.
    """
    if jax.distributed.is_initialized() or not are_several(environment):
        return
    values: dict[str, Any] = {}
    if COORDINATOR in environment:
        try:
            values = {
                "coordinator_address": environment[COORDINATOR],
                "num_processes": int(environment["JAX_NUM_PROCESSES"]),
                "process_id": int(environment["JAX_PROCESS_ID"]),
                "cluster_detection_method": "deactivate",
            }
        except (KeyError, ValueError) as error:
            raise UserError(
                "JAX_COORDINATOR_ADDRESS is set, so JAX_NUM_PROCESSES and JAX_PROCESS_ID must be numbers as well"
                f" ({type(error).__name__}: {error}); set them, or unset all three to train in one process"
            ) from error
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    try:
        jax.distributed.initialize(**values)
    except RuntimeError as error:
        raise UserError(
            f"the processes of the run cannot join: {error}. Train in a fresh process, with every process started."
        ) from error


def distribute(config: T5Config, model_parallel: int = 1) -> Distribution:
    """Spreads a model over all devices of all processes; stays in force for the variables made after it.

    Args:
        config: the model's shape.
        model_parallel: devices that share one copy of the model (see ``layouts``). Batches are split between the
            copies.

    Raises:
        UserError: the devices, heads or feed-forward units are not divisible by ``model_parallel``.
    """
    devices = keras.distribution.list_devices()
    if model_parallel == 1:
        distribution = keras.distribution.DataParallel(devices=devices, auto_shard_dataset=False)
    else:
        for what, number in (
            ("devices", len(devices)),
            ("heads", config.num_heads),
            ("feed-forward units", config.intermediate_dim),
        ):
            if number % model_parallel:
                raise UserError(f"{number} {what} are not divisible by model_parallel={model_parallel}; choose another")
        mesh = keras.distribution.DeviceMesh(
            (len(devices) // model_parallel, model_parallel), (BATCH, MODEL), devices=devices
        )
        distribution = keras.distribution.ModelParallel(
            layout_map=layouts(mesh, config), batch_dim_name=BATCH, auto_shard_dataset=False
        )
    keras.distribution.set_distribution(distribution)
    return distribution


def layouts(mesh: keras.distribution.DeviceMesh, config: T5Config) -> keras.distribution.LayoutMap:
    """Where the variables of a T5 lie when several devices share one copy: Megatron's layout (arXiv 1909.08053).

    Attention is split by heads, the feed-forward block by its units, so that each block needs one sum over devices;
    the embeddings are split by the vocabulary where it is divisible. Norms are on every device. Adafactor's row and
    column means follow their matrix.
    """
    layout = keras.distribution.LayoutMap(mesh)
    layout[r".*/(query|key|value|input|gate)_projector/kernel"] = (None, MODEL)
    layout[r".*/output_projector/kernel"] = (MODEL, None)
    layout[r".*/self_attention/embeddings"] = (None, MODEL)
    if config.vocabulary_size % mesh.shape[1] == 0:
        layout[r".*token_embedding/embeddings"] = (MODEL, None)
        layout[r".*token_embedding/reverse_embeddings"] = (None, MODEL)
    return layout


def data_share(distribution: Distribution) -> tuple[int, int]:
    """Which part of every batch this process makes, and of how many; processes that share a copy make the same."""
    return distribution.data_shard_id, min(jax.process_count(), distribution.num_model_replicas)


def placed(variable: Any, distribution: Distribution) -> jax.Array:
    """A Keras variable's value where the distribution wants it.

    Keras leaves an array as it is where one device holds all of it, and names the axes that are not split, which JAX
    does not. A step compiles a second time for its own results if what it got first was placed in other words.
    """
    layout = distribution.get_variable_layout(variable).backend_layout
    split = list(layout.spec)
    while split and split[-1] is None:
        split.pop()
    return jax.device_put(variable.value, NamedSharding(layout.mesh, PartitionSpec(*split)))


def placer(distribution: Distribution) -> Callable[[dict[str, np.ndarray]], dict[str, jax.Array]]:
    """A function that puts a process's part of a batch on its devices."""
    layout = distribution.get_data_layout((None, None)).backend_layout

    def place(batch: dict[str, np.ndarray]) -> dict[str, jax.Array]:
        return {name: jax.make_array_from_process_local_data(layout, value) for name, value in batch.items()}

    return place


def of_all_processes(value: Any) -> list[Any]:
    """A JSON value of every process, in the order of processes; all of them call this together."""
    if jax.process_count() == 1:
        return [value]
    text = np.frombuffer(json.dumps(value).encode(), np.uint8)
    sizes = np.asarray(multihost_utils.process_allgather(np.array(text.size))).ravel()
    padded = np.zeros(sizes.max(), np.uint8)
    padded[: text.size] = text
    rows = np.asarray(multihost_utils.process_allgather(padded)).reshape(len(sizes), -1)
    return [json.loads(row[:size].tobytes()) for row, size in zip(rows, sizes, strict=True)]


def idle_gpu(driver: Path = Path("/proc/driver/nvidia/version")) -> str | None:
    """What to do about an NVIDIA GPU that JAX does not use; None where there is none or CPUs are asked for."""
    if jax.default_backend() != "cpu" or os.environ.get("JAX_PLATFORMS") or not driver.exists():
        return None
    return (
        "this machine has an NVIDIA GPU, but JAX sees only CPUs: install its CUDA packages"
        " (FLANNB_ACCELERATOR=cuda with nox, or pip install 'flannb[cuda]'), or set JAX_PLATFORMS=cpu to do without"
    )
