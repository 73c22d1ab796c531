"""T5 in Keras 3 on JAX: sizes, the packed model, generation, likelihoods."""

from flannb.model.config import SIZES, T5Config
from flannb.model.generate import generate
from flannb.model.sample import Sampling
from flannb.model.score import Likelihood, score
from flannb.model.t5 import T5, build_model, parameters
from flannb.model.weights import load_model, save_model

__all__ = [
    "SIZES",
    "T5",
    "Likelihood",
    "Sampling",
    "T5Config",
    "build_model",
    "generate",
    "load_model",
    "parameters",
    "save_model",
    "score",
]
