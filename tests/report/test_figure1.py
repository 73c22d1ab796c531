"""Figure 1: what it shows, what its page says, and that files hold nothing else."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd

from flannb.report import LAYOUTS, figure1, save, score_table
from flannb.report.figure1 import COLLECTIONS, REPORTED_MODEL, write_figure1

OPT_IML = REPORTED_MODEL[1]


def test_files_hold_no_date_and_no_program(predictions, setup, tmp_path):
    png, svg = save(figure1(score_table(predictions, setup), "smoke"), tmp_path / "figure1")
    text = svg.read_text()
    assert "<dc:date>" not in text and "<dc:creator>" not in text
    assert not re.search(rb"Software|tEXt|tIME", png.read_bytes())


def test_figure1_shows_measured_and_paper_scores(predictions, setup):
    table = score_table(predictions, setup)
    figure = figure1(table, "smoke")
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == [*(name for name, *_ in COLLECTIONS.values()), "measured, scale smoke", "paper, T5-XL", OPT_IML]
    zero_shot = figure.axes[0]
    assert zero_shot.get_title(loc="left") == "Zero-shot, n = 300 to 480 a suite"
    shown = {round(float(y), 6) for drawn in zero_shot.lines for y in np.atleast_1d(drawn.get_ydata())}
    expected = table[(table["setting"] == "zs") & table["row"].isin(COLLECTIONS)]
    assert {round(y, 6) for y in expected["score"]} <= shown
    assert set(expected["paper"]) <= shown
    assert zero_shot.get_ylim()[0] == 0
    reported = [line.get_ydata()[0] for line in zero_shot.lines if line.get_marker() == "x"]
    np.testing.assert_array_equal(reported, [np.nan, np.nan, 49.1, np.nan, np.nan])  # MMLU only


def test_rows_of_suites_that_are_not_drawn_are_not_told(predictions, setup):
    table = score_table(predictions, setup)
    own = table.head(1).assign(suite="own", n=6)
    title = figure1(pd.concat([table, own]), "smoke").axes[0].get_title(loc="left")
    assert title == "Zero-shot, n = 300 to 480 a suite"


def test_figure1_can_be_drawn_without_measured_scores(setup, tmp_path):
    assert all(path.stat().st_size for path in save(figure1(score_table({}, setup), "smoke"), tmp_path / "figure1"))


def test_the_report_has_the_four_collections_and_the_claim_about_them(predictions, setup, tmp_path):
    chosen = {row: predictions[row] for row in COLLECTIONS}
    paths = write_figure1(tmp_path, chosen, replace(setup, layout=LAYOUTS["figure1"]))
    assert {path.name for path in paths} == {
        "figure1.png",
        "figure1.svg",
        "figure1.csv",
        "figure1.md",
        "figure1.html",
        "claims.csv",
    }
    table = pd.read_csv(tmp_path / "figure1.csv")
    assert set(table["row"]) == set(COLLECTIONS) and table["paper"].notna().all()
    claims = pd.read_csv(tmp_path / "claims.csv").set_index("id")
    assert claims.loc["C5", "verdict"] == "holds" and len(claims) == 11
    page = (tmp_path / "figure1.md").read_text()
    assert "better on every suite" in page and "(figure1.png)" in page and "| Super-Natural Inst. |" in page
