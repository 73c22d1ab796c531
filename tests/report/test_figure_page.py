"""The page of a figure: nothing in its data can break it."""

from dataclasses import replace

import pandas as pd
import pytest

from flannb.errors import UserError
from flannb.report import LAYOUTS, score_table
from flannb.report.drawing import new_figure, report_style
from flannb.report.figure_page import FigurePage, markdown, score_grid, write_page
from flannb.report.table import with_interval


@pytest.fixture
def page():
    with report_style():
        figure = new_figure(1.0)
        figure.subplots().plot([1, 2])
    table = pd.DataFrame({"Text": ["<script>alert(1)</script> | a\nb", "plain"], "Score": [1.25, None], "n": [1200, 3]})
    return FigurePage("A <b> title", ["One & two."], {"drawn": ("A line.", figure)}, {"Data": table}, sortable=True)


def test_texts_are_escaped_and_numbers_stand_to_the_right(page, tmp_path):
    paths = write_page(tmp_path, "page", page, {"data": page.tables["Data"]})
    assert {path.name for path in paths} == {"drawn.png", "drawn.svg", "data.csv", "page.md", "page.html"}
    html = (tmp_path / "page.html").read_text()
    assert "<script>alert" not in html and "&lt;script&gt;alert" in html and "A &lt;b&gt; title" in html
    assert '<td class="number">1,200</td>' in html and '<td class="number">–</td>' in html
    assert "data:image/svg+xml;base64," in html and "src=" in html and 'src="http' not in html
    text = (tmp_path / "page.md").read_text()
    assert "| --- | ---: | ---: |" in text and "\\| a b" in text and "(drawn.png)" in text


def test_scores_stand_to_the_right_and_texts_in_brackets_do_not(page):
    texts = {
        "Prompt": ["Choose one of [yes, no]", "12 [1, 2]"],
        "Score": [with_interval(73.8, 71.2, 76.0), "not run"],
        "Gain": [with_interval(-1.5, -3, float("nan"), "+.1f"), None],
        "Peak": [with_interval(1200, 8, 1836, ",.0f"), "undefined"],
    }
    text = markdown(replace(page, tables={"Data": pd.DataFrame(texts)}))
    assert "| Prompt | Score | Gain | Peak |\n| --- | ---: | ---: | ---: |" in text


def test_a_page_without_claims_has_no_section_on_them(page):
    assert "## Claims" not in markdown(page)


def test_the_grid_of_scores_leaves_empty_what_was_not_measured(predictions, setup):
    del predictions["minus_cot"]
    grid = score_grid(score_table(predictions, setup), "Row", LAYOUTS["table1"].titles()).set_index("Row")
    assert grid.shape == (11, 10) and grid.loc["- CoT"].isna().all()
    assert grid.loc["Flan 2022", "Held-In, zero-shot"].count(",") == 1


def test_a_folder_that_cannot_be_written_to_is_named(page, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        write_page(tmp_path / "file", "page", page, {})
