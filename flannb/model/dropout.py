"""Dropout from a counter: whether an element is kept is a hash of its place and a seed.

Nothing random is stored or carried from the forward to the backward pass. Both compute the same bits where they need
them, inside fused kernels too, and the same seed gives the same mask whichever way attention is computed.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp


def mix(x: Any) -> Any:
    """A bijection of uint32 in which every input bit flips each output bit half of the time.

    Xor-shifts and products; the constants are those that C. Wellons' search for low bias found ("lowbias32").
    """
    x = (x ^ (x >> 16)) * jnp.uint32(0x7FEB352D)
    x = (x ^ (x >> 15)) * jnp.uint32(0x846CA68B)
    return x ^ (x >> 16)


def fold(seed: Any, number: Any) -> Any:
    """A seed (uint32) of its own for each number."""
    return mix(seed + mix(jnp.uint32(number) + jnp.uint32(0x9E3779B9)))


def seed_of(seed: Any, place: int) -> Any:
    """The seed of one of several places that share a seed; None, which drops nothing, stays None."""
    return None if seed is None else fold(seed, place)


def row_seeds(seed: Any, shape: tuple[int, ...]) -> jax.Array:
    """Seeds of independent parts of an array, such as (batch, heads) of attention's weights."""
    index = jnp.zeros(shape, "uint32")
    for axis, size in enumerate(shape):
        index = index * jnp.uint32(size) + jax.lax.broadcasted_iota("uint32", shape, axis)
    return fold(seed, index)


def kept(seeds: Any, rows: Any, columns: Any, width: int, rate: float) -> Any:
    """Which elements of a matrix are kept, bool, of the shape to which all indices broadcast.

    Args:
        seeds: uint32, of each matrix; broadcasts with the indices.
        rows, columns: uint32 indices, which broadcast to the elements.
        width: number of columns of the whole matrix.
        rate: probability that an element is dropped.
    """
    return mix(seeds ^ (rows * jnp.uint32(width) + columns)) >= jnp.uint32(min(round(rate * 2**32), 2**32 - 1))


def dropout(x: jax.Array, rate: float, seed: jax.Array | None) -> jax.Array:
    """``x`` (two axes or more), its elements zero with probability ``rate`` and else larger by 1 / (1 - rate).

    Without a seed (uint32), or with a rate of 0, nothing is dropped.
    """
    return x if seed is None or rate == 0 else _drop(x, seed, rate)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _drop(x: jax.Array, seed: jax.Array, rate: float) -> jax.Array:
    *outer, length, width = x.shape
    seeds = row_seeds(seed, tuple(outer))[..., None, None]
    rows = jax.lax.broadcasted_iota("uint32", (length, width), 0)
    columns = jax.lax.broadcasted_iota("uint32", (length, width), 1)
    return jnp.where(kept(seeds, rows, columns, width, rate), x * (1 / (1 - rate)), jnp.zeros((), x.dtype))


def _forward(x: jax.Array, seed: jax.Array, rate: float) -> tuple[jax.Array, jax.Array]:
    return _drop(x, seed, rate), seed


def _backward(rate: float, seed: jax.Array, gradient: jax.Array) -> tuple[jax.Array, None]:
    return _drop(gradient, seed, rate), None


_drop.defvjp(_forward, _backward)
