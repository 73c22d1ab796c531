"""Tables of scores: means over tasks, comparisons row by row."""

import numpy as np
import pandas as pd
import pytest

from flannb.build import Mini
from flannb.collection import eval_tasks
from flannb.evaluate import set_scores, side_by_side, suite_differences, suite_scores
from flannb.evaluate.intervals import difference, suite_score

BBH = [task for task in eval_tasks("hub") if task.suite == "bbh"]
FILES = ["logical_deduction_three_objects", "logical_deduction_five_objects", "logical_deduction_seven_objects"]


def predictions(scores, suite="bbh", setting="fs", mode="generation"):
    """Set -> scores of its rows, as predictions."""
    lines = [
        {"suite": suite, "task": task, "setting": setting, "split": "test", "row": row, "mode": mode, "score": score}
        | {"prompt": f"{task} {row}", "target": "5", "prediction": str(score), "extraction": str(score)}
        for task, rows in scores.items()
        for row, score in enumerate(rows)
    ]
    return pd.DataFrame(lines)


def test_files_of_one_task_are_averaged_first():
    scores = {FILES[0]: [1.0] * 4, FILES[1]: [1.0, 0.0], FILES[2]: [0.0] * 6, "navigate": [1.0] * 10}
    table = suite_scores(predictions(scores), BBH)
    assert table.loc[0, "score"] == pytest.approx(75.0)  # (50 + 100) / 2 and not (100 + 50 + 0 + 100) / 4
    assert (table.loc[0, "tasks"], table.loc[0, "of"], table.loc[0, "n"]) == (2, 23, 22)


def test_all_27_files_are_23_tasks():
    table = suite_scores(predictions({task.name: [1.0, 0.0] for task in BBH}), BBH)
    assert (table.loc[0, "tasks"], table.loc[0, "of"], table.loc[0, "score"]) == (23, 23, 50.0)


def test_tasks_are_resampled_as_well_as_rows():
    scores = {f"task{i}": np.full(50, float(i < 5)) for i in range(10)}  # rows say nothing, tasks everything
    rows, both = suite_score(scores), suite_score(scores, over_tasks=True)
    assert rows.low == rows.high == 50.0
    # the standard error of a share of 10 draws is 15.8 points
    assert both.low == pytest.approx(20, abs=10) and both.high == pytest.approx(80, abs=10)
    assert (both.score, both.n) == (50.0, 500)
    harder = {name: rows - 0.25 for name, rows in scores.items()}
    paired = difference(scores, harder, over_tasks=True)
    assert paired.low == paired.high == 25.0  # the same tasks are drawn for both


def test_intervals_over_tasks_and_rows_cover_the_truth():
    rng = np.random.default_rng(0)
    covered = 0
    for seed in range(100):
        rates = rng.beta(4, 4, size=20)  # a suite of 20 tasks out of all there might be, whose mean is 50
        interval = suite_score({str(i): rng.random(30) < rate for i, rate in enumerate(rates)}, seed, over_tasks=True)
        covered += interval.low <= 50 <= interval.high
    assert covered >= 91


def test_two_models_side_by_side():
    first = predictions({"navigate": [1.0, 1.0, 0.0, 0.0]})
    second = predictions({"navigate": [1.0, 0.0, 1.0, 0.0], "snarks": [1.0]})
    pairs = side_by_side(first, second)
    assert pairs["outcome"].tolist() == ["both right", "only A", "only B", "both wrong"]
    table = suite_differences(first, second)
    assert (table.loc[0, "score"], table.loc[0, "n"], table.loc[0, "tasks"]) == (0.0, 4, 1)
    assert table.loc[0, "low"] < 0 < table.loc[0, "high"]
    assert len(side_by_side(first, second.iloc[4:])) == 0


def test_sets_have_their_accuracy_and_their_metric_of_table_3():
    pytest.importorskip("sklearn", reason="needs scikit-learn, which requirements.lock pins")
    tasks = eval_tasks("hub", ["held_in"])
    frames = []
    for mode in ("generation", "ranking"):
        frame = predictions({"boolq": [1.0, 0.0, 1.0, 1.0]}, "held_in", "zs", mode)
        frame["target"] = ["yes", "no", "no", "yes"]
        frame["extraction"] = ["yes", "yes", "no", "yes"]
        frame["options"] = [["no", "yes"]] * 4
        frame["likelihoods"] = (
            [[-2.0, -1.0], [-2.0, -1.0], [-1.0, -2.0], [-3.0, -1.0]] if mode == "ranking" else [[]] * 4
        )
        frames.append(frame)
    table = set_scores(pd.concat(frames), tasks)
    found = {(line["mode"], line["metric"]): line["score"] for line in table.to_dict("records")}
    assert found == {("generation", "accuracy"): 75.0, ("ranking", "accuracy"): 75.0, ("ranking", "auc_roc"): 87.5}


def test_every_metric_of_a_set_is_known():
    from flannb.collection import MORE_SUITES, SUITES
    from flannb.evaluate import METRICS

    everything = [*eval_tasks("hub", tuple(SUITES | MORE_SUITES)), *eval_tasks(Mini().collection)]
    assert {task.metric for task in everything} <= set(METRICS)
    assert {task.name: task.metric for task in eval_tasks("hub", ["single_task"])} == {
        "squad_v2": "squad_f1",
        "cosmos_qa": "accuracy",
        "wanli": "accuracy",
        "med_nli": "accuracy",
        "conda_qa": "accuracy",
        "pubmed_qa": "macro_f1",
        "cxc": "spearman",
    }
