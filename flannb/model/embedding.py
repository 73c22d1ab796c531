"""Looking up token embeddings, with a gradient that is added up in float32.

The gradient adds up one row for each token of the batch, and the same few tokens make up most of a text: in 16 bits
much of it would be lost. Adding each row where it belongs is as fast as sorting the rows first, and faster than
products with one-hot vectors (measured on an H200 in steps of T5 Base: the same, and 6%).
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def embed(table: jax.Array, ids: jax.Array, dtype: str) -> jax.Array:
    """Rows of a table.

    Args:
        table: float32 (vocabulary, size).
        ids: int32, of any shape.
        dtype: of the result.

    Returns:
        (*ids.shape, size) in ``dtype``.
    """
    return jnp.take(table, ids, axis=0).astype(dtype)


def _forward(table: jax.Array, ids: jax.Array, dtype: str) -> tuple[jax.Array, tuple[Any, jax.Array]]:
    return embed(table, ids, dtype), (table, ids)


def _backward(dtype: str, saved: tuple[jax.Array, jax.Array], rows: jax.Array) -> tuple[Any, None]:
    table, ids = saved
    rows = rows.reshape(-1, rows.shape[-1]).astype(jnp.float32)
    return jnp.zeros(table.shape, jnp.float32).at[ids.reshape(-1)].add(rows).astype(table.dtype), None


embed.defvjp(_forward, _backward)
