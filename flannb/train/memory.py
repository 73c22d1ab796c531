"""How much device memory a step takes, and what to do where it is too much."""

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import keras

from flannb.errors import UserError
from flannb.mixture import BatchShape
from flannb.model import T5Config
from flannb.train.distribution import BATCH, MODEL, layouts

GIB = 2**30


def bytes_per_device(variables: list[keras.Variable]) -> int:
    """Bytes that variables take on each device, as they are laid out."""
    return sum(
        math.prod(variable.value.sharding.shard_shape(variable.shape)) * variable.value.dtype.itemsize
        for variable in variables
    )


def planned_bytes(variables: list[keras.Variable], config: T5Config, model_parallel: int) -> int:
    """Bytes that a model's weights would take on each of the devices that share a copy, wherever they are.

    Args:
        variables: whose shapes count; their values may be absent (see ``flannb.model.filling.empty_model``).
    """
    names = [f"device:{i}" for i in range(model_parallel)]
    layout = layouts(keras.distribution.DeviceMesh((1, model_parallel), (BATCH, MODEL), devices=names), config)

    def size(variable: keras.Variable) -> int:
        found = layout[variable.path]
        shares = model_parallel if found is not None and MODEL in found.axes else 1
        return math.prod(variable.shape) * jnp.dtype(variable.dtype).itemsize // shares

    return sum(map(size, variables))


def activation_bytes(
    config: T5Config, rows: int, shape: BatchShape, dtype: str, remat: str = "none", scores: bool = True
) -> int:
    """About how many bytes a device keeps between the forward and the backward pass of ``rows`` packed rows.

    Counted are the inputs of every matrix product and the residuals. XLA keeps less where it fuses and more where it
    lacks room to reorder, so this is good to a factor of two. The loss takes little beside it
    (``flannb.model.loss.head_loss``).

    Args:
        remat: of the model: what ``none``, ``dots`` or ``full`` keeps of each layer. With the latter two one layer at a
            time is there as a whole.
        scores: whether attention keeps its weights, as where it is not fused.
    """
    inner, hidden = config.num_heads * config.key_value_dim, config.hidden_dim
    units = (2 if config.use_gated_activation else 1) * config.intermediate_dim

    def layer(remat: str, queries: int, keys: tuple[int, ...]) -> int:
        if remat == "full":
            return queries * hidden
        projections = queries * units + sum(2 * (queries + length) * inner for length in keys)
        if remat == "dots":
            return projections + queries * hidden
        weights = sum(2 * config.num_heads * queries * length for length in keys) if scores else 0
        return projections + weights + queries * (units + 3 * hidden * (1 + len(keys)))

    def both(remat: str) -> int:
        return layer(remat, shape.input, (shape.input,)) + layer(remat, shape.target, (shape.target, shape.input))

    kept = config.num_layers * both(remat) + (0 if remat == "none" else both("none"))
    return rows * kept * (4 if dtype == "float32" else 2)


def device_memory() -> int | None:
    """Bytes of memory that JAX may use on a device; None where the backend does not tell, as on CPU."""
    statistics = jax.local_devices()[0].memory_stats()
    return (statistics or {}).get("bytes_limit")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether XLA failed for want of memory."""
    return isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" in str(error)


@dataclass(frozen=True)
class Demand:
    """What a step asks of a device.

    Attributes:
        fixed: bytes of weights, their gradients and the optimizer's state.
        config: the model's shape.
        shape: of a batch over all devices.
        replicas: copies of the model, which share a batch.
        accumulation: parts of a batch that are computed one after the other.
        dtype, remat: of the model.
        scores: see ``activation_bytes``.
        have: bytes of a device, where the backend tells.
    """

    fixed: int
    config: T5Config
    shape: BatchShape
    replicas: int
    accumulation: int
    dtype: str
    remat: str
    scores: bool
    have: int | None

    @property
    def activations(self) -> int:
        """About how many bytes the activations of the rows take that are computed at a time."""
        return self._activations(self.shape.size // self.replicas // self.accumulation)

    def check(self) -> None:
        """Compares before anything is compiled.

        Raises:
            UserError: weights, gradients and optimizer alone are too much.
        """
        if self.have is not None and self.fixed > self.have:
            raise self.error()

    def error(self) -> UserError:
        """What a step takes, about, and what would fit."""
        rows = self.shape.size // self.replicas
        now = rows // self.accumulation
        lines = [
            f"the step does not fit the memory of a device{f' ({self.have / GIB:.1f} GiB)' if self.have else ''}:"
            f" weights, gradients and optimizer take {self.fixed / GIB:.2f} GiB, the activations of {now} rows at a"
            f" time about {self._activations(now) / GIB:.2f} GiB. What may fit:"
        ]
        parts = [n for n in range(self.accumulation + 1, rows + 1) if rows % n == 0]
        if self.have is not None:
            parts = [n for n in parts if self.fixed + self._activations(rows // n) < 0.8 * self.have]
        if parts:
            lines.append(f"accumulation={parts[0]}: the same batch, {rows // parts[0]} rows of a device at a time")
            lines.append(f"batches of {rows // parts[0] * self.replicas} rows instead of {self.shape.size}")
        if self.remat != "full":
            less = self._activations(now, "full") / GIB
            lines.append(f"remat='full': layers are computed twice, and their activations take about {less:.2f} GiB")
        if self.dtype == "float32":
            lines.append("dtype='mixed_bfloat16': half the activations")
        lines.append("model_parallel=N: N devices share one copy of the weights, gradients and optimizer")
        return UserError("\n  ".join(lines))

    def _activations(self, rows: int, remat: str | None = None) -> int:
        return activation_bytes(self.config, rows, self.shape, self.dtype, remat or self.remat, self.scores)
