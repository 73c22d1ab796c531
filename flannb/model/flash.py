"""Fused attention over packed rows with T5's relative bias, by Pallas kernels for GPUs (through Triton).

The algorithm is FlashAttention-2's (Dao 2023, arXiv 2307.08691): scores exist block by block only, and the backward
pass computes them again. What T5 adds:

- The relative bias (1, heads, query, key) is read by blocks. Its gradient is a kernel of its own, in which each block
  of the bias belongs to one program that goes over the batch: no atomics, and the same result every time.
- Who may attend to whom is a comparison of segment ids inside the kernels. Blocks of queries and keys that have no
  segment in common are skipped, so that a packed row costs what its segments cost.
- Dropout of the weights takes the bits of ``flannb.model.dropout``.

On a CPU the kernels run in Pallas's interpreter: exact, and slow.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton

from flannb.model import flash_kernels as kernels
from flannb.model.flash_kernels import Operands, Options

SAVED = "attention"
"""Name of the results that rematerialisation may keep (``jax.checkpoint_policies``)."""

SMALLEST = 16
"""Least side of the matrix products of a GPU's tensor cores."""


def flash_attention(
    query: jax.Array,
    keys: jax.Array,
    values: jax.Array,
    bias: jax.Array | None,
    query_segments: jax.Array,
    key_segments: jax.Array,
    seeds: jax.Array | None = None,
    causal: bool = False,
    rate: float = 0.0,
    block: tuple[int, int] = (64, 64),
    warps: int = 4,
    interpret: bool | None = None,
) -> jax.Array:
    """Unscaled attention within segments: softmax(query keys^T + bias) values.

    Args:
        query: (batch, heads, query, head_dim).
        keys, values: (batch, heads, key, head_dim).
        bias: float32 (1, heads, query, key), or None.
        query_segments, key_segments: int32 (batch, query) and (batch, key); keys of segment 0 are padding.
        seeds: of dropout, uint32 (batch, heads); None drops nothing.
        causal: whether queries see only the keys up to their own position.
        rate: of dropout of the weights.
        block: most queries and keys of a block, powers of two.
        warps: of each program.
        interpret: None interprets where there is no GPU.

    Returns:
        (batch, heads, query, head_dim) in the type of ``values``; 0 for queries that may attend to nothing.
    """
    queries, width, head_dim = query.shape[2], keys.shape[2], query.shape[3]
    options = Options(
        causal=causal,
        rate=0.0 if seeds is None else rate,
        width=width,
        rows=min(block[0], max(SMALLEST, pl.next_power_of_2(queries))),
        columns=min(block[1], max(SMALLEST, pl.next_power_of_2(width))),
        warps=warps,
        interpret=jax.default_backend() != "gpu" if interpret is None else interpret,
    )
    more_queries, more_keys = -queries % options.rows, -width % options.columns
    more_dims = max(SMALLEST, pl.next_power_of_2(head_dim)) - head_dim

    def padded(x: jax.Array, *more: int) -> jax.Array:
        return jnp.pad(x, [(0, extra) for extra in more]) if any(more) else x

    present = padded(key_segments, 0, more_keys)
    operands = Operands(
        query=padded(query.swapaxes(1, 2), 0, more_queries, 0, more_dims),
        keys=padded(keys.swapaxes(1, 2), 0, more_keys, 0, more_dims),
        values=padded(values.swapaxes(1, 2), 0, more_keys, 0, more_dims),
        bias=None if bias is None else padded(bias[0], 0, more_queries, more_keys),
        query_segments=padded(query_segments, 0, more_queries),
        key_segments=jnp.where(present > 0, present, -1),
        seeds=jnp.zeros(query.shape[:2], jnp.uint32) if seeds is None else seeds,
    )
    return _flash(options, operands)[:, :queries, :, :head_dim].swapaxes(1, 2)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _flash(options: Options, operands: Operands) -> jax.Array:
    return _forward(options, operands)[0]


