"""A model that answers nothing of sense, with the vocabulary of the tiny build, as a run leaves it."""

import pytest

from flannb.build import Mini, Tokenizer
from flannb.collection import tasks
from flannb.lab.rows import read_sample, vocabulary
from flannb.model import T5Config, build_model, save_model


@pytest.fixture(scope="session")
def words(tmp_path_factory):
    """A vocabulary of the embedded collection."""
    return vocabulary(Mini(), 1000, tmp_path_factory.mktemp("vocabulary") / "spiece.model")


@pytest.fixture(scope="session")
def task_named():
    return {task.name: task for task in tasks("mini")}


@pytest.fixture(scope="session")
def sample_of(task_named):
    return lambda name: read_sample(Mini(), task_named[name])


def write_model(folder, words: Tokenizer, seed: int) -> None:
    config = T5Config(
        num_layers=1,
        num_heads=1,
        hidden_dim=8,
        intermediate_dim=8,
        key_value_dim=8,
        vocabulary_size=words.vocabulary_size,
    )
    save_model(build_model(config, seed=seed), folder, words)


@pytest.fixture(scope="session")
def runs(words, tmp_path_factory):
    """A folder of runs with two models."""
    root = tmp_path_factory.mktemp("runs")
    for seed, row in enumerate(("flan2021", "flan2022")):
        write_model(root / f"tiny/mini-0/{row}/train/model", words, seed)
    (root / "config.json").write_text('{"no": "model"}')
    return root
