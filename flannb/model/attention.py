"""Attention in three ways that compute the same, and the choice between them.

- ``plain``: matrix products and a softmax, which XLA fuses with bias and mask. Everywhere, in every type.
- ``flash``: kernels for packed rows (``flannb.model.flash``). On GPUs, in 16 bits.
- ``cudnn``: NVIDIA's kernel, for rows that hold one segment each with padding at the end. It has the gradient of a
  bias that all rows share, but adds a mask to the bias, row by row, which would be as large as the scores; so padding
  goes in as lengths, and packed rows cannot. Its dropout has one seed for all steps: where weights are dropped,
  ``flash`` runs.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import keras
from jax.sharding import PartitionSpec

from flannb.errors import UserError
from flannb.model.dropout import dropout, row_seeds
from flannb.model.flash import flash_attention
from flannb.model.flash_kernels import MASKED
from flannb.names import check_name

ATTENTIONS = ("auto", "plain", "flash", "cudnn")


@dataclass(frozen=True)
class Mask:
    """Who may attend to whom: queries to keys of their own segment, and in causal attention to none after themselves.

    Attributes:
        query_segments, key_segments: int32 (batch, query) and (batch, key); keys of segment 0 are padding.
        causal: whether it is causal.
    """

    query_segments: Any
    key_segments: Any
    causal: bool = False

    def allowed(self) -> Any:
        """Bool (batch, 1, query, key)."""
        same = self.query_segments[:, None, :, None] == self.key_segments[:, None, None, :]
        same &= self.key_segments[:, None, None, :] > 0
        return same & jnp.tri(same.shape[2], same.shape[3], dtype=bool) if self.causal else same


def choose(wanted: str, dtype: str, head_dim: int, drops: bool) -> str:
    """The attention that runs: ``plain``, ``flash`` or ``cudnn``.

    Args:
        wanted: one of ``ATTENTIONS``. ``auto`` takes what is right for packed rows: ``flash`` on GPUs from NVIDIA's
            Ampere on, in 16 bits, and else ``plain``.
        dtype: of the computation.
        head_dim: size of a head.
        drops: whether weights of attention are dropped.

    Raises:
        UserError: it cannot run here, or there is none of that name.
    """
    check_name("attention", wanted, ATTENTIONS)
    device = jax.devices()[0]
    half = dtype in ("bfloat16", "float16")
    capable = device.platform == "gpu" and _compute_capability(device) >= 8
    if wanted == "auto":
        return "flash" if capable and half and head_dim <= 128 else "plain"
    if wanted == "cudnn" and not (capable and half and head_dim <= 128 and head_dim % 8 == 0):
        raise UserError(
            f"attention cudnn: needs an NVIDIA GPU from Ampere on, a 16-bit type and heads of 8, 16, ... 128; here are"
            f" {device.device_kind}, {dtype} and heads of {head_dim}. Choose auto"
        )
    return "flash" if wanted == "cudnn" and drops else wanted


def _compute_capability(device: Any) -> float:
    """NVIDIA's number of a GPU's generation, 0 for those of others."""
    try:
        return float(device.compute_capability)
    except (AttributeError, TypeError, ValueError):
        return 0.0


def attend(
    way: str,
    query: Any,
    keys: Any,
    values: Any,
    bias: Any = None,
    mask: Mask | None = None,
    rate: float = 0.0,
    seed: Any = None,
) -> Any:
    """Unscaled attention: softmax(query keys^T + bias) values.

    Args:
        way: as ``choose`` returns it.
        query: (batch, heads, query, head_dim).
        keys, values: (batch, heads, key, head_dim).
        bias: float32 (1, heads, query, key), or None; without a mask, any shape that broadcasts to the scores'.
        mask: who may attend to whom; None where the bias says it, which is ``plain`` attention's only.
        rate: of dropout of the weights.
        seed: uint32, of the dropout; None drops nothing.

    Returns:
        (batch, heads, query, head_dim). Of queries that may attend to nothing it is finite, and else unspecified.
    """
    if way == "plain" or mask is None:
        return _plain(query, keys, values, bias, mask, rate, seed)
    if way == "cudnn":
        return _cudnn(query, keys, values, bias, mask)
    return _flash(query, keys, values, bias, mask, rate, seed)


def _plain(query: Any, keys: Any, values: Any, bias: Any, mask: Mask | None, rate: float, seed: Any) -> Any:
    scores = jnp.matmul(query, keys.swapaxes(2, 3)).astype(jnp.float32)
    if mask is None:
        scores = scores + bias
    else:
        scores = scores if bias is None else _add_shared(scores, bias)
        scores = jnp.where(mask.allowed(), scores, MASKED)
    weights = dropout(jax.nn.softmax(scores, axis=-1).astype(values.dtype), rate, seed)
    return jnp.matmul(weights, values)


@jax.custom_vjp
def _add_shared(scores: Any, bias: Any) -> Any:
    """Scores with a bias that the whole batch shares.

    Its gradient sums over the batch by a product with ones, because XLA's CPU backend is slow at the sum.
    """
    return scores + bias


def _add_shared_forward(scores: Any, bias: Any) -> tuple[Any, None]:
    return _add_shared(scores, bias), None


def _add_shared_backward(_: None, gradient: Any) -> tuple[Any, Any]:
    batch = gradient.shape[0]
    shared = jnp.matmul(jnp.ones((1, batch)), gradient.reshape(batch, -1), precision="highest")
    return gradient, shared.reshape(1, *gradient.shape[1:])


_add_shared.defvjp(_add_shared_forward, _add_shared_backward)


def _cudnn(query: Any, keys: Any, values: Any, bias: Any, mask: Mask) -> Any:
    # Padding comes last: causality hides it from all queries that count, and else the number of keys does. A row of
    # padding alone keeps one key, since cuDNN's softmax of nothing is not a number.
    lengths = None
    if not mask.causal:
        lengths = jnp.maximum((mask.key_segments > 0).sum(axis=1, dtype=jnp.int32), 1)
    context = jax.nn.dot_product_attention(
        query.swapaxes(1, 2),
        keys.swapaxes(1, 2),
        values.swapaxes(1, 2),
        bias=None if bias is None else bias.astype(query.dtype),
        scale=1.0,
        is_causal=mask.causal,
        key_value_seq_lengths=lengths,
        implementation="cudnn",
    )
    return context.swapaxes(1, 2)


def _flash(query: Any, keys: Any, values: Any, bias: Any, mask: Mask, rate: float, seed: Any) -> Any:
    seeds = None if seed is None else row_seeds(seed, query.shape[:2])
    attention = partial(flash_attention, causal=mask.causal, rate=rate)
    operands = (query, keys, values, bias, mask.query_segments, mask.key_segments, seeds)
    distribution = keras.distribution.distribution()
    if distribution is None or distribution.device_mesh.devices.size == 1:
        return attention(*operands)
    # XLA does not split kernels over devices by itself. Each gets its part of the batch, and of the heads in a
    # model-parallel layout.
    batch = distribution.batch_dim_name
    others = [
        name
        for name, size in zip(distribution.device_mesh.axis_names, distribution.device_mesh.shape, strict=True)
        if name != batch and query.shape[1] % size == 0
    ]
    split = PartitionSpec(batch, others[0] if others else None)
    specs = (split, split, split, PartitionSpec(None, split[1]), PartitionSpec(batch), PartitionSpec(batch), split)
    mapped = jax.shard_map(
        attention, mesh=distribution.device_mesh.backend_mesh, in_specs=specs, out_specs=split, check_vma=False
    )
    return mapped(*operands)
