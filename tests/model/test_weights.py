"""flannb's own folder: the same weights give the same bytes, and what does not fit is named."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from flannb.build import Tokenizer
from flannb.errors import UserError
from flannb.model import load_checkpoint, open_checkpoint, save_model


@pytest.fixture
def folder(model, tmp_path):
    save_model(model, tmp_path / "model")
    return tmp_path / "model"


def test_a_model_comes_back_as_it_was_to_the_byte(model, folder, tmp_path):
    loaded = load_checkpoint(folder)
    assert loaded.config == model.config
    assert [v.path for v in loaded.trainable_variables] == [v.path for v in model.trainable_variables]
    for mine, other in zip(model.trainable_variables, loaded.trainable_variables, strict=True):
        np.testing.assert_array_equal(np.asarray(mine.value), np.asarray(other.value))
    save_model(loaded, tmp_path / "again")
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()


def test_weights_are_plain_float32_safetensors(model, folder):
    tensors = load_file(folder / "model.safetensors")
    assert len(tensors) == len(model.trainable_variables)
    assert {str(tensor.dtype) for tensor in tensors.values()} == {"float32"}


def test_the_vocabulary_goes_along_where_it_is_given(model, folder, tokenizer, tmp_path):
    assert open_checkpoint(folder).tokenizer is None
    save_model(model, tmp_path / "with", tokenizer)
    found = open_checkpoint(tmp_path / "with").tokenizer
    assert Tokenizer(found).fingerprint == tokenizer.fingerprint
    save_model(model, tmp_path / "with")
    assert open_checkpoint(tmp_path / "with").tokenizer is None
    assert load_checkpoint(tmp_path / "with").config == model.config  # and its sums hold


def test_a_truncated_file_is_a_user_error(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(UserError, match=r"model\.safetensors: not as it was written"):
        load_checkpoint(folder)
    (folder / "SHA256SUMS").unlink()
    with pytest.raises(UserError, match=r"model\.safetensors: not a whole safetensors file"):
        load_checkpoint(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "SHA256SUMS"])
def test_a_flipped_bit_is_a_user_error(folder, name):
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(UserError, match=str(folder)):
        load_checkpoint(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_file_is_a_user_error(folder, name):
    (folder / name).unlink()
    with pytest.raises(UserError, match=name):
        load_checkpoint(folder)


def test_tensors_that_are_missing_unknown_or_misshapen_are_all_named(folder):
    path = folder / "model.safetensors"
    tensors = load_file(path)
    first, second, *_ = sorted(tensors)
    del tensors[first]
    tensors[second] = tensors[second][:-1].copy()
    tensors["foreign/kernel"] = np.zeros(3, np.float32)
    save_file(tensors, path)
    (folder / "SHA256SUMS").unlink()
    with pytest.raises(UserError) as raised:
        load_checkpoint(folder)
    assert all(name in str(raised.value) for name in (first, second, "foreign/kernel"))


@pytest.mark.parametrize("change", [{"dropout": "much"}, {"num_layers": 0}, {"layer_norm_epsilon": None}])
def test_a_value_that_no_t5_has_is_a_user_error_that_names_the_folder(folder, change):
    shape = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(shape | change))
    with pytest.raises(UserError, match=f"{folder}.*{next(iter(change))}"):
        open_checkpoint(folder)


def test_an_unknown_key_of_the_shape_is_a_user_error(folder):
    shape = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(shape | {"colour": "blue"}))
    with pytest.raises(UserError, match="colour"):
        load_checkpoint(folder)
