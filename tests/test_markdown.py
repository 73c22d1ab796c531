import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from flannb.markdown import escaped, front_matter, table

PLAIN = st.characters(exclude_categories=("Cs",))


def test_a_table_has_a_line_for_each_row():
    lines = table(["a", "n"], [("x", "1"), ("y|", "2")], right=[1])
    assert lines == ["| a | n |", "| --- | ---: |", "| x | 1 |", "| y\\| | 2 |"]


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("a\r\nb\rc\nd", "a b c d"),
        ("&lt; &#60; &amp;lt;", "&amp;lt; &amp;#60; &amp;amp;lt;"),
        ("Q&A; R&D & more", "Q&amp;A; R&D & more"),
        ("~~gone~~", r"\~\~gone\~\~"),
        ("a*b_c <i>", r"a\*b\_c &lt;i&gt;"),
    ],
)
def test_text_is_shown_as_it_is(text, made):
    assert escaped(text) == made and escaped(escaped(text)) == made


@given(st.text(PLAIN))
def test_text_of_a_cell_makes_no_cell_no_line_and_no_element(text):
    made = escaped(text)
    assert not {"\n", "\r"} & set(made) and "<" not in made
    assert "|" not in made.replace("\\\\", "").replace("\\|", "")


@given(st.dictionaries(st.text(PLAIN, min_size=1), st.text(PLAIN) | st.lists(st.text(PLAIN)), max_size=4))
def test_a_head_is_read_back_and_ends_where_it_should(values):
    text = front_matter(values)
    lines = text.split("\n")
    assert lines[0] == "---" and lines[-2] == "---" and "---" not in lines[1:-2]
    assert yaml.safe_load("\n".join(lines[1:-2])) == values
