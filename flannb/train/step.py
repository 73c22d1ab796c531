"""One optimizer step: loss, gradient and update as a compiled function of plain arrays."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import keras

from flannb.model import T5

State = tuple[list[jax.Array], list[jax.Array], list[jax.Array]]
"""Trainable, non-trainable and optimizer variables, in Keras's order."""


def make_step(
    model: T5, optimizer: keras.optimizers.Optimizer, z_loss: float, accumulation: int = 1
) -> Callable[[State, dict[str, jax.Array]], tuple[State, dict[str, jax.Array]]]:
    """A compiled function from (state, batch) to (state, metrics).

    The batch is one of ``flannb.mixture.batches``. The metrics are scalars: ``loss``, ``tokens`` (of the targets),
    ``inputs`` (real tokens of the encoder) and ``gradient_norm`` (before clipping).

    Args:
        accumulation: parts into which a batch is split, whose gradients are computed one after the other and summed:
            less memory, and the same update but for rounding and dropout, because every token counts as before.
    """

    def loss(trainable: list[Any], fixed: list[Any], batch: dict[str, Any]) -> tuple[Any, tuple[Any, Any]]:
        value, tokens, fixed = model.stateless_loss(trainable, fixed, batch, z_loss)
        return value, (tokens, fixed)

    differentiate = jax.value_and_grad(loss, has_aux=True)

    def accumulate(trainable: list[Any], fixed: list[Any], batch: dict[str, Any]) -> tuple[Any, Any]:
        """The same as ``differentiate`` of the whole batch, from means over its parts."""

        def part(carry: Any, rows: dict[str, Any]) -> tuple[Any, None]:
            fixed, sums = carry
            (value, (tokens, fixed)), gradients = differentiate(trainable, fixed, rows)
            terms = (value * tokens, tokens, [gradient * tokens for gradient in gradients])
            return (fixed, jax.tree.map(jnp.add, sums, terms)), None

        # Part i takes every row that is i modulo the number of parts: each device goes on working on its own rows.
        parts = {
            name: jnp.swapaxes(value.reshape(-1, accumulation, value.shape[-1]), 0, 1) for name, value in batch.items()
        }
        nothing = (jnp.float32(0), jnp.float32(0), [jnp.zeros_like(variable) for variable in trainable])
        (fixed, (value, tokens, gradients)), _ = jax.lax.scan(part, (fixed, nothing), parts)
        share = 1.0 / jnp.maximum(tokens, 1.0)
        return (value * share, (tokens, fixed)), [gradient * share for gradient in gradients]

    def step(state: State, batch: dict[str, jax.Array]) -> tuple[State, dict[str, jax.Array]]:
        trainable, fixed, slots = state
        compute = accumulate if accumulation > 1 else differentiate
        (value, (tokens, fixed)), gradients = compute(trainable, fixed, batch)
        trainable, slots = optimizer.stateless_apply(slots, gradients, trainable)
        metrics = {
            "loss": value,
            "tokens": tokens,
            "inputs": (batch["encoder_padding_mask"] > 0).sum(),
            "gradient_norm": jnp.sqrt(sum(jnp.vdot(gradient, gradient) for gradient in gradients)),
        }
        return (trainable, fixed, slots), metrics

    return jax.jit(step, donate_argnums=0)
