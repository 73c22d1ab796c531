"""The loss of a language model's head, without logits that outlive their use.

The gradients of head and states are computed together with the loss, while the logits are there, so that they are made
once and only a chunk of them exists at a time.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from flannb.vocabulary import PAD_ID

LARGEST = 2**28
"""Logits that a device holds at a time, at most: 1 GiB in float32."""


def token_loss(logits: jax.Array, targets: jax.Array, z_loss: float) -> tuple[jax.Array, jax.Array]:
    """Mean cross-entropy over the real tokens, and their number.

    Args:
        logits: float32 (batch, length, vocabulary).
        targets: int32 (batch, length); ``PAD_ID`` is skipped.
        z_loss: weight of the squared log-partition, which keeps logits from drifting (T5X uses 1e-4).
    """
    return _mean(_losses(logits, targets, z_loss)[1].sum(), targets)


def head_loss(
    hidden: jax.Array, kernel: jax.Array, targets: jax.Array, z_loss: float, largest: int = LARGEST
) -> tuple[jax.Array, jax.Array]:
    """``token_loss`` of the logits ``hidden @ kernel``, in little memory.

    The products are of the type of ``hidden`` and add up in float32, as does the gradient of ``kernel``.

    Args:
        hidden: (batch, length, size).
        kernel: float32 (size, vocabulary).
        targets, z_loss: as in ``token_loss``.
        largest: most logits at a time, on each device.
    """
    batch, length, _ = hidden.shape
    # Chunks are ranges of positions, so that each has tokens of every row, on every device.
    most = largest * jax.device_count() // (batch * kernel.shape[1])
    chunks = next(n for n in range(1, length + 1) if length % n == 0 and (length // n <= most or n == length))
    return _mean(_summed(chunks, z_loss, hidden, kernel, targets), targets)


def _mean(total: jax.Array, targets: jax.Array) -> tuple[jax.Array, jax.Array]:
    tokens = (targets != PAD_ID).sum(dtype=jnp.float32)
    return total / jnp.maximum(tokens, 1.0), tokens


def _losses(logits: jax.Array, targets: jax.Array, z_loss: float) -> tuple[jax.Array, jax.Array]:
    """Log-partitions, and the losses of real tokens, float32 (batch, length)."""
    partition = jax.nn.logsumexp(logits, axis=-1)
    chosen = jnp.take_along_axis(logits, targets[..., None], axis=-1)[..., 0]
    return partition, jnp.where(targets != PAD_ID, partition - chosen + z_loss * partition**2, 0.0)


def head_logits(hidden: jax.Array, kernel: jax.Array) -> jax.Array:
    """Float32 logits (..., vocabulary) of states (..., size), by a product of their type that adds up in float32.

    Args:
        kernel: (size, vocabulary), of any floating-point type.
    """
    return jnp.matmul(hidden, kernel.astype(hidden.dtype), preferred_element_type=jnp.float32)


def _split(chunks: int, x: jax.Array) -> jax.Array:
    """(batch, length, ...) as (chunks, batch, length / chunks, ...)."""
    return x.reshape(x.shape[0], chunks, -1, *x.shape[2:]).swapaxes(0, 1)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _summed(chunks: int, z_loss: float, hidden: jax.Array, kernel: jax.Array, targets: jax.Array) -> jax.Array:
    """Sum of the losses of all real tokens."""

    def add(total: jax.Array, chunk: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        return total + _losses(head_logits(chunk[0], kernel), chunk[1], z_loss)[1].sum(), None

    return jax.lax.scan(add, jnp.float32(0), (_split(chunks, hidden), _split(chunks, targets)))[0]


def _forward(
    chunks: int, z_loss: float, hidden: jax.Array, kernel: jax.Array, targets: jax.Array
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    narrow = kernel.astype(hidden.dtype)

    def add(sums: tuple[jax.Array, jax.Array], chunk: tuple[jax.Array, jax.Array]) -> tuple[Any, jax.Array]:
        states, wanted = chunk
        logits = head_logits(states, narrow)
        partition, losses = _losses(logits, wanted, z_loss)
        weights = jnp.exp(logits - partition[..., None]) * (1 + 2 * z_loss * partition[..., None])
        is_wanted = wanted[..., None] == jax.lax.broadcasted_iota(wanted.dtype, logits.shape, 2)
        gradient = jnp.where((wanted != PAD_ID)[..., None], weights - is_wanted, 0.0).astype(states.dtype)
        of_states = jnp.matmul(gradient, narrow.T)
        of_kernel = jnp.einsum("bld,blv->dv", states, gradient, preferred_element_type=jnp.float32)
        return (sums[0] + losses.sum(), sums[1] + of_kernel), of_states

    start = (jnp.float32(0), jnp.zeros(kernel.shape, jnp.float32))
    (total, of_kernel), parts = jax.lax.scan(add, start, (_split(chunks, hidden), _split(chunks, targets)))
    return total, (parts.swapaxes(0, 1).reshape(hidden.shape), of_kernel)


def _backward(
    chunks: int, z_loss: float, saved: tuple[jax.Array, jax.Array], gradient: jax.Array
) -> tuple[jax.Array, jax.Array, None]:
    of_hidden, of_kernel = saved
    return (of_hidden * gradient.astype(of_hidden.dtype)), of_kernel * gradient, None


_summed.defvjp(_forward, _backward)
