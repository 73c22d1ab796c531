import pytest

from flannb.errors import UserError
from flannb.experiments import artefact
from flannb.experiments.artefacts import ARTEFACTS
from flannb.experiments.registry import BUILDERS, steps_of
from flannb.experiments.reproduce import Options, artefact_steps, enter_project


@pytest.fixture(autouse=True)
def _project():
    enter_project()


def test_artefacts_without_a_builder_are_rows_of_models():
    assert "table1" not in BUILDERS
    keys = [step.key for step in steps_of(artefact("table1"), Options())]
    assert keys == [step.key for step in artefact_steps(artefact("table1"), Options())]


@pytest.mark.parametrize("name", [name for name in ARTEFACTS if name != "figure2"])
def test_every_report_says_what_makes_it(name):
    *before, report = steps_of(artefact(name), Options(seed=3, repeats={"": 1}))
    assert report.command == f"nox -s {artefact(name).session} -- --scale smoke --source mini --seed 3"
    assert not any(step.command for step in before)


def test_figure2_is_one_step_whatever_the_scale():
    [step] = steps_of(artefact("figure2"), Options(scale="micro", reports="/x"))
    assert step.folder == "/x/figure2" and not step.needs and step.command == "nox -s reproduce_figure2"
    assert step.key == steps_of(artefact("figure2"), Options(reports="/x"))[0].key


def test_figure7_depends_on_the_rows_of_the_source():
    [step] = steps_of(artefact("figure7"), Options())
    assert step.folder == "reports/figure7/smoke" and step.state
    with pytest.raises(UserError, match="--source /no/such: no such folder"):
        steps_of(artefact("figure7"), Options(source="/no/such"))
    with pytest.raises(UserError, match="--scale huge: unknown"):
        steps_of(artefact("figure7"), Options(scale="huge"))


def test_figure4_trains_every_size_on_every_number_of_tasks():
    steps = steps_of(artefact("figure4"), Options())
    trained = [step.parameters for step in steps if step.name.endswith("/train")]
    assert len(trained) == 15 and {given["size"] for given in trained} == {"smoke-quarter", "smoke-half", ""}
    assert sorted({given["tasks_drawn"] for given in trained})[0] == 0
    folders = {step.folder for step in steps}
    assert "runs/smoke/mini-0/flan2022/train" in folders  # all tasks in the scale's own size: Table 1 has it
