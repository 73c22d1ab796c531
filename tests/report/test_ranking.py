"""Answers ranked by likelihood, on the page of a table."""

import pandas as pd
import pytest

from flannb.report import evaluate_claims, score_table, write_table
from flannb.report.ranking import guessing, ranking_sections


def ranked_of(predictions):
    """Predictions of which only Held-In and MMLU are ranked."""
    return {row: frame[frame["suite"].isin(["held_in", "mmlu"])] for row, frame in predictions.items()}


def test_only_what_is_ranked_is_shown(predictions, setup):
    ranked = ranked_of(predictions)
    table, claims = score_table(ranked, setup), evaluate_claims(ranked, setup)
    scores, verdicts = ranking_sections(table, claims, setup, {"flan2022": "All of it"}, {"mmlu": {"fs": 0.0}})
    assert scores.heads == ("Row", "Held-In, zero-shot", "Held-In, few-shot", "MMLU, zero-shot", "MMLU, few-shot")
    assert scores.lines[0][0] == "All of it" and all("[" in text for line in scores.lines for text in line[1:])
    assert "MMLU, few-shot: Flan 2022" in scores.sentences[-1] and "above the 0.0 of always" in scores.sentences[-1]
    ids = [line[0].partition(":")[0] for line in verdicts.lines]
    assert {"C1", "C3.mmlu.fs", "C4.held_in.zs"} <= set(ids)
    assert not any("cot" in name or "bbh" in name for name in ids)


def test_the_report_has_both_ways_to_answer(predictions, setup, tmp_path):
    ranked = {row: frame.assign(score=1 - frame["score"]) for row, frame in ranked_of(predictions).items()}
    paths = write_table(tmp_path, predictions, {}, setup, ranked=ranked)
    assert tmp_path / "ranking.csv" in paths
    keys = ["row", "suite", "setting"]
    written = pd.read_csv(tmp_path / "table1.csv").set_index(keys)["score"]
    chosen = pd.read_csv(tmp_path / "ranking.csv").set_index(keys)["score"].dropna()
    assert len(chosen) == 8 * 4
    pd.testing.assert_series_equal(chosen, 100 - written.loc[chosen.index], atol=0.011)
    for name in ("table1.md", "table1.html"):
        text = (tmp_path / name).read_text()
        assert "Answers ranked by likelihood" in text and "Claims by ranked answers" in text


def test_guessing_is_averaged_over_sets(predictions):
    (row, frame), *_ = ranked_of(predictions).items()
    first = frame["task"] == "mmlu_0"
    frame.loc[first, "options"] = pd.Series([("a", "b", "c", "d")] * first.sum(), index=frame.index[first])
    chances = guessing({row: frame})
    assert set(chances) == {(suite, setting) for suite in ("held_in", "mmlu") for setting in ("zs", "fs")}
    assert chances["held_in", "zs"] == 50 and chances["mmlu", "zs"] == pytest.approx((25 + 7 * 50) / 8)
