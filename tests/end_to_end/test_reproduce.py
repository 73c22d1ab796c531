"""Table 1 from the command line to the report, at a tiny scale: the same bytes each time, also after a kill."""

import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

import pandas as pd
import pytest

from flannb.experiments.reproduce import project_root

# Shrinks the scale, runs the command line, and tells which of the packages that a plain run does without were imported.
PROGRAM = """
import sys
from dataclasses import replace
from flannb.experiments import __main__ as command, scales
from flannb.mixture import BatchShape
scales.SCALES["smoke"] = replace(
    scales.SCALES["smoke"], rows_per_task=16, vocabulary_size=400, steps=8, checkpoint_every=2, eval_rows=16,
    answer_limit=4, explanation_limit=6, eval_batch=32, batch=BatchShape(2, 128, 32),
)
code = command.main(sys.argv[1:])
print("imported:", *[name for name in ("dask", "papermill", "tensorflow") if name in sys.modules])
sys.exit(code)
"""


def start(home, *arguments, environment=None):
    options = ["table1", "--plain", "--workers", "1", "--rows", "flan2022"]
    where = ["--runs", str(home / "runs"), "--reports", str(home / "reports")]
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *options, *where, *arguments],
        cwd=project_root(),
        env=os.environ | {"PYTHONPATH": str(project_root()), "JAX_PLATFORMS": "cpu"} | (environment or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(home, *arguments):
    process = start(home, *arguments)
    out, err = process.communicate(timeout=180)
    assert process.returncode == 0, err
    return out


def outcome(home, seed=0):
    run = home / "runs/smoke" / f"mini-{seed}" / "flan2022"
    table = (home / "reports/table1/smoke/table1.csv").read_bytes()
    return table, (run / "train/loss.csv").read_bytes(), (run / "train/model/model.safetensors").read_bytes()


def manifests(home):
    return {path: path.stat().st_mtime_ns for path in home.rglob("manifest.json")}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    home = tmp_path_factory.mktemp("undisturbed")
    return home, finish(home), outcome(home)


@pytest.fixture
def compiled(undisturbed, tmp_path):
    """A home with the programs that the undisturbed run has compiled, which take most of its time."""
    shutil.copytree(undisturbed[0] / "runs/.cache", tmp_path / "runs/.cache")
    return tmp_path


def test_a_plain_run_needs_neither_dask_nor_papermill(undisturbed):
    assert "imported:\n" in undisturbed[1]


def test_the_report_is_there_and_marks_rows_that_were_not_run(undisturbed):
    home, out, _ = undisturbed
    folder = home / "reports/table1/smoke"
    assert {"table1.html", "table1.md", "table1.csv", "figure1.png"} <= {path.name for path in folder.iterdir()}
    assert "not run" in out and "table1.html" in out


def test_again_does_nothing_and_force_does_all(undisturbed):
    home, _, before = undisturbed
    first = manifests(home)
    assert len(first) == 4
    finish(home)
    assert manifests(home) == first
    finish(home, "--force")
    assert all(time > first[path] for path, time in manifests(home).items())
    assert outcome(home) == before


def test_a_killed_run_goes_on_to_the_same_bytes(undisturbed, compiled):
    process = start(compiled)
    checkpoints = compiled / "runs/smoke/mini-0/flan2022/train/checkpoints"
    deadline = time.monotonic() + 120
    while not (checkpoints.is_dir() and any(p.name.isdigit() for p in checkpoints.iterdir())):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    finish(compiled)
    assert outcome(compiled) == undisturbed[2]


def test_two_processes_train_together_and_come_near_one(undisturbed, tmp_path):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    together = {"JAX_COORDINATOR_ADDRESS": address, "JAX_NUM_PROCESSES": "2"}
    processes = [start(tmp_path, environment=together | {"JAX_PROCESS_ID": str(i)}) for i in range(2)]
    for process in processes:
        _, err = process.communicate(timeout=480)
        assert process.returncode == 0, err
    losses = [pd.read_csv(io.BytesIO(made[1]))["loss"] for made in (outcome(tmp_path), undisturbed[2])]
    assert losses[0].tolist() == pytest.approx(losses[1].tolist(), abs=1e-4)
    assert len(manifests(tmp_path)) == 4


def test_several_processes_are_told_how_to_start(tmp_path):
    process = start(tmp_path, "--workers", "2", environment={"SLURM_STEP_NUM_TASKS": "2"})
    _, err = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "error: the environment tells of several processes: pass --plain --workers 1" in err


def test_another_seed_gives_another_model(undisturbed, compiled):
    finish(compiled, "--seed", "1")
    assert outcome(compiled, 1)[2] != undisturbed[2][2]
