"""The report on pretraining: what it says is what was measured, and texts of the data are shown as they are."""

import pandas as pd
import pytest

from flannb.report import Pretrained, write_pretraining

EVIL = "<script>alert(1)</script> | a"


def stage(held_out, written):
    return Pretrained(
        losses=pd.DataFrame({"step": range(1, 9), "loss": [5.0, 4.5, 4, 3.5, 3, 2.5, 2, 1.5]}),
        held_out=pd.DataFrame(held_out),
        findings={
            "corpus": {
                "documents": {"training": 90, "held_out": 2},
                "tokens": {"training": 12_345, "held_out": 678},
                "contaminated": 7,
            },
            "held_out": {
                "span_corruption": {"tokens": 100, "unigram_entropy": 4.25},
                "prefix_lm": {"tokens": 200, "unigram_entropy": 4.5},
            },
            "samples": [{"input": EVIL, "target": "<0> b", "written": written}],
        },
    )


@pytest.fixture
def stages():
    return {
        "span_corruption": stage({"step": [0, 8], "span_corruption": [6.0, 2.5], "prefix_lm": [6.5, 4.0]}, "one"),
        "prefix_lm": stage({"step": [0, 4], "span_corruption": [2.5, 3.0], "prefix_lm": [4.0, 1.125]}, "two"),
    }


def test_the_page_says_the_losses_before_and_after_each_stage(stages, tmp_path):
    paths = write_pretraining(tmp_path, stages, "smoke", "mini", 3)
    assert {path.name for path in paths} == {"loss.png", "loss.svg", "held_out.csv", "pretrain.md", "pretrain.html"}
    page = (tmp_path / "pretrain.md").read_text()
    assert "| span corruption | 6.000 | 2.500 | 3.000 | 4.250 | 100 |" in page
    assert "| prefix LM | 6.500 | 4.000 | 1.125 | 4.500 | 200 |" in page
    assert "scale smoke, data source mini, seed 3, trained on 12,345 tokens" in page and "7 rows were left out" in page
    kept = pd.read_csv(tmp_path / "held_out.csv")
    assert len(kept) == 8 and list(kept) == ["stage", "step", "objective", "loss", "tokens", "unigram_entropy"]
    last = kept[(kept["stage"] == "prefix_lm") & (kept["objective"] == "prefix_lm")].iloc[-1]
    assert (last["step"], last["loss"], last["unigram_entropy"]) == (4, 1.125, 4.5)


def test_texts_of_the_data_are_escaped(stages, tmp_path):
    write_pretraining(tmp_path, stages, "smoke", "mini", 0)
    html, page = (tmp_path / "pretrain.html").read_text(), (tmp_path / "pretrain.md").read_text()
    assert "<script>" not in html and "&lt;script&gt;alert(1)" in html and "&lt;0&gt; b" in html
    assert "<script>" not in page and r"&lt;script&gt;alert(1)&lt;/script&gt; \| a" in page


def test_equal_findings_give_equal_bytes(stages, tmp_path):
    first, second = (write_pretraining(tmp_path / name, stages, "smoke", "mini", 0) for name in ("a", "b"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_one_stage_alone_has_a_report(stages, tmp_path):
    write_pretraining(tmp_path, {"span_corruption": stages["span_corruption"]}, "smoke", "mini", 0)
    assert "After prefix LM" not in (tmp_path / "pretrain.md").read_text()
