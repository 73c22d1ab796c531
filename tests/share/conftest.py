"""A run of the tiny scale: data, a trained model, predictions."""

import os
from pathlib import Path

import pytest

from flannb.experiments.artefacts import TABLE1
from flannb.experiments.reproduce import Options, artefact_steps, enter_project
from flannb.experiments.runner import run_step


@pytest.fixture(scope="session")
def row(tmp_path_factory):
    """The folder of a row."""
    before = Path.cwd()
    enter_project()
    home = tmp_path_factory.mktemp("runs")
    options = Options(scale="tiny", rows=("flan2022",), runs=str(home), reports=str(home / "reports"))
    steps = artefact_steps(TABLE1, options)
    for step in steps[:-1]:
        run_step(step, papermill=False)
    yield home / "tiny" / "mini-0" / "flan2022"
    os.chdir(before)
