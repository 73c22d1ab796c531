"""The loop: it learns, survives a kill to the byte, and splits batches between devices."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from flannb.mixture import BatchShape, Mixture, shard_weights, unigram_entropy
from flannb.model import T5Config
from flannb.train import LOSS_CSV, TrainOptions, train

CONFIG = T5Config(0, 1, 2, 16, 32, 8, dropout=0.1, activation="relu", use_gated_activation=False)

SETUP = """
import os, signal, sys
from pathlib import Path
from flannb.build import open_build
from flannb.errors import UserError
from flannb.mixture import BatchShape, Mixture, shard_weights
from flannb.model import T5Config
from flannb.train import TrainOptions, train
from flannb.train.checkpoints import Checkpoints
build = open_build(Path(sys.argv[1]))
weights = shard_weights(build.shards, Mixture())
config = T5Config(0, 1, 2, 16, 32, 8, dropout=float(sys.argv[3]), activation="relu", use_gated_activation=False)

def run(size, steps, every):
    options = TrainOptions(steps, BatchShape(size, 128, 48), 0.02, 0, checkpoint_every=every)
    return train(build, weights, config, options, Path(sys.argv[2]), quiet=True)
"""

KILLED = """
save = Checkpoints.save

def save_and_die(self, *values):
    save(self, *values)
    os.kill(os.getpid(), signal.SIGKILL)

Checkpoints.save = save_and_die
run(2, 12, 4)
"""

TWO_DEVICES = """
try:
    run(3, 6, 100)
except UserError as error:
    print(error)
run(4, 6, 100)
"""


def options(size, steps, every=100):
    return TrainOptions(steps, BatchShape(size, 128, 48), 0.02, 0, checkpoint_every=every)


def run_apart(program, build, folder, dropout, **environment):
    return subprocess.run(
        [sys.executable, "-c", SETUP + program, str(build.home / "index.json"), str(folder), str(dropout)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environment,
    )


@pytest.fixture(scope="module")
def weights(build):
    return shard_weights(build.shards, Mixture())


def test_training_learns_more_than_how_often_tokens_occur(build, weights, tmp_path):
    model = train(build, weights, CONFIG, options(4, 150), tmp_path, quiet=True)
    log = pd.read_csv(tmp_path / LOSS_CSV)
    assert list(log.columns) == ["step", "loss", "tokens"] and log["step"].tolist() == list(range(1, 151))
    assert log["tokens"].is_monotonic_increasing and (log["tokens"] % 1 == 0).all()
    assert log["loss"][-20:].mean() < log["loss"][:5].mean() - 1
    assert log["loss"][-20:].mean() < unigram_entropy(build, weights)
    assert sorted(path.name for path in Path(model).iterdir()) == ["config.json", "model.safetensors"]


def test_a_killed_run_goes_on_to_the_same_bytes(build, weights, tmp_path):
    ended = run_apart(KILLED, build, tmp_path / "killed", 0.1)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert not (tmp_path / "killed" / "model").exists() and (tmp_path / "killed" / "checkpoints" / "4").is_dir()
    for name in ("killed", "whole"):
        train(build, weights, CONFIG, options(2, 12, every=4), tmp_path / name, quiet=True)
    for name in (LOSS_CSV, "model/model.safetensors", "model/config.json"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_two_devices_share_a_batch_and_give_the_same_losses(build, weights, tmp_path):
    flags = "--xla_force_host_platform_device_count=2"
    ended = run_apart(TWO_DEVICES, build, tmp_path / "two", 0.0, XLA_FLAGS=flags, JAX_PLATFORMS="cpu")
    assert ended.returncode == 0, ended.stderr
    assert "batch size 3 is not divisible by 2 devices; choose a multiple" in ended.stdout
    config = T5Config(0, 1, 2, 16, 32, 8, activation="relu", use_gated_activation=False)
    train(build, weights, config, options(4, 6), tmp_path / "one", quiet=True)
    one, two = (pd.read_csv(tmp_path / name / LOSS_CSV) for name in ("one", "two"))
    assert two["loss"].tolist() == pytest.approx(one["loss"].tolist(), abs=1e-4)
    assert two["tokens"].tolist() == one["tokens"].tolist()
