"""The report on a search for mixture weights."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from flannb.evaluate.intervals import difference
from flannb.mixture import DESIGN, mixture
from flannb.report import LAYOUTS
from flannb.report.weights import (
    BOTH,
    comparison,
    regression_figure,
    seed_spread,
    verdict,
    weights_figure,
    write_weights,
)
from flannb.search import CHOOSING, COMPARING, MEAN, half, search, together

RUNS = ("flan2022", "equal", *DESIGN)
CELLS = tuple(LAYOUTS["weights"].cells())


@pytest.fixture(scope="session")
def shares():
    table = pd.DataFrame({name: mixture(name).rates for name in RUNS}).T
    return table.div(table.sum(axis=1), axis=0)


@pytest.fixture(scope="session")
def predictions(make_predictions, shares):
    """Scores rise with the share of chain-of-thought data, but for Held-In; the proposal has more of all."""
    scores = {
        row: {cell: 60 + (-4 if cell[0] == "held_in" else 6) * np.log2(share["cot"] / 0.1) for cell in CELLS}
        for row, share in shares.iterrows()
    }
    scores["proposal"] = {cell: score + 8 for cell, score in scores["flan2022"].items()}
    return make_predictions(scores)


@pytest.fixture(scope="session")
def found(predictions, shares, setup):
    scores = {}
    for row in RUNS:
        suites = together(half(predictions[row], CHOOSING, setup.seed))
        scores[row] = {suite: 100 * np.mean([rows.mean() for rows in sets.values()]) for suite, sets in suites.items()}
    return search(shares, pd.DataFrame(scores).T)


@pytest.fixture(scope="session")
def setup_weights(setup):
    return replace(setup, layout=LAYOUTS["weights"])


def test_the_proposal_is_compared_on_its_half_with_paired_intervals(predictions, setup_weights):
    kept = {row: half(frame, COMPARING, 0) for row, frame in predictions.items()}
    table = comparison(kept, setup_weights).set_index(["suite", "setting"])
    assert len(table) == 6 * 3 and table["n"].max() < 33 * 60
    assert table["difference"].to_numpy() == pytest.approx((table["proposed"] - table["paper"]).to_numpy())
    cell = kept["flan2022"][lambda frame: (frame["suite"] == "mmlu") & (frame["setting"] == "fs")]
    means = cell.groupby("task")["score"].mean()
    assert table.loc[("mmlu", "fs"), "paper"] == pytest.approx(100 * means.mean())
    suites = [name for name, _ in table.index if name != MEAN]
    for setting in ("zs", "fs", BOTH):
        assert table.loc[(MEAN, setting), "proposed"] == pytest.approx(
            table.loc[[(suite, setting) for suite in dict.fromkeys(suites)], "proposed"].mean()
        )
    wanted = difference(*(together(kept[row])["bbh"] for row in ("proposal", "flan2022")))
    line = table.loc[("bbh", BOTH)]
    assert (line["difference"], line["ci_low"], line["ci_high"]) == (wanted.score, wanted.low, wanted.high)


def test_rows_that_one_of_the_two_lacks_are_left_out(predictions, setup_weights):
    cut = predictions["proposal"]
    cut = cut[~((cut["suite"] == "cot") & (cut["row"] < 30))]
    table = comparison(predictions | {"proposal": cut}, setup_weights).set_index(["suite", "setting"])
    assert table.loc[("cot", "zs"), "n"] == 5 * 30 and table.loc[("mmlu", "zs"), "n"] == 8 * 60


def test_the_verdict_follows_the_interval_and_the_errors(predictions, found, setup_weights):
    kept = {row: half(frame, COMPARING, 0) for row, frame in predictions.items()}
    better, none = comparison(kept, setup_weights), seed_spread(predictions, setup_weights)
    assert "are better than the paper's: +" in verdict(better, found, none)[0]
    swapped = kept | {"proposal": kept["flan2022"], "flan2022": kept["proposal"]}
    assert "are worse than the paper's: -" in verdict(comparison(swapped, setup_weights), found, none)[0]
    same = comparison(kept | {"proposal": kept["flan2022"]}, setup_weights)
    assert "are not clearly apart from the paper's: +0.0" in verdict(same, found, none)[0]
    assert "it predicts better than the mean does" in verdict(better, found, none)[1]
    guess = replace(found, left_out=found.scores.iloc[::-1].set_axis(found.scores.index))
    assert "it is no better than the mean" in verdict(better, guess, none)[1]


def test_what_seeds_alone_do_is_told_where_models_were_trained_again(predictions, found, setup_weights):
    assert seed_spread(predictions, setup_weights).empty
    rows = ("proposal", "flan2022", "equal")
    trained = {
        row: pd.concat([predictions[name].assign(repeat=i) for i, name in enumerate(names)])
        for row, names in {"flan2022": rows[:2], "equal": rows}.items()
    }
    found_spread = seed_spread(predictions | trained, setup_weights)
    chosen = {row: half(predictions[row], CHOOSING, 0) for row in rows}
    scores = {row: 100 * np.mean([r.mean() for r in together(frame)["mmlu"].values()]) for row, frame in chosen.items()}
    squares = np.var([scores[row] for row in rows[:2]]) * 2 + np.var([scores[row] for row in rows]) * 3
    assert found_spread["mmlu"] == pytest.approx(np.sqrt(squares / 3))
    said = verdict(comparison(predictions, setup_weights), found, found_spread)
    assert f"are {found_spread[MEAN]:.1f} points apart (standard deviation) by their seeds alone" in said[2]


def test_the_report_has_all_of_it(predictions, found, setup_weights, tmp_path):
    names = {path.name for path in write_weights(tmp_path, found, predictions, setup_weights)}
    assert names == {
        *(f"weights.{ending}" for ending in ("csv", "md", "html", "png", "svg")),
        *("comparison.csv", "runs.csv", "regression.csv", "regression.png", "regression.svg"),
    }
    runs = pd.read_csv(tmp_path / "runs.csv").set_index("row")
    assert list(runs.index) == ["proposal", *RUNS]
    assert runs.loc["flan2022", "cot"] == pytest.approx(0.05 / 1.03, abs=1e-4)
    assert runs[list(found.shares)].sum(axis=1).tolist() == pytest.approx([1] * 15, abs=1e-3)
    effects = pd.read_csv(tmp_path / "regression.csv").set_index("suite")
    assert list(effects.index)[-1] == MEAN and effects.loc["held_in", "cot"] < 0 < effects.loc["mmlu", "cot"]
    scores = pd.read_csv(tmp_path / "weights.csv")
    assert scores["score"].notna().all() and set(scores["row"]) == {"proposal", *RUNS}
    text = (tmp_path / "weights.md").read_text()
    assert "## The proposal against the paper's rates" in text and "Mean of suites" in text
    first = {name: (tmp_path / name).read_bytes() for name in names}
    write_weights(tmp_path, found, predictions, setup_weights)
    assert first == {name: (tmp_path / name).read_bytes() for name in names}


def test_figures_show_every_run_and_every_difference(predictions, found, setup_weights):
    table = comparison(predictions, setup_weights)
    above, below = weights_figure(found, table, setup_weights).axes
    drawn = [line for line in above.lines if len(line.get_xdata()) == 6]
    assert len(drawn) == len(RUNS) + 1
    np.testing.assert_allclose(drawn[-1].get_xdata(), 100 * found.rates)
    assert [len(line.get_xdata()) for line in below.lines if line.get_marker() in "osD"] == [6, 6, 6]
    panels = regression_figure(found, setup_weights).axes
    assert len(panels) == 6 and all(len(panel.lines[1].get_xdata()) == len(RUNS) for panel in panels)
    assert all(panel.get_xlim() == panel.get_ylim() for panel in panels)


def test_panels_without_a_suite_are_not_shown(found, setup_weights):
    four = replace(found, scores=found.scores.iloc[:, :4], left_out=found.left_out.iloc[:, :4])
    panels = regression_figure(four, setup_weights).axes
    assert [panel.get_visible() for panel in panels] == [True] * 5 + [False]
