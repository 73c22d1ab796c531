"""The loop: it learns, stops and goes on to the byte, starts from a model, and says what is wrong."""

import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flannb.build import train_tokenizer
from flannb.errors import UserError
from flannb.mixture import BatchShape, unigram_entropy
from flannb.model import build_model, load_checkpoint, save_model
from flannb.train import EVALUATION_CSV, LOSS_CSV, PROGRESS_CSV, TENSORBOARD, Adafactor, TrainOptions, train
from flannb.train.feed import Feed
from flannb.train.schedules import WarmUp

KILLED = """
from flannb.train.checkpoints import Checkpoints

save = Checkpoints.save

def save_and_die(self, *values):
    save(self, *values)
    os.kill(os.getpid(), signal.SIGKILL)

Checkpoints.save = save_and_die
train(stream, config, options, folder, mean_weight, quiet=True)
"""

# All that has a state: dropout, accumulation, the running average, a schedule, the pipeline.
STATEFUL = {"accumulation": 2, "remat": "dots", "average": 0.9, "clip_norm": 1.0, "schedule": "cosine", "warmup": 2}
BYTES = (LOSS_CSV, EVALUATION_CSV, "model/model.safetensors", "model/config.json")


def test_training_learns_more_than_how_often_tokens_occur(
    build, weights, stream, config, options, tmp_path, monkeypatch
):
    traced, apply = [], Adafactor.stateless_apply
    monkeypatch.setattr(Adafactor, "stateless_apply", lambda *arguments: traced.append(1) or apply(*arguments))
    model = train(stream, config(), options(4, 150), tmp_path, quiet=True)
    log = pd.read_csv(tmp_path / LOSS_CSV)
    assert list(log.columns) == ["step", "loss", "tokens"] and log["step"].tolist() == list(range(1, 151))
    assert log["tokens"].is_monotonic_increasing and (log["tokens"] % 1 == 0).all()
    assert log["loss"][-20:].mean() < log["loss"][:5].mean() - 1
    assert log["loss"][-20:].mean() < unigram_entropy(build, weights)
    names = ["SHA256SUMS", "config.json", "model.safetensors", "spiece.model"]
    assert sorted(path.name for path in Path(model).iterdir()) == names
    assert len(traced) == 1  # the step compiles once
    progress = pd.read_csv(tmp_path / PROGRESS_CSV)
    assert progress["step"].tolist() == [1, *range(20, 141, 20), 150]
    assert (progress["tokens_per_second"] > 0).all() and progress["seconds"].is_monotonic_increasing
    assert progress["real_inputs"].between(0.9, 1).all()


@pytest.fixture(scope="module")
def whole(stream, config, options, tmp_path_factory):
    """A training that nothing disturbs."""
    folder = tmp_path_factory.mktemp("whole")
    chosen = options(4, 10, checkpoint_every=4, **STATEFUL)
    train(stream, config(dropout=0.1), chosen, folder, mean_weight, quiet=True)
    return folder


def mean_weight(step, model):
    """A measure that differs between weights."""
    return {"mean": float(np.mean([np.abs(value).mean() for value in weights_of(model)]))}


def test_evaluations_are_of_the_weights_that_would_be_saved(whole):
    kept = pd.read_csv(whole / EVALUATION_CSV)
    assert kept["step"].tolist() == [0, 4, 8, 10] and kept["mean"].nunique() == 4
    assert kept["mean"].iloc[-1] == mean_weight(10, load_checkpoint(whole / "model"))["mean"]


def test_a_killed_run_goes_on_to_the_same_bytes(stream, config, options, whole, start, tmp_path):
    shape, chosen = config(dropout=0.1), options(4, 10, checkpoint_every=4, **STATEFUL)
    process = start(KILLED, tmp_path, shape, chosen)
    _, errors = process.communicate(timeout=600)
    assert process.returncode == -signal.SIGKILL, errors
    assert not (tmp_path / "model").exists() and (tmp_path / "checkpoints" / "4").is_dir()
    train(stream, shape, chosen, tmp_path, mean_weight, quiet=True)
    for name in BYTES:
        assert (tmp_path / name).read_bytes() == (whole / name).read_bytes()


def test_a_run_that_is_asked_to_stop_saves_and_goes_on_to_the_same_bytes(
    stream, config, options, whole, tmp_path, monkeypatch
):
    shape, chosen = config(dropout=0.1), options(4, 10, checkpoint_every=4, **STATEFUL)
    taken, take = [], Feed.__next__

    def take_and_signal(self):
        taken.append(1)
        if len(taken) == 6:
            os.kill(os.getpid(), signal.SIGTERM)
        return take(self)

    with monkeypatch.context() as patch:
        patch.setattr(Feed, "__next__", take_and_signal)
        with pytest.raises(UserError, match=r"asked to stop and saved step 6 in .*checkpoints; run the same again"):
            train(stream, shape, chosen, tmp_path, mean_weight, quiet=True)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    train(stream, shape, chosen, tmp_path, mean_weight, quiet=True)
    for name in BYTES:
        assert (tmp_path / name).read_bytes() == (whole / name).read_bytes()
    assert pd.read_csv(tmp_path / PROGRESS_CSV)["step"].is_monotonic_increasing


