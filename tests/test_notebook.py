"""Cells show what a report returned, and say what it has where they ask for something else."""

import pandas as pd
import pytest

from flannb.errors import UserError
from flannb.notebook import Report, as_written


@pytest.fixture
def report(tmp_path):
    (tmp_path / "scores.csv").write_text("row,score\na,1.5\n")
    (tmp_path / "page.md").write_text("# Title\n\n## Scores\n\nhigh\n")
    (tmp_path / "figure.png").write_bytes(b"\x89PNG")
    return Report(tmp_path / name for name in ("scores.csv", "page.md", "figure.png"))


def test_a_report_lists_and_shows_its_files(report, tmp_path):
    assert repr(report).splitlines() == [f"{tmp_path}/{name}" for name in ("scores.csv", "page.md", "figure.png")]
    assert report.table("scores.csv").to_dict("list") == {"row": ["a"], "score": [1.5]}
    assert report.text("page.md").data.startswith("# Title")
    assert report.text("page.md", after="## Scores").data == "\n\nhigh\n"
    assert (report.picture("figure.png", 300).data, report.picture("figure.png", 300).width) == (b"\x89PNG", 300)


def test_what_a_report_lacks_is_told(report):
    with pytest.raises(UserError, match=r"claims.csv: the report has no such file; it has scores.csv, page.md, figure"):
        report.table("claims.csv")


def test_texts_of_a_table_keep_their_lines():
    shown = as_written(pd.DataFrame({"prompt": ["a\nb"]})).to_html()
    assert "white-space: pre-wrap" in shown and "text-align: left" in shown and "a\nb" in shown
