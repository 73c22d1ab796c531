"""Table 1 in long form, as CSV, Markdown and HTML."""

import io
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from flannb.errors import UserError
from flannb.evaluate.intervals import suite_score
from flannb.report import LAYOUTS, evaluate_claims, html, majority_baseline, markdown, published, score_table, to_csv
from flannb.report.table import COLUMNS, Setup, cells


def line(table, row, suite, setting):
    return table[(table["row"] == row) & (table["suite"] == suite) & (table["setting"] == setting)].iloc[0]


def test_every_row_suite_and_setting_has_one_line(predictions, setup):
    table = score_table(predictions, setup)
    assert tuple(table.columns) == COLUMNS
    assert len(table) == 11 * 5 * 2
    assert not table.duplicated(["row", "suite", "setting"]).any()
    assert list(table["row"].unique()) == list(published("table1")["row"])
    assert list(zip(table["suite"], table["setting"], strict=True))[:4] == [
        ("held_in", "zs"),
        ("held_in", "fs"),
        ("cot", "zs"),
        ("cot", "fs"),
    ]


def test_a_cell_is_the_suite_score_with_the_paper_beside(predictions, setup):
    got = line(score_table(predictions, setup), "minus_cot", "cot", "fs")
    expected = suite_score(cells(predictions, setup)["minus_cot", "cot", "fs"].scores, setup.seed)
    assert (got["score"], got["ci_low"], got["ci_high"], got["n"]) == (
        expected.score,
        expected.low,
        expected.high,
        expected.n,
    )
    assert got["paper"] == 24.6
    assert (got["split"], got["source"]) == ("validation", "mini")


def test_the_order_of_predictions_does_not_matter(predictions, setup):
    shuffled = {row: frame.sample(frac=1, random_state=1) for row, frame in reversed(predictions.items())}
    assert to_csv(score_table(predictions, setup)) == to_csv(score_table(shuffled, setup))


def test_reported_rows_have_the_papers_number_only(predictions, setup):
    got = line(score_table(predictions, setup), "opt_iml_max_30b", "mmlu", "zs")
    assert got["paper"] == 46.3
    assert got["source"] == "paper"
    assert got[["score", "ci_low", "ci_high", "n"]].isna().all()


def test_what_is_missing_is_empty_and_marked(predictions, setup):
    del predictions["p3pp"]
    frame = predictions["minus_cot"]
    predictions["minus_cot"] = frame[(frame["suite"] != "mmlu") & (frame["task"] != "held_in_3")]
    table = score_table(predictions, setup)
    assert line(table, "p3pp", "bbh", "zs")["source"] == "not run"
    assert line(table, "p3pp", "bbh", "zs")["paper"] == 26.0
    absent = line(table, "minus_cot", "mmlu", "zs")
    assert absent["source"] == "mini (0 of 8 sets)"
    assert absent[["score", "n"]].isna().all()
    partly = line(table, "minus_cot", "held_in", "zs")
    assert partly["source"] == "mini (7 of 8 sets)"
    assert partly["n"] == 7 * 60


def test_several_splits_are_all_named(predictions, setup):
    frame = predictions["flan2022"]
    frame.loc[frame["task"] == "bbh_0", "split"] = "file"
    assert line(score_table(predictions, setup), "flan2022", "bbh", "zs")["split"] == "file+test"


def test_csv_has_four_decimals_and_empty_cells(predictions, setup):
    table = score_table(predictions, setup)
    text = to_csv(table)
    lines = text.splitlines()
    assert lines[0] == "row,suite,setting,score,ci_low,ci_high,n,paper,split,source"
    assert lines[-1] == "opt_iml_max_175b,bbh_cot,fs,,,,,,,paper"
    first = lines[1].split(",")
    assert first[:3] == ["flan2022", "held_in", "zs"]
    assert all(len(number.split(".")[1]) == 4 for number in (*first[3:6], first[7]))
    assert first[6:] == ["480", "73.8000", "validation", "mini"]
    read = pd.read_csv(io.StringIO(text))
    assert len(read) == 110
    for name in ("score", "ci_low", "ci_high"):  # what is read again rounds to what pages show
        assert [f"{value:.1f}" for value in read[name]] == [f"{value:.1f}" for value in table[name]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop(columns="score"), "row 'flan2022': the column 'score' is missing"),
        (lambda f: f.assign(suite="glue"), "row 'flan2022': unknown suite 'glue'; it must be one of bbh, bbh_cot, cot"),
        (lambda f: f.assign(setting="zs_opt"), "unknown setting 'zs_opt'; it must be one of fs, zs"),
        (lambda f: f.assign(task="cola"), "the suite 'held_in' has no set 'cola'"),
        (lambda f: f.assign(score=np.nan), "the score of held_in/held_in_0 row 0 is nan; it must be from 0 to 1"),
        (lambda f: f.assign(score=70.0), "the score of held_in/held_in_0 row 0 is 70.0"),
        (lambda f: pd.concat([f, f.head(1)]), "held_in/zs/held_in_0 row 0 was scored twice"),
    ],
)
def test_wrong_predictions_are_named(predictions, setup, change, message):
    predictions["flan2022"] = change(predictions["flan2022"])
    with pytest.raises(UserError, match=message):
        score_table(predictions, setup)


