"""Rendering: templates to texts, options shown or not, letters or texts as answers."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flannb.build import LETTERED, STYLES, instruction, render, wordings
from flannb.build.options import letter_of
from flannb.build.render import Pattern, wording
from flannb.collection import Template
from flannb.collection.template import parse
from flannb.errors import UserError

PLAIN = Template(input="{question}?\n{options}", target="{answer}")
LETTER = Template(input="{question}?\n{options}\nAnswer:", target="{letter}", instruction="Pick for {question}.")
RECORD = {"question": "which", "options": ("red {x}", "blue"), "answer": "blue"}


def test_options_are_a_block_in_a_style():
    assert render(wording(PLAIN, True), RECORD).input == "which?\nOptions:\n- red {x}\n- blue"
    assert render(wording(PLAIN, True), RECORD, STYLES[1]).input == "which?\nOptions:\n(A) red {x}\n(B) blue"


def test_the_line_of_options_vanishes_in_a_setting_without():
    assert render(wording(PLAIN, False), RECORD).input == "which?"
    assert render(wording(LETTER, False), {**RECORD, "letter": "-"}).input == "which?\nAnswer:"


def test_a_letter_is_written_as_the_style_writes_it():
    targets = [render(wording(LETTER, True), RECORD, style).target for style in LETTERED]
    assert targets == ["(B)", "B.", "B)", "(B)"]


def test_without_options_no_wording_asks_for_a_letter():
    assert [w.template for w in wordings([PLAIN, LETTER], True)] == [PLAIN, LETTER]
    assert [w.template for w in wordings([PLAIN, LETTER], False)] == [PLAIN]


def test_instructions_may_name_fields_of_the_query():
    assert instruction(wording(LETTER, True), RECORD) == "Pick for which."


def test_letters_go_on_after_z():
    assert [letter_of(i) for i in (0, 25, 26, 27, 51, 52, 701, 702)] == ["A", "Z", "AA", "AB", "AZ", "BA", "ZZ", "AAA"]


def test_styles_have_names_of_their_own():
    assert len({style.name for style in STYLES}) == len(STYLES)
    assert all(style.lettered for style in LETTERED)


LITERALS = st.text(alphabet="a %{}?\n\t.", max_size=6).map(lambda text: text.replace("{", "{{").replace("}", "}}"))


@given(st.lists(st.tuples(LITERALS, st.sampled_from(["", "{question}", "{answer}"])), max_size=6), st.text(max_size=5))
def test_spans_hold_all_words_of_a_text_and_cut_it_only_at_white_space(parts, value):
    segments = parse("".join(literal + mark for literal, mark in parts))
    record = {"question": value, "answer": "{question} %s"}
    whole = "".join(literal + ("" if name is None else record[name]) for literal, name in segments)
    pattern = Pattern(segments)
    assert pattern.fill(record) == whole
    assert " ".join(span.fill(record) for span in pattern.spans).split() == whole.split()
    assert sum(len(span.names) for span in pattern.spans) == len(pattern.names)


def test_spans_keep_fields_apart_and_other_words_together():
    spans = Pattern(parse("Q: now, {question}?\nThink first. {answer}{answer}")).spans
    record = {"question": "who is it", "answer": "x"}
    assert [span.fill(record) for span in spans] == ["Q: now,", "who is it?", "Think first.", "xx"]


def test_exemplars_that_white_space_does_not_separate_are_refused():
    with pytest.raises(UserError, match="must be white space"):
        wording(replace(PLAIN, separator=" ## "), True)
