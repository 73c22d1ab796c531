"""Rendering: templates to texts, options shown or not, letters or texts as answers."""

from flannb.build import LETTERED, STYLES, instruction, render, wordings
from flannb.build.options import letter_of
from flannb.build.render import wording
from flannb.collection import Template

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
