"""The likelihood of given continuations, with each prompt encoded once for all of them.

The continuations of a prompt are packed into a row of the decoder, masked from each other, and read the same encoder
output; since T5's positions are differences, each gets the likelihood that it would have alone.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from flannb.errors import UserError
from flannb.model.decode import bound
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
from flannb.model.t5 import T5
from flannb.vocabulary import PAD_ID


class Likelihood(NamedTuple):
    """How likely a model finds a continuation.

    Attributes:
        log: natural logarithm of its probability after the prompt: the sum over its tokens, without an end mark unless
            the tokens have one.
        greedy: whether each of its tokens is the most likely one, so that greedy decoding starts with it.
    """

    log: float
    greedy: bool


CHUNK = 16
"""Positions of each row whose logits are computed, and held, at a time."""

TOGETHER = 512
"""Most tokens of continuations that share a row. A prompt with more is read several times: three questions of MMLU have
them, and a program of four times the length for these took 78 of MMLU's 87 seconds (T5 Base, zero-shot, H200)."""


def _token_scores(
    model: T5,
    weights: list[jax.Array],
    ids: jax.Array,
    targets: jax.Array,
    inputs: jax.Array,
    segments: jax.Array,
    longest: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """For each target token, all (batch, target): its log-probability, and whether it is the most likely one.

    No row has more than ``longest`` target tokens; positions after that may have no values.
    """
    with bound(model, weights):
        source = (ids != PAD_ID).astype("int32")
        memory = model.encode(ids, source)
        readers = (segments > 0).astype("int32")
        hidden = model.decode(inputs, segments, memory, source, readers=readers)

    def chunk(number: jax.Array, found: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        start = number * CHUNK
        wanted = jax.lax.dynamic_slice_in_dim(targets, start, CHUNK, axis=1)[..., None]
        with bound(model, weights):
            logits = model.token_embedding.logits(jax.lax.dynamic_slice_in_dim(hidden, start, CHUNK, axis=1))
        chosen = jnp.take_along_axis(logits, wanted, axis=-1)
        # The first of the likeliest, as greedy decoding takes it; several times as fast as argmax on a CPU.
        ahead = (logits > chosen) | ((logits == chosen) & (jnp.arange(logits.shape[-1]) < wanted))
        results = chosen[..., 0] - jax.nn.logsumexp(logits, axis=-1), ~jnp.any(ahead, axis=-1)
        place = partial(jax.lax.dynamic_update_slice_in_dim, start_index=start, axis=1)
        return place(found[0], results[0]), place(found[1], results[1])

    start = jnp.zeros(targets.shape, "float32"), jnp.zeros(targets.shape, bool)
    return jax.lax.fori_loop(0, (longest + CHUNK - 1) // CHUNK, chunk, start)


_TOKEN_SCORES = Programs(_token_scores)


def _target_length(tokens: int, bucket: int) -> int:
    """The padded length of all continuations of a prompt together: one of few, since it multiplies the programs."""
    length = max(bucket, 2 * CHUNK)
    while length < tokens:
        length *= 4
    return length


def _program(model: T5, placement: Placement, rows: int, width: int, length: int) -> Callable[..., Any]:
    """Begins to compile the scoring of batches of (rows, width) and (rows, length) tokens; returns it."""
    like = [placement.like((rows, width)), *[placement.like((rows, length))] * 3]
    return _TOKEN_SCORES.prepare(model, placement.weights, *like, np.int32(0))


def prepare_scoring(model: T5, longest: int, continuations: int, batch_size: int = 64) -> None:
    """Begins to compile what ``score`` takes for prompts of up to ``longest`` tokens, as ``prepare_generation`` does.

    Args:
        continuations: tokens that a prompt's continuations have together; those that have a few more share programs.
        batch_size: as ``score`` will get it.
    """
    placement, bucket = Placement(model), default_bucket()
    for width in padded_lengths(longest, bucket):
        _program(model, placement, placement.rows(batch_size), width, _target_length(continuations, bucket))


def score(
    model: T5,
    prompts: Sequence[Sequence[int]],
    continuations: Sequence[Sequence[Sequence[int]]],
    batch_size: int = 64,
    bucket: int = 0,
    progress: Callable[[int], object] = lambda done: None,
) -> list[list[Likelihood]]:
    """The likelihoods of continuations, in the order of the prompts; batches are made as in ``generate``.

    Args:
        model: a T5.
        prompts: token ids of each prompt, without padding, at least one each.
        continuations: for each prompt the token ids of its continuations, at least one token each. An end mark counts
            where it is among them.
        batch_size: prompts a batch, over all devices; rounded up to a multiple of their number.
        bucket: padded lengths of prompts are multiples of this; 32 by default on a CPU, 128 elsewhere.
        progress: called with the number of prompts done, after each batch.

    Returns:
        For each prompt the likelihood of each of its continuations.

    Raises:
        UserError: an empty prompt or continuation, a token id outside the vocabulary, or lists of different lengths.
    """
    if len(prompts) != len(continuations):
        raise UserError(f"{len(prompts)} prompts, but continuations of {len(continuations)}; give each prompt its own")
    check_tokens(model, prompts)
    for index, options in enumerate(continuations):
        check_tokens(model, options, f"prompt {index}: continuation")
    placement = Placement(model)
    rows, bucket = placement.rows(batch_size), bucket or default_bucket()
    reads = [(i, part) for i, options in enumerate(continuations) for part in _parts(options)]
    sizes = [sum(map(len, part)) for _, part in reads]
    widths = [padded_length(len(prompts[i]), bucket) for i, _ in reads]
    # By padded length, so that prompts whose continuations are of like length come together as well.
    order = sorted(range(len(reads)), key=lambda read: (widths[read], sizes[read]))

    batches = []
    for start in range(0, len(order), rows):
        chosen = order[start : start + rows]
        width = widths[chosen[-1]]
        length = _target_length(max(sizes[read] for read in chosen), bucket)
        batches.append((chosen, width, length, _program(model, placement, rows, width, length)))

    def outputs() -> Iterator[tuple[list[int], tuple[jax.Array, jax.Array]]]:
        for chosen, width, length, program in batches:
            packed = [_packed(reads[read][1]) for read in chosen]
            arrays = [pad([prompts[reads[read][0]] for read in chosen], rows, width)]
            arrays += [pad([row[part] for row in packed], rows, length) for part in range(3)]
            longest = np.int32(max(sizes[read] for read in chosen))
            yield chosen, program(placement.weights, *map(placement.put, arrays), longest)

    found: list[list[Likelihood]] = [[] for _ in reads]
    done: set[int] = set()
    for chosen, (logs, best) in read_behind(outputs()):
        for read, log, greedy in zip(chosen, np.asarray(logs), np.asarray(best), strict=False):
            ends = np.cumsum([len(option) for option in reads[read][1]], dtype=int)
            pieces = zip(np.split(log, ends)[:-1], np.split(greedy, ends)[:-1], strict=True)
            found[read] = [Likelihood(float(piece.sum(dtype=np.float64)), bool(g.all())) for piece, g in pieces]
        done.update(reads[read][0] for read in chosen)
        progress(len(done))
    results: list[list[Likelihood]] = [[] for _ in prompts]
    for (i, _), likelihoods in zip(reads, found, strict=True):
        results[i] += likelihoods
    return results


def _parts(options: Sequence[Sequence[int]]) -> list[list[Sequence[int]]]:
    """The continuations of a prompt, in order, as they share a row: up to ``TOGETHER`` tokens, but one at least."""
    parts: list[list[Sequence[int]]] = [[]]
    tokens = 0
    for option in options:
        tokens += len(option)
        if parts[-1] and tokens > TOGETHER:
            parts.append([])
            tokens = len(option)
        parts[-1].append(option)
    return parts


def _packed(options: Sequence[Sequence[int]]) -> tuple[list[int], list[int], list[int]]:
    """Target tokens, the decoder's inputs (each option starts with ``PAD_ID``, as T5's decoder does), segment ids."""
    targets = [token for option in options for token in option]
    inputs = [token for option in options for token in (PAD_ID, *option[:-1])]
    segments = [segment for segment, option in enumerate(options, 1) for _ in option]
    return targets, inputs, segments
