import pytest

from flannb.collection import SUBMIXTURES
from flannb.errors import UserError
from flannb.experiments import ROWS, row
from flannb.report import published


def test_rows_are_those_of_the_paper():
    paper = published("table1").query("kind != 'reported'")
    assert [r.name for r in ROWS] == list(paper["row"])


def test_single_collections_name_known_submixtures():
    for name in ("flan2021", "super_natural_instructions"):
        assert set(row(name).mixture.rates) == {name} <= set(SUBMIXTURES)


def test_an_unknown_row_is_told_the_known_ones():
    with pytest.raises(UserError, match="--rows flan2023: unknown; choose from flan2022, minus_cot"):
        row("flan2023")