def _forward(options: Options, operands: Operands) -> tuple[jax.Array, tuple[Operands, jax.Array]]:
    query = operands.query
    batch, length, heads, _ = query.shape
    if operands.bias is not None:
        operands = operands._replace(bias=(operands.bias * kernels.LOG2_E).astype(query.dtype))
    context, total = pl.pallas_call(
        partial(kernels.forward, options),
        grid=(batch, heads, length // options.rows),
        in_specs=(_by_queries(options, operands), _SCALAR, _SCALAR),
        out_specs=(_rows(options, query), _row_numbers(options)),
        out_shape=(
            jax.ShapeDtypeStruct(query.shape, operands.values.dtype),
            jax.ShapeDtypeStruct((batch, heads, length), jnp.float32),
        ),
        name="flash_attention",
        **_compiled(options),
    )(operands, *_spans(_meetings(options, operands), axis=2))
    context, total = (checkpoint_name(x, SAVED) for x in (context, total))
    return context, (operands._replace(total=total), context)


def _backward(options: Options, saved: tuple[Operands, jax.Array], gradient: jax.Array) -> tuple[Operands]:
    operands, context = saved
    common = jnp.einsum("bqhd,bqhd->bhq", gradient, context, preferred_element_type=jnp.float32)
    operands = operands._replace(gradient=gradient, common=common)
    query, keys, values, bias = operands[:4]
    batch, length, heads, _ = query.shape
    meetings = _meetings(options, operands)

    of_query = pl.pallas_call(
        partial(kernels.query_gradient, options),
        grid=(batch, heads, length // options.rows),
        in_specs=(_by_queries(options, operands), _SCALAR, _SCALAR),
        out_specs=_rows(options, query),
        out_shape=jax.ShapeDtypeStruct(query.shape, query.dtype),
        name="flash_attention_query_gradient",
        **_compiled(options),
    )(operands, *_spans(meetings, axis=2))

    of_keys, of_values = pl.pallas_call(
        partial(kernels.key_gradient, options),
        grid=(batch, heads, keys.shape[1] // options.columns),
        in_specs=(_by_keys(options, operands), _SCALAR, _SCALAR),
        out_specs=(_columns(options, keys), _columns(options, keys)),
        out_shape=(
            jax.ShapeDtypeStruct(keys.shape, keys.dtype),
            jax.ShapeDtypeStruct(values.shape, values.dtype),
        ),
        name="flash_attention_key_gradient",
        **_compiled(options),
    )(operands, *_spans(meetings, axis=1))

    of_bias = None
    if bias is not None:
        # For each pair of blocks the rows of the batch in which they meet come first.
        order = jnp.argsort(~meetings, axis=0, stable=True).astype(jnp.int32)
        specs = _by_pairs(options, operands)
        of_bias = pl.pallas_call(
            partial(kernels.bias_gradient, options),
            grid=(length // options.rows, keys.shape[1] // options.columns, heads),
            in_specs=(
                specs,
                pl.BlockSpec((batch, None, None), lambda i, j, h: (0, i, j)),
                pl.BlockSpec((None, None), lambda i, j, h: (i, j)),
            ),
            out_specs=specs.bias,
            out_shape=jax.ShapeDtypeStruct(bias.shape, jnp.float32),
            name="flash_attention_bias_gradient",
            **_compiled(options),
        )(operands, order, meetings.sum(axis=0, dtype=jnp.int32))
    return (Operands(of_query, of_keys, of_values, of_bias, None, None, None),)


_flash.defvjp(_forward, _backward)


def _compiled(options: Options) -> dict[str, Any]:
    parameters = triton.CompilerParams(num_warps=options.warps, num_stages=3)
    return {"interpret": options.interpret, "compiler_params": parameters}


def _meetings(options: Options, operands: Operands) -> jax.Array:
    """Whether any query of a block may attend to any key of another: bool (batch, query blocks, key blocks)."""
    batch, length = operands.query_segments.shape
    width = operands.key_segments.shape[1]
    places = jnp.arange(length), jnp.arange(width)
    allowed = kernels.allowed(options, operands.query_segments, operands.key_segments, *places)
    blocks = (batch, length // options.rows, options.rows, width // options.columns, options.columns)
    return allowed.reshape(blocks).any(axis=(2, 4))


def _spans(meetings: jax.Array, axis: int) -> tuple[jax.Array, jax.Array]:
    """The first block that is met and the one after the last, int32, along an axis of ``_meetings``."""
    places = jax.lax.broadcasted_iota(jnp.int32, meetings.shape, axis)
    begin = jnp.where(meetings, places, meetings.shape[axis]).min(axis)
    return begin, jnp.where(meetings, places + 1, 0).max(axis)


# Which part of an array a program gets. The grids are (batch, heads, blocks): programs that run at the same time have
# different rows of the batch, and share the blocks of the bias that they read.

_SCALAR = pl.BlockSpec((None, None), lambda b, h, i: (b, i))


def _rows(options: Options, array: jax.Array) -> pl.BlockSpec:
    return pl.BlockSpec((None, options.rows, None, array.shape[3]), lambda b, h, i: (b, i, h, 0))


def _columns(options: Options, array: jax.Array) -> pl.BlockSpec:
    return pl.BlockSpec((None, options.columns, None, array.shape[3]), lambda b, h, j: (b, j, h, 0))


def _row_numbers(options: Options) -> pl.BlockSpec:
    return pl.BlockSpec((None, None, options.rows), lambda b, h, i: (b, h, i))


def _all(array: jax.Array) -> pl.BlockSpec:
    """A row of the batch; of arrays with heads that of one head."""
    if array.ndim == 2:
        return pl.BlockSpec((None, array.shape[1]), lambda b, h, i: (b, 0))
    if array.ndim == 3:
        return pl.BlockSpec((None, None, array.shape[2]), lambda b, h, i: (b, h, 0))
    return pl.BlockSpec((None, array.shape[1], None, array.shape[3]), lambda b, h, i: (b, 0, h, 0))


def _present(operands: Operands, specs: Operands) -> Operands:
    """Without specifications of what is not there."""
    return Operands(*(None if array is None else spec for array, spec in zip(operands, specs, strict=True)))


def _by_queries(options: Options, operands: Operands) -> Operands:
    """Specifications for a program that has a block of queries and goes over the keys."""
    numbers = _row_numbers(options)
    specs = Operands(
        query=_rows(options, operands.query),
        keys=_all(operands.keys),
        values=_all(operands.values),
        bias=pl.BlockSpec((None, options.rows, operands.keys.shape[1]), lambda b, h, i: (h, i, 0)),
        query_segments=pl.BlockSpec((None, options.rows), lambda b, h, i: (b, i)),
        key_segments=_all(operands.key_segments),
        seeds=pl.BlockSpec((None, None), lambda b, h, i: (b, h)),
        gradient=_rows(options, operands.query),
        total=numbers,
        common=numbers,
    )
    return _present(operands, specs)


def _by_keys(options: Options, operands: Operands) -> Operands:
    """Specifications for a program that has a block of keys and goes over the queries."""
    specs = Operands(
        query=_all(operands.query),
        keys=_columns(options, operands.keys),
        values=_columns(options, operands.values),
        bias=pl.BlockSpec((None, operands.query.shape[1], options.columns), lambda b, h, j: (h, 0, j)),
        query_segments=_all(operands.query_segments),
        key_segments=pl.BlockSpec((None, options.columns), lambda b, h, j: (b, j)),
        seeds=pl.BlockSpec((None, None), lambda b, h, j: (b, h)),
        gradient=_all(operands.gradient),
        total=_all(operands.total),
        common=_all(operands.common),
    )
    return _present(operands, specs)


def _by_pairs(options: Options, operands: Operands) -> Operands:
    """Specifications for a program that has a block of the bias and goes over the batch."""
    batch, _, _, size = operands.query.shape
    rows = pl.BlockSpec((batch, options.rows, None, size), lambda i, j, h: (0, i, h, 0))
    columns = pl.BlockSpec((batch, options.columns, None, size), lambda i, j, h: (0, j, h, 0))
    numbers = pl.BlockSpec((batch, None, options.rows), lambda i, j, h: (0, h, i))
    return Operands(
        query=rows,
        keys=columns,
        values=columns,
        bias=pl.BlockSpec((None, options.rows, options.columns), lambda i, j, h: (h, i, j)),
        query_segments=pl.BlockSpec((batch, options.rows), lambda i, j, h: (0, i)),
        key_segments=pl.BlockSpec((batch, options.columns), lambda i, j, h: (0, j)),
        seeds=pl.BlockSpec((batch, None), lambda i, j, h: (0, h)),
        gradient=rows,
        total=numbers,
        common=numbers,
    )
