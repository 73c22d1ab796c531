"""A tiny model with the session's vocabulary, and a task of the embedded collection."""

import pytest

from flannb.collection import finetuning_tasks
from flannb.finetune import FinetuneOptions
from flannb.mixture import BatchShape
from flannb.model import T5Config, build_model, save_model


@pytest.fixture(scope="session")
def tasks():
    return {task.name: task for task in finetuning_tasks("mini")}


@pytest.fixture(scope="session")
def start(tokenizer, tmp_path_factory):
    """A checkpoint of random weights."""
    folder = tmp_path_factory.mktemp("start")
    save_model(build_model(T5Config(tokenizer.vocabulary_size, 1, 2, 16, 32, 8), seed=0), folder, tokenizer)
    return folder


@pytest.fixture(scope="session")
def options():
    """Six steps, of which three are evaluated, on a dozen rows each."""
    return FinetuneOptions(6, BatchShape(4, 128, 48), learning_rate=0.02, checkpoint_every=2, most_rows=12)
