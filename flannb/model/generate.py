"""Batched greedy generation: the encoder runs once, keys and values are cached, finished batches stop early."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np

from flannb.model.inference import Placement, check_tokens, pad, padded_length, read_behind
from flannb.model.layers import MASKED
from flannb.model.t5 import T5, mask_bias
from flannb.vocabulary import EOS_ID, PAD_ID


@partial(jax.jit, static_argnames=("model", "length"))
def _greedy(model: T5, weights: list[jax.Array], ids: jax.Array, length: int) -> jax.Array:
    """Token ids (batch, length) generated for prompts ``ids`` (batch, source); ``PAD_ID`` after the end mark."""
    mapping = list(zip(model.trainable_variables, weights, strict=True))
    with keras.StatelessScope(state_mapping=mapping):
        batch, config = ids.shape[0], model.config
        segments = (ids != PAD_ID).astype("int32")
        memory = model.encode(ids, segments)
        memory_bias = mask_bias(jnp.ones((batch, 1), "int32"), segments)
        layers = model.decoder_transformer_layers
        memories = [layer.cross_attention.keys_values(memory) for layer in layers]
        shape = (batch, config.num_heads, length, config.key_value_dim)
        empty = jnp.zeros(shape, memories[0][0].dtype)
        # Row i is the bias of the token at position i, which sees the positions up to its own.
        bias = layers[0].self_attention.position_bias(length, length)
        bias = bias + jnp.where(jnp.tri(length, dtype=bool), 0.0, MASKED)

        def step(state: tuple[Any, ...]) -> tuple[Any, ...]:
            position, token, finished, caches, output = state
            row = jax.lax.dynamic_slice_in_dim(bias, position, 1, axis=2)
            x = model.token_embedding(token[:, None])
            updated = []
            for layer, (keys, values), (memory_keys, memory_values) in zip(layers, caches, memories, strict=True):
                x, keys, values = layer.step(x, keys, values, position, row, memory_keys, memory_values, memory_bias)
                updated.append((keys, values))
            logits = model.token_embedding.logits(model.decoder_layer_norm(x))[:, 0]
            token = jnp.where(finished, PAD_ID, jnp.argmax(logits, axis=-1).astype("int32"))
            finished = finished | (token == EOS_ID)
            return position + 1, token, finished, updated, output.at[:, position].set(token)

        def unfinished(state: tuple[Any, ...]) -> jax.Array:
            return (state[0] < length) & ~jnp.all(state[2])

        start = (
            jnp.int32(0),
            jnp.full((batch,), PAD_ID, "int32"),  # T5's decoder starts with the padding id
            jnp.all(ids == PAD_ID, axis=1),  # rows that only fill the batch
            [(empty, empty)] * len(layers),
            jnp.full((batch, length), PAD_ID, "int32"),
        )
        return jax.lax.while_loop(unfinished, step, start)[-1]


def generate(
    model: T5,
    prompts: Sequence[Sequence[int]],
    max_length: int,
    batch_size: int = 64,
    bucket: int = 32,
    progress: Callable[[int], object] = lambda done: None,
) -> list[list[int]]:
    """Greedy continuations of tokenised prompts, in the order of the prompts.

    Prompts are sorted by length and padded to one of few lengths (``padded_length``), so that short ones do not pay for
    long ones and few shapes are compiled. A batch is split over all devices of this process.

    Args:
        model: a T5.
        prompts: token ids of each prompt, without padding, at least one each.
        max_length: most tokens generated for a prompt, the end mark included.
        batch_size: prompts a batch, over all devices; rounded up to a multiple of their number.
        bucket: padded lengths are multiples of this.
        progress: called with the number of prompts done, after each batch.

    Returns:
        For each prompt its generated token ids, without the end mark and padding.

    Raises:
        UserError: an empty prompt, or a token id outside the vocabulary.
    """
    check_tokens(model, prompts)
    placement = Placement(model)
    rows = placement.rows(batch_size)
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))

    def outputs() -> Iterator[tuple[list[int], jax.Array]]:
        for start in range(0, len(order), rows):
            chosen = order[start : start + rows]
            width = padded_length(len(prompts[chosen[-1]]), bucket)
            ids = placement.put(pad([prompts[i] for i in chosen], rows, width))
            yield chosen, _greedy(model, placement.weights, ids, max_length)

    results: list[list[int]] = [[] for _ in prompts]
    done = 0
    for chosen, output in read_behind(outputs()):
        for i, tokens in zip(chosen, np.asarray(output)[: len(chosen)].tolist(), strict=True):
            results[i] = [t for t in tokens if t not in (PAD_ID, EOS_ID)]
        done += len(chosen)
        progress(done)
    return results