def test_repeats_are_means_over_models_that_answered_the_same_rows(predictions, setup):
    one = predictions["minus_cot"]
    other = one.assign(score=~one["score"].astype(bool))
    predictions["minus_cot"] = pd.concat([one.assign(repeat=0), other.assign(repeat=1).sample(frac=1, random_state=0)])
    got = line(score_table(predictions, setup), "minus_cot", "mmlu", "fs")
    assert got["score"] == 50 and got["n"] == 480
    assert got["ci_high"] - got["ci_low"] > 2  # the two models differ, and a sample may draw one of them twice
    predictions["minus_cot"] = predictions["minus_cot"].query("repeat == 0 or row > 3")
    with pytest.raises(UserError, match="row 'minus_cot': its 2 models were scored on different rows of bbh/fs/bbh_0"):
        score_table(predictions, setup)


@pytest.mark.parametrize("row", ["minus_everything", "glm_130b"])
def test_a_row_that_cannot_be_measured_is_named(predictions, setup, row):
    predictions[row] = predictions["flan2022"]
    with pytest.raises(UserError, match=f"row '{row}': Table 1 has no such row to measure; it has flan2022, minus_cot"):
        score_table(predictions, setup)


def test_majority_baseline_averages_over_sets():
    frame = pd.DataFrame(
        {
            "suite": "held_in",
            "setting": "zs",
            "task": ["a"] * 4 + ["b"] * 2,
            "target": ["yes", "yes", "yes", "no", "shark", "whale"],
            "options": [["no", "yes"]] * 4 + [["shark", "lion"], ["whale", "wolf"]],
        }
    )
    assert majority_baseline(frame) == {"zs": 87.5}  # "yes" in a, (A) in b
    assert majority_baseline(frame.assign(options=[[]] * 6)) == {"zs": 62.5}
    assert majority_baseline(frame, suite="mmlu") == {}


def test_published_tables_are_the_papers():
    assert published("table1").set_index("row").loc["flan2022", "mmlu_fs"] == 52.4
    assert len(published("table2")) == 8
    assert {"C1", "C5", "C12"} <= set(published("claims")["id"])
    assert LAYOUTS["table1"].titles()["flan2022"] == "Flan 2022"
    with pytest.raises(KeyError, match=r"no table 'table9'.*claims, collection, figure2, table1, table2, table3"):
        published("table9")


class Page(HTMLParser):
    """Checks that elements nest and gathers the texts by tag and the addresses of resources."""

    VOID = ("meta", "img", "link", "br")

    def __init__(self, text):
        super().__init__()
        self.open, self.texts, self.links = [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.links += [value for name, value in attrs if name in ("src", "href", "srcset")]
        if tag not in self.VOID:
            self.open.append(tag)
        assert tag not in ("script", "link", "iframe")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data.strip())


def test_html_is_well_formed_self_contained_and_escaped(predictions, setup, tmp_path):
    figure = tmp_path / "figure.svg"
    figure.write_text("<svg/>")
    table, claims = score_table(predictions, setup), evaluate_claims(predictions, setup)
    titles = {"minus_cot": "<b>no</b> & CoT"}
    text = html(table, claims, setup, titles, {"zs": 41.25, "fs": 40.0}, [("A <figure>", figure)])
    page = Page(text)
    assert page.links == ["data:image/svg+xml;base64,PHN2Zy8+"]
    assert "url(" not in text and "@import" not in text and "http:" not in text and "https:" not in text
    assert "default-src 'none'" in text
    assert "<b>no</b> & CoT" in page.texts
    assert "A <figure>" in page.texts
    assert "prefers-color-scheme: dark" in text and 'name="viewport"' in text
    assert f"{line(table, 'flan2022', 'cot', 'zs')['score']:.1f}" in page.texts
    caption = next(data for data in page.texts if data.startswith("Scores in percent"))
    assert "scale smoke, data source mini, seed 0" in caption
    assert "Held-In 480, Chain-of-Thought 300" in caption
    assert "Held-In validation" in caption
    assert "scores 41.2 zero-shot, 40.0 few-shot on Held-In" in caption


def test_html_and_markdown_say_what_is_absent(predictions, setup):
    del predictions["p3pp"]
    frame = predictions["minus_cot"]
    predictions["minus_cot"] = frame[(frame["suite"] != "mmlu") & (frame["task"] != "held_in_3")]
    table, claims = score_table(predictions, setup), evaluate_claims(predictions, setup)
    page = Page(html(table, claims, setup))
    text = markdown(table, claims, setup)
    for mark in ("0 of 8 sets", "7 of 8 sets", "not run"):
        assert mark in page.texts
        assert mark in text


def test_nothing_measured_is_still_a_table(setup):
    table, claims = score_table({}, setup), evaluate_claims({}, setup)
    assert table["score"].isna().all()
    assert "not run" in Page(html(table, claims, setup)).texts
    assert "paper 73.8" in markdown(table, claims, setup)


def test_markdown_has_a_cell_for_every_column(predictions, setup):
    named = Setup("smoke", "a|b", 0, setup.sets)
    text = markdown(
        score_table(predictions, named), evaluate_claims(predictions, named), named, {"minus_cot": "no|CoT"}
    )
    rows = [row for row in text.splitlines() if row.startswith("|")]
    table = rows[: 2 + 11]
    assert {row.replace("\\|", "").count("|") for row in table} == {12}
    assert {row.replace("\\|", "").count("|") for row in rows[13:]} == {5}
    assert "no\\|CoT" in text
    assert "<sub>paper 73.8</sub>" in table[2]
