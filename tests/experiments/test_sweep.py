"""A sweep of two rates from the command to the report, really trained."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from flannb.experiments import scales
from flannb.experiments.__main__ import main
from flannb.mixture import BatchShape


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    tiny = replace(
        scales.SCALES["smoke"], rows_per_task=60, vocabulary_size=400, batch=BatchShape(8, 128, 32), average=0.0
    )
    monkeypatch.setitem(scales.SCALES, "smoke", tiny)
    monkeypatch.setattr("flannb.experiments.trials.SEQUENCES", 64)

    def run(*arguments):
        where = ["--runs", str(tmp_path / "runs"), "--reports", str(tmp_path / "reports")]
        return main(["sweep", "--plain", "--workers", "1", *arguments, *where])

    return run


def test_settings_are_trained_measured_and_reported_once(sweep, tmp_path, capsys):
    assert sweep("--rates", "1e-6,0.02", "--steps", "30") == 0
    folder = tmp_path / "reports/sweep/smoke"
    assert {path.suffix for path in folder.glob("sweep.*")} == {".csv", ".html", ".md", ".png", ".svg"}
    command = json.loads((folder / "manifest.json").read_text())["command"]
    assert command.endswith("--sizes smoke --rates 1e-06,0.02 --dropouts 0.0 --steps 30")
    table = pd.read_csv(folder / "sweep.csv")
    assert table["rate"].tolist() == [1e-6, 0.02] and (table["steps"] == 30).all()
    still, learned = table["held_out_loss"]
    assert learned < still - 0.5 and still == pytest.approx(np.log(512), rel=0.5)
    curve = pd.read_csv(folder / "curves.csv")
    assert curve["step"].tolist() == [6, 12, 18, 24, 30] * 2
    assert (
        curve["loss"].iloc[-1] == pytest.approx(learned, rel=1e-5) and table["best_loss"].iloc[1] <= learned * 1.00001
    )
    assert abs(table["training_loss"] - table["held_out_loss"]).max() < 1.5
    assert "smoke at a learning rate of 0.02 and dropout 0:" in capsys.readouterr().out
    trials = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("trial.json")}
    assert len(trials) == 2 and json.loads(next(iter(trials)).read_text())["parameters"] > 0
    assert sweep("--rates", "1e-6,0.02", "--steps", "30") == 0
    assert {path: path.stat().st_mtime_ns for path in trials} == trials


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sizes", "huge"], "--sizes huge: unknown; choose one of smoke"),
        (["--rates", "fast"], "--rates fast: give numbers, such as 0.001,0.003"),
        (["--rates", ","], "--rates: names no number"),
        (["--rates", "0"], "--rates 0: give numbers above 0"),
        (["--rates", "nan"], "--rates nan: give numbers above 0"),
        (["--dropouts", "1"], "--dropouts 1: give numbers from 0 to below 1"),
        (["--steps", "0"], "--steps 0: must be at least 1"),
        (["--workers", "0"], "--workers 0: must be at least 1"),
        (["--scale", "huge"], "--scale huge: unknown"),
    ],
)
def test_wrong_options_are_named(arguments, message, sweep, capsys):
    assert sweep(*arguments) == 2
    assert message in capsys.readouterr().err
