"""In what condition a step is, by what lies in and beside its folder."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

import flannb.experiments as functions
from flannb.errors import UserError
from flannb.experiments import condition as conditions
from flannb.experiments.condition import Condition, beside, condition, log_of
from flannb.experiments.reproduce import enter_project, project_root
from flannb.experiments.runner import run_all, run_step
from flannb.experiments.step import Step
from flannb.files import MANIFEST
from flannb.progress import Bar, Progress

HOLDER = """
import sys, time
import flannb.experiments as functions
from flannb.experiments.reproduce import enter_project
from flannb.experiments.runner import run_step
from flannb.experiments.step import Step
from flannb.progress import Bar

def work(folder, text):
    with Bar(total=8, desc="training", unit="step") as bar:
        bar.update(3)
        bar._noted = 0.0
        bar.update(0)
        print("at work", flush=True)
        time.sleep(600)

enter_project()
functions.work = work
run_step(Step("row/work", sys.argv[1], "", "work", {"text": "a"}, ()), papermill=False)
"""


@pytest.fixture
def step(tmp_path, monkeypatch):
    enter_project()

    def work(folder, text):
        print("said by the step")
        print("\rbar", end="", file=sys.stderr)
        print("warned by the step", file=sys.stderr)
        if text == "bad":
            raise UserError("the text is bad; choose another")
        if text == "stop":
            raise KeyboardInterrupt
        if text == "defect":
            raise ZeroDivisionError("a defect")
        Path(folder, "text.txt").write_text(text)

    monkeypatch.setattr(functions, "work", work, raising=False)
    return Step("row/work", str(tmp_path / "row" / "work"), "", "work", {"text": "a"}, ())


def test_missing_then_done(step):
    assert condition(step) == Condition("missing")
    run_step(step, papermill=False)
    found = condition(step)
    assert found.state == "done" and 0 <= found.seconds < 5
    assert not beside(Path(step.folder), "record").exists()


def test_what_changed_since_is_told(step):
    run_step(step, papermill=False)
    assert condition(replace(step, parameters={"text": "b"})).detail == "made with text 'a'; is made anew"
    other = condition(replace(step, state="new data"))
    assert other.state == "outdated" and other.detail == "made by other code or of other data; is made anew"


def test_damage_is_told_by_size_and_where_wanted_by_hash(step):
    run_step(step, papermill=False)
    output = Path(step.folder, "text.txt")
    output.write_text("b")
    assert condition(step).state == "done"
    assert condition(step, verify=True) == Condition(
        "damaged", f"{output} is missing or not as it was written; is made again"
    )
    output.unlink()
    assert condition(step).state == "damaged"


@pytest.mark.parametrize(
    ("text", "error", "state", "told"),
    [
        ("bad", UserError, "failed", "the text is bad; choose another"),
        ("defect", ZeroDivisionError, "failed", "a defect"),
        ("stop", KeyboardInterrupt, "stopped", "asked to stop; goes on from there"),
    ],
)
def test_failures_are_kept_with_their_log(step, text, error, state, told):
    bad = replace(step, parameters={"text": text})
    with pytest.raises(error):
        run_step(bad, papermill=False)
    found = condition(bad)
    assert found.state == state and found.detail.startswith(told)
    assert state == "stopped" or f"Its log: {log_of(bad.folder)}" in found.detail
    assert ("failed: " if state == "failed" else "stopped") in log_of(bad.folder).read_text()
    assert condition(step).state == "outdated"  # the failure was that of another text
    run_step(step, papermill=False)
    assert condition(step).state == "done"


def test_the_log_of_a_plain_run_has_what_was_said_and_no_bars(step, capsys):
    run_all([step], 1, "", papermill=False)
    log = log_of(step.folder).read_text()
    assert "said by the step" in log and "warned by the step" in log and "bar" not in log.replace("\n", "")
    assert "row/work: begins, process " in log and "row/work: done in 0 s" in log
    shown = capsys.readouterr()
    assert "said" not in shown.out and "warned by the step" in shown.err


def test_verbose_shows_what_is_said(step, capsys, monkeypatch):
    monkeypatch.setenv("FLANNB_VERBOSE", "1")
    run_all([step], 1, "", papermill=False)
    assert "said by the step" in capsys.readouterr().out


def test_a_holder_is_told_while_it_lives_and_when_it_is_dead(step):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, step.folder],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(project_root())},
    )
    try:
        assert process.stdout.readline() == "at work\n"
        found = condition(step)
        assert found.state == "running" and found.detail == "training 3 of 8 steps" and found.seconds < 60
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.communicate()
    found = condition(step)
    assert found.state == "stopped"
    assert found.detail.startswith(f"process {process.pid} on ")
    assert found.detail.endswith(" is gone at training 3 of 8 steps; goes on from there")
    run_step(step, papermill=False)
    assert condition(step).state == "done"


def test_what_was_begun_without_a_record_goes_on(step):
    run_step(step, papermill=False)
    Path(step.folder, MANIFEST).unlink()
    assert condition(step) == Condition("stopped", "begun and not finished; goes on from there")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"state": "running"}'])
def test_a_torn_record_is_none(step, text):
    run_step(step, papermill=False)
    beside(Path(step.folder), "record").write_text(text)
    assert condition(step).state == "done"
    Path(step.folder, MANIFEST).unlink()
    assert condition(step).state == "stopped"


def test_the_stage_of_a_step_notes_beside_its_folder(step, monkeypatch):
    seen = []

    def work(folder, text):
        Bar(total=2, desc="training", unit="step").close()
        seen.append(conditions.read_progress(beside(Path(folder), "progress")))

    monkeypatch.setattr(functions, "work", work)
    began = time.time()
    run_step(step, papermill=False)
    assert isinstance(seen[0], Progress) and seen[0].what == "training" and seen[0].since >= began
    assert not beside(Path(step.folder), "progress").exists()
