"""A tiny T5 as flannb and as ``transformers`` have it, with the same weights and the same vocabulary."""

import numpy as np
import pytest

from flannb.evaluate import FlannbModel
from flannb.model import T5Config, build_model, save_huggingface, save_model


def random_model(tokenizer, tied):
    """Random weights, large enough for outputs to differ between prompts."""
    shape = T5Config(tokenizer.vocabulary_size, 1, 2, 16, 32, 8, tie_embedding_weights=tied)
    model = build_model(shape, seed=0)
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        mean = 1.0 if len(variable.shape) == 1 else 0.0
        # A tied head repeats the start token unless the layers outweigh the embedding.
        size = 1.0 if tied and "token_embedding" not in variable.path else 0.3
        variable.assign(mean + size * rng.standard_normal(variable.shape).astype(np.float32))
    return FlannbModel(model, tokenizer, batch_size=8)


def write_flannb(model, folder):
    """The model as ``open_model`` reads it, its tokenizer beside the weights."""
    save_model(model.model, folder, model.tokenizer)
    return folder


@pytest.fixture(scope="session")
def flannb_model(tokenizer):
    """With a head of its own, as T5 1.1 has it."""
    return random_model(tokenizer, tied=False)


@pytest.fixture(scope="session")
def flannb_folder(flannb_model, tmp_path_factory):
    return write_flannb(flannb_model, tmp_path_factory.mktemp("flannb") / "model")


@pytest.fixture(scope="session")
def transformers_folder(flannb_model, tmp_path_factory):
    return write_transformers(flannb_model, tmp_path_factory.mktemp("transformers") / "model")


@pytest.fixture(scope="session")
def tied_folders(tokenizer, tmp_path_factory):
    """Folders of a model whose head is its embedding, as T5 1.0 has it: flannb's and that of ``transformers``."""
    model, root = random_model(tokenizer, tied=True), tmp_path_factory.mktemp("tied")
    return write_flannb(model, root / "flannb"), write_transformers(model, root / "transformers")


def write_transformers(model, folder):
    """The same model and vocabulary as a checkpoint of ``transformers``."""
    for package in ("torch", "transformers"):
        pytest.importorskip(package, reason="needs transformers and torch: pip install 'flannb[transformers]'")
    return save_huggingface(model.model, folder, model.tokenizer)
