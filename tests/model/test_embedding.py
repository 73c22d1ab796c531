"""Token embeddings: rows of a table, and a gradient that adds up in float32."""

import jax
import numpy as np

from flannb.model.embedding import embed


def test_rows_are_read_and_their_gradients_added_up():
    rng = np.random.default_rng(0)
    table, ids = rng.standard_normal((9, 4)).astype(np.float32), rng.integers(0, 6, (5, 8)).astype(np.int32)
    weights = rng.standard_normal((5, 8, 4)).astype(np.float32)
    np.testing.assert_array_equal(embed(table, ids, "float32"), table[ids])
    found = jax.grad(lambda table: (embed(table, ids, "float32") * weights).sum())(table)
    expected = np.zeros_like(table)
    np.add.at(expected, ids, weights)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_gradient_of_a_frequent_token_does_not_stall_in_16_bits():
    table, ids = np.zeros((2, 1), np.float32), np.zeros(4000, np.int32)
    found = jax.grad(lambda table: embed(table, ids, "bfloat16").astype("float32").sum())(table)
    assert found[0, 0] == 4000  # a sum in bfloat16 stops at 256
