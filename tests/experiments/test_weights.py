"""The search for mixture weights: its steps, and the whole of it at a tiny scale."""

import json

import pandas as pd
import pytest

from flannb.errors import UserError
from flannb.experiments import artefact, built, weights_of
from flannb.experiments.__main__ import _steps, main
from flannb.experiments.registry import steps_of
from flannb.experiments.reproduce import Options, enter_project
from flannb.mixture import DESIGN, mixture, submixture_shares

ROWS = ("flan2022", "equal", "design_01", "design_02", "design_03")


@pytest.fixture(autouse=True)
def _project():
    enter_project()


def steps(**options):
    return {step.name: step for step in steps_of(artefact("weights"), Options(**options))}


def test_the_proposal_is_trained_as_the_papers_row_is():
    made = steps()
    assert [name for name in made if name.endswith("/train")] == [
        f"{row}/train" for row in ("flan2022", "equal", *DESIGN, "proposal")
    ]
    paper, proposed = (made[f"{row}/train"] for row in ("flan2022", "proposal"))
    changed = {name for name in paper.parameters if paper.parameters[name] != proposed.parameters[name]}
    assert changed == {"mixture"} and proposed.needs == (*paper.needs, made["weights/propose"])
    assert proposed.parameters["mixture"] == "runs/smoke/mini-0/proposal/weights/proposal.json"
    assert len({step.key for step in made.values()}) == len({step.folder for step in made.values()}) == len(made)


def test_each_step_comes_after_those_that_it_needs():
    made = list(steps().values())
    for place, step in enumerate(made):
        assert all(need in made[:place] for need in step.needs)
    assert made[-1].name == "weights/report" and made[-1].folder == "reports/weights/smoke"
    assert made[-1].command == "nox -s search_weights -- --scale smoke --source mini"


def test_the_proposal_is_trained_as_often_as_the_papers_row():
    made = steps(repeats={"flan2022": 3})
    assert [name for name in made if name.startswith("proposal")] == [
        f"proposal{suffix}/{what}" for what in ("train", "evaluate") for suffix in ("", "-repeat1", "-repeat2")
    ]
    assert [made[f"proposal{suffix}/train"].parameters["seed"] for suffix in ("", "-repeat1", "-repeat2")] == [0, 1, 2]
    evaluations = made["weights/report"].parameters["evaluations"]
    assert [len(evaluations[row]) for row in ("flan2022", "equal", "proposal")] == [3, 1, 3]
    assert evaluations["proposal"][2] == "runs/smoke/mini-0/proposal-repeat2/evaluate"


def test_other_runs_give_another_proposal():
    assert steps(rows=ROWS)["weights/propose"].key != steps(rows=ROWS[:4])["weights/propose"].key
    assert steps(rows=ROWS)["design_01/train"].key == steps()["design_01/train"].key
    with pytest.raises(UserError, match="--rows equal,design_01: name flan2022 too"):
        steps(rows=("equal", "design_01"))


def test_training_alone_stops_before_the_proposal():
    chosen, options = artefact("weights"), Options(rows=ROWS)
    assert [step.name for step in _steps("train", chosen, options)] == ["data", *(f"{row}/train" for row in ROWS)]
    names = [step.name for step in _steps("evaluate", chosen, options)]
    assert names[-2:] == ["proposal/train", "proposal/evaluate"] and "weights/report" not in names


def test_the_whole_of_it(tmp_path, capsys):
    where = ["--scale", "tiny", "--runs", f"{tmp_path}/runs", "--reports", f"{tmp_path}/reports"]
    command = ["weights", *where, "--rows", ",".join(ROWS), "--plain", "--workers", "1"]
    assert main(command) == 0
    said = capsys.readouterr()
    assert "Mixture weights as a search, at the scale tiny" in said.out
    home = tmp_path / "runs/tiny/mini-0/proposal"
    rates = mixture(str(home / "weights/proposal.json")).rates
    runs = pd.read_csv(tmp_path / "reports/weights/tiny/runs.csv").set_index("row")
    assert list(runs.index) == ["proposal", *ROWS]
    assert runs.loc["proposal", list(rates)].tolist() == pytest.approx(list(rates.values()))
    for name in rates:  # nothing is extrapolated
        assert runs.loc[list(ROWS), name].min() - 1e-3 <= rates[name] <= runs.loc[list(ROWS), name].max() + 1e-3
    trained = json.loads((home / "train/inputs.json").read_text())["parameters"]
    shares = submixture_shares(weights_of(built(trained["data"]), trained["mixture"], seed=0))
    assert shares == pytest.approx(rates, abs=1e-3)
    table = pd.read_csv(tmp_path / "reports/weights/tiny/weights.csv")
    assert set(table.dropna(subset=["score"])["row"]) == {"proposal", *ROWS}
    inputs = json.loads((tmp_path / "reports/weights/tiny/inputs.json").read_text())
    assert inputs["parameters"]["models"]["proposal"].endswith("proposal/train")

    first = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("manifest.json")}
    assert main(command) == 0
    assert first == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("manifest.json")}
    capsys.readouterr()
    assert main(["status", *where, "--artefact", "weights", "--rows", ",".join(ROWS)]) == 0
    assert "All is done." in capsys.readouterr().out
    assert main(["weights", *where, "--dry-run"]) == 0
    assert "a model of the weights that these runs propose" in capsys.readouterr().out
