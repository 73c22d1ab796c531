"""The scripts for clusters: they parse, and what SLURM would start trains together."""

import os
import random
import shutil
import subprocess
import sys

import pandas as pd
import pytest

from flannb.experiments.artefacts import TABLE1
from flannb.experiments.reproduce import Options, artefact_steps, enter_project, project_root
from flannb.experiments.step import is_done

SCRIPTS = sorted((project_root() / "examples" / "clusters").iterdir())

# Runs a command as so many tasks on this machine, each told of itself and the others as SLURM tells them.
SRUN = """#!/bin/bash
tasks=$SLURM_NTASKS
while [[ $1 == --* ]]; do
    [[ $1 == --ntasks=* ]] && tasks=${1#*=}
    shift
done
processes=()
for ((task = 0; task < tasks; task++)); do
    SLURM_NTASKS=$tasks SLURM_STEP_NUM_TASKS=$tasks SLURM_STEP_NODELIST=localhost SLURM_PROCID=$task \\
        SLURM_LOCALID=$task "$@" &
    processes+=($!)
done
for process in "${processes[@]}"; do
    wait "$process" || exit
done
"""


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_scripts_parse_and_stop_at_what_is_missing(script):
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0
    assert os.access(script, os.X_OK)
    told = subprocess.run(["bash", script], capture_output=True, text=True, check=False)
    assert told.returncode != 0 and "name" in told.stderr


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_the_tasks_of_one_srun_train_one_model(tmp_path):
    enter_project()
    (tmp_path / "srun").write_text(SRUN)
    (tmp_path / "srun").chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(project_root()),
        "FLANNB_PYTHON": sys.executable,
        "FLANNB_HOME": str(project_root()),
        "JAX_PLATFORMS": "cpu",
        "SLURM_JOB_ID": str(random.SystemRandom().randrange(4096)),  # JAX makes the port of it
        "SLURM_NTASKS": "2",
    }
    script = project_root() / "examples" / "clusters" / "slurm_train.sbatch"
    where = ["--runs", str(tmp_path / "runs"), "--reports", str(tmp_path / "reports")]
    command = [str(script), "table1", "--scale", "tiny", "--rows", "minus_cot", *where]
    subprocess.run(command, env=environment, check=True, timeout=300)
    options = Options(scale="tiny", rows=("minus_cot",), runs=str(tmp_path / "runs"), reports=str(tmp_path / "reports"))
    steps = artefact_steps(TABLE1, options)
    assert all(is_done(step) for step in steps) and len(steps) == 4
    losses = pd.read_csv(tmp_path / "runs" / "tiny" / "mini-0" / "minus_cot" / "train" / "loss.csv")
    assert losses["step"].tolist() == list(range(1, 9))
