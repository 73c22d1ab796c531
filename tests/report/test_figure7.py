"""Figure 7: permutations of real rows."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flannb.build import Mini
from flannb.build.inversion import PERMUTATIONS
from flannb.collection import tasks
from flannb.errors import UserError
from flannb.report.figure7 import STYLES, examples, figure7, rendered, wrap, write_figure7

TASKS = tuple(task for task in tasks("mini") if task.submixture in ("cot", "dialog"))


@pytest.fixture(scope="module")
def found():
    return examples(Mini(), TASKS)


def test_every_chain_of_thought_task_gives_its_shortest_example(found):
    assert [example.task.name for example in found] == [task.name for task in TASKS if task.submixture == "cot"]
    assert all(example.record[part] for example in found for part in ("question", "answer", "rationale"))


def test_a_prompt_holds_what_is_given_and_the_target_what_is_asked_for(found):
    for example in found:
        lines = rendered(example)
        assert len(lines) == len(PERMUTATIONS) == len({(line["given"], line["asked"]) for line in lines})
        assert (lines[0]["given"], lines[0]["asked"]) == ("Question", "Answer + Explanation")
        for line in lines:
            for name, part in (("Question", "question"), ("Answer", "answer"), ("Explanation", "rationale")):
                text = str(example.record[part])
                assert (text in line["target"]) or name not in line["asked"]
                assert (text in line["prompt"]) or name not in line["given"]


@given(st.lists(st.tuples(st.sampled_from("ab \n"), st.sampled_from(["", "answer"]))), st.integers(2, 12))
def test_wrapping_keeps_every_letter_but_spaces_and_the_width(letters, width):
    lines = wrap(letters, width)
    assert all(len(line) <= width for line in lines)
    kept = [letter for line in lines for letter in line if letter[0] != " "]
    assert kept == [letter for letter in letters if letter[0] not in " \n"]


def test_words_stay_whole_where_they_fit():
    lines = wrap([(letter, "") for letter in "one two three"], 8)
    assert ["".join(text for text, _ in line) for line in lines] == ["one two", "three"]


def test_the_figure_shows_every_permutation_and_marks_the_parts(found):
    figure = figure7(found[0])
    texts = figure.axes[0].texts
    assert sum(text.get_text()[0].isdigit() and " → " in text.get_text() for text in texts) == len(PERMUTATIONS)
    colours = {text.get_color() for text in texts}
    assert {style["color"] for style in STYLES.values()} <= colours
    bottom, top = figure.axes[0].get_ylim()
    assert all(top <= text.get_position()[1] <= bottom for text in texts)


def test_the_report_has_a_row_of_every_task_and_equal_bytes(tmp_path):
    for folder in ("a", "b"):
        write_figure7(tmp_path / folder, Mini(), TASKS)
    table = pd.read_csv(tmp_path / "a" / "figure7.csv")
    assert (table.groupby("task").size() == len(PERMUTATIONS)).all() and table["task"].nunique() == 12
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_a_source_without_chains_of_thought_is_named(tmp_path):
    with pytest.raises(UserError, match="mini has no row of a Chain-of-Thought task"):
        write_figure7(tmp_path, Mini(), [task for task in TASKS if task.submixture == "dialog"])
