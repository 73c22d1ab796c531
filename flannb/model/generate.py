"""Batched generation, greedy or sampled: the encoder runs once, and a batch stops when all its rows have ended."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from flannb.errors import UserError
from flannb.model.decode import Decoder, bound
from flannb.model.inference import (
    Placement,
    Programs,
    check_tokens,
    default_bucket,
    pad,
    padded_length,
    padded_lengths,
    read_behind,
)
from flannb.model.sample import DTYPES, Sampling, draw, prompt_seeds
from flannb.model.t5 import T5
from flannb.vocabulary import EOS_ID, PAD_ID


def _generate(
    model: T5,
    weights: list[jax.Array],
    ids: jax.Array,
    limit: jax.Array,
    sampling: dict[str, jax.Array] | None,
    seeds: jax.Array,
    *,
    length: int,
    truncates: bool,
) -> jax.Array:
    """Token ids (batch, length) for prompts ``ids`` (batch, source), ``PAD_ID`` after the end mark and the limit."""
    present = ids != PAD_ID
    with bound(model, weights):
        memory = model.encode(ids, present.astype("int32"))
    decoder = Decoder(model, weights, memory, present, length)

    def step(state: tuple[Any, ...]) -> tuple[Any, ...]:
        position, token, finished, cache, output = state
        logits, cache = decoder.step(token, position, cache)
        best = jnp.argmax(logits, axis=-1)
        token = best if sampling is None else draw(logits, sampling, seeds, position, truncates)
        token = jnp.where(finished, PAD_ID, token.astype("int32"))
        output = jax.lax.dynamic_update_slice(output, token[:, None], (0, position))
        return position + 1, token, finished | (token == EOS_ID), cache, output

    def unfinished(state: tuple[Any, ...]) -> jax.Array:
        return (state[0] < limit) & ~jnp.all(state[2])

    batch = ids.shape[0]
    start = (
        jnp.int32(0),
        jnp.full((batch,), PAD_ID, "int32"),  # T5's decoder starts with the padding id
        ~jnp.any(present, axis=1),  # rows that only fill the batch
        decoder.start(),
        jnp.full((batch, length), PAD_ID, "int32"),
    )
    return jax.lax.while_loop(unfinished, step, start)[-1]


_GENERATE = Programs(_generate)

CACHE = 32
"""Caches are multiples of so many tokens, so that limits that differ by a few share a program."""

Drawn = dict[str, np.ndarray] | None
"""The fields of a ``Sampling`` as arrays; none where tokens are not drawn."""


def _program(
    model: T5,
    placement: Placement,
    rows: int,
    width: int,
    max_length: int,
    drawn: Drawn = None,
    truncates: bool = False,
) -> Callable[..., jax.Array]:
    """Begins to compile the generation for batches of (rows, width) tokens; returns it."""
    like = placement.like((rows, width)), np.int32(max_length), drawn, placement.like((rows,), "uint32")
    fixed = {"length": padded_length(max_length, CACHE), "truncates": truncates}
    return _GENERATE.prepare(model, placement.weights, *like, **fixed)


def prepare_generation(model: T5, longest: int, max_length: int, batch_size: int = 64) -> None:
    """Begins to compile all that greedy generation for prompts of up to ``longest`` tokens takes, and does not wait.

    Worth it before many calls of ``generate``, each of which compiles what it needs and waits for that.

    Args:
        max_length, batch_size: as ``generate`` will get them.
    """
    placement = Placement(model)
    for width in padded_lengths(longest, default_bucket()):
        _program(model, placement, placement.rows(batch_size), width, max_length)


def generate(
    model: T5,
    prompts: Sequence[Sequence[int]],
    max_length: int,
    batch_size: int = 64,
    bucket: int = 0,
    progress: Callable[[int], object] = lambda done: None,
    sampling: Sampling | None = None,
) -> list[list[int]]:
    """Continuations of tokenised prompts, in the order of the prompts.

    Prompts are sorted by length and padded to one of few lengths (``padded_length``), so that short ones do not pay for
    long ones and few shapes are compiled. A batch is split over all devices of this process.

    Args:
        model: a T5.
        prompts: token ids of each prompt, without padding, at least one each.
        max_length: most tokens generated for a prompt, the end mark included.
        batch_size: prompts a batch, over all devices; rounded up to a multiple of their number.
        bucket: padded lengths are multiples of this; 32 by default on a CPU, 128 elsewhere.
        progress: called with the number of prompts done, after each batch.
        sampling: how tokens are drawn; greedy without.

    Returns:
        For each prompt its generated token ids, without the end mark and padding.

    Raises:
        UserError: an empty prompt, a token id outside the vocabulary, or ``max_length`` below 1.
    """
    if max_length < 1:
        raise UserError(f"max_length {max_length}: must be at least 1")
    check_tokens(model, prompts)
    placement = Placement(model)
    rows, bucket = placement.rows(batch_size), bucket or default_bucket()
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    seeds = prompt_seeds(prompts) if sampling else np.zeros(len(prompts), np.uint32)
    drawn = {name: np.asarray(getattr(sampling, name), dtype) for name, dtype in DTYPES.items()} if sampling else None
    truncates = bool(sampling and sampling.truncates)

    batches = []
    for start in range(0, len(order), rows):
        chosen = order[start : start + rows]
        width = padded_length(len(prompts[chosen[-1]]), bucket)
        batches.append((chosen, width, _program(model, placement, rows, width, max_length, drawn, truncates)))

    def outputs() -> Iterator[tuple[list[int], jax.Array]]:
        for chosen, width, program in batches:
            ids = placement.put(pad([prompts[i] for i in chosen], rows, width))
            own = np.zeros(rows, np.uint32)
            own[: len(chosen)] = seeds[chosen]
            yield chosen, program(placement.weights, ids, np.int32(max_length), drawn, placement.put(own))

    results: list[list[int]] = [[] for _ in prompts]
    done = 0
    for chosen, output in read_behind(outputs()):
        for i, tokens in zip(chosen, np.asarray(output)[: len(chosen)].tolist(), strict=True):
            results[i] = [t for t in tokens if t not in (PAD_ID, EOS_ID)]
        done += len(chosen)
        progress(done)
    return results
