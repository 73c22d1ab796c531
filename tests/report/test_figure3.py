"""Figure 3: curves over the share of few-shot data, and the claims C6a to C6c."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from flannb.mixture import FEW_SHOT_SHARES
from flannb.report import LAYOUTS, evaluate_claims, score_table
from flannb.report.figure3 import figure3, write_figure3

CELLS = tuple(LAYOUTS["figure3"].cells())


@pytest.fixture(scope="session")
def setup3(setup):
    return replace(setup, layout=LAYOUTS["figure3"])


@pytest.fixture(scope="session")
def as_in_the_paper(make_predictions):
    """The best share lies in the middle, and both ends are clearly worse."""
    score = {0: 30, 5: 50, 10: 52, 25: 60, 50: 70, 75: 60, 90: 52, 95: 45, 100: 30}
    return make_predictions({f"few_shot_{share}": dict.fromkeys(CELLS, score[share]) for share in FEW_SHOT_SHARES})


def test_the_claims_hold_where_both_kinds_help_each_other(as_in_the_paper, setup3):
    claims = evaluate_claims(as_in_the_paper, setup3).set_index("id")
    assert claims.loc[["C6a", "C6b", "C6c"], "verdict"].tolist() == ["holds"] * 3
    assert claims.loc["C6a.held_in.zs", "difference"] == pytest.approx(20, abs=6)
    assert set(claims.index) == {
        *("C6a", "C6a.held_in.zs", "C6a.mmlu.zs", "C6b", "C6b.held_in.fs", "C6b.mmlu.fs", "C6c"),
        *(f"C6c.{suite}.{setting}" for suite, setting in CELLS),
    }


def test_they_do_not_where_only_one_kind_is_best(make_predictions, setup3):
    scores = {f"few_shot_{share}": dict.fromkeys(CELLS, 80 - share / 2) for share in FEW_SHOT_SHARES}
    claims = evaluate_claims(make_predictions(scores), setup3).set_index("id")
    assert claims.loc["C6c", "verdict"] == "does not hold" and claims.loc["C6b", "verdict"] == "holds"


def test_a_share_that_was_not_trained_leaves_its_claims_undecided(as_in_the_paper, setup3):
    some = {row: frame for row, frame in as_in_the_paper.items() if row != "few_shot_5"}
    claims = evaluate_claims(some, setup3).set_index("id")
    assert claims.loc["C6a", "verdict"] == "undecided" and claims.loc["C6b", "verdict"] == "holds"
    assert claims.loc["C6a.mmlu.zs", "detail"] == "row 'few_shot_5' was not run"


def test_curves_show_the_scores_and_a_star_their_highest(as_in_the_paper, setup3):
    table = score_table(as_in_the_paper, setup3)
    figure = figure3(table, setup3)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["Held-In (n = 480)", "MMLU (n = 480)"]
    for axes, suite in zip(figure.axes, ("held_in", "mmlu"), strict=True):
        curves = [line for line in axes.lines if line.get_marker() in "os"]
        assert len(curves) == 2
        for line, setting in zip(curves, ("zs", "fs"), strict=True):
            np.testing.assert_array_equal(line.get_xdata(), FEW_SHOT_SHARES)
            wanted = table[(table["suite"] == suite) & (table["setting"] == setting)]["score"]
            np.testing.assert_array_equal(line.get_ydata(), wanted)
        assert [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "*"] == [50, 50]


def test_a_row_of_one_s_own_is_in_the_table_and_not_drawn(as_in_the_paper, setup3, make_predictions, tmp_path):
    own = {"mine": "My row", "few_shot_30": "30%"}
    mine = make_predictions({row: dict.fromkeys(CELLS, 40) for row in own})
    setup = replace(setup3, layout=setup3.layout.extended(own, []))
    write_figure3(tmp_path, as_in_the_paper | mine, setup)
    assert set(own) <= set(pd.read_csv(tmp_path / "figure3.csv")["row"])
    drawn = figure3(score_table(as_in_the_paper | mine, setup), setup).axes[0].lines[0]
    np.testing.assert_array_equal(drawn.get_xdata(), FEW_SHOT_SHARES)


def test_a_suite_of_one_s_own_has_a_panel_with_its_name(as_in_the_paper, setup3, tmp_path):
    own = {
        row: pd.concat([frame, frame[frame["suite"] == "mmlu"].assign(suite="own")])
        for row, frame in as_in_the_paper.items()
    }
    setup = replace(setup3, layout=setup3.layout.extended({}, ["own"]), sets=setup3.sets | {"own": setup3.sets["mmlu"]})
    write_figure3(tmp_path, own, setup)
    titles = [axes.get_title(loc="left") for axes in figure3(score_table(own, setup), setup).axes]
    assert len(titles) == 3 and titles[-1].startswith("Own sets")


def test_the_rows_of_both_settings_are_told(as_in_the_paper, setup3):
    fewer = {row: frame[(frame["setting"] == "fs") | (frame["row"] < 40)] for row, frame in as_in_the_paper.items()}
    assert figure3(score_table(fewer, setup3), setup3).axes[0].get_title(loc="left") == "Held-In (n = 320 to 480)"


def test_the_report_is_written_also_of_some_points(as_in_the_paper, setup3, tmp_path):
    some = {row: as_in_the_paper[row] for row in ("few_shot_0", "few_shot_50")}
    names = {path.name for path in write_figure3(tmp_path, some, setup3)}
    assert names == {"figure3.png", "figure3.svg", "figure3.csv", "figure3.md", "figure3.html", "claims.csv"}
    table = pd.read_csv(tmp_path / "figure3.csv")
    assert list(table["few_shot_percent"].unique()) == list(FEW_SHOT_SHARES)
    assert table["score"].notna().sum() == 8


def with_options(frame, count):
    return frame.assign(options=[tuple("abcd"[:count])] * len(frame))


def test_ranked_answers_follow_with_what_guessing_scores(as_in_the_paper, setup3, tmp_path):
    ranked = {row: frame.assign(score=1 - frame["score"]) for row, frame in as_in_the_paper.items()}
    names = {path.name for path in write_figure3(tmp_path, as_in_the_paper, setup3, ranked)}
    assert {"ranking.png", "ranking.svg", "ranking.csv"} < names
    written, chosen = (pd.read_csv(tmp_path / f"{name}.csv") for name in ("figure3", "ranking"))
    assert list(written) == list(chosen)
    pd.testing.assert_series_equal(chosen["score"], 100 - written["score"], atol=1e-4)
    for name in ("figure3.md", "figure3.html"):
        text = (tmp_path / name).read_text()
        assert "Answers ranked by likelihood" in text and "Claims by ranked answers" in text
        assert "Guessing among the options scores on Held-In 50.0 zero-shot" in text
    drawn = (tmp_path / "ranking.svg").read_bytes()
    write_figure3(tmp_path, as_in_the_paper, setup3, {row: with_options(frame, 4) for row, frame in ranked.items()})
    assert (tmp_path / "ranking.svg").read_bytes() != drawn  # the level of guessing is another
    drawn = figure3(score_table(ranked, setup3), setup3, {("mmlu", "zs"): 20.0, ("mmlu", "fs"): 30.0})
    dotted = [[line.get_ydata()[0] for line in axes.lines if line.get_linestyle() == ":"] for axes in drawn.axes]
    assert dotted == [[], [25.0]] and drawn.legends[0].get_texts()[-1].get_text() == "guessing"
