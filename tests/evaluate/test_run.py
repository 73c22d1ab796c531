"""A run of all suites: every prediction on record, and nothing generated twice."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flannb.build import Mini, Mirror
from flannb.collection import EvalTask, Split, eval_tasks
from flannb.collection.task import Column, Options
from flannb.errors import UserError
from flannb.evaluate import (
    KINDS,
    MODES,
    FlannbModel,
    correct,
    evaluate,
    extract,
    make_prompts,
    read_predictions,
    read_set,
    tokenize,
)
from flannb.evaluate.__main__ import main
from flannb.evaluate.models import open_model
from flannb.evaluate.record import read_problems
from flannb.model import save_model

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
def run(flannb_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("predictions")

    def go():
        sizes = {"prompt_limit": 96, "answer_limit": 4, "explanation_limit": 6}
        return evaluate(flannb_model, Mini(), TASKS, folder, rows=4, seed=0, quiet=True, **sizes)

    return folder, go, go()


def test_every_prediction_is_kept_with_all_its_columns(run):
    folder, _, table = run
    assert list(table.columns) == COLUMNS
    written = {path.name for path in folder.iterdir()}
    assert written == {"SHA256SUMS", *(f"{s}.{k}.{t}.parquet" for s, t in NAMES for k in KINDS)}
    assert len(table) == 4 * len(NAMES) * len(KINDS) and set(table["mode"]) == {"generation"}
    for line in table.to_dict("records"):
        assert len(line["exemplars"]) == (0 if line["setting"] == "zs" else 3 - line["dropped_exemplars"])
    assert table["dropped_exemplars"].max() > 0


def test_a_suite_is_about_as_many_rows_as_wanted_equally_many_of_each_set(flannb_model, tmp_path):
    tasks = [task for task in eval_tasks("mini") if task.suite == "mmlu"]
    sizes = {"prompt_limit": 32, "answer_limit": 2, "explanation_limit": 2}
    table = evaluate(flannb_model, Mini(), tasks, tmp_path, rows=17, seed=0, settings=("zs",), quiet=True, **sizes)
    assert table["task"].value_counts().to_dict() == {task.name: 2 for task in tasks} and len(tasks) == 8


def test_one_file_is_read_only_as_it_was_written(run, tmp_path):
    for path in run[0].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    path = tmp_path / "held_in.zs.boolq.parquet"
    assert len(read_set(path)) == 4
    pq.write_table(pq.read_table(path).slice(1), path)
    with pytest.raises(UserError, match=r"boolq\.parquet: not as it was written"):
        read_set(path)
    path.unlink()
    with pytest.raises(UserError, match=r"boolq\.parquet: not as it was written"):
        read_set(path)


@pytest.mark.parametrize("option", ["--batch-size", "--rows", "--prompt-limit", "--answer-limit"])
def test_a_number_below_1_is_refused(option, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main([str(tmp_path), option, "0"])
    assert f"argument {option}: 0 is below 1" in capsys.readouterr().err


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
    lost, damaged = folder / "bbh.fs.navigate.parquet", folder / "bbh.zs.navigate.parquet"
    before = {path: path.read_bytes() for path in folder.iterdir()}
    kept = {path: path.stat().st_mtime_ns for path in folder.glob("*.parquet") if path not in (lost, damaged)}
    lost.unlink()
    damaged.write_bytes(before[damaged].replace(b"navigate", b"navigbte"))
    pd.testing.assert_frame_equal(go(), table)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


SIZES = {"prompt_limit": 96, "answer_limit": 4, "explanation_limit": 6}


def test_predictions_of_another_model_or_another_suite_are_not_taken_for_its_own(run, flannb_model, tmp_path):
    for path in run[0].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "mmlu.zs.half.parquet").write_bytes(b"PAR1")  # as a kill leaves it, before its hash is on the list
    some = [task for task in TASKS if task.suite == "held_in"]
    other = FlannbModel(flannb_model.model, flannb_model.tokenizer, name="other")
    table = evaluate(other, Mini(), some, tmp_path, rows=3, seed=0, settings=("zs",), quiet=True, **SIZES)
    assert set(table["suite"]) == {"held_in"} and set(table["setting"]) == {"zs"}
    assert len(table) == 3 * len(some)


def test_a_set_that_was_absent_is_scored_when_its_data_are_there(flannb_model, tmp_path):
    fields = {"question": Column("question"), "answer": Column("answer")}
    task = EvalTask("e", "cot", Split("o/eval", "default", "test"), fields, "cot", "text")
    (tmp_path / "mirror").mkdir()
    for rows in (0, 2, 3):
        if rows:
            path = tmp_path / "mirror" / str(task.data) / "0000.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.table({"question": [f"who {i} ?" for i in range(rows)], "answer": ["he"] * rows}), path)
        source = Mirror(tmp_path / "mirror")
        table = evaluate(flannb_model, source, [task], tmp_path / "p", rows=None, seed=0, settings=("zs",), **SIZES)
        assert len(table) == rows
    assert read_problems(tmp_path / "p").empty


def test_a_row_with_an_option_of_invisible_signs_is_generated_for_and_counted(flannb_model, tmp_path):
    fields = {"question": Column("question"), "options": Options("options"), "answer": Column("answer")}
    task = EvalTask("e", "mmlu", Split("o/eval", "default", "test"), fields, "multiple_choice", "option")
    path = tmp_path / "mirror" / str(task.data) / "0000.parquet"
    path.parent.mkdir(parents=True)
    options = [["a", "\u200b"], ["a", "b"]]
    pq.write_table(pa.table({"question": ["q", "r"], "options": options, "answer": ["a", "a"]}), path)
    source = Mirror(tmp_path / "mirror")
    evaluate(flannb_model, source, [task], tmp_path / "p", rows=None, seed=0, settings=("zs",), quiet=True, **SIZES)
    lines = read_predictions(tmp_path / "p", MODES)
    assert lines["mode"].value_counts().to_dict() == {"generation": 2, "ranking": 1, "ranking_per_token": 1}
    told = read_problems(tmp_path / "p").query("problem == 'not ranked: an option has no token'")
    assert told["rows"].tolist() == [1]


def test_no_predictions_or_a_damaged_file_is_a_user_error(tmp_path):
    with pytest.raises(UserError, match="no predictions here"):
        read_predictions(tmp_path)
    (tmp_path / "bbh.fs.navigate.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match=r"bbh\.fs\.navigate\.parquet: not as it was written"):
        read_predictions(tmp_path)


def test_ranking_is_on_record_where_there_are_choices_and_chooses_the_likeliest(run, flannb_model):
    ranked = read_predictions(run[0], MODES[1:])
    assert set(ranked["suite"]) == {"held_in", "bbh"} and set(ranked["mode"]) == set(MODES[1:])
    assert len(ranked) == 2 * len(KINDS) * 2 * 4
    task = next(task for task in TASKS if task.name == "boolq")
    prompts = make_prompts(task, "zs", Mini(), 4, 0).prompts
    options = [flannb_model.encode(prompt.targets) for prompt in prompts]
    found = flannb_model.score([each.ids for each in tokenize(prompts, flannb_model, 96)], options)
    lines = ranked.query("task == 'boolq' and setting == 'zs'")
    for mode, part in lines.groupby("mode"):
        for prompt, likelihoods, tokens, line in zip(prompts, found, options, part.to_dict("records"), strict=True):
            sizes = [len(t) if mode == "ranking_per_token" else 1 for t in tokens]
            values = [each.log / size for each, size in zip(likelihoods, sizes, strict=True)]
            assert line["likelihoods"].tolist() == pytest.approx(values, abs=1e-4)
            assert line["prediction"] == prompt.options[int(np.argmax(values))]
            assert line["score"] == (line["prediction"] == prompt.gold)


def test_the_command_line_prints_scores_and_problems(flannb_folder, tmp_path, capsys):
    options = ["--suites", "bbh", "--settings", "zs", "--modes", "generation", "--rows", "7", "--prompt-limit", "30"]
    options += ["--answer-limit", "3", "--folder", str(tmp_path)]
    assert main([str(flannb_folder), *options]) == 0
    printed = capsys.readouterr().out
    assert "question cut" in printed and "bbh" in printed.splitlines()[-1]
    assert len(read_predictions(tmp_path)) == 7


def test_a_model_trained_on_at_the_same_place_has_another_name(flannb_model, tmp_path):
    model, names = flannb_model.model, []
    kernel = next(v for v in model.trainable_variables if "input_projector" in v.path)
    before = np.array(kernel.value)
    try:
        for change in (0.0, 0.0, 1e-3):
            kernel.assign(before + np.float32(change))
            save_model(model, tmp_path, flannb_model.tokenizer)
            names.append(open_model(str(tmp_path)).name)
    finally:
        kernel.assign(before)
    names.append(open_model(str(tmp_path), dtype="mixed_bfloat16").name)
    assert names[0] == names[1] and len(set(names)) == 3 and all(name.startswith(str(tmp_path)) for name in names)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere-at-all/x", "--suites", "tests"], "--suites tests: unknown; choose one of held_in, cot"),
        (["FOLDER", "--tokenizer", "missing.model"], "missing.model: no such tokenizer"),
    ],
)
def test_what_the_user_can_mend_is_an_error_in_a_line(flannb_folder, arguments, message, capsys):
    assert main([str(flannb_folder) if word == "FOLDER" else word for word in arguments]) == 2
    assert message in capsys.readouterr().err
