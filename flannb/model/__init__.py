"""T5 in Keras 3 on JAX: sizes, the packed model, generation, likelihoods, checkpoints in and out."""

from flannb.model.checkpoint import Checkpoint, NotT5, load_checkpoint, open_checkpoint
from flannb.model.config import SIZES, T5Config
from flannb.model.flops import mfu, peak_flops, training_flops
from flannb.model.generate import generate, prepare_generation
from flannb.model.huggingface import save_huggingface
from flannb.model.kerashub import save_kerashub
from flannb.model.sample import Sampling
from flannb.model.score import Likelihood, prepare_scoring, score
from flannb.model.t5 import T5, build_model, parameters
from flannb.model.weights import save_model

__all__ = [
    "SIZES",
    "T5",
    "Checkpoint",
    "Likelihood",
    "NotT5",
    "Sampling",
    "T5Config",
    "build_model",
    "generate",
    "load_checkpoint",
    "mfu",
    "open_checkpoint",
    "parameters",
    "peak_flops",
    "prepare_generation",
    "prepare_scoring",
    "save_huggingface",
    "save_kerashub",
    "save_model",
    "score",
    "training_flops",
]
