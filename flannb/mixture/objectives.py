"""The objectives of pretraining: span corruption as in T5, and the prefix language modelling of its LM adaptation.

Both turn a window of running text into an input and a target. Lengths and counts follow Raffel et al. 2020 (arXiv
1910.10683, section 3.1.4 and the code they published): a window's number of noise tokens and of noise spans depends on
its length alone, so that all windows of one length corrupt to one length, and batches need no padding.
"""

import numpy as np

from flannb.vocabulary import EOS_ID

DENSITY = 0.15
"""Share of a window's tokens that is taken out."""

SPAN = 3.0
"""Mean number of tokens in a run that is taken out."""


def spans(length: int) -> tuple[int, int]:
    """Number of noise tokens, and of the spans that they form, in a window of ``length`` tokens, at least 2."""
    noise = min(max(round(length * DENSITY), 1), length - 1)
    return noise, min(max(round(noise / SPAN), 1), length - noise)


def corrupted_lengths(length: int) -> tuple[int, int]:
    """Lengths of input and target, end marks included, of a window of ``length`` tokens."""
    noise, count = spans(length)
    return length - noise + count + 1, noise + count + 1


def window_length(inputs: int, targets: int) -> int:
    """The longest window whose input and target fit these lengths; it has at least 2 tokens.

    For T5's own 512 and 114 it is 568.
    """
    length = 2
    while all(got <= most for got, most in zip(corrupted_lengths(length + 1), (inputs, targets), strict=True)):
        length += 1
    return length


def noise_mask(length: int, rng: np.random.Generator) -> np.ndarray:
    """Which tokens of a window are taken out: a bool array (length,) that starts with False and ends with True.

    Every way to cut the noise tokens, and the others, into so many runs is equally likely.
    """
    noise, count = spans(length)
    runs = np.stack([_runs(length - noise, count, rng), _runs(noise, count, rng)], axis=1).ravel()
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs)


def _runs(total: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """``count`` positive integers that sum to ``total``."""
    cuts = np.sort(rng.choice(total - 1, count - 1, replace=False)) + 1
    return np.diff(np.concatenate([[0], cuts, [total]]))


def corrupt(tokens: np.ndarray, first_sentinel: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A window with spans taken out, and what was taken out.

    ``a b c d e f`` without ``b`` and ``e f`` gives ``a <0> c d <1>`` and ``<0> b <1> e f``, and an end mark each.

    Args:
        tokens: int array (length,), at least 2.
        first_sentinel: id of sentinel 0; those of the next ones count down from it, as T5's do.

    Returns:
        Input and target, int32.
    """
    mask = noise_mask(len(tokens), rng)
    return _cut_out(tokens, mask, first_sentinel), _cut_out(tokens, ~mask, first_sentinel, leading=False)


def _cut_out(tokens: np.ndarray, mask: np.ndarray, first_sentinel: int, leading: bool = True) -> np.ndarray:
    """The tokens with each run of ``mask`` replaced by a sentinel."""
    starts = mask & ~np.concatenate([[False], mask[:-1]])
    marked = np.where(starts, first_sentinel - (np.cumsum(starts) - 1), tokens)
    return np.append(marked[~mask | starts], EOS_ID).astype(np.int32)


def prefix_split(
    tokens: np.ndarray, rng: np.random.Generator, inputs: int, targets: int
) -> tuple[np.ndarray, np.ndarray]:
    """A window cut in two at random: what is given, and its continuation (Lester et al. 2021, arXiv 2104.08691).

    Args:
        tokens: int array (length,), at least 2.
        inputs, targets: most tokens of each, end mark included; a longer beginning loses its start, a longer
            continuation its end.

    Returns:
        Input and target, int32, at least one token and an end mark each.
    """
    cut = int(rng.integers(1, len(tokens)))
    given, continued = tokens[:cut][-(inputs - 1) :], tokens[cut:][: targets - 1]
    return np.append(given, EOS_ID).astype(np.int32), np.append(continued, EOS_ID).astype(np.int32)
