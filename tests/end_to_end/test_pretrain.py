"""From the command line: a starting model, and a row that starts from it or from a given checkpoint."""

import os
import subprocess
import sys

import numpy as np
import pytest

from flannb.experiments.reproduce import project_root
from flannb.model import load_checkpoint

# Shrinks the scale so far that no learning happens in a row, which then is what it started from.
PROGRAM = """
import sys
from dataclasses import replace
from flannb.experiments import __main__ as command, scales
from flannb.experiments.scales import Pretraining, Stage
from flannb.mixture import BatchShape
scales.SCALES["smoke"] = replace(
    scales.SCALES["smoke"], rows_per_task=16, vocabulary_size=400, steps=1, eval_rows=8, learning_rate=0.0,
    average=0.0, answer_limit=2, explanation_limit=2, eval_batch=32, batch=BatchShape(2, 128, 32),
    pretraining=Pretraining(Stage(4, 0.02), Stage(4, 0.02)),
)
code = command.main(sys.argv[1:])
print("imported:", *[name for name in ("dask", "papermill", "tensorflow") if name in sys.modules])
sys.exit(code)
"""


def run(home, command, *arguments):
    where = ["--plain", "--workers", "1", "--runs", str(home / "runs"), "--reports", str(home / "reports")]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, command, *where, *arguments],
        cwd=project_root(),
        env=os.environ | {"PYTHONPATH": str(project_root()), "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def weights(folder):
    return [np.asarray(variable.value) for variable in load_checkpoint(folder).trainable_variables]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    assert "imported:\n" in run(home, "pretrain")
    return home


def test_pretraining_ends_with_a_report(home):
    names = {path.name for path in (home / "reports/pretrain/smoke").iterdir()}
    assert {"pretrain.md", "pretrain.html", "held_out.csv", "loss.png", "loss.svg"} <= names


def test_a_row_starts_from_a_given_model_with_its_vocabulary(home):
    given = home / "runs/smoke/mini-0/pretrain/span_corruption/model"
    out = run(home, "table1", "--rows", "flan2022", "--start", str(given))
    assert "table1.html" in out
    (row,) = (home / "runs/smoke").glob("mini-0-model-*/flan2022/train/model")
    assert all(map(np.array_equal, weights(row), weights(given)))
    assert (row / "spiece.model").read_bytes() == (given / "spiece.model").read_bytes()
