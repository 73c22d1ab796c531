import pytest

from flannb.errors import UserError
from flannb.experiments import artefact
from flannb.experiments.registry import BUILDERS, steps_of
from flannb.experiments.reproduce import Options, artefact_steps, enter_project


@pytest.fixture(autouse=True)
def _project():
    enter_project()


def test_artefacts_without_a_builder_are_rows_of_models():
    assert "table1" not in BUILDERS
    assert steps_of(artefact("table1"), Options()) == artefact_steps(artefact("table1"), Options())


def test_figure2_is_one_step_whatever_the_scale():
    [step] = steps_of(artefact("figure2"), Options(scale="micro", reports="/x"))
    assert step.folder == "/x/figure2" and not step.needs
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
