import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import flannb.experiments as functions
from flannb.errors import UserError
from flannb.experiments import runner
from flannb.experiments.devices import gpu_names
from flannb.experiments.reproduce import enter_project, project_root
from flannb.experiments.runner import run_all, run_step
from flannb.experiments.step import Step, find_state, is_done
from flannb.files import INPUTS, MANIFEST, read_sealed, write_sealed


@pytest.fixture
def step(tmp_path, monkeypatch):
    """A step that writes its parameter into a file and counts its calls in another folder."""
    enter_project()

    def write(folder, text):
        if text == "bad":
            raise UserError("the text is bad; choose another")
        with (tmp_path / "calls").open("a") as calls:
            calls.write(text + "\n")
        (Path(folder) / "text.txt").write_text(text)

    monkeypatch.setattr(functions, "write", write, raising=False)
    return Step("row/write", str(tmp_path / "row" / "write"), "notebooks/00_tour.ipynb", "write", {"text": "a"}, ())


def calls(step):
    return (Path(step.folder).parents[1] / "calls").read_text().split()


def test_a_done_step_is_not_run_again(step):
    assert not is_done(step)
    run_step(step, papermill=False)
    manifest = Path(step.folder) / MANIFEST
    before = manifest.stat().st_mtime_ns
    assert is_done(step) and run_step(step, papermill=False) == 0.0
    assert manifest.stat().st_mtime_ns == before and calls(step) == ["a"]


def test_another_key_removes_what_was_there(step):
    run_step(step, papermill=False)
    stray = Path(step.folder) / "stray"
    stray.touch()
    other = replace(step, parameters={"text": "b"})
    assert not is_done(other)
    run_step(other, papermill=False)
    assert calls(step) == ["a", "b"] and not stray.exists()


def test_outputs_are_on_record_wherever_the_runs_are(step, tmp_path):
    below = replace(step, folder=str(tmp_path / "checkpoints" / "row" / "write"))
    run_step(below, papermill=False)
    assert list(read_sealed(Path(below.folder) / MANIFEST)["outputs"]) == ["text.txt"]


def test_a_missing_or_cut_output_is_made_again(step):
    output = Path(step.folder) / "text.txt"
    for damage in (output.unlink, lambda: output.write_text(""), lambda: output.write_text("b")):
        run_step(step, papermill=False)
        damage()
        assert not is_done(step) and find_state(step) == (True, f"{output} is missing or not as it was written")
    run_step(step, papermill=False)
    assert output.read_text() == "a" and calls(step) == ["a"] * 4


def test_any_changed_byte_of_a_manifest_is_seen(step):
    run_step(step, papermill=False)
    manifest = Path(step.folder) / MANIFEST
    whole = manifest.read_bytes()
    for i in range(0, len(whole), 7):
        manifest.write_bytes(whole[:i] + bytes([whole[i] ^ 1]) + whole[i + 1 :])
        done, damage = find_state(step)
        assert not done or damage, whole[i - 20 : i + 20]
    manifest.write_bytes(whole)
    assert is_done(step)


def test_an_output_outside_the_folder_is_not_looked_at(step):
    run_step(step, papermill=False)
    manifest = Path(step.folder) / MANIFEST
    content = read_sealed(manifest)
    write_sealed(manifest, content | {"outputs": {"../../calls": {"sha256": ""}}})
    assert "leads out of" in find_state(step)[1]


def test_a_damaged_manifest_counts_as_none(step):
    run_step(step, papermill=False)
    (Path(step.folder) / MANIFEST).write_text("{")
    assert not is_done(step)


def test_what_a_killed_step_saved_stays(step):
    folder = Path(step.folder)
    folder.mkdir(parents=True)
    write_sealed(folder / INPUTS, {"key": step.key})
    (folder / "checkpoint").touch()
    (folder / ".text.txt.x.tmp").touch()
    run_step(step, papermill=False)
    assert (folder / "checkpoint").exists() and not (folder / ".text.txt.x.tmp").exists()


def test_needs_are_part_of_the_key(step):
    other = replace(step, name="later", needs=(step,))
    assert other.key != replace(other, needs=(replace(step, state="new data"),)).key


def test_the_manifest_says_what_each_need_took_and_on_what(step, monkeypatch):
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(runner, "gpu_names", lambda: ["A GPU", "A GPU"])
        run_step(step, papermill=False)
    later = replace(step, name="later", folder=f"{step.folder}2", needs=(step,))
    run_step(later, papermill=False)
    manifest = read_sealed(Path(later.folder) / MANIFEST)
    need = manifest["needs"]["row/write"]
    assert (need["key"], need["device"]) == (step.key, "A GPU, A GPU") and need["seconds"] >= 0
    assert manifest["machine"]["gpus"] == gpu_names()


def test_a_failure_bears_the_name_of_its_step(step):
    with pytest.raises(UserError, match=r"^row/write: the text is bad; choose another\n  Its log: .*/row/write\.log$"):
        run_all([replace(step, parameters={"text": "bad"})], 1, "", papermill=False)
    assert not (Path(step.folder) / MANIFEST).exists()


def test_run_all_tells_seconds_and_progress(step, capsys):
    assert set(run_all([step], 1, "", papermill=False)) == {step.folder}
    assert "row/write: 0 s" in capsys.readouterr().err


def test_an_unreachable_scheduler_is_named(step):
    with pytest.raises(UserError, match="--cluster nowhere: no scheduler answers there"):
        run_all([step], 1, "nowhere", papermill=False)


NOTEBOOK = """
import sys
from flannb.experiments import artefact
from flannb.experiments.registry import steps_of
from flannb.experiments.reproduce import Options
from flannb.experiments.runner import run_step
from flannb.experiments.step import is_done
[step] = steps_of(artefact("figure2"), Options(reports=sys.argv[1]))
run_step(step)
print(is_done(step), *[name for name in ("papermill", "jsonschema", "rfc3987_syntax") if sys.modules.get(name)])
"""


def test_executing_a_notebook_builds_no_grammar_of_addresses(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", NOTEBOOK, str(tmp_path)],
        cwd=project_root(),
        env=os.environ | {"PYTHONPATH": str(project_root())},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.stdout == "True papermill jsonschema\n", done.stderr
    assert (tmp_path / "figure2/22_figure2.ipynb").is_file()
