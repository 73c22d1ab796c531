"""A run of all suites: every prediction on record, and nothing generated twice."""

import pandas as pd
import pytest

from flannb.build import Mini
from flannb.collection import eval_tasks
from flannb.errors import UserError
from flannb.evaluate import KINDS, FlannbModel, correct, evaluate, extract, read_predictions
from flannb.model import T5Config, build_model

NAMES = {("held_in", "boolq"), ("cot", "gsm8k"), ("bbh", "navigate"), ("bbh_cot", "navigate")}
TASKS = [task for task in eval_tasks("mini") if (task.suite, task.name) in NAMES]
COLUMNS = [
    "suite",
    "task",
    "setting",
    "split",
    "row",
    "mode",
    "prompt",
    "target",
    "prediction",
    "extraction",
    "score",
    "exemplars",
    "dropped_exemplars",
    "options",
    "answers",
    "likelihoods",
    "problems",
]


@pytest.fixture(scope="module")
def model(build):
    return build_model(T5Config(build.vocabulary_size, 1, 2, 16, 32, 8), seed=0)


@pytest.fixture(scope="module")
def run(model, tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("predictions")

    def go():
        sizes = {"prompt_limit": 96, "answer_limit": 4, "explanation_limit": 6}
        return evaluate(FlannbModel(model, tokenizer, 4), Mini(), TASKS, folder, rows=4, seed=0, quiet=True, **sizes)

    return folder, go, go()


def test_every_prediction_is_kept_with_all_its_columns(run, tokenizer):
    folder, _, table = run
    assert list(table.columns) == COLUMNS
    assert {path.name for path in folder.iterdir()} == {f"{s}.{k}.{t}.parquet" for s, t in NAMES for k in KINDS}
    assert len(table) == 4 * len(NAMES) * len(KINDS) and set(table["mode"]) == {"generation"}
    for line in table.to_dict("records"):
        assert len(tokenizer.encode([line["prediction"]])[0]) <= 6
        assert len(line["exemplars"]) == (0 if line["setting"] == "zs" else 3 - line["dropped_exemplars"])
    assert table["dropped_exemplars"].max() > 0


def test_scores_follow_from_what_is_on_record(run):
    kinds = {(task.suite, task.name): task.answer for task in TASKS}
    for line in run[2].to_dict("records"):
        kind, options = kinds[line["suite"], line["task"]], tuple(line["options"]) or None
        answer = extract(line["prediction"], kind, options)
        assert answer == (line["extraction"] if isinstance(line["extraction"], str) else None)
        assert line["score"] == correct(answer, line["target"], kind, options)


def test_what_is_on_record_is_not_generated_again(run):
    folder, go, table = run
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    pd.testing.assert_frame_equal(go(), table)
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_a_suite_that_is_missing_is_run_alone_and_gives_the_same(run):
    folder, go, table = run
    lost = folder / "bbh.fs.navigate.parquet"
    kept = {path: path.stat().st_mtime_ns for path in folder.iterdir() if path != lost}
    lost.unlink()
    pd.testing.assert_frame_equal(go(), table)
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir() if path != lost} == kept


def test_no_predictions_or_a_damaged_file_is_a_user_error(tmp_path):
    with pytest.raises(UserError, match="no predictions here"):
        read_predictions(tmp_path)
    (tmp_path / "bbh.fs.navigate.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match=r"bbh\.fs\.navigate\.parquet: not a whole file"):
        read_predictions(tmp_path)
