"""The model computes what ``transformers`` computes: logits, losses and the gradients of all parameters.

The results of ``golden.py`` are compared always, a live ``transformers`` where it is installed.
"""

import importlib.util

import jax
import numpy as np
import pytest
from golden import CASES, FILE, drawn_batch, drawn_model, in_transformers
from safetensors.numpy import load_file

from flannb.model import T5Config


def computed(model, batch):
    """Logits, the loss, and gradients by variable path."""
    weights = [variable.value for variable in model.trainable_variables]
    fixed = [variable.value for variable in model.non_trainable_variables]

    def loss(weights):
        return model.stateless_loss(weights, fixed, batch, 0.0)[0]

    value, gradients = jax.jit(jax.value_and_grad(loss))(weights)
    paths = [variable.path for variable in model.trainable_variables]
    return np.asarray(jax.jit(model)(batch)), float(value), dict(zip(paths, map(np.asarray, gradients), strict=True))


def compare(found, expected, batch):
    """Within 1e-4, gradients within 1e-3 of their largest value; logits where there are targets."""
    real = batch["targets"] > 0
    np.testing.assert_allclose(found[0][real], expected[0][real], atol=1e-4, rtol=1e-4)
    assert found[1] == pytest.approx(expected[1], abs=1e-4)
    assert found[2].keys() == expected[2].keys()
    for path, gradient in expected[2].items():
        largest = np.abs(gradient).max()
        assert largest > 0, path
        np.testing.assert_allclose(found[2][path], gradient, atol=1e-3 * largest, rtol=1e-3, err_msg=path)


@pytest.mark.parametrize("name", CASES)
def test_results_are_those_of_transformers(name):
    config, lengths = CASES[name]
    stored = load_file(FILE)
    start = f"{name}/gradient/"
    gradients = {key.removeprefix(start): value for key, value in stored.items() if key.startswith(start)}
    batch = drawn_batch(config, lengths)
    found = computed(drawn_model(config), batch)
    compare(found, (stored[f"{name}/logits"], stored[f"{name}/loss"][0], gradients), batch)


@pytest.mark.skipif(importlib.util.find_spec("transformers") is None, reason="transformers is not installed")
@pytest.mark.filterwarnings("ignore")  # of torch and transformers
@pytest.mark.parametrize(("gated", "tied", "layers"), [(True, False, 1), (False, True, 2), (True, True, 1)])
def test_results_are_those_of_an_installed_transformers(gated, tied, layers):
    config = T5Config(
        vocabulary_size=50,
        num_layers=layers,
        num_heads=4,
        hidden_dim=24,
        intermediate_dim=32,
        key_value_dim=8,
        activation="gelu" if gated else "relu",
        use_gated_activation=gated,
        tie_embedding_weights=tied,
    )
    model, batch = drawn_model(config, seed=7), drawn_batch(config, [(20, 3), (5, 9), (11, 9)], seed=7)
    compare(computed(model, batch), in_transformers(model, batch), batch)
