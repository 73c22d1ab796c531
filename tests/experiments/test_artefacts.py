import pytest
from hypothesis import given
from hypothesis import strategies as st

from flannb.collection import tasks
from flannb.errors import UserError
from flannb.experiments import ARTEFACTS, SCALES, artefact
from flannb.experiments.artefacts import TASK_COUNTS, task_counts
from flannb.experiments.registry import BUILDERS
from flannb.experiments.reproduce import project_root
from flannb.mixture import MIXTURES, mixture
from flannb.model import SIZES
from flannb.report import LAYOUTS
from flannb.report.catalogue import KINDS


@pytest.mark.parametrize("name", ["table1", "table2"])
def test_rows_are_those_of_the_paper(name):
    assert [row.name for row in artefact(name).rows] == LAYOUTS[name].measurable()
    assert {row.name: row.title for row in artefact(name).rows}.items() <= LAYOUTS[name].titles().items()
    assert LAYOUTS[name].full in LAYOUTS[name].titles()


@pytest.mark.parametrize("name", sorted(ARTEFACTS.keys() - BUILDERS.keys()))
@pytest.mark.parametrize("scale", SCALES)
def test_every_row_is_a_model_of_its_own(name, scale):
    rows = artefact(name).at(SCALES[scale], tasks("mini")).rows
    assert len({row.model for row in rows}) == len({row.name for row in rows}) == len(rows)
    assert {row.mixture for row in rows} <= set(MIXTURES)
    assert {row.size or SCALES[scale].size for row in rows} <= set(SIZES)


def test_figure3_shares_the_model_of_half_few_shot_with_table1():
    rows = {row.title: mixture(row.mixture) for row in artefact("figure3").rows}
    assert [mixture.few_shot for mixture in rows.values()] == [0, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 1]
    assert all(set(mixture.rates) == {"flan2021"} for mixture in rows.values())
    assert artefact("figure3").row("few_shot_50").model == artefact("table1").row("flan2021").model


@given(st.integers(8, 3000))
def test_task_counts_are_the_papers_or_in_equal_ratios(available):
    counts = task_counts(available)
    assert counts[0] == 8 and counts[-1] == available and list(counts) == sorted(set(counts))
    apart = {count for count in TASK_COUNTS if count < 0.9 * available}
    assert set(counts[:-1]) == apart or (available <= 111 and len(counts) <= 5)


@pytest.mark.parametrize("available", [1, 5, 8])
def test_few_tasks_are_one_point(available):
    assert task_counts(available) == (available,)


def test_figure4_ends_with_all_tasks_in_every_size():
    chosen = artefact("figure4").at(SCALES["smoke"], tasks("hub"))
    rows = chosen.rows
    assert [row.tasks for row in rows] == [*TASK_COUNTS, 0] * 3
    assert [row.size for row in rows[::8]] == ["smoke-quarter", "smoke-half", ""]
    assert chosen.row("smoke_all").model == artefact("table1").row("flan2022").model
    assert chosen.row("smoke-half_25").model == "flan2022-25_tasks-smoke-half"
    widths = [SIZES[name].hidden_dim for name in SCALES["smoke"].sizes]
    assert widths == sorted(widths) and widths[-1] == SIZES["smoke"].hidden_dim


def test_table2_leaves_out_what_it_says():
    equal = set(mixture("equal").rates)
    for row in artefact("table2").rows:
        left_out = {row.name.removeprefix("minus_")} if row.name.startswith("minus_") else set()
        assert set(mixture(row.mixture).rates) == equal - left_out


def test_artefacts_are_made_by_sessions_of_nox():
    sessions = (project_root() / "noxfile.py").read_text()
    assert artefact("table1").session == "reproduce_table1" and artefact("weights").session == "search_weights"
    assert all(f'("{each.session}", "{name}", ' in sessions for name, each in ARTEFACTS.items())
    assert all(KINDS[name].session == each.session for name, each in ARTEFACTS.items())


def test_the_weight_search_shares_its_runs_of_known_rates_with_the_tables():
    rows = {row.name: row for row in artefact("weights").rows}
    assert rows["flan2022"].model == artefact("table1").row("flan2022").model
    assert rows["equal"].model == artefact("table2").row("all_equal").model
    assert {"proposal", *rows} == set(LAYOUTS["weights"].measurable())


def test_an_unknown_name_is_told_the_known_ones():
    with pytest.raises(UserError, match="--rows flan2023: unknown; choose one of flan2022, minus_cot"):
        artefact("table1").row("flan2023")
    with pytest.raises(UserError, match="--artefact table9: unknown; choose one of table1, table2"):
        artefact("table9")
