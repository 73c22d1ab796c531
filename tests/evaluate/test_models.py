"""Models by their folder: flannb computes every T5, whoever wrote it; transformers computes the rest."""

import json

import pytest

from flannb.errors import UserError
from flannb.evaluate import FlannbModel
from flannb.evaluate.models import open_model
from flannb.model import NotT5, save_huggingface, save_kerashub, save_model


@pytest.mark.parametrize("save", [save_model, save_huggingface, save_kerashub])
def test_a_t5_of_any_layout_is_computed_by_flannb(save, flannb_model, tmp_path):
    save(flannb_model.model, tmp_path, flannb_model.tokenizer)
    found = open_model(str(tmp_path), batch_size=4)
    assert isinstance(found, FlannbModel) and found.name.startswith(f"{tmp_path}@")
    texts = ["Which word means warm?", "Is a lake colder than a stove?"]
    assert found.encode(texts) == flannb_model.encode(texts)
    prompts = [[*ids, 1] for ids in found.encode(texts)]
    assert found.generate(prompts, 4) == flannb_model.generate(prompts, 4)


def test_a_checkpoint_without_a_tokenizer_takes_the_one_that_is_named(flannb_model, tmp_path):
    save_huggingface(flannb_model.model, tmp_path)
    with pytest.raises(UserError, match="has no tokenizer"):
        open_model(str(tmp_path))
    found = open_model(str(tmp_path), tokenizer=str(flannb_model.tokenizer.path))
    assert found.encode(["warm"]) == flannb_model.encode(["warm"])


def test_other_architectures_are_left_to_transformers(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bart"}))
    with pytest.raises(NotT5, match="model_type is 'bart'"):
        open_model(str(tmp_path), library="flannb")
    with pytest.raises(UserError, match=r"transformers|not a sequence-to-sequence checkpoint"):
        open_model(str(tmp_path))  # which is not installed, or finds no weights
