from dataclasses import replace

import numpy as np
import pytest

from flannb.build import Tokenizer
from flannb.errors import UserError
from flannb.experiments import scales
from flannb.experiments.artefacts import TABLE1
from flannb.experiments.reproduce import Options, artefact_steps, enter_project
from flannb.experiments.scales import SCALES, scale
from flannb.experiments.steps import build_step, tokenizer_file, train_step
from flannb.mixture import BatchShape
from flannb.model import SIZES, build_model, load_checkpoint, save_huggingface
from flannb.train import TrainOptions

PAPER = {"small": 98_000, "base": 84_000, "large": 64_000, "xl": 38_000, "xxl": 14_000}


@pytest.mark.parametrize("name", PAPER)
def test_the_large_scales_are_those_of_the_paper(name):
    chosen = scale(name, "flan2022")
    assert chosen.steps == PAPER[name] and chosen.batch == BatchShape(64, 2048, 512)
    assert chosen.learning_rate == 5e-4 and chosen.dropout == 0.05 and chosen.average == 0
    assert chosen.start == f"hf://google/t5-{name}-lm-adapt"
    assert SIZES[chosen.size].with_vocabulary(32_128) == SIZES[name]
    assert chosen.lengths.input <= chosen.batch.input and chosen.lengths.target <= chosen.batch.target


@pytest.mark.parametrize("name", SCALES)
def test_every_scale_trains_by_options_that_exist(name):
    chosen = SCALES[name]
    assert chosen.size in SIZES and chosen.about
    assert chosen.remat in ("none", "dots", "full") and SIZES[chosen.size].num_heads % chosen.model_parallel == 0
    TrainOptions(chosen.steps, chosen.batch, chosen.learning_rate, 0, remat=chosen.remat)


@pytest.fixture
def started(tmp_path, tokenizer, monkeypatch):
    """A tiny scale whose rows start from a checkpoint in Hugging Face's layout; returns the checkpoint's folder."""
    enter_project()
    config = replace(SIZES["smoke"], hidden_dim=32, num_heads=1, vocabulary_size=tokenizer.vocabulary_size)
    model = build_model(config, seed=3)
    save_huggingface(model, tmp_path / "start", tokenizer=tokenizer.path)
    tiny = replace(
        SCALES["smoke"],
        size="tiny",
        start=str(tmp_path / "start"),
        rows_per_task=8,
        steps=1,
        batch=BatchShape(2, 128, 32),
        learning_rate=0.0,
        average=0.0,
    )
    monkeypatch.setitem(scales.SCALES, "smoke", tiny)
    monkeypatch.setitem(SIZES, "tiny", config)
    return tmp_path / "start"


def test_rows_start_from_a_checkpoint_and_its_vocabulary(started, tokenizer, tmp_path):
    data, train = str(tmp_path / "data"), str(tmp_path / "train")
    steps = {step.name: step for step in artefact_steps(TABLE1, Options())}
    given = {"vocabulary": steps["data"].parameters["vocabulary"]}
    build = build_step(data, "mini", "smoke", 0, False, str(tmp_path / "store"), quiet=True, **given)
    assert Tokenizer(build.tokenizer_path).content == tokenizer.content
    trained = load_checkpoint(
        train_step(train, data, "flan2022", "smoke", 0, quiet=True, start=steps["flan2022/train"].parameters["start"])
    )
    for new, old in zip(trained.trainable_variables, load_checkpoint(started).trainable_variables, strict=True):
        np.testing.assert_array_equal(new.value, old.value)
    with pytest.raises(
        UserError, match=r"train: holds a training with other start, mixture\. To keep it, name another"
    ):
        train_step(train, data, "flan2021", "smoke", 0, quiet=True)


def test_the_data_are_known_by_the_checkpoint_s_vocabulary(started, tokenizer):
    with_start = artefact_steps(TABLE1, Options())[0].key
    (started / "spiece.model").unlink()
    with pytest.raises(UserError, match="has no tokenizer; name the SentencePiece model"):
        tokenizer_file(str(started))
    assert tokenizer_file("") == ""
    scales.SCALES["smoke"] = replace(scales.SCALES["smoke"], start="")
    assert artefact_steps(TABLE1, Options())[0].key != with_start
