"""Tiny trainings: a model of a few thousand weights on the session's build, here or in processes of their own."""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from flannb.mixture import BatchShape, Mixture, mixed, shard_weights
from flannb.model import T5Config
from flannb.train import TrainOptions

PROGRAM = """
import json, os, signal, sys
from pathlib import Path
from flannb.build import open_build
from flannb.errors import UserError
from flannb.mixture import BatchShape, Mixture, mixed, shard_weights
from flannb.model import T5Config
from flannb.train import TrainOptions, train

import numpy as np

def mean_weight(step, model):
    return {"mean": float(np.mean([np.abs(variable.value).mean() for variable in model.trainable_variables]))}

given = json.loads(sys.argv[1])
build, folder = open_build(Path(given["build"])), Path(given["folder"])
stream = mixed(build, shard_weights(build.shards, Mixture()))
config = T5Config(**given["config"])
options = TrainOptions(**given["options"] | {"shape": BatchShape(**given["options"]["shape"])})
"""


@pytest.fixture(scope="session")
def config():
    """Makes the shape of a tiny model."""

    def make(**changes):
        shape = {
            "num_layers": 1,
            "num_heads": 4,
            "hidden_dim": 16,
            "intermediate_dim": 32,
            "key_value_dim": 4,
            "activation": "relu",
            "use_gated_activation": False,
        }
        return T5Config(**(shape | changes))

    return make


@pytest.fixture(scope="session")
def options():
    """Makes options for batches of some rows and a number of steps."""

    def make(size, steps, **changes):
        return TrainOptions(steps, BatchShape(size, 128, 48), 0.02, 0, **changes)

    return make


@pytest.fixture(scope="session")
def weights(build):
    return shard_weights(build.shards, Mixture())


@pytest.fixture(scope="session")
def stream(build, weights):
    return mixed(build, weights)


@pytest.fixture
def start(build):
    """Starts a program after ``PROGRAM`` in a process of its own."""

    def started(program, folder: Path, shape: T5Config, chosen: TrainOptions, **environment):
        given = {
            "build": str(build.home / "index.json"),
            "folder": str(folder),
            "config": asdict(shape),
            "options": asdict(chosen),
        }
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM + program, json.dumps(given)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"JAX_PLATFORMS": "cpu"} | environment,
        )

    return started
