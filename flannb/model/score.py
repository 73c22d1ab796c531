"""The likelihood of given continuations, with each prompt encoded once for all of them.

The continuations of a prompt are packed into one row of the decoder, masked from each other, and read the same encoder
output; since T5's positions are differences, each gets the likelihood that it would have alone.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import keras
import numpy as np

from flannb.errors import UserError
from flannb.model.inference import Placement, check_tokens, pad, padded_length, read_behind
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


@partial(jax.jit, static_argnames=("model",))
def _token_scores(
    model: T5, weights: list[jax.Array], ids: jax.Array, targets: jax.Array, inputs: jax.Array, segments: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """For each target token, all (batch, target): its log-probability, and whether it is the most likely one."""
    mapping = list(zip(model.trainable_variables, weights, strict=True))
    with keras.StatelessScope(state_mapping=mapping):
        source = (ids != PAD_ID).astype("int32")
        memory = model.encode(ids, source)
        readers = (segments > 0).astype("int32")
        logits = model.token_embedding.logits(model.decode(inputs, segments, memory, source, readers=readers))
    chosen = jnp.take_along_axis(logits, targets[..., None], axis=-1)[..., 0]
    return chosen - jax.nn.logsumexp(logits, axis=-1), jnp.argmax(logits, axis=-1) == targets


def score(
    model: T5,
    prompts: Sequence[Sequence[int]],
    continuations: Sequence[Sequence[Sequence[int]]],
    batch_size: int = 64,
    bucket: int = 32,
    progress: Callable[[int], object] = lambda done: None,
) -> list[list[Likelihood]]:
    """The likelihoods of continuations, in the order of the prompts; batches are made as in ``generate``.

    Args:
        model: a T5.
        prompts: token ids of each prompt, without padding, at least one each.
        continuations: for each prompt the token ids of its continuations, at least one token each. An end mark counts
            where it is among them.
        batch_size: prompts a batch, over all devices; rounded up to a multiple of their number.
        bucket: padded lengths of prompts, and of all continuations of a prompt together, are multiples of this.
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
    rows = placement.rows(batch_size)
    sizes = [sum(map(len, options)) for options in continuations]
    # By padded length, so that prompts whose continuations are of like length come together as well.
    order = sorted(range(len(prompts)), key=lambda i: (padded_length(len(prompts[i]), bucket), sizes[i]))

    def outputs() -> Iterator[tuple[list[int], tuple[jax.Array, jax.Array]]]:
        for start in range(0, len(order), rows):
            chosen = order[start : start + rows]
            width = padded_length(max(len(prompts[i]) for i in chosen), bucket)
            length = padded_length(max([1, *(sizes[i] for i in chosen)]), bucket)
            packed = [_packed(continuations[i]) for i in chosen]
            arrays = [pad([prompts[i] for i in chosen], rows, width)]
            arrays += [pad([row[part] for row in packed], rows, length) for part in range(3)]
            yield chosen, _token_scores(model, placement.weights, *map(placement.put, arrays))

    results: list[list[Likelihood]] = [[] for _ in prompts]
    done = 0
    for chosen, (logs, best) in read_behind(outputs()):
        for i, log, greedy in zip(chosen, np.asarray(logs), np.asarray(best), strict=False):
            ends = np.cumsum([len(option) for option in continuations[i]], dtype=int)
            pieces = zip(np.split(log, ends)[:-1], np.split(greedy, ends)[:-1], strict=True)
            results[i] = [Likelihood(float(piece.sum(dtype=np.float64)), bool(g.all())) for piece, g in pieces]
        done += len(chosen)
        progress(done)
    return results


def _packed(options: Sequence[Sequence[int]]) -> tuple[list[int], list[int], list[int]]:
    """Target tokens, the decoder's inputs (each option starts with ``PAD_ID``, as T5's decoder does), segment ids."""
    targets = [token for option in options for token in option]
    inputs = [token for option in options for token in (PAD_ID, *option[:-1])]
    segments = [segment for segment, option in enumerate(options, 1) for _ in option]
    return targets, inputs, segments
