"""How much device memory a step takes, and what to do where it is too much."""

import math
from dataclasses import dataclass

import jax
import keras

from flannb.errors import UserError
from flannb.mixture import BatchShape
from flannb.model import T5Config

GIB = 2**30


def bytes_per_device(variables: list[keras.Variable]) -> int:
    """Bytes that variables take on each device, as they are laid out."""
    return sum(
        math.prod(variable.value.sharding.shard_shape(variable.shape)) * variable.value.dtype.itemsize
        for variable in variables
    )


def activation_bytes(config: T5Config, rows: int, shape: BatchShape, dtype: str) -> int:
    """About how many bytes a device keeps between the forward and the backward pass of ``rows`` packed rows.

    Counted are the inputs of every matrix product, the residuals, two masks of dropout in a block, the scores of
    attention as if they were kept, and the logits with their gradient. XLA keeps less where it fuses and more where it
    lacks room to reorder, so this is good to a factor of two.
    """
    width = 4 if dtype == "float32" else 2
    inner = config.num_heads * config.key_value_dim
    feed_forward = (4 if config.use_gated_activation else 2) * config.intermediate_dim

    def layer(queries: int, keys: tuple[int, ...]) -> int:
        attention = sum(
            queries * (3 * config.hidden_dim + 2 * inner) + 2 * length * inner + 2 * config.num_heads * queries * length
            for length in keys
        )
        return attention + queries * (3 * config.hidden_dim + feed_forward)

    layers = layer(shape.input, (shape.input,)) + layer(shape.target, (shape.target, shape.input))
    logits = 2 * 4 * shape.target * config.vocabulary_size
    return rows * (config.num_layers * layers * width + logits)


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
        dtype: Keras dtype policy.
        have: bytes of a device, where the backend tells.
    """

    fixed: int
    config: T5Config
    shape: BatchShape
    replicas: int
    accumulation: int
    dtype: str
    have: int | None

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
        if self.dtype == "float32":
            lines.append("dtype='mixed_bfloat16': half the activations")
        lines.append("model_parallel=N: N devices share one copy of the weights, gradients and optimizer")
        return UserError("\n  ".join(lines))

    def _activations(self, rows: int) -> int:
        return activation_bytes(self.config, rows, self.shape, self.dtype)
