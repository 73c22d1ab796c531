"""Models that are found, and what they answer."""

import json
import os
import shutil
from pathlib import Path

import pytest

from flannb.errors import UserError
from flannb.lab.models import INPUT_LIMIT, answer, find_models, input_limit, opened
from flannb.model import build_model, open_checkpoint, save_model


def test_models_are_found_below_a_folder_the_full_mixture_first(runs):
    found = find_models(runs)
    assert [model.label.split(" (")[0] for model in found] == ["tiny/mini-0/flan2022", "tiny/mini-0/flan2021"]
    assert all("k parameters)" in model.label for model in found)
    assert find_models(runs / "nothing") == []


def test_the_pair_that_the_paper_compares_comes_first(runs, tmp_path):
    for row in ("equal", "flan2021", "flan2022"):
        folder = tmp_path / "tiny/mini-0" / row / "train/model"
        shutil.copytree(find_models(runs)[0].path, folder)
    assert [Path(model.path).parts[-3] for model in find_models(tmp_path)] == ["flan2022", "flan2021", "equal"]


def test_an_answer_says_what_was_read_and_made(runs):
    model = opened(find_models(runs)[0].path)
    found = answer(model, "is the banana a food ?", limit=512, most=5)
    assert found.read == len(model.encode(["is the banana a food ?"])[0]) + 1
    assert 0 <= found.made <= 5 and found.cut == found.unknown == 0
    assert found.ended == (found.made < 5)
    assert answer(model, "is the banana a food ?", 512, 5).text == found.text


def test_an_instruction_that_is_too_long_is_cut_and_said(runs):
    model = opened(find_models(runs)[0].path)
    long = "the banana is a food . " * 40
    found = answer(model, long, limit=16, most=2)
    assert found.read == 16 and found.cut == len(model.encode([long])[0]) - 15
    assert found.text == answer(model, model.decode([model.encode([long])[0][:15]])[0], 16, 2).text


def test_characters_that_the_vocabulary_lacks_are_counted(runs):
    assert answer(opened(find_models(runs)[0].path), "☃ the ☃", 64, 2).unknown == 2


def test_a_model_that_was_written_again_is_read_again(tmp_path, runs, words):
    config = open_checkpoint(find_models(runs)[0].path).config
    save_model(build_model(config, seed=3), tmp_path, words)
    first = opened(str(tmp_path))
    assert opened(str(tmp_path)) is first
    save_model(build_model(config, seed=4), tmp_path, words)
    assert opened(str(tmp_path)).name != first.name


@pytest.mark.parametrize("instruction", ["", " \n"])
def test_an_empty_instruction_is_told(runs, instruction):
    with pytest.raises(UserError, match="Type an instruction"):
        answer(opened(find_models(runs)[0].path), instruction, 64, 2)


def test_the_longest_input_is_that_of_the_scale_or_of_the_configuration(runs, build, tmp_path):
    path = find_models(runs)[0].path
    assert input_limit(path) == input_limit("no such folder") == INPUT_LIMIT
    train = tmp_path / "train"
    train.mkdir()
    (tmp_path / "build.json").write_text(json.dumps({"index": os.path.relpath(build.home / "index.json", tmp_path)}))
    parameters = {"scale": "tiny", "data": str(tmp_path)}
    (train / "inputs.json").write_text(json.dumps({"parameters": parameters}))
    assert input_limit(str(train / "model")) == 144
