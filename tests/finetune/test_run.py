"""A finetuning: what it leaves behind, that it goes on after a kill, and what it says to wrong options."""

import shutil
from dataclasses import replace

import pandas as pd
import pyarrow.parquet as pq
import pytest

from flannb.build import Mini, Tokenizer
from flannb.errors import UserError
from flannb.evaluate import metric_score, metric_value
from flannb.finetune import Finetuned, finetune, own_task
from flannb.finetune.validation import Questions, Validation, predictions_path
from flannb.model import build_model, load_checkpoint, save_model


@pytest.fixture(scope="module")
def done(tasks, start, options, tmp_path_factory):
    """WANLI, which is trained on once."""
    lines = []
    folder = tmp_path_factory.mktemp("done")
    return finetune(tasks["wanli"], Mini(), start, options, folder, say=lines.append, quiet=True), lines


def files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if (path.is_file() and path.suffix in (".parquet", ".json", ".safetensors")) or path.name == "loss.csv"
    }


def test_it_leaves_curve_predictions_and_the_best_model(done):
    tuned, lines = done
    assert tuned.steps == [0, 2, 4, 6]
    curve = tuned.curve
    assert curve["step"].tolist() == [0, 2, 4, 6]
    assert curve["loss"].isna().tolist() == [True, False, False, False]
    assert curve["validation"].tolist() == [metric_value(tuned.validated(step), "accuracy") for step in tuned.steps]
    assert set(tuned.validated(4)["split"]) == {"train"}, "held out of the training rows"
    [training] = tuned.about["trainings"]
    best = curve.loc[curve["validation"].idxmax()]
    assert (training["best_step"], training["validation"]) == (best["step"], best["validation"])
    assert training["test"] == metric_value(tuned.tested, "accuracy")
    assert [path.name for path in (tuned.homes[0] / "best").iterdir()] == [str(training["best_step"])]
    assert not (tuned.homes[0] / "checkpoints").exists() and not (tuned.homes[0] / "model").exists()
    assert load_checkpoint(tuned.folder / training["model"]).config.dropout == 0.1
    assert tuned.about["rows"] == {"train": 1040, "validation": 12, "test": 12}
    assert lines[0].startswith("For validation, 260 of 1,300 rows")
    assert lines[-1].startswith("seed 0: best after")


def test_start_is_scored_on_the_same_test_rows(done):
    tuned, _ = done
    assert tuned.start[["task", "row"]].equals(tuned.tested[["task", "row"]])
    assert metric_score(tuned.start, tuned.metric).n == 12


def test_it_is_read_back(done):
    tuned, _ = done
    assert Finetuned.read(tuned.folder).about == tuned.about


def test_what_is_done_is_kept(done, tasks, start, options):
    tuned, _ = done
    before = files(tuned.folder)
    times = {path: path.stat().st_mtime_ns for path in tuned.folder.rglob("*.parquet")}
    finetune(tasks["wanli"], Mini(), start, options, tuned.folder, quiet=True)
    assert files(tuned.folder) == before
    assert times == {path: path.stat().st_mtime_ns for path in tuned.folder.rglob("*.parquet")}


def test_answers_that_are_damaged_are_made_again(done, tasks, start, options, tmp_path):
    tuned, _ = done
    shutil.copytree(tuned.folder, tmp_path / "copy")
    for path in (tmp_path / "copy" / "start.parquet", tmp_path / "copy" / "seed0" / "test.parquet"):
        pq.write_table(pq.read_table(path).slice(1), path)
    again = finetune(tasks["wanli"], Mini(), start, options, tmp_path / "copy", quiet=True)
    assert files(tmp_path / "copy") == files(tuned.folder)
    assert len(again.start) == len(again.tested) == 12


class Stopped(Exception):
    """Of a finetuning whose test has seen what it looks for."""


def stop(line):
    raise Stopped(line)


def stop_if_again(line):
    if line.endswith("trained again from the start"):
        stop(line)


def append(path):
    path.write_bytes(path.read_bytes() + b"x")


def test_damaged_validation_and_what_a_kill_left_unlisted_do_not_count(done, tokenizer, tmp_path):
    tuned, _ = done
    shutil.copytree(tuned.homes[0], tmp_path / "copy")
    questions = Questions([], "accuracy", tokenizer, 128, 48, 8)
    best = tuned.about["trainings"][0]["best_step"]
    path = predictions_path(tmp_path / "copy", best)
    path.with_name("0000008.parquet").write_bytes(path.read_bytes()[:100])
    judge = Validation(questions, tokenizer, tmp_path / "copy")
    assert judge.best() == best and judge.has_scores([0, 2, 4, 6]) and not judge.has_scores([8])
    assert judge.has_model(best) and not judge.has_model(6)
    append(path)
    judge = Validation(questions, tokenizer, tmp_path / "copy")
    assert not judge.has_scores([best]) and judge.has_scores({0, 2, 4, 6} - {best})
    append(judge.model(best) / "model.safetensors")
    assert not judge.has_model(best)


def test_without_the_answers_of_the_best_step_a_training_is_done_again(done, tasks, start, options, tmp_path):
    tuned, _ = done
    shutil.copytree(tuned.folder, tmp_path / "copy")
    predictions_path(tmp_path / "copy" / "seed0", tuned.about["trainings"][0]["best_step"]).unlink()
    lines = []
    again = finetune(tasks["wanli"], Mini(), start, options, tmp_path / "copy", say=lines.append, quiet=True)
    assert any(line.startswith("seed 0: something in") for line in lines)
    assert again.about == tuned.about and files(tmp_path / "copy") == files(tuned.folder)


