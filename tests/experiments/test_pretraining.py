"""Pretraining: the two stages from the build's text, the same bytes each time, also after a kill."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flannb.build import Tokenizer, open_build
from flannb.errors import UserError
from flannb.experiments import build_step, pretrain_step, scales
from flannb.experiments.pretraining import FINDINGS, pretraining_of, read_findings, spelled
from flannb.experiments.scales import SCALES, Pretraining, Stage
from flannb.mixture import BatchShape
from flannb.model import load_checkpoint
from flannb.train import EVALUATION_CSV, LOSS_CSV
from flannb.train.checkpoints import Checkpoints

TINY = replace(
    SCALES["smoke"],
    rows_per_task=16,
    vocabulary_size=400,
    pretraining=Pretraining(Stage(12, 0.02), Stage(8, 0.01), BatchShape(4, 64, 32)),
)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return str(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def data(store, tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("data"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(scales.SCALES, "smoke", TINY)
        build_step(folder, "mini", "smoke", 0, False, store, quiet=True)
    return folder


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setitem(scales.SCALES, "smoke", TINY)


@pytest.fixture(scope="module")
def pretrain(data, store):
    """Runs the two stages below a folder."""

    def run(home):
        start = ""
        for objective in ("span_corruption", "prefix_lm"):
            model = pretrain_step(
                str(home / objective), objective, data, "mini", "smoke", 0, False, store, start=start, quiet=True
            )
            start = str(model)

    return run


@pytest.fixture(scope="module")
def whole(pretrain, tmp_path_factory):
    home = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(scales.SCALES, "smoke", TINY)
        pretrain(home)
    return home


def outcome(home):
    names = (LOSS_CSV, EVALUATION_CSV, FINDINGS, "model/model.safetensors", "model/spiece.model")
    return {(stage.name, name): (stage / name).read_bytes() for stage in sorted(home.iterdir()) for name in names}


def test_the_second_stage_goes_on_from_the_first(whole):
    first, second = (pd.read_csv(whole / stage / EVALUATION_CSV) for stage in ("span_corruption", "prefix_lm"))
    assert first["step"].tolist() == [0, 3, 6, 9, 12] and second["step"].tolist() == [0, 2, 4, 6, 8]
    for objective in ("span_corruption", "prefix_lm"):
        assert second[objective].iloc[0] == pytest.approx(first[objective].iloc[-1], rel=1e-6)
    assert first["span_corruption"].iloc[-1] < first["span_corruption"].iloc[0]
    assert second["prefix_lm"].iloc[-1] < second["prefix_lm"].iloc[0]


def test_the_findings_are_of_the_held_out_text(whole, store):
    findings = read_findings(whole / "prefix_lm")
    (corpus,) = Path(store).glob("corpus-*/corpus.json")
    held_out = json.loads(corpus.read_text())["parts"]["held_out"]
    assert findings["corpus"]["tokens"]["held_out"] == held_out["tokens"]
    assert findings["corpus"]["contaminated"] > 0  # mini has such rows on purpose
    counts = findings["held_out"]["prefix_lm"]
    assert 0 < counts["unigram_entropy"] < np.log(400 + 100)
    assert all(set(sample) == {"input", "target", "written"} and sample["target"] for sample in findings["samples"])


def test_a_model_goes_with_the_build_that_made_its_vocabulary(whole, data):
    build = open_build(Path(data) / json.loads((Path(data) / "build.json").read_text())["index"])
    assert (whole / "prefix_lm/model/spiece.model").read_bytes() == build.tokenizer_path.read_bytes()
    assert load_checkpoint(whole / "prefix_lm/model").config.vocabulary_size == build.vocabulary_size


def test_another_objective_does_not_go_on_from_the_first(whole, data, store):
    with pytest.raises(UserError, match=r"holds a pretraining with other options \(.*\), objective\."):
        pretrain_step(str(whole / "span_corruption"), "prefix_lm", data, "mini", "smoke", 0, False, store, quiet=True)


def test_the_same_seed_gives_the_same_bytes_also_after_a_stop(pretrain, whole, tmp_path, monkeypatch):
    class Killed(Exception):
        pass

    save, saved = Checkpoints.save, []

    def save_and_die(self, step, *values):
        save(self, step, *values)
        saved.append(step)
        raise Killed

    while True:
        with monkeypatch.context() as patch:
            if len(saved) < 3:
                patch.setattr(Checkpoints, "save", save_and_die)
            try:
                pretrain(tmp_path)
                break
            except Killed:
                continue
    assert saved == [3, 6, 9] and outcome(tmp_path) == outcome(whole)


def test_a_scale_that_does_not_pretrain_says_what_its_rows_start_from():
    with pytest.raises(UserError, match="--scale big: does not pretrain; its rows start from hf://owner/t5"):
        pretraining_of(replace(TINY, pretraining=None, start="hf://owner/t5"), "big")


def test_sentinels_and_ends_are_spelled(tokenizer: Tokenizer):
    first = tokenizer.first_sentinel
    one, two = tokenizer.encode(["the answer", "is 3"])
    assert spelled(tokenizer, [first, *one, first - 1, *two, 1]) == "<0> the answer <1> is 3"
    assert spelled(tokenizer, [*one, 1, *two, 1]) == "the answer </s> is 3"
    assert spelled(tokenizer, []) == "" and spelled(tokenizer, [0, 0]) == ""
