"""Answers ranked by likelihood, on the page of a table."""

import pandas as pd
import pytest

from flannb.report import write_table
from flannb.report.ranking import Ranked, guessing, ranking_sections, ranking_tables


def ranked_of(predictions):
    """Predictions of which only Held-In and MMLU are ranked."""
    return {row: frame[frame["suite"].isin(["held_in", "mmlu"])] for row, frame in predictions.items()}


def test_only_what_is_ranked_is_shown(predictions, setup):
    predictions = ranked_of(predictions)
    ranked = Ranked.of(predictions, setup)
    scores, verdicts = ranking_sections(ranked, predictions, setup, {"flan2022": "All of it"})
    assert scores.heads == ("Row", "Held-In, zero-shot", "Held-In, few-shot", "MMLU, zero-shot", "MMLU, few-shot")
    assert scores.lines[0][0] == "All of it" and all("[" in text for line in scores.lines for text in line[1:])
    told = " ".join(scores.sentences)
    assert "Guessing among the options scores on Held-In 50.0 zero-shot, 50.0 few-shot; on MMLU 50.0 zero-shot" in told
    assert "Held-In, few-shot: Flan 2022 has 7" in told and "of always giving the most frequent answer" in told
    ids = [line[0].partition(":")[0] for line in verdicts.lines]
    assert {"C1", "C3.mmlu.fs", "C4.held_in.zs"} <= set(ids)
    assert not any("cot" in name or "bbh" in name for name in ids)


def test_the_page_of_a_figure_says_the_same(predictions, setup):
    ranked = Ranked.of(ranked_of(predictions), setup)
    tables, notes = ranking_tables(ranked, "Row", setup)
    (scores, claims), (about, same) = tables.values(), notes.values()
    assert list(tables) == list(notes) and len(scores) == len(setup.layout.titles())
    assert ranked.beside_guessing() in about and "option that the model finds likeliest" in about[0]
    assert not any("bbh" in text for text in claims["Claim"]) and "not ranked nothing is known" in same[0]


def test_the_report_has_both_ways_to_answer(predictions, setup, tmp_path):
    ranked = {row: frame.assign(score=1 - frame["score"]) for row, frame in ranked_of(predictions).items()}
    paths = write_table(tmp_path, predictions, {}, setup, ranked=ranked)
    assert tmp_path / "ranking.csv" in paths
    keys = ["row", "suite", "setting"]
    written = pd.read_csv(tmp_path / "table1.csv").set_index(keys)["score"]
    chosen = pd.read_csv(tmp_path / "ranking.csv").set_index(keys)["score"].dropna()
    assert len(chosen) == 8 * 4
    pd.testing.assert_series_equal(chosen, 100 - written.loc[chosen.index], atol=1e-4)
    for name in ("table1.md", "table1.html"):
        text = (tmp_path / name).read_text()
        assert "Answers ranked by likelihood" in text and "Claims by ranked answers" in text


def test_guessing_is_averaged_over_sets(predictions):
    (row, frame), (other, whole), *_ = ranked_of(predictions).items()
    first = frame["task"] == "mmlu_0"
    frame.loc[first, "options"] = pd.Series([("a", "b", "c", "d")] * first.sum(), index=frame.index[first])
    chances = guessing({row: frame})
    assert set(chances) == {(suite, setting) for suite in ("held_in", "mmlu") for setting in ("zs", "fs")}
    assert chances["held_in", "zs"] == 50 and chances["mmlu", "zs"] == pytest.approx((25 + 7 * 50) / 8)
    assert guessing({"none": whole[:0], row: frame, other: whole}) == chances  # each question counts once
