import pytest

from flannb.errors import UserError
from flannb.experiments import ARTEFACTS, artefact
from flannb.mixture import MIXTURES, mixture
from flannb.report import LAYOUTS


@pytest.mark.parametrize("name", ARTEFACTS)
def test_rows_are_those_of_the_paper(name):
    assert [row.name for row in artefact(name).rows] == LAYOUTS[name].measurable()
    assert {row.name: row.title for row in artefact(name).rows}.items() <= LAYOUTS[name].titles().items()
    assert LAYOUTS[name].full in LAYOUTS[name].titles()


@pytest.mark.parametrize("name", ARTEFACTS)
def test_every_row_has_a_mixture_of_its_own(name):
    mixtures = [row.mixture for row in artefact(name).rows]
    assert set(mixtures) <= set(MIXTURES) and len(set(mixtures)) == len(mixtures)


def test_table2_leaves_out_what_it_says():
    equal = set(mixture("equal").rates)
    for row in artefact("table2").rows:
        left_out = {row.name.removeprefix("minus_")} if row.name.startswith("minus_") else set()
        assert set(mixture(row.mixture).rates) == equal - left_out


def test_an_unknown_name_is_told_the_known_ones():
    with pytest.raises(UserError, match="--rows flan2023: unknown; choose from flan2022, minus_cot"):
        artefact("table1").row("flan2023")
    with pytest.raises(UserError, match="artefact 'table9': unknown; choose one of table1, table2"):
        artefact("table9")