def test_a_loss_that_is_no_number_stops_before_the_last_good_checkpoint_is_overwritten(
    stream, config, options, whole, tmp_path, monkeypatch
):
    shutil.copytree(whole / "checkpoints", tmp_path / "checkpoints")
    shutil.rmtree(tmp_path / "checkpoints" / "8")
    monkeypatch.setattr("flannb.train.loop._rate", lambda options: WarmUp(1, 1e30))
    shape, chosen = config(dropout=0.1), options(4, 10, checkpoint_every=1, **STATEFUL)
    with pytest.raises(UserError, match=r"checkpoints/4: the checkpoint of another training"):
        train(stream, shape, options(4, 10, **STATEFUL | {"average": 0.0}), tmp_path, quiet=True)
    with pytest.raises(UserError, match=r"is (nan|inf) at step \d+; the last good checkpoint, of step \d+, is in"):
        train(stream, shape, chosen, tmp_path, mean_weight, quiet=True)
    good = max(int(path.name) for path in (tmp_path / "checkpoints").iterdir())
    assert 4 <= good < 10 and not (tmp_path / "model").exists()


def test_training_starts_from_a_model_and_computes_as_it_is_told(stream, config, options, whole, tmp_path):
    given, seen = whole / "model", []

    def look(step, model):
        seen.append((step, model.config.dropout, model.remat, model.dtype_policy.name, weights_of(model)))
        return {}

    chosen = options(4, 1, start=given, dropout=0.3, remat="full", dtype="mixed_bfloat16")
    train(stream, config(dropout=0.1), chosen, tmp_path, look, quiet=True)
    assert [each[:4] for each in seen] == [(step, 0.3, "full", "mixed_bfloat16") for step in (0, 1)]
    expected = weights_of(load_checkpoint(given))
    assert all(map(np.array_equal, seen[0][4], expected)) and not all(map(np.array_equal, seen[1][4], expected))


def weights_of(model):
    return [np.array(variable.value) for variable in model.trainable_variables]


def test_a_start_that_does_not_go_with_the_training_is_a_user_error(stream, config, options, tokenizer, tmp_path):
    save_model(build_model(config(vocabulary_size=tokenizer.piece_count // 2), seed=5), tmp_path / "small")
    small = options(4, 10, start=tmp_path / "small")
    with pytest.raises(UserError, match="small: not a model of the shape that is trained: num_layers is 1, not 2"):
        train(stream, config(num_layers=2), small, tmp_path / "run", quiet=True)
    with pytest.raises(
        UserError, match=r"the id \d+ among its \w+, and the model a vocabulary of \d+: .* build the data"
    ):
        train(stream, config(), small, tmp_path / "run", quiet=True)
    other = train_tokenizer(["one two three four"] * 9, tmp_path / "other.model", 30)
    save_model(build_model(config(vocabulary_size=other.vocabulary_size), seed=5), tmp_path / "other", other)
    with pytest.raises(UserError, match=r"other: has another vocabulary than the data; build the data with .*spiece"):
        train(stream, config(), options(4, 10, start=tmp_path / "other"), tmp_path / "run", quiet=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"accumulation": 3}, "batch size 4 does not come apart into 3 parts"),
        ({"accumulation": 0}, "into 0 parts"),
        ({"schedule": "steps"}, "schedule steps: unknown; choose one of constant"),
        ({"remat": "some"}, "rematerialisation some: unknown; choose one of none, dots, full"),
        ({"warmup": 10}, "a warm-up of 10 steps does not fit 10 steps"),
        ({"model_parallel": 64}, "devices are not divisible by model_parallel=64"),
    ],
)
def test_options_that_do_not_fit_are_user_errors(stream, config, options, tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        train(stream, config(), options(4, 10, **changes), tmp_path, quiet=True)
    assert not list(tmp_path.iterdir())


def test_data_longer_than_the_sequences_are_a_user_error(stream, config, tmp_path):
    with pytest.raises(UserError, match="128/48 tokens, more than the batch's 64/48"):
        train(stream, config(), TrainOptions(10, BatchShape(4, 64, 48), 0.02, 0), tmp_path, quiet=True)


def test_event_files_hold_the_losses(whole):
    pytest.importorskip("tensorboardX")
    assert any((whole / TENSORBOARD).iterdir())
