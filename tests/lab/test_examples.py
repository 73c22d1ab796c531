"""Examples as they were picked: what is shown is what a build could hold."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flannb.build import EXEMPLAR_COUNTS, STYLES, Lengths, Records, Texts, invert, make_examples
from flannb.errors import UserError
from flannb.lab.examples import DRAWS, Picks, draw_example, pieces, title
from flannb.lab.examples import settings as settings_of
from flannb.lab.examples import words as wordings_of
from flannb.lab.rows import Sample

LENGTHS = Lengths(512, 128)
NAMES = ("boolq", "natural_questions", "ni_sense", "gsm8k", "wiki_dialog", "mbpp")


@given(data=st.data())
@settings(max_examples=40, suppress_health_check=list(HealthCheck))
def test_an_example_is_as_it_was_picked(sample_of, words, data):
    sample = sample_of(data.draw(st.sampled_from(NAMES)))
    task = sample.task
    setting = data.draw(st.sampled_from(list(settings_of(task))))
    word = data.draw(st.sampled_from(wordings_of(task, setting)))
    row = data.draw(st.integers(0, len(sample.records) - 1))
    count = data.draw(st.sampled_from([None, 1, 2, 4]))
    found = draw_example(task, sample, words, LENGTHS, Picks(setting, row, word.position, exemplars=count))
    assert found.position == word.position and found.template == word.template
    assert found.row == sample.records.rows[row] and found.record == sample.records.records[row]
    assert found.inputs == found.before + "".join(text for text, _ in found.query)
    assert found.targets == "".join(text for text, _ in found.answer)
    assert (found.style is not None) == (setting.endswith("_opt") and task.has_options)
    wanted = EXEMPLAR_COUNTS if count is None else (count,)
    assert 0 < len(found.exemplars) <= max(wanted) if setting.startswith("fs") else not found.exemplars
    assert found.row not in found.exemplars
    for text, ids in ((found.inputs, found.input_ids), (found.targets, found.target_ids)):
        shown = pieces(words, text, ids)
        assert [number for _, number in shown] == ids and shown[-1][0] == "</s>"


def test_it_is_an_example_that_a_build_makes(sample_of, words):
    sample = sample_of("boolq")
    found = draw_example(sample.task, sample, words, LENGTHS, Picks("fs_opt", 3, seed=5))
    row = Records(sample.records.rows[3:4] * DRAWS, sample.records.records[3:4] * DRAWS)
    made, _ = make_examples(sample.task, "fs_opt", row, Texts(words), LENGTHS, 5, pool=sample.records)
    assert found.inputs == made["inputs"][0].as_py() and found.input_ids == made["input_ids"][0].as_py()


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_options_are_shown_in_the_style_that_was_picked(style, sample_of, words):
    sample = sample_of("boolq")
    found = draw_example(sample.task, sample, words, LENGTHS, Picks("zs_opt", style=style.name))
    assert style.block(found.record["options"]) in found.inputs


def test_what_cannot_be_had_is_told(sample_of, words):
    sample = sample_of("boolq")
    with pytest.raises(UserError, match=r"No example of row 0 is like that.* set one of the lists to 'drawn'"):
        draw_example(sample.task, sample, words, LENGTHS, Picks("zs_opt", template=99))
    alone = Sample(sample.task, Records(sample.records.rows[:1], sample.records.records[:1]))
    with pytest.raises(UserError, match="no other row to draw an exemplar from"):
        draw_example(sample.task, alone, words, LENGTHS, Picks("fs_opt"))


def test_exemplars_may_be_those_that_were_written_for_the_task(sample_of, words):
    sample = sample_of("ni_sense")
    written = tuple({**record, "explanation": f"for reason {i}"} for i, record in enumerate(sample.records.records[:5]))
    picks = Picks("fs_opt", 20, exemplars=2, kind="positive")
    found = draw_example(sample.task, Sample(sample.task, sample.records, written), words, LENGTHS, picks)
    assert found.kind == "positive" and all(row < 0 for row in found.exemplars)


def test_inverted_chains_of_thought_are_named_by_what_they_give_and_ask_for(sample_of, words):
    sample = sample_of("gsm8k")
    task = invert(sample.task)
    titles = [title(task, word) for word in wordings_of(task, "zs_opt")]
    assert "question + answer -> rationale" in titles[0] and len(set(titles)) == len(titles)
    found = draw_example(task, sample, words, LENGTHS, Picks("zs_opt", template=0))
    assert found.targets == found.record["rationale"] and found.record["answer"] in found.inputs


def test_what_the_length_limits_cut_off_is_counted(sample_of, words):
    sample = sample_of("boolq")
    whole = draw_example(sample.task, sample, words, LENGTHS, Picks("zs_opt", template=0, style="options_dash"))
    cut = draw_example(sample.task, sample, words, Lengths(8, 2), Picks("zs_opt", template=0, style="options_dash"))
    assert whole.cut == (0, 0)
    assert len(cut.input_ids) == 8 and cut.cut[0] == len(whole.input_ids) - 8
