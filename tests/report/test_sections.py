from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from flannb.experiments import SCALES
from flannb.report import evaluate_claims, limits, majority_baseline, score_table, write_table
from flannb.report.claims import HOLDS
from flannb.report.sections import seen_section, summary, token_table


def test_the_summary_sorts_all_claims_by_their_verdict(predictions, setup):
    predictions.pop("minus_few_shot")  # which C3 is about
    claims = evaluate_claims(predictions, setup)
    agree, differ, undecided, untested = summary(score_table(predictions, setup), claims, setup)
    assert agree.startswith("Agrees with the paper: ") and differ.startswith("Does not agree: ")
    assert undecided.startswith("Undecided: ") and "C3" not in agree + differ + undecided
    assert untested == "Not tested: C3 (row 'minus_few_shot' was not run)."
    verdicts = dict(zip(claims["id"], claims["verdict"], strict=True))
    for claim in setup.layout.claims:
        assert (f"{claim}, " in agree) == (verdicts[claim] == HOLDS)
        assert sum(f"{claim}, " in sentence for sentence in (agree, differ, undecided)) == (claim != "C3")


@pytest.mark.parametrize(("right", "words"), [(1.0, "above"), (0.0, "below"), (2 / 3, "not clearly apart from")])
def test_the_summary_tells_whether_the_full_row_learned_to_answer(right, words, predictions, setup):
    full = predictions["flan2022"]
    held_in = full["suite"] == "held_in"
    evenly = np.arange(len(full)) * 7 % 30 < 30 * right
    full["score"] = np.where(held_in, evenly, full["score"]).astype(bool)
    told = summary(
        score_table(predictions, setup), evaluate_claims(predictions, setup), setup, majority_baseline(full)
    )[3:]
    assert len(told) == 2
    assert all(f"{words} the 66.7 of always giving" in sentence for sentence in told)
    assert told[0].startswith("Held-In, zero-shot: ") and told[1].startswith("Held-In, few-shot: ")


def test_tokens_are_told_by_row_and_submixture(tokens):
    section = seen_section(tokens, {"flan2022": "Flan 2022"}, 8_000_000)
    assert section.heads[2:4] == ("Flan 2021, %", "Chain-of-Thought, %")
    assert section.lines[0] == ("Flan 2022", "0.0", "60.0", "40.0", "12.2")
    assert section.lines[1] == ("minus_cot", "0.0", "100.0", "", "1.5")
    assert "All rows have the same budget: 8 million positions" in section.sentences[1]
    assert len(seen_section(tokens, {}, None).sentences) == 1
    assert "the same budget: 61,440 positions" in seen_section(tokens, {}, 61_440).sentences[1]


def test_the_report_has_tokens_limits_and_the_number_of_models(predictions, setup, tokens, tmp_path):
    predictions["flan2022"] = pd.concat([predictions["flan2022"].assign(repeat=i) for i in range(3)])
    limited = replace(setup, limits=("It shows <nothing>.",), positions=10**6)
    paths = write_table(tmp_path, predictions, {}, limited, tokens=tokens)
    assert tmp_path / "tokens_per_task.csv" in paths
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "tokens_per_task.csv"), token_table(tokens))
    text, page = ((tmp_path / f"table1.{kind}").read_text() for kind in ("md", "html"))
    assert "## What this scale cannot show" in text and "It shows &lt;nothing&gt;." in text
    assert "<h2>What this scale cannot show</h2>" in page and "It shows &lt;nothing&gt;." in page
    for shown in (text, page):
        assert "Data seen" in shown and "Agrees with the paper: C" in shown
        assert "(3 models)" in shown and "(1 model)" in shown


def test_limits_are_those_of_the_collection_and_the_scale():
    assert limits("smoke", "mini") == limits("micro", "mini") != limits("smoke", "flan2022")
    texts = {name: limits(name, "flan2022") for name in SCALES}
    assert len({texts[name] for name in ("smoke", "micro", "xl")}) == 3
    assert all(texts.values()) and texts["small"] == texts["xxl"]
