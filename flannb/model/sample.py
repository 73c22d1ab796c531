"""Drawing the next token: temperature, top-k, top-p, and a seed for each prompt that depends on nothing else."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import jax
import jax.numpy as jnp
import numpy as np

from flannb.errors import UserError


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn, in the terms and the order of ``transformers``: temperature, then top-k, then top-p.

    Attributes:
        temperature: divides the logits.
        top_k: only the ``top_k`` likeliest tokens are drawn (and those as likely as the last); 0 for all.
        top_p: only the likeliest tokens are drawn that it takes to reach this probability (Holtzman et al. 2020, arXiv
            1904.09751); 1 for all.
        seed: fixes the draws. What is drawn for a prompt depends on the seed and on the prompt, not on the others; a
            prompt that comes again gets draws of its own.

    Raises:
        UserError: a value out of range.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.temperature < float("inf"):
            raise UserError(f"temperature {self.temperature}: must be above 0; without sampling decoding is greedy")
        if self.top_k < 0:
            raise UserError(f"top_k {self.top_k}: must be at least 1, or 0 for all tokens")
        if not 0 < self.top_p <= 1:
            raise UserError(f"top_p {self.top_p}: must be above 0 and at most 1")
        if not 0 <= self.seed < 2**32:
            raise UserError(f"seed {self.seed}: must be from 0 to {2**32 - 1}")

    @property
    def truncates(self) -> bool:
        """Whether some tokens are never drawn."""
        return self.top_k > 0 or self.top_p < 1


DTYPES = {"temperature": "float32", "top_k": "int32", "top_p": "float32", "seed": "uint32"}
"""The attributes of a ``Sampling`` as arrays, which programs take."""


def prompt_seeds(prompts: Sequence[Sequence[int]]) -> np.ndarray:
    """A uint32 for each prompt, from its tokens and from how often it came before."""
    seen: Counter[bytes] = Counter()
    seeds = np.zeros(len(prompts), np.uint32)
    for i, prompt in enumerate(prompts):
        content = np.asarray(prompt, "<i4").tobytes()
        number = seen[content].to_bytes(4, "little")
        seen[content] += 1
        seeds[i] = int.from_bytes(blake2b(content, digest_size=4, key=number).digest(), "little")
    return seeds


def truncate(logits: jax.Array, top_k: jax.Array, top_p: jax.Array) -> jax.Array:
    """Logits (batch, vocabulary) with minus infinity for the tokens that top-k and top-p leave out."""
    ordered = jnp.flip(jnp.sort(logits, axis=-1), axis=-1)
    rank = jnp.arange(logits.shape[-1])
    ordered = jnp.where((top_k > 0) & (rank >= top_k), -jnp.inf, ordered)
    chances = jax.nn.softmax(ordered, axis=-1)
    # A token stays if those before it do not reach top_p yet; the first always does.
    stays = (jnp.cumsum(chances, axis=-1) - chances < top_p) & (ordered > -jnp.inf)
    least = jnp.min(jnp.where(stays, ordered, jnp.inf), axis=-1, keepdims=True)
    return jnp.where(logits >= least, logits, -jnp.inf)


def draw(
    logits: jax.Array, sampling: dict[str, jax.Array], seeds: jax.Array, position: jax.Array, truncates: bool
) -> jax.Array:
    """A token for each row.

    Args:
        logits: float32 (batch, vocabulary).
        sampling: the attributes of a ``Sampling``, of ``DTYPES``.
        seeds: of the prompts, uint32 (batch,).
        position: of the tokens in the output.
        truncates: whether top-k and top-p matter.
    """
    logits = logits / sampling["temperature"]
    if truncates:
        logits = truncate(logits, sampling["top_k"], sampling["top_p"])
    base = jax.random.fold_in(jax.random.key(sampling["seed"]), position)
    # The likeliest after adding Gumbel noise is a draw from the softmax.
    noise = jax.vmap(lambda seed: jax.random.gumbel(jax.random.fold_in(base, seed), logits.shape[-1:]))(seeds)
    return jnp.argmax(logits + noise, axis=-1)
