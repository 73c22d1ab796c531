"""The full row set by set, beside the most frequent answer."""

from flannb.report import write_table
from flannb.report.sets import sets_sections


def test_each_set_stands_beside_its_most_frequent_answer(predictions, setup):
    frame = predictions["flan2022"]
    better = {"held_in_0": 1.0, "held_in_1": 0.0}
    changed = frame.assign(score=frame["task"].map(better).fillna(frame["score"].astype(float)))
    ranked = {row: other[other["task"] == "held_in_1"].assign(score=1.0) for row, other in predictions.items()}
    [section] = sets_sections({"Written": predictions | {"flan2022": changed}, "Ranked": ranked}, setup)
    assert section.heads == ("Set", "Rows", "Most frequent", "Written", "Ranked") and len(section.lines) == 2 * 8
    first, second = section.lines[:2]
    assert first == ("held_in_0, zero-shot", "60", "66.7", "100.0 [100.0, 100.0]", "")
    assert second == ("held_in_1, zero-shot", "60", "66.7", "0.0 [0.0, 0.0]", "100.0 [100.0, 100.0]")
    lows = [[float(text.split("[")[1].split(",")[0]) for text in line[3:] if text] for line in section.lines]
    written = sum(line[0] > 66.7 for line in lows)
    assert f"above that in {written} of 16 (written), 2 of 2 (ranked)." in section.sentences[0]


def test_without_the_full_row_or_the_suite_there_is_none(predictions, setup):
    others = {row: frame for row, frame in predictions.items() if row != "flan2022"}
    assert sets_sections({"Written": others}, setup) == []
    assert sets_sections({"Written": predictions}, setup, suite="own") == []


def test_it_is_on_the_page_where_the_baseline_is(predictions, setup, tmp_path):
    write_table(tmp_path, predictions, {}, setup, majority={"zs": 66.7})
    for name in ("table1.md", "table1.html"):
        assert "Held-In, set by set" in (tmp_path / name).read_text()
