"""Figure 4: slopes, fits and peaks over the number of tasks, and the claims C7a and C7b."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flannb.report import score_table
from flannb.report.claims import evaluate_claims
from flannb.report.figure4 import (
    Point,
    figure4,
    layout_of,
    parts,
    peak,
    r_squared,
    slope,
    trends,
    write_figure4,
)

COUNTS = (8, 25, 50, 100, 200, 400, 800, 1800)
SIZES = ("small", "base", "large")
POINTS = {f"{size}_{count}": Point(size, count, 1_000_000) for size in SIZES for count in COUNTS}
FEW = {f"small_{count}": Point("small", count) for count in (8, 20, 56)}


def made(make_predictions, points, held_in, mmlu):
    """Predictions with the scores that two functions of a point give."""
    return make_predictions(
        {
            row: {
                ("held_in", "zs"): held_in(p),
                ("held_in", "fs"): held_in(p),
                ("mmlu", "zs"): mmlu(p),
                ("mmlu", "fs"): mmlu(p),
            }
            for row, p in points.items()
        }
    )


def held_in_as_in_the_paper(point):
    """A peak at 100 tasks for the smallest and at 200 for the others, and at 400 for the largest."""
    top = {"small": 100, "base": 200, "large": 400}[point.size]
    return 80 - 9 * abs(np.log2(point.tasks / top))


@pytest.fixture(scope="module")
def as_in_the_paper(make_predictions):
    return made(make_predictions, POINTS, held_in_as_in_the_paper, lambda point: 5 * np.log2(point.tasks))


@pytest.fixture(scope="module")
def setup4(setup):
    return replace(setup, layout=layout_of(POINTS))


@given(
    st.lists(st.integers(1, 5000), min_size=3, max_size=8, unique=True),
    st.floats(-20, 20),
    st.floats(0, 50),
)
def test_a_straight_line_has_its_slope_and_a_whole_fit(tasks, gradient, start):
    scores = start + gradient * np.log2(tasks)
    assert slope(tasks)(scores) == pytest.approx(gradient, abs=1e-6)
    if abs(gradient) > 1e-3:
        assert r_squared(tasks)(scores) == pytest.approx(1)
    many = np.stack([scores, scores[::-1]])
    np.testing.assert_allclose(slope(tasks)(many)[0], slope(tasks)(scores), atol=1e-9)


def test_the_fit_is_numpys_and_equal_scores_have_none():
    scores = np.array([1.0, 5.0, 4.0, 9.0])
    fitted = np.polyval(np.polyfit(np.log2([8, 25, 50, 100]), scores, 1), np.log2([8, 25, 50, 100]))
    wanted = 1 - ((scores - fitted) ** 2).sum() / ((scores - scores.mean()) ** 2).sum()
    assert r_squared((8, 25, 50, 100))(scores) == pytest.approx(wanted)
    assert np.isnan(r_squared((8, 25))(np.array([3.0, 3.0])))
    assert peak((8, 25, 50))(np.array([[1, 3, 3], [2, 1, 1]])).tolist() == [25, 8]


def test_claims_hold_where_scores_do_as_the_paper_says(as_in_the_paper, setup4):
    claims = evaluate_claims(as_in_the_paper, setup4, parts(POINTS)).set_index("id")
    assert claims.loc[["C7a", "C7b"], "verdict"].tolist() == ["holds", "holds"]
    assert claims.loc["C7a.mmlu.zs.small", "difference"] == pytest.approx(5, abs=0.8)
    assert "points per doubling" in claims.loc["C7a.mmlu.zs.small", "detail"]
    assert claims.loc["C7b.held_in.fs.later", "difference"] == pytest.approx(2, abs=0.01)


def test_claims_do_not_hold_where_tasks_only_hurt(make_predictions, setup4):
    falling = made(make_predictions, POINTS, lambda p: 80 - 5 * np.log2(p.tasks), lambda p: 80 - 5 * np.log2(p.tasks))
    claims = evaluate_claims(falling, setup4, parts(POINTS)).set_index("id")
    assert claims.loc[["C7a", "C7b"], "verdict"].tolist() == ["does not hold", "does not hold"]
    assert claims.loc["C7b.held_in.zs.small.near_200", "verdict"] == "does not hold"
    assert claims.loc["C7b.held_in.zs.later", "verdict"] == "undecided"  # all sizes peak at 8 tasks


def test_where_tasks_and_sizes_are_few_the_report_says_so(make_predictions, setup, tmp_path):
    predictions = made(make_predictions, FEW, lambda p: 50, lambda p: 5 * np.log2(p.tasks))
    write_figure4(tmp_path, predictions, replace(setup, layout=layout_of(FEW)), FEW)
    claims = pd.read_csv(tmp_path / "claims.csv").set_index("id")
    assert claims.loc["C7a", "verdict"] == "holds" and claims.loc["C7b", "verdict"] == "undecided"
    assert "the data have 56 tasks" in claims.loc["C7b.held_in.zs.small.near_200", "detail"]
    assert claims.loc["C7b.held_in.zs.later", "detail"] == "only one size was measured"
    assert "The data have 56 tasks" in (tmp_path / "figure4.md").read_text()


def test_equal_scores_have_an_undefined_fit_in_words(make_predictions, setup, tmp_path):
    predictions = made(make_predictions, FEW, lambda p: 0, lambda p: 0)
    few = replace(setup, layout=layout_of(FEW))
    write_figure4(tmp_path, predictions, few, FEW)
    assert "undefined" in (tmp_path / "figure4.md").read_text() and "nan" not in (tmp_path / "figure4.md").read_text()
    figure = figure4(score_table(predictions, few), trends(predictions, few, FEW), few, FEW)
    assert "small: zero-shot +0.0 (–), few-shot +0.0 (–)" in figure.legends[0].get_texts()[0].get_text()


def test_equal_scores_have_no_peak(make_predictions, setup4):
    predictions = made(make_predictions, POINTS, lambda p: 0 if p.size == "small" else 50 - p.tasks / 40, lambda p: 0)
    later = evaluate_claims(predictions, setup4, parts(POINTS)).set_index("id").loc["C7b.held_in.zs.later"]
    assert later["verdict"] == "undecided" and later["detail"].startswith("undefined, since scores are equal; n = ")
    trend = trends(predictions, setup4, POINTS).set_index(["size", "suite", "setting"])
    assert np.isnan(trend.loc[("small", "held_in", "zs"), "peak"])
    assert trend.loc[("large", "held_in", "zs"), "peak"] == 8
    figure = figure4(score_table(predictions, setup4), trend.reset_index(), setup4, POINTS)
    assert sum(line.get_marker() == "*" for line in figure.axes[0].lines) == len(SIZES) - 1


def test_trends_are_of_the_points_that_exist(as_in_the_paper, setup4):
    whole = trends(as_in_the_paper, setup4, POINTS)
    assert len(whole) == len(SIZES) * 4 and set(whole["points"]) == {len(COUNTS)}
    at_peak = whole[(whole["suite"] == "held_in") & (whole["setting"] == "zs")].set_index("size")["peak"]
    assert at_peak.to_dict() == {"small": 100, "base": 200, "large": 400}
    assert (whole["slope_low"] <= whole["slope"]).all() and (whole["slope"] <= whole["slope_high"]).all()
    two = {row: as_in_the_paper[row] for row in ("small_8", "small_25", "base_8", "base_25", "base_50")}
    assert set(trends(two, setup4, POINTS)["size"]) == {"base"}
    assert trends({}, setup4, POINTS).empty


def test_panels_have_a_curve_for_each_size_on_a_log_axis(as_in_the_paper, setup4):
    table = score_table(as_in_the_paper, setup4)
    figure = figure4(table, trends(as_in_the_paper, setup4, POINTS), setup4, POINTS)
    assert len(figure.axes) == 4 and all(axes.get_xscale() == "log" for axes in figure.axes)
    axes = figure.axes[0]
    curves = [line for line in axes.lines if line.get_marker() != "*"]
    assert [list(line.get_xdata()) for line in curves] == [list(COUNTS)] * 3
    wanted = table[(table["suite"] == "held_in") & (table["setting"] == "zs")].set_index("row")["score"]
    np.testing.assert_array_equal(curves[0].get_ydata(), wanted[[f"small_{count}" for count in COUNTS]])
    assert [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "*"] == [100, 200, 400]
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert [label.split(":")[0] for label in labels] == ["small (1M)", "base (1M)", "large (1M)", "highest"]
    assert re.fullmatch(r"small \(1M\): zero-shot \+[45]\.\d \(\d\.\d\d\), few-shot .*", labels[0])


def test_the_report_has_fits_in_its_claims(as_in_the_paper, setup4, tmp_path):
    names = {path.name for path in write_figure4(tmp_path, as_in_the_paper, setup4, POINTS)}
    assert names == {
        *("figure4.png", "figure4.svg", "figure4.csv", "trends.csv", "figure4.md", "figure4.html", "claims.csv")
    }
    claims = pd.read_csv(tmp_path / "claims.csv").set_index("id")
    assert (
        "R² = 0.9" in claims.loc["C7a.mmlu.zs.large", "detail"]
        or "R² = 1.0" in claims.loc["C7a.mmlu.zs.large", "detail"]
    )
    table = pd.read_csv(tmp_path / "figure4.csv")
    assert set(table["tasks"]) == set(COUNTS) and set(table["parameters"]) == {1_000_000}


def test_ranked_answers_follow_with_claims_and_trends_of_their_own(as_in_the_paper, make_predictions, setup4, tmp_path):
    falling = made(make_predictions, POINTS, held_in_as_in_the_paper, lambda point: 90 - 5 * np.log2(point.tasks))
    names = {path.name for path in write_figure4(tmp_path, as_in_the_paper, setup4, POINTS, falling)}
    assert {"ranking.png", "ranking.svg", "ranking.csv", "ranking_trends.csv"} < names
    slopes = {
        name: pd.read_csv(tmp_path / f"{name}.csv").set_index("suite")["slope"] for name in ("trends", "ranking_trends")
    }
    assert (slopes["trends"]["mmlu"] > 4).all() and (slopes["ranking_trends"]["mmlu"] < -4).all()
    assert pd.read_csv(tmp_path / "claims.csv").set_index("id").loc["C7a", "verdict"] == "holds"
    text = (tmp_path / "figure4.md").read_text()
    own = text[text.index("## Claims by ranked answers") :]
    assert re.search(r"\| C7a: .* \| does not hold \|", own) and "R² = " in own
    about = text[text.index("## Answers ranked by likelihood") : text.index("## Claims by ranked answers")]
    assert "finds likeliest" in about and "on MMLU 50.0 zero-shot, 50.0 few-shot." in about
    figure = figure4(
        score_table(falling, setup4), trends(falling, setup4, POINTS), setup4, POINTS, {("mmlu", "fs"): 25.0}
    )
    dotted = [[line.get_ydata()[0] for line in axes.lines if line.get_linestyle() == ":"] for axes in figure.axes]
    assert dotted == [[], [], [], [25.0]]
    assert figure.legends[0].get_texts()[-1].get_text() == "guessing among the options"
