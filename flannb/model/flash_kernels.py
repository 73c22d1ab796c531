"""The Pallas kernels of ``flannb.model.flash``: what one program computes of its block."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton

from flannb.model.dropout import kept

MASKED = -1e9
"""The score of keys that may not be attended to; finite, so that no difference of two is undefined."""

LOG2_E = 1.4426950408889634
"""Scores are kept in units of log 2: GPUs have an instruction for powers of two and none for those of e."""


class Options(NamedTuple):
    """What is fixed when the kernels are compiled.

    Attributes:
        causal: whether queries see only the keys up to their own position.
        rate: of dropout of the weights.
        width: keys before padding.
        rows, columns: queries and keys of a block.
        warps: of each program.
        interpret: whether the kernels are interpreted.
    """

    causal: bool
    rate: float
    width: int
    rows: int
    columns: int
    warps: int
    interpret: bool


class Operands(NamedTuple):
    """What the kernels read, or specifications or references of it.

    Attributes:
        query, keys, values: (batch, length, heads, head_dim).
        bias: (heads, query, key), times ``LOG2_E``, or None.
        query_segments: int32 (batch, query).
        key_segments: int32 (batch, key), below 0 for padding, which so belongs to no query.
        seeds: of dropout, uint32 (batch, heads).
        gradient: of the result, (batch, query, heads, head_dim); like the two others in the backward pass only.
        total: binary logarithm of the sum of the exponentials of a query's scores, float32 (batch, heads, query).
        common: what all weights of a query have in common in the softmax's gradient, float32 (batch, heads, query).
    """

    query: Any
    keys: Any
    values: Any
    bias: Any
    query_segments: Any
    key_segments: Any
    seeds: Any
    gradient: Any = None
    total: Any = None
    common: Any = None

    def queries_at(self, place: Any) -> "Operands":
        """Loads all that belongs to queries at a place (an index or slice of each reference's first axis)."""
        return self._load(place, "query", "query_segments", "gradient", "total", "common")

    def keys_at(self, place: Any) -> "Operands":
        """Loads all that belongs to keys."""
        return self._load(place, "keys", "values", "key_segments")

    def bias_at(self, rows: Any, columns: Any) -> "Operands":
        """Loads a block of the bias, if there is one."""
        return self if self.bias is None else self._replace(bias=self.bias[rows, columns])

    def seed_at(self, *place: Any) -> "Operands":
        """Loads a seed."""
        return self._replace(seeds=self.seeds[place])

    def _load(self, place: Any, *names: str) -> "Operands":
        found = {name: getattr(self, name) for name in names}
        return self._replace(**{name: None if ref is None else ref[place] for name, ref in found.items()})


def allowed(options: Options, query_segments: Any, key_segments: Any, rows: Any, columns: Any) -> Any:
    """Which queries (at positions ``rows``) may attend to which keys (``columns``)."""
    same = query_segments[..., :, None] == key_segments[..., None, :]
    return same & (rows[:, None] >= columns[None, :]) if options.causal else same


def forward(options: Options, refs: Operands, begin: Any, end: Any, context: Any, total: Any) -> None:
    """Attention of a block of queries, and their ``total``."""
    i = pl.program_id(2)
    mine = refs.seed_at().queries_at(slice(None))

    def visit(j: Any, state: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
        weighted, highest, sums = state
        place = pl.ds(j * options.columns, options.columns)
        block = mine.keys_at(place).bias_at(slice(None), place)
        scores = _scores(options, block, i, j)
        higher = jnp.maximum(highest, scores.max(axis=1))
        # A query that has met no key of its own yet takes all for its own; its first real score shrinks that to 0.
        weights = jnp.exp2(scores - higher[:, None])
        shrink = jnp.exp2(highest - higher)
        part = triton.dot(_dropped(options, weights, block.seeds, i, j).astype(block.values.dtype), block.values)
        return weighted * shrink[:, None] + part, higher, sums * shrink + weights.sum(axis=1)

    start = (
        jnp.zeros(mine.query.shape, jnp.float32),
        jnp.full((options.rows,), MASKED, jnp.float32),
        jnp.zeros((options.rows,), jnp.float32),
    )
    weighted, highest, sums = jax.lax.fori_loop(begin[...], end[...], visit, start)
    attends = (highest > MASKED / 2) & (sums > 0)
    inverse = jnp.where(attends, 1 / jnp.where(attends, sums, 1.0), 0.0)
    context[...] = (weighted * inverse[:, None]).astype(context.dtype)
    # The backward pass subtracts this: nothing is left of the weights of a query that attends to nothing.
    total[...] = jnp.where(attends, highest + jnp.log2(jnp.where(attends, sums, 1.0)), -MASKED)


def query_gradient(options: Options, refs: Operands, begin: Any, end: Any, result: Any) -> None:
    """Gradient of a block of queries."""
    i = pl.program_id(2)
    mine = refs.seed_at().queries_at(slice(None))

    def visit(j: Any, found: Any) -> Any:
        place = pl.ds(j * options.columns, options.columns)
        block = mine.keys_at(place).bias_at(slice(None), place)
        of_scores, _ = _score_gradient(options, block, i, j)
        return found + triton.dot(of_scores.astype(block.keys.dtype), block.keys)

    found = jax.lax.fori_loop(begin[...], end[...], visit, jnp.zeros(mine.query.shape, jnp.float32))
    result[...] = found.astype(result.dtype)


def key_gradient(options: Options, refs: Operands, begin: Any, end: Any, of_keys: Any, of_values: Any) -> None:
    """Gradients of a block of keys and their values."""
    j = pl.program_id(2)
    mine = refs.seed_at().keys_at(slice(None))

    def visit(i: Any, found: tuple[Any, Any]) -> tuple[Any, Any]:
        place = pl.ds(i * options.rows, options.rows)
        block = mine.queries_at(place).bias_at(place, slice(None))
        of_scores, weights = _score_gradient(options, block, i, j)
        more_keys = triton.dot(of_scores.astype(block.query.dtype).T, block.query)
        more_values = triton.dot(weights.astype(block.gradient.dtype).T, block.gradient)
        return found[0] + more_keys, found[1] + more_values

    start = (jnp.zeros(mine.keys.shape, jnp.float32), jnp.zeros(mine.values.shape, jnp.float32))
    found = jax.lax.fori_loop(begin[...], end[...], visit, start)
    of_keys[...] = found[0].astype(of_keys.dtype)
    of_values[...] = found[1].astype(of_values.dtype)


def bias_gradient(options: Options, refs: Operands, order: Any, count: Any, result: Any) -> None:
    """Gradient of a block of the bias, over those rows of the batch where its queries and keys meet."""
    i, j = pl.program_id(0), pl.program_id(1)
    mine = refs.bias_at(slice(None), slice(None))

    def visit(place: Any, found: Any) -> Any:
        b = order[place]
        return found + _score_gradient(options, mine.seed_at(b).queries_at(b).keys_at(b), i, j)[0]

    found = jax.lax.fori_loop(0, count[...], visit, jnp.zeros(mine.bias.shape, jnp.float32))
    result[...] = found.astype(result.dtype)


def _places(block: Any, size: int) -> jax.Array:
    return block * size + jax.lax.iota(jnp.int32, size)


def _scores(options: Options, block: Operands, i: Any, j: Any) -> Any:
    """Scores of a block of queries and a block of keys, in units of log 2."""
    scores = triton.dot(block.query, block.keys.T) * LOG2_E
    if block.bias is not None:
        scores += block.bias
    places = _places(i, options.rows), _places(j, options.columns)
    return jnp.where(allowed(options, block.query_segments, block.key_segments, *places), scores, MASKED)


def _dropped(options: Options, weights: Any, seed: Any, i: Any, j: Any) -> Any:
    if not options.rate:
        return weights
    rows = _places(i, options.rows).astype(jnp.uint32)[:, None]
    columns = _places(j, options.columns).astype(jnp.uint32)[None, :]
    return jnp.where(kept(seed, rows, columns, options.width, options.rate), weights * (1 / (1 - options.rate)), 0.0)


def _score_gradient(options: Options, block: Operands, i: Any, j: Any) -> tuple[Any, Any]:
    """The gradient of a block's scores, and its weights after dropout."""
    weights = jnp.exp2(_scores(options, block, i, j) - block.total[:, None])
    of_weights = _dropped(options, triton.dot(block.gradient, block.values.T), block.seeds, i, j)
    return weights * (of_weights - block.common[:, None]), _dropped(options, weights, block.seeds, i, j)
