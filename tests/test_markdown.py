import yaml
from hypothesis import given
from hypothesis import strategies as st

from flannb.markdown import escaped, front_matter, table

PLAIN = st.characters(exclude_categories=("Cs",))


def test_a_table_has_a_line_for_each_row():
    lines = table(["a", "n"], [("x", "1"), ("y|", "2")], right=[1])
    assert lines == ["| a | n |", "| --- | ---: |", "| x | 1 |", "| y\\| | 2 |"]


@given(st.text(PLAIN))
def test_text_of_a_cell_makes_no_cell_no_line_and_no_element(text):
    made = escaped(text)
    assert "\n" not in made and "<" not in made
    assert "|" not in made.replace("\\\\", "").replace("\\|", "")


@given(st.dictionaries(st.text(PLAIN, min_size=1), st.text(PLAIN) | st.lists(st.text(PLAIN)), max_size=4))
def test_a_head_is_read_back_and_ends_where_it_should(values):
    text = front_matter(values)
    lines = text.split("\n")
    assert lines[0] == "---" and lines[-2] == "---" and "---" not in lines[1:-2]
    assert yaml.safe_load("\n".join(lines[1:-2])) == values
