"""The report on Table 1 as a folder."""

import subprocess
import sys

import matplotlib
import numpy as np
import pandas as pd
import pytest

from flannb.errors import UserError
from flannb.report import LAYOUTS, majority_baseline, score_table, write_table
from flannb.report.page import caption

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
            paths = write_table(tmp_path / name, predictions, losses, setup, majority=majority)
        assert {path.name for path in paths} == {path.name for path in (tmp_path / name).iterdir()} == NAMES
    for name in NAMES:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert "66.7 zero-shot" in (tmp_path / "a" / "table1.md").read_text()


def test_without_losses_there_is_no_loss_figure_and_other_files_stay(predictions, setup, tmp_path):
    (tmp_path / "manifest.json").write_text("{}")
    paths = write_table(tmp_path, predictions, {}, setup)
    assert {path.name for path in paths} == NAMES - {"loss.png", "loss.svg"}
    assert (tmp_path / "manifest.json").read_text() == "{}"


def test_table2_has_its_own_figure_and_repeats_are_on_record(predictions2, setup2, tmp_path):
    full = predictions2["all_equal"]
    again = full.assign(score=np.random.default_rng(0).permutation(full["score"]))
    predictions2["all_equal"] = pd.concat([full.assign(repeat=0), again.assign(repeat=1)])
    paths = write_table(tmp_path, predictions2, {}, setup2)
    assert {path.name for path in paths} == {
        "differences.png",
        "differences.svg",
        "table2.csv",
        "table2.md",
        "table2.html",
        "claims.csv",
        "repeats.csv",
    }
    assert "# Table 2" in (tmp_path / "table2.md").read_text()
    assert "a seed of its own: All (Equal) 2." in (tmp_path / "table2.html").read_text()
    repeats = pd.read_csv(tmp_path / "repeats.csv").groupby(["row", "suite", "setting"])["score"].mean()
    table = pd.read_csv(tmp_path / "table2.csv").set_index(["row", "suite", "setting"])["score"]
    pd.testing.assert_series_equal(repeats, table.loc[repeats.index], atol=1e-4)
    assert len(pd.read_csv(tmp_path / "repeats.csv")) == 9 * 6


def test_the_caption_says_of_which_rows_how_many_models_were_trained(predictions, setup):
    table, full = score_table(predictions, setup), LAYOUTS["table1"].measurable()

    def said(**repeats):
        return " ".join(caption(table, setup, repeats=repeats))

    one = dict.fromkeys(full, 1)
    assert "One model was trained of each row, to whose intervals another training would add." in said(**one)
    assert "One model was trained of each row that was run, " in said(flan2022=1)
    assert "Of every other row one model was trained, to whose" in said(**one | {"flan2022": 3})
    assert "Of every other row that was run one model was trained, " in said(flan2022=3, minus_cot=1)
    every = said(**dict.fromkeys(full, 2))
    assert "other row" not in every and "another training" not in every and "intervals are over these too" in every


def test_wrong_predictions_write_nothing(predictions, setup, tmp_path):
    predictions["flan2022"] = predictions["flan2022"].drop(columns="task")
    with pytest.raises(UserError, match="the column 'task' is missing"):
        write_table(tmp_path / "report", predictions, {}, setup)
    assert not (tmp_path / "report").exists()


def test_a_folder_that_is_a_file_is_named(predictions, setup, tmp_path):
    (tmp_path / "report").write_text("")
    with pytest.raises(UserError, match=r"report.*cannot be written"):
        write_table(tmp_path / "report", predictions, {}, setup)


def test_pyplot_is_never_imported():
    code = "import sys, flannb.report; print('matplotlib.pyplot' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "False\n"
