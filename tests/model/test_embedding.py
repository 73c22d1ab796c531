"""Token embeddings: rows of a table, and a gradient that adds up the same in every way."""

import jax
import numpy as np
import pytest

from flannb.model import embedding
from flannb.model.embedding import GRADIENTS, embed


@pytest.mark.parametrize("gradient", GRADIENTS)
@pytest.mark.parametrize("chunk", [7, 4096])
def test_rows_are_read_and_their_gradients_added_up(gradient, chunk, monkeypatch):
    monkeypatch.setattr(embedding, "CHUNK", chunk)
    rng = np.random.default_rng(0)
    table, ids = rng.standard_normal((9, 4)).astype(np.float32), rng.integers(0, 6, (5, 8)).astype(np.int32)
    weights = rng.standard_normal((5, 8, 4)).astype(np.float32)
    np.testing.assert_array_equal(embed(table, ids, "float32", gradient), table[ids])
    assert embed(table, ids, "bfloat16", gradient).dtype == "bfloat16"
    found = jax.grad(lambda table: (embed(table, ids, "float32", gradient) * weights).sum())(table)
    expected = np.zeros_like(table)
    np.add.at(expected, ids, weights)
    np.testing.assert_allclose(found, expected, atol=1e-5)
