"""Looking up token embeddings, and three ways to the gradient, of which a benchmark can choose.

The gradient adds up one row for each token of the batch, and the same few tokens make up most of a text.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

GRADIENTS = ("scatter", "sorted", "product")
CHUNK = 4096
"""Tokens of one product."""


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def embed(table: jax.Array, ids: jax.Array, dtype: str, gradient: str = "scatter") -> jax.Array:
    """Rows of a table.

    Args:
        table: float32 (vocabulary, size).
        ids: int32, of any shape.
        dtype: of the result.
        gradient: how the table's gradient is added up, always in float32: ``scatter`` adds each row where it belongs;
            ``sorted`` sorts the rows by token first; ``product`` multiplies with one-hot vectors, in ``dtype``.

    Returns:
        (*ids.shape, size) in ``dtype``.
    """
    return jnp.take(table, ids, axis=0).astype(dtype)


def _forward(table: jax.Array, ids: jax.Array, dtype: str, gradient: str) -> tuple[jax.Array, tuple[Any, jax.Array]]:
    return embed(table, ids, dtype, gradient), (table, ids)


def _backward(dtype: str, gradient: str, saved: tuple[jax.Array, jax.Array], rows: jax.Array) -> tuple[Any, None]:
    table, ids = saved
    size, ids, rows = table.shape[0], ids.reshape(-1), rows.reshape(-1, rows.shape[-1])
    if gradient == "product":
        return _by_products(rows, ids, size, dtype).astype(table.dtype), None
    if gradient == "sorted":
        order = jnp.argsort(ids)
        rows, ids = rows[order], ids[order]
    total = jnp.zeros(table.shape, jnp.float32)
    total = total.at[ids].add(rows.astype(jnp.float32), indices_are_sorted=gradient == "sorted")
    return total.astype(table.dtype), None


def _by_products(rows: jax.Array, ids: jax.Array, size: int, dtype: str) -> jax.Array:
    more = -ids.size % min(CHUNK, ids.size)
    # What fills up the last chunk has no token: its one-hot vector is zero.
    ids = jnp.pad(ids, (0, more), constant_values=size).reshape(-1, min(CHUNK, ids.size))
    rows = jnp.pad(rows, ((0, more), (0, 0))).reshape(*ids.shape, -1)

    def add(total: jax.Array, chunk: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        places = jax.nn.one_hot(chunk[0], size, dtype=dtype, axis=0)
        return total + jnp.matmul(places, chunk[1].astype(dtype), preferred_element_type=jnp.float32), None

    return jax.lax.scan(add, jnp.zeros((size, rows.shape[-1]), jnp.float32), (ids, rows))[0]


embed.defvjp(_forward, _backward)
