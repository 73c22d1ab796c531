"""Figure 2: the timeline of collections, drawn and as a table that sorts."""

import pandas as pd
import pytest

from flannb.errors import UserError
from flannb.report.figure2 import OURS, figure2, parameters, timeline, write_figure2


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("140M", (140_000_000, 140_000_000)),
        ("137B", (137_000_000_000, 137_000_000_000)),
        ("3-11B", (3_000_000_000, 11_000_000_000)),
        ("110-340M", (110_000_000, 340_000_000)),
        ("220M-11B", (220_000_000, 11_000_000_000)),
        ("1.3-175B", (1_300_000_000, 175_000_000_000)),
    ],
)
def test_sizes_are_read_as_parameters(text, sizes):
    assert parameters(text) == sizes


@pytest.mark.parametrize("text", ["", "3-11", "11", "large", "3B-", "-3B"])
def test_a_text_that_is_no_size_is_named(text):
    with pytest.raises(UserError, match=f"column 'size': '{text}' is no size"):
        parameters(text)


def test_collections_stand_in_the_order_of_their_release():
    table = timeline()
    assert table["release"].is_monotonic_increasing and len(table) == 14
    assert (table["smallest"] <= table["largest"]).all()


def test_every_collection_is_drawn_at_its_size():
    table = timeline()
    axes = figure2(table).axes[0]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == [f"{line.collection}  {line.release}" for line in table.itertuples()]
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    assert [tuple(dot.get_xdata()) for dot in dots] == list(zip(table["smallest"], table["largest"], strict=True))
    bold = [label.get_text() for label in axes.get_yticklabels() if label.get_fontweight() == "bold"]
    assert bold == [f"{OURS}  2022-10"]


def test_the_page_sorts_and_needs_nothing_else(tmp_path):
    write_figure2(tmp_path)
    page = (tmp_path / "figure2.html").read_text()
    assert page.count("<button>") == 6 and "aria-sort" in page
    assert "http://" not in page.replace("http://www.w3.org", "") and "https://" not in page and 'src="/' not in page
    assert len(pd.read_csv(tmp_path / "figure2.csv")) == 14
    first = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    write_figure2(tmp_path)
    assert first == {path.name: path.read_bytes() for path in tmp_path.iterdir()}
