"""The reports on single-task finetuning, from finetunings on disk whose answers are known."""

import json

import numpy as np
import pandas as pd
import pytest

from flannb.evaluate import write_set
from flannb.finetune import Finetuned
from flannb.report.single_task import Comparison, SingleTaskSetup, curve_table, score_table, write_single_task
from flannb.report.single_task_claims import convergence_claims, pareto_claims
from flannb.report.single_task_figures import curves

STEPS = (0, 10, 20)
ROWS = 40
TASKS = {
    "boolq": ("BoolQ", "auc_roc", False),
    "wanli": ("WANLI", "accuracy", True),
    "cxc": ("CxC", "spearman", True),
}


def lines(metric, share, split):
    """Predictions of which that share is right; with likelihoods where the metric needs them."""
    made = []
    for row in range(ROWS):
        right = row < round(share * ROWS)
        gold = str(row % 4) if metric == "spearman" else ("no", "yes")[row % 2]
        said = gold if right else ("0" if metric == "spearman" else ("yes", "no")[row % 2])
        margin = (1.0 if row % 2 else -1.0) * (1 if right else -1)
        made.append(
            {
                **dict.fromkeys(("suite", "task", "setting", "split"), "x"),
                "row": row,
                "mode": "ranking" if metric == "auc_roc" else "generation",
                "prompt": "p",
                "target": gold,
                "prediction": said,
                "extraction": said,
                "score": float(right),
                "exemplars": [],
                "dropped_exemplars": 0,
                "options": [] if metric == "spearman" else ["no", "yes"],
                "answers": [gold],
                "likelihoods": [0.0, margin] if metric == "auc_roc" else [],
                "problems": [],
            }
        )
    return made


