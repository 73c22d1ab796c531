"""Dropout from a counter: the rate that was asked for, no pattern, the same mask for the gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flannb.model.dropout import dropout, fold

ONES = np.ones((4, 100, 200), np.float32)


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.5])
def test_the_rate_and_the_mean_are_kept(rate):
    found = np.asarray(dropout(ONES, rate, jnp.uint32(1)))
    assert set(np.unique(found)) == {np.float32(0), np.float32(1 / (1 - rate))}
    error = 4 * np.sqrt(rate * (1 - rate) / ONES.size)
    assert abs((found == 0).mean() - rate) < error
    for axis in range(3):  # no row, column or matrix stands out
        others = tuple(i for i in range(3) if i != axis)
        few = 5 * np.sqrt(rate * (1 - rate) / (ONES.size / ONES.shape[axis]))
        assert np.abs((found == 0).mean(axis=others) - rate).max() < few


def test_neighbours_rows_and_seeds_are_independent():
    def mask(seed):
        return np.asarray(dropout(ONES, 0.5, seed)) == 0

    one = mask(jnp.uint32(1))
    others = [np.roll(one, 1, axis) for axis in range(3)]
    others += [np.roll(one, shift, 2) for shift in (2, 64)]
    others += [mask(jnp.uint32(2)), mask(fold(jnp.uint32(1), 0)), mask(fold(jnp.uint32(1), 1))]
    for other in others:
        assert abs((one == other).mean() - 0.5) < 4 * 0.5 / np.sqrt(ONES.size)


def test_the_gradient_has_the_same_mask():
    x, seed = np.random.default_rng(0).standard_normal(ONES.shape).astype(np.float32), jnp.uint32(9)
    gradient = jax.grad(lambda x: dropout(x, 0.3, seed).sum())(x)
    np.testing.assert_array_equal(gradient, dropout(ONES, 0.3, seed))


def test_nothing_is_dropped_without_a_seed_or_rate():
    assert dropout(ONES, 0.5, None) is ONES and dropout(ONES, 0.0, jnp.uint32(1)) is ONES
