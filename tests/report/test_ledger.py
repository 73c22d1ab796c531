"""The ledger: every claim once at every scale, from the reports that there are."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from flannb.errors import UserError
from flannb.report import LAYOUTS, evaluate_claims, published, write_table
from flannb.report.figure1 import COLLECTIONS, write_figure1
from flannb.report.ledger import deciding, ledger, write_ledger


@pytest.fixture(scope="module")
def written(_predictions, setup, tmp_path_factory):
    """Reports on Table 1 at two scales and on Figure 1 at one, whose claim C5 both test."""
    tmp_path, predictions = tmp_path_factory.mktemp("reports"), _predictions
    for scale, source in (("smoke", "mini"), ("micro", "/data/mirror")):
        folder = tmp_path / "table1" / scale
        write_table(folder, predictions, {}, replace(setup, scale=scale))
        (folder / "inputs.json").write_text(json.dumps({"parameters": {"source": source}}))
    collections = {row: predictions[row] for row in COLLECTIONS}
    write_figure1(tmp_path / "figure1" / "smoke", collections, replace(setup, layout=LAYOUTS["figure1"]))
    return tmp_path


@pytest.fixture
def reports(written, tmp_path):
    return Path(shutil.copytree(written, tmp_path / "reports"))


def test_every_claim_stands_there_at_each_scale_or_says_why_not(reports):
    table = ledger(reports)
    assert list(dict.fromkeys(table["id"].str.split(".").str[0])) == published("claims")["id"].tolist()
    whole = table[~table["id"].str.contains(".", regex=False)].set_index(["id", "scale"])
    assert whole.loc[("C1", "smoke"), "verdict"] == whole.loc[("C1", "micro"), "verdict"] == "holds"
    assert set(table.loc[table["scale"] == "micro", "source"]) == {"mirror"}
    untested = table[table["verdict"] == "not tested"].set_index("id")["detail"]
    assert untested["C7a"] == "there is no report yet; nox -s reproduce_figure4 makes it"
    assert "3 billion parameters" in untested["C12"]


def test_the_report_on_the_table_of_the_claim_counts(reports):
    table = ledger(reports)
    c5 = table[(table["id"] == "C5") & (table["scale"] == "smoke")]
    assert c5["report"].tolist() == ["table1/smoke/table1"]
    shutil.rmtree(reports / "table1" / "smoke")
    c5 = ledger(reports).query("id == 'C5' and scale == 'smoke'")
    assert c5["report"].tolist() == ["figure1/smoke/figure1"]


def test_verdicts_and_intervals_are_those_of_the_report(reports, predictions, setup):
    ours = ledger(reports).query("scale == 'smoke'").set_index("id")
    reported = evaluate_claims(predictions, setup).set_index("id")
    pd.testing.assert_series_equal(ours.loc[reported.index, "verdict"], reported["verdict"], check_names=False)
    pd.testing.assert_series_equal(ours.loc[reported.index, "ci_low"], reported["ci_low"], atol=0.006)


def test_pages_link_the_reports_and_tell_the_part_that_decided(reports):
    paths = write_ledger(reports)
    assert {path.relative_to(reports).as_posix() for path in paths} == {
        "claims/claims.csv",
        "claims/README.md",
        "claims/claims.html",
    }
    page = (reports / "claims" / "README.md").read_text()
    assert "[**holds**](../table1/smoke/table1.md)" in page and "## C1 at micro" in page
    assert "few-shot: Flan 2022 beats '- CoT'" in page.split("| C2")[0]  # the weaker of the two parts
    html = (reports / "claims" / "claims.html").read_text()
    assert "../table1/micro/table1.html" in html and html.count("not tested") >= 8
    first = [path.read_bytes() for path in paths]
    write_ledger(reports)  # its own files are no reports
    assert first == [path.read_bytes() for path in paths]


def test_the_name_of_a_source_is_no_markdown(reports):
    (reports / "table1/micro/inputs.json").write_text('{"parameters": {"source": "/data/<b>_mirror_"}}')
    write_ledger(reports)
    assert "- micro, source &lt;b&gt;\\_mirror\\_: " in (reports / "claims/README.md").read_text()


def test_without_reports_all_is_untested(tmp_path):
    write_ledger(tmp_path)
    assert set(pd.read_csv(tmp_path / "claims" / "claims.csv")["verdict"]) == {"not tested"}


def test_the_deciding_part():
    parts = pd.DataFrame(
        {
            "id": ["a", "b", "c", "d", "e"],
            "verdict": ["holds", "holds", "does not hold", "does not hold", "undecided"],
            "ci_low": [3.0, 1.0, -9.0, -5.0, -1.0],
            "ci_high": [9.0, 8.0, -4.0, -1.0, 1.0],
        }
    )
    decided = [deciding(parts, verdict)["id"] for verdict in ("holds", "does not hold", "undecided")]
    assert decided == ["b", "c", "e"]
    assert deciding(parts, "not tested") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "cannot be read"), ("id,claim\nC1,x\n", "the column 'where' is missing")],
)
def test_a_damaged_report_is_named(reports, text, message):
    (reports / "table1" / "smoke" / "claims.csv").write_text(text)
    with pytest.raises(UserError, match=f"claims.csv: {message}"):
        ledger(reports)


def test_an_unknown_verdict_is_named(reports):
    path = reports / "table1" / "smoke" / "claims.csv"
    path.write_text(path.read_text().replace(",holds,", ",perhaps,"))
    with pytest.raises(UserError, match="unknown verdict 'perhaps'"):
        ledger(reports)


@pytest.mark.parametrize("content", ["[]", "{}", '{"parameters": null}', "{"])
def test_damaged_inputs_of_a_report_are_named(content, reports):
    path = reports / "table1/smoke/inputs.json"
    path.write_text(content)
    with pytest.raises(UserError, match=re.escape(str(path))):
        ledger(reports)
