"""The figures that go with tables: what they show. Their determinism is tested with the report."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from flannb.errors import UserError
from flannb.report import LAYOUTS, differences, loss_curves, save, score_table
from flannb.report.figure1 import COLLECTIONS
from flannb.report.figure4 import SIZE_MARKS
from flannb.report.figures import LINES


def test_differences_are_to_the_full_row_and_beside_the_papers(predictions2, setup2):
    figure = differences(predictions2, setup2)
    held_in = figure.axes[0]
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["Held-In", "CoT", "MMLU"]
    assert next(text.get_text() for text in held_in.get_yticklabels()) == "All - Flan 2021"
    table = score_table(predictions2, setup2).query("suite == 'held_in' and setting == 'zs'").set_index("row")
    wanted = {round(table.loc[row, "score"] - table.loc["all_equal", "score"], 6) for row in table.index[1:]}
    shown = {round(float(line.get_xdata()[0]), 6) for line in held_in.lines if line.get_marker() == "o"}
    assert shown == wanted
    paper = {round(float(line.get_xdata()[0]), 1) for line in held_in.lines if line.get_marker() == "|"}
    assert paper == {round(value - 64.9, 1) for value in (55.3, 63.2, 65.9, 65.6, 66.9, 65.4, 66.4)}


def test_rows_that_were_not_run_have_no_difference(predictions2, setup2, tmp_path):
    del predictions2["minus_cot"]
    figure = differences(predictions2, setup2)
    assert sum(line.get_marker() == "o" for line in figure.axes[0].lines) == 6
    save(differences({}, setup2), tmp_path / "none")


def test_loss_curves_are_smoothed_and_named(losses):
    figure = loss_curves(losses, LAYOUTS["table1"], {"minus_cot": "without CoT"})
    axes = figure.axes[0]
    assert len(axes.lines) == 8
    assert {text.get_text() for text in figure.legends[0].get_texts()} >= {"Flan 2022", "without CoT"}
    raw, smooth = losses["flan2022"]["loss"], axes.lines[0].get_ydata()
    assert np.abs(np.diff(smooth)).mean() < 0.3 * np.abs(np.diff(raw)).mean()


def test_short_and_broken_logs_are_drawn(tmp_path):
    logs = {
        "flan2022": pd.DataFrame({"step": [0], "loss": [3.0]}),
        "flan2021": pd.DataFrame({"step": [2, 1], "loss": [np.nan, 2.0]}),
    }
    save(loss_curves(logs, LAYOUTS["table1"]), tmp_path / "loss")


def test_a_log_without_steps_is_named():
    with pytest.raises(UserError, match="row 'p3pp': the column 'step' is missing"):
        loss_curves({"p3pp": pd.DataFrame({"loss": [1.0]})}, LAYOUTS["table1"])


@pytest.mark.parametrize(
    "colours", [[c for _, c, _ in COLLECTIONS.values()], [c for c, _ in LINES], [c for c, _ in SIZE_MARKS]]
)
def test_colours_stand_out_from_white_and_from_each_other(colours):
    assert len(set(colours)) == len(colours)
    for colour in colours:
        channels = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
        luminance = float(np.dot(channels, [0.2126, 0.7152, 0.0722]))
        assert 1.05 / (luminance + 0.05) > 2