@pytest.mark.parametrize(
    "damaged", ["validation/0000002.parquet", "validation/SHA256SUMS", "best/{best}/model.safetensors"]
)
def test_damage_to_a_training_that_is_done_is_seen_and_removes_no_model(damaged, done, tasks, start, options, tmp_path):
    tuned, _ = done
    shutil.copytree(tuned.folder, tmp_path / "copy")
    path = tmp_path / "copy" / "seed0" / damaged.format(best=tuned.about["trainings"][0]["best_step"])
    if path.name == "SHA256SUMS":
        path.unlink()
    else:
        append(path)
    with pytest.raises(Stopped, match=r"seed 0: something in .*seed0 is missing or not as it was written"):
        finetune(tasks["wanli"], Mini(), start, options, tmp_path / "copy", say=stop_if_again, quiet=True)
    assert (tmp_path / "copy" / tuned.about["trainings"][0]["model"]).is_dir()


def test_a_killed_one_comes_to_the_same_bytes(done, tasks, start, options, tmp_path, monkeypatch):
    call = Validation.__call__

    def dies(self, step, model):
        found = call(self, step, model)
        if step == 6:  # evaluated, and not yet on record as done
            raise KeyboardInterrupt
        return found

    with monkeypatch.context() as patch:
        patch.setattr(Validation, "__call__", dies)
        with pytest.raises(KeyboardInterrupt):
            finetune(tasks["wanli"], Mini(), start, options, tmp_path / "out", quiet=True)
    shutil.copytree(tmp_path / "out", tmp_path / "copy")
    append(predictions_path(tmp_path / "copy" / "seed0", 2))
    with pytest.raises(Stopped):
        finetune(tasks["wanli"], Mini(), start, options, tmp_path / "copy", say=stop_if_again, quiet=True)
    append(predictions_path(tmp_path / "out" / "seed0", 6))  # of a step that comes again
    steps = []

    def counts(self, step, model):
        steps.append(step)
        return call(self, step, model)

    with monkeypatch.context() as patch:
        patch.setattr(Validation, "__call__", counts)
        finetune(tasks["wanli"], Mini(), start, options, tmp_path / "out", say=stop_if_again, quiet=True)
    assert steps == [6]
    assert files(tmp_path / "out") == files(done[0].folder)


def test_few_rows_are_trained_on_three_times(tasks, start, options, tmp_path):
    tuned = finetune(tasks["cxc"], Mini(), start, replace(options, steps=2, most_rows=6), tmp_path, quiet=True)
    assert [training["seed"] for training in tuned.about["trainings"]] == [0, 1, 2]
    assert tuned.tested["repeat"].value_counts().to_dict() == {0: 6, 1: 6, 2: 6}
    losses = [pd.read_csv(home / "loss.csv")["loss"].tolist() for home in tuned.homes]
    assert losses[0] != losses[1] != losses[2]


def test_another_finetuning_in_the_folder_is_a_user_error(done, tasks, start, options):
    with pytest.raises(UserError, match=r"holds a finetuning with other options \(steps\)\. To keep it, name another"):
        finetune(tasks["wanli"], Mini(), start, replace(options, steps=8), done[0].folder)


def test_changed_rows_template_or_checkpoint_are_another_finetuning(start, options, tmp_path):
    rows, template, model = tmp_path / "rows.csv", tmp_path / "t.yaml", tmp_path / "model"
    wording = 'input: "{text}\\n{options}"\ntarget: "{label}"\noptions: [bad, good]\n'
    text = "text,label\n" + "".join(f"row {i},{i % 2}\n" for i in range(40))
    rows.write_text(text)
    template.write_text(wording)
    shutil.copytree(start, model)

    def begin():
        finetune(*own_task({"train": rows}, template), model, options, tmp_path / "out", say=stop, quiet=True)

    def refused(other):
        with pytest.raises(
            UserError, match=rf"holds a finetuning with other {other}\. To keep it, name another folder"
        ):
            begin()

    for _ in range(2):  # what was begun goes on
        with pytest.raises(Stopped):
            begin()
    rows.write_text(text.replace("row 7,1", "row 7,0"))
    refused(r"data \(own/default/train\)")
    rows.write_text(text)
    template.write_text(wording.replace("{text}", "Text: {text}"))
    refused("template")
    template.write_text(wording)
    save_model(build_model(load_checkpoint(start).config, 1), model, Tokenizer(start / "spiece.model"))
    refused("checkpoint")


def test_a_folder_that_does_not_say_what_it_holds_is_a_user_error(tasks, start, options, tmp_path):
    (tmp_path / "begun.json").write_text("[]")
    with pytest.raises(UserError, match=r"begun\.json: says of no finetuning what it is"):
        finetune(tasks["wanli"], Mini(), start, options, tmp_path)


def test_what_cannot_be_had_is_named(tasks, options, start, tokenizer, tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        finetune(tasks["wanli"], Mini(), tmp_path / "nowhere", options, tmp_path / "out")
    save_model(build_model(load_checkpoint(start).config, 0), tmp_path / "bare")
    with pytest.raises(UserError, match="bare: has no vocabulary; name the model's SentencePiece file"):
        finetune(tasks["wanli"], Mini(), tmp_path / "bare", options, tmp_path / "out")
    with pytest.raises(UserError, match="nosuch: no such file; name a SentencePiece model"):
        finetune(tasks["wanli"], Mini(), tmp_path / "bare", options, tmp_path / "out", tmp_path / "nosuch")

    class Empty(Mini):
        def has(self, data):
            return False

    with pytest.raises(UserError, match="wanli: mini lacks mini/wanli/default/train, mini/wanli/default/test"):
        finetune(tasks["wanli"], Empty(), start, options, tmp_path / "out")
    assert not (tmp_path / "out").exists()
