"""T5 in Keras 3 on JAX: sizes, the packed model, generation, likelihoods."""

from flannb.model.config import SIZES, T5Config
from flannb.model.flops import mfu, peak_flops, training_flops
from flannb.model.generate import generate
from flannb.model.score import Likelihood, score
from flannb.model.t5 import T5, build_model, parameters
from flannb.model.weights import load_model, save_model

__all__ = [
    "SIZES",
    "T5",
    "Likelihood",
    "T5Config",
    "build_model",
    "generate",
    "load_model",
    "mfu",
    "parameters",
    "peak_flops",
    "save_model",
    "score",
    "training_flops",
]