def finetuned(folder, name, start, shares, test, trainings=1):
    """Writes a finetuning as ``flannb.finetune.finetune`` leaves it, and reads it back."""
    title, metric, held_out = TASKS[name]
    write_set(folder / "start.parquet", lines(metric, start, "test"), {})
    for seed in range(trainings):
        home = folder / f"seed{seed}"
        for step, share in zip(STEPS, shares, strict=True):
            write_set(home / "validation" / f"{step:07}.parquet", lines(metric, share, "validation"), {})
        write_set(home / "test.parquet", lines(metric, test, "test"), {})
        scores = [100 * share for share in shares]
        pd.DataFrame({"step": STEPS, "validation": scores}).to_csv(home / "evaluation.csv", index=False)
        losses = {"step": np.arange(1, 21), "loss": np.linspace(2, 1, 20), "tokens": 1.0}
        pd.DataFrame(losses).to_csv(home / "loss.csv", index=False)
    options = {"steps": 20, "shape": {"size": 4, "input": 64, "target": 16}, "learning_rate": 0.001, "dropout": 0.1}
    about = {
        "task": name,
        "title": title,
        "held_out": held_out,
        "metric": metric,
        "rows": {"train": 500, "validation": ROWS, "test": ROWS},
        "notes": ["Half are <held> out."],
        "options": {**options, "checkpoint_every": 10},
        "trainings": [{"seed": seed, "best_step": 20, "validation": 1.0, "test": 1.0} for seed in range(trainings)],
    }
    (folder / "finetuning.json").write_text(json.dumps(about))
    return Finetuned.read(folder)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Flan-T5 is better on BoolQ and WANLI, and as good on CxC; as it is, it gives one answer to all of CxC."""
    root = tmp_path_factory.mktemp("finetunings")
    plan = {
        "boolq": ((0.0, (0.2, 0.5, 0.6), 0.6), (0.8, (0.8, 0.9, 0.95), 0.95)),
        "wanli": ((0.0, (0.0, 0.3, 0.6), 0.6), (0.5, (0.5, 0.9, 1.0), 1.0)),
        "cxc": ((0.0, (0.0, 0.5, 0.8), 0.8), (0.0, (0.0, 0.5, 0.8), 0.8)),
    }
    found = {}
    for name, both in plan.items():
        folders = [root / name / start for start in ("t5", "flan_t5")]
        found[name] = Comparison(*(finetuned(f, name, *p, trainings=2) for f, p in zip(folders, both, strict=True)))
    return found


SETUP = SingleTaskSetup("smoke", "mini", 0, ["boolq", "rte", "wanli", "cxc"])


def test_the_table_has_a_line_for_each_task_and_model(done):
    table = score_table(done, SETUP)
    assert table["task"].tolist() == [name for name in ("boolq", "rte", "wanli", "cxc") for _ in range(3)]
    by_key = table.set_index(["task", "model"])
    assert by_key.loc[("wanli", "t5_finetuned"), "score"] == 60
    assert by_key.loc[("wanli", "flan_t5"), "score"] == 50
    line = by_key.loc[("wanli", "flan_t5_finetuned")]
    assert (line["score"], line["n"], line["trainings"], line["best_steps"]) == (100, ROWS, 2, "20 20")
    assert by_key.loc[("boolq", "t5_finetuned"), "metric"] == "auc_roc"
    assert (by_key.loc["rte", "source"] == "not run").all() and by_key.loc["rte", "score"].isna().all()
    assert np.isnan(by_key.loc[("cxc", "flan_t5"), "score"]), "equal answers have no rank correlation"


def test_curves_have_a_point_for_each_evaluation(done):
    table = curve_table(done, SETUP)
    wanli = table[(table["task"] == "wanli") & (table["start"] == "T5")]
    assert wanli["step"].tolist() == list(STEPS)
    assert wanli["validation"].tolist() == [0, 30, 60]
    assert wanli["loss"].isna().tolist() == [True, False, False]
    assert wanli["loss"].iloc[1] == pytest.approx(np.linspace(2, 1, 20)[:10].mean())


def test_the_labels_of_a_single_panel_fit(done):
    table = curve_table(done, SETUP)
    figure = curves(table[table["task"] == "wanli"], "micro")
    figure.canvas.draw()
    assert len(figure.axes) == 1
    for text in figure.texts:
        box, whole = text.get_window_extent(), figure.bbox
        assert whole.x0 <= box.x0 and whole.y0 <= box.y0 and box.x1 <= whole.x1 and box.y1 <= whole.y1


@pytest.mark.parametrize("artefact", ["table3", "figure6"])
def test_reports_are_whole_and_the_same_each_time(artefact, done, tmp_path):
    some = {name: done[name] for name in ("wanli", "cxc")}
    first = {path.name: path.read_bytes() for path in write_single_task(tmp_path / "a", artefact, some, SETUP)}
    again = {path.name: path.read_bytes() for path in write_single_task(tmp_path / "b", artefact, some, SETUP)}
    assert first == again
    drawn = "figure6" if artefact == "figure6" else "figure5"
    assert first.keys() == {
        *(f"{artefact}.{ending}" for ending in ("csv", "md", "html")),
        *(f"{drawn}.{ending}" for ending in ("png", "svg")),
        "claims.csv",
    }
    assert "<held>" not in first[f"{artefact}.html"].decode()
    assert "Not in this source: BoolQ, RTE." in first[f"{artefact}.md"].decode()
    claims = pd.read_csv(tmp_path / "a" / "claims.csv")
    assert set(claims["scale"]) == {"smoke"} and claims["where"].nunique() == 1


def pairs(done):
    return {name: (each.flan_t5, each.t5) for name, each in done.items()}


def verdicts(lines):
    return {line["id"]: line["verdict"] for line in lines}


def test_the_pareto_claim(done):
    found = pareto_claims(pairs(done), 0)
    assert verdicts(found) == dict.fromkeys(["C10", "C10.boolq", "C10.wanli", "C10.cxc"], "holds")
    assert found[0]["difference"] == 100
    assert found[0]["detail"].startswith("at least as good in 3 of 3 tasks (100%)")


def test_a_task_that_t5_wins_refutes_it(done):
    turned = {"boolq": done["boolq"], "wanli": Comparison(done["wanli"].flan_t5, done["wanli"].t5)}
    found = pareto_claims(pairs(turned), 0)
    assert verdicts(found) == {"C10": "does not hold", "C10.boolq": "holds", "C10.wanli": "does not hold"}
    assert found[0]["difference"] == 50


def test_the_claim_on_convergence(done):
    found = {line["id"]: line for line in convergence_claims(pairs({n: done[n] for n in ("wanli", "cxc")}), 0)}
    assert found["C11.wanli.steps"]["difference"] == 10
    assert found["C11.wanli.peak"]["difference"] == pytest.approx(40)
    assert (found["C11.wanli.peak"]["verdict"], found["C11.cxc.peak"]["verdict"]) == ("holds", "undecided")
    assert found["C11"]["verdict"] == "undecided"
