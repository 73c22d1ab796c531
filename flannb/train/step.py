"""One optimizer step: loss, gradient and update as a compiled function of plain arrays."""

from collections.abc import Callable
from typing import Any

import jax
import keras

from flannb.model import T5

State = tuple[list[jax.Array], list[jax.Array], list[jax.Array]]
"""Trainable, non-trainable and optimizer variables, in Keras's order."""


def make_step(
    model: T5, optimizer: keras.optimizers.Optimizer, z_loss: float
) -> Callable[[State, dict[str, jax.Array]], tuple[State, dict[str, jax.Array]]]:
    """A compiled function from (state, batch) to (state, metrics).

    The batch is one of ``flannb.mixture.batches``; the metrics are scalars: ``loss`` and ``tokens`` (target tokens).
    """

    def loss(trainable: list[Any], fixed: list[Any], batch: dict[str, Any]) -> tuple[Any, tuple[Any, Any]]:
        value, tokens, fixed = model.stateless_loss(trainable, fixed, batch, z_loss)
        return value, (tokens, fixed)

    def step(state: State, batch: dict[str, jax.Array]) -> tuple[State, dict[str, jax.Array]]:
        trainable, fixed, slots = state
        (value, (tokens, fixed)), gradients = jax.value_and_grad(loss, has_aux=True)(trainable, fixed, batch)
        trainable, slots = optimizer.stateless_apply(slots, gradients, trainable)
        return (trainable, fixed, slots), {"loss": value, "tokens": tokens}

    return jax.jit(step, donate_argnums=0)
