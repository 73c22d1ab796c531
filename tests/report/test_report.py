"""The report on Table 1 as a folder."""

import subprocess
import sys

import matplotlib
import pytest

from flannb.errors import UserError
from flannb.report import majority_baseline, write_table1

NAMES = {
    "figure1.png",
    "figure1.svg",
    "loss.png",
    "loss.svg",
    "table1.csv",
    "table1.md",
    "table1.html",
    "claims.csv",
}


def test_everything_is_written_and_equal_on_repetition(predictions, losses, setup, tmp_path):
    majority = majority_baseline(predictions["flan2022"])
    for name, style in {"a": {}, "b": {"font.size": 20, "axes.facecolor": "red", "savefig.dpi": 50}}.items():
        with matplotlib.rc_context(style):  # a user's own style changes nothing
            paths = write_table1(tmp_path / name, predictions, losses, setup, majority=majority)
        assert {path.name for path in paths} == {path.name for path in (tmp_path / name).iterdir()} == NAMES
    for name in NAMES:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert "66.7 zero-shot" in (tmp_path / "a" / "table1.md").read_text()


def test_without_losses_there_is_no_loss_figure_and_other_files_stay(predictions, setup, tmp_path):
    (tmp_path / "manifest.json").write_text("{}")
    paths = write_table1(tmp_path, predictions, {}, setup)
    assert {path.name for path in paths} == NAMES - {"loss.png", "loss.svg"}
    assert (tmp_path / "manifest.json").read_text() == "{}"


def test_wrong_predictions_write_nothing(predictions, setup, tmp_path):
    predictions["flan2022"] = predictions["flan2022"].drop(columns="task")
    with pytest.raises(UserError, match="the column 'task' is missing"):
        write_table1(tmp_path / "report", predictions, {}, setup)
    assert not (tmp_path / "report").exists()


def test_a_folder_that_is_a_file_is_named(predictions, setup, tmp_path):
    (tmp_path / "report").write_text("")
    with pytest.raises(UserError, match=r"report.*cannot be written"):
        write_table1(tmp_path / "report", predictions, {}, setup)


def test_pyplot_is_never_imported():
    code = "import sys, flannb.report; print('matplotlib.pyplot' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "False\n"
