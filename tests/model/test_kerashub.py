"""Presets of KerasHub: what it saves is read, and what is written it reads."""

import json
import warnings
from dataclasses import asdict

import numpy as np
import pytest

from flannb.errors import UserError
from flannb.model import load_checkpoint, open_checkpoint, save_kerashub

pytestmark = [  # KerasHub's own, and Keras's
    pytest.mark.filterwarnings("ignore:(?s).*does not support masking:UserWarning"),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
]


@pytest.fixture(scope="module")
def keras_hub():
    """Importing it takes many seconds, since it brings TensorFlow."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of TensorFlow and its dependencies
        import keras_hub
    return keras_hub


def backbone(keras_hub, model, dtype="float32"):
    """KerasHub's model with the same weights."""
    made = keras_hub.models.T5Backbone(**asdict(model.config), dtype=dtype)
    for mine, theirs in zip(model.trainable_variables, made.trainable_variables, strict=True):
        theirs.assign(np.asarray(mine.value))
    return made


@pytest.mark.parametrize(("kind", "dtype"), [("model", "float32"), ("tied_model", "float32"), ("model", "bfloat16")])
def test_what_kerashub_saves_is_read(kind, dtype, request, keras_hub, tmp_path):
    model = request.getfixturevalue(kind)
    made = backbone(keras_hub, model, dtype)
    made.save_to_preset(str(tmp_path / "whole"))
    loaded = load_checkpoint(tmp_path / "whole")
    assert loaded.config == model.config
    for mine, theirs in zip(loaded.trainable_variables, made.trainable_variables, strict=True):
        np.testing.assert_array_equal(
            np.asarray(mine.value), np.asarray(theirs.value).astype(np.float32), err_msg=mine.path
        )

    folder = tmp_path / "sharded"
    folder.mkdir()
    (folder / "config.json").write_bytes((tmp_path / "whole" / "config.json").read_bytes())
    made.save_weights(str(folder / "model.weights.json"), max_shard_size=1e-5)
    assert len(list(folder.glob("*.h5"))) > 1
    for mine, whole in zip(load_checkpoint(folder).trainable_variables, loaded.trainable_variables, strict=True):
        np.testing.assert_array_equal(np.asarray(mine.value), np.asarray(whole.value))


@pytest.mark.parametrize("kind", ["model", "tied_model"])
def test_kerashub_reads_what_is_written(kind, request, keras_hub, tokenizer, tmp_path):
    model = request.getfixturevalue(kind)
    save_kerashub(model, tmp_path, tokenizer)
    found = keras_hub.models.T5Backbone.from_preset(str(tmp_path))
    for mine, theirs in zip(model.trainable_variables, found.trainable_variables, strict=True):
        np.testing.assert_array_equal(np.asarray(mine.value), np.asarray(theirs.value), err_msg=mine.path)
    text = "Which word means warm?"
    reader = keras_hub.models.T5Tokenizer.from_preset(str(tmp_path))
    assert np.asarray(reader(text)).tolist() == tokenizer.encode([text])[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_heads": None}, "has no num_heads"),
        ({"hidden_dim": "16", "num_layers": 0}, "has no num_layers, hidden_dim"),
        ({"activation": "tanh"}, "activation 'tanh'"),
        ({"dropout": "much"}, r"config\.json: T5Config: dropout is 'much'"),
    ],
)
def test_a_preset_that_is_no_t5_of_ours_is_named(changes, message, model, tmp_path):
    save_kerashub(model, tmp_path)
    content = json.loads((tmp_path / "config.json").read_text())
    content["config"] |= changes
    (tmp_path / "config.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=message):
        open_checkpoint(tmp_path)


def test_a_preset_without_sizes_is_a_user_error(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"class_name": "T5Backbone"}))
    with pytest.raises(UserError, match=r"config\.json: has no config with the model's sizes"):
        open_checkpoint(tmp_path)


def test_a_preset_without_weights_names_both_files(model, tmp_path):
    save_kerashub(model, tmp_path)
    (tmp_path / "model.weights.h5").unlink()
    with pytest.raises(UserError, match=r"neither model\.weights\.h5 nor model\.weights\.json"):
        load_checkpoint(tmp_path)


def test_the_vocabulary_of_a_model_that_was_there_goes(model, tokenizer, tmp_path):
    save_kerashub(model, tmp_path, tokenizer)
    assert open_checkpoint(tmp_path).tokenizer is not None
    save_kerashub(model, tmp_path)
    assert open_checkpoint(tmp_path).tokenizer is None and not (tmp_path / "tokenizer.json").exists()


def test_a_file_in_the_folders_place_is_named(model, tmp_path):
    (tmp_path / "model").write_text("mine")
    with pytest.raises(UserError, match=r"model.*cannot be written"):
        save_kerashub(model, tmp_path / "model")
    assert (tmp_path / "model").read_text() == "mine"
