"""One optimizer step: loss, gradient and update as a compiled function of plain arrays."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import keras

from flannb.model import T5
from flannb.vocabulary import PAD_ID

State = tuple[list[jax.Array], list[jax.Array], list[jax.Array]]
"""Trainable, non-trainable and optimizer variables, in Keras's order."""


def token_loss(logits: jax.Array, targets: jax.Array, z_loss: float) -> tuple[jax.Array, jax.Array]:
    """Mean cross-entropy over the real tokens, and their number.

    Args:
        logits: float32 (batch, length, vocabulary).
        targets: int32 (batch, length); ``PAD_ID`` is skipped.
        z_loss: weight of the squared log-partition, which keeps logits from drifting (T5X uses 1e-4).
    """
    partition = jax.nn.logsumexp(logits, axis=-1)
    chosen = jnp.take_along_axis(logits, targets[..., None], axis=-1)[..., 0]
    real = (targets != PAD_ID).astype("float32")
    tokens = real.sum()
    losses = (partition - chosen + z_loss * partition**2) * real
    return losses.sum() / jnp.maximum(tokens, 1.0), tokens


def make_step(
    model: T5, optimizer: keras.optimizers.Optimizer, z_loss: float
) -> Callable[[State, dict[str, jax.Array]], tuple[State, dict[str, jax.Array]]]:
    """A compiled function from (state, batch) to (state, metrics).

    The batch is one of ``flannb.mixture.batches``; the metrics are scalars: ``loss`` and ``tokens`` (target tokens).
    """

    def loss(trainable: list[Any], fixed: list[Any], batch: dict[str, Any]) -> tuple[Any, tuple[Any, Any]]:
        inputs = {name: value for name, value in batch.items() if name != "targets"}
        logits, fixed = model.stateless_call(trainable, fixed, inputs, training=True)
        value, tokens = token_loss(logits, batch["targets"], z_loss)
        return value, (tokens, fixed)

    def step(state: State, batch: dict[str, jax.Array]) -> tuple[State, dict[str, jax.Array]]:
        trainable, fixed, slots = state
        (value, (tokens, fixed)), gradients = jax.value_and_grad(loss, has_aux=True)(trainable, fixed, batch)
        trainable, slots = optimizer.stateless_apply(slots, gradients, trainable)
        return (trainable, fixed, slots), {"loss": value, "tokens": tokens}

    return jax.jit(step, donate_argnums=0)
