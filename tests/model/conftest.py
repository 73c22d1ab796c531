"""Small models whose weights are all drawn, so that every one of them matters."""

import numpy as np
import pytest

from flannb.model import T5Config, build_model


def config(**changes):
    shape = {
        "vocabulary_size": 40,
        "num_layers": 2,
        "num_heads": 2,
        "hidden_dim": 16,
        "intermediate_dim": 24,
        "key_value_dim": 8,
    }
    return T5Config(**(shape | changes))


def draw_weights(variables, seed=0):
    """Weights of a size at which positions, attention and the head all show in the output."""
    rng = np.random.default_rng(seed)
    for variable in variables:
        mean = 1.0 if len(variable.shape) == 1 else 0.0
        variable.assign(mean + 0.4 * rng.standard_normal(variable.shape).astype(np.float32))


def drawn(**changes):
    model = build_model(config(**changes), seed=0)
    draw_weights(model.trainable_variables)
    return model


@pytest.fixture(scope="session")
def model():
    return drawn()


@pytest.fixture(scope="session")
def tied_model():
    """As T5 1.0: a ReLU, and a head that is the embedding."""
    return drawn(activation="relu", use_gated_activation=False, tie_embedding_weights=True)
