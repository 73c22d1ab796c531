"""Every notebook: parameters, no outputs, and that it runs from top to bottom."""

import re
from itertools import groupby

import nbformat
import papermill
import pytest
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from flannb.evaluate import read_predictions
from flannb.experiments.kernels import register
from flannb.experiments.reproduce import enter_project, project_root

NOTEBOOKS = sorted((project_root() / "notebooks").glob("*.ipynb"))
SHRINK = """
from dataclasses import replace
from flannb.experiments import finetuning, scales
from flannb.experiments.scales import Pretraining, Stage
from flannb.mixture import BatchShape
scales.SCALES["smoke"] = replace(
    scales.SCALES["smoke"], rows_per_task=16, vocabulary_size=400, steps=60, eval_rows=16,
    answer_limit=4, explanation_limit=6, eval_batch=32, batch=BatchShape(2, 128, 32),
    pretraining=Pretraining(Stage(20, 0.01), Stage(20, 0.01)),
)
finetuning.FINETUNING["smoke"] = replace(
    finetuning.FINETUNING["smoke"], steps=4, checkpoint_every=2, most_rows=16, shape=BatchShape(4, 128, 16)
)
"""


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_one_cell_holds_the_parameters_and_none_an_output(path):
    cells = nbformat.read(path, as_version=4).cells
    assert sum("parameters" in cell.metadata.get("tags", ()) for cell in cells) == 1
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)
    assert len({cell.id for cell in cells}) == len(cells)


def test_no_notebook_writes_into_the_folder_of_another():
    folders = {}
    for path in NOTEBOOKS:
        [cell] = [
            cell for cell in nbformat.read(path, as_version=4).cells if "parameters" in cell.metadata.get("tags", ())
        ]
        if (found := re.search('^folder = "(.+?)"', cell.source, re.MULTILINE)) and path.stem != "05_predictions":
            folders[path.stem] = found[1]  # 05 reads what 03 wrote
    assert len(folders) == len(set(folders.values())) >= 20, folders


OWN_KERNEL = ("01_build", "30_own_dataset", "31_own_row", "32_own_suite")
"""The first has itables show all tables, the others add data, rows and suites to flannb; both would stay for the
notebooks after them."""


def execute(paths, folder, parameters):
    """Runs notebooks in one kernel, each with an empty namespace, and the smoke scale made tiny by a first cell."""
    whole = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(SHRINK)])
    for path in paths:
        notebook = parameterize_notebook(load_notebook_node(str(path)), parameters[path.stem])
        whole.metadata = notebook.metadata
        heading = nbformat.v4.new_markdown_cell(f"# {path.name}")
        whole.cells += [heading, nbformat.v4.new_code_cell("%reset_selective -f ."), *notebook.cells]
    name = str(folder / paths[0].name)
    nbformat.write(whole, name)
    options = {"progress_bar": False, "extra_arguments": ["--log-level=ERROR"], "engine_name": register()}
    papermill.execute_notebook(name, name, kernel_name="python3", **options)


@pytest.mark.filterwarnings("ignore")  # of papermill's and Jupyter's own
def test_notebooks_run_in_the_order_of_reading(tmp_path, monkeypatch):
    enter_project()
    monkeypatch.setenv("PYTHONPATH", str(project_root()))
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    data, train, evaluate, pretrain, tuned, own = (
        str(tmp_path / name) for name in ("data", "train", "evaluate", "pretrain", "finetune", "own")
    )

    def report(name, *rows):
        folders = {"evaluations": {row: [evaluate] for row in rows}, "models": dict.fromkeys(rows, train)}
        return {"folder": str(tmp_path / name)} | folders

    # One run stands for all of a search, whose regression then finds no effects.
    searched = {row: [evaluate] for row in ("flan2022", "equal", "design_01", "design_02", "design_03")}

    def single_task(name):
        return {"folder": str(tmp_path / name), "finetunings": {"wanli": {"t5": tuned, "flan_t5": tuned}}}

    parameters = {
        "00_tour": {},
        "01_build": {"folder": data, "store": str(tmp_path / "store")},
        "02_train": {"folder": train, "data": data},
        "03_evaluate": {"folder": evaluate, "data": data, "model": f"{train}/model"},
        "04_finetune": {"folder": tuned, "start": f"{train}/model"},
        "05_predictions": {"folder": evaluate, "other": evaluate},
        "06_pretrain": {"folder": pretrain, "data": data, "store": str(tmp_path / "store")},
        "07_pretrain_report": {"folder": str(tmp_path / "report3"), "stages": {"span_corruption": pretrain}},
        "10_table1": {
            "folder": str(tmp_path / "report"),
            "evaluations": {"flan2022": [evaluate]},
            "models": {"flan2022": train},
        },
        "11_table2": {
            "folder": str(tmp_path / "report2"),
            "evaluations": {"all_weighted": [evaluate, evaluate]},
            "models": {"all_weighted": train},
        },
        "12_table3": single_task("table3"),
        "21_figure1": report("figure1", "flan2022", "flan2021"),
        "22_figure2": {"folder": str(tmp_path / "figure2")},
        "23_figure3": report("figure3", "few_shot_0", "few_shot_50"),
        "24_figure4": report("figure4", "smoke-half_8", "smoke_all"),
        "25_figure5": single_task("figure5"),
        "26_figure6": single_task("figure6"),
        "27_figure7": {"folder": str(tmp_path / "figure7")},
        "30_own_dataset": {"folder": own, "store": str(tmp_path / "store")},
        "31_own_row": {"folder": str(tmp_path / "row"), "scale": "tiny", "runs": str(tmp_path / "runs")},
        "32_own_suite": {
            "folder": str(tmp_path / "suite"),
            "data": f"{own}/data",
            "model": f"{own}/train/model",
        },
        "40_propose_weights": {
            "folder": str(tmp_path / "proposal"),
            "data": data,
            "mixtures": {row: row for row in searched},
            "evaluations": searched,
        },
        "41_weights": {
            "folder": str(tmp_path / "weights"),
            "proposal": str(tmp_path / "proposal"),
            "evaluations": {**searched, "proposal": [evaluate]},
        },
    }
    assert [path.stem for path in NOTEBOOKS] == list(parameters)
    for alone, paths in groupby(NOTEBOOKS, lambda path: path.stem in OWN_KERNEL):
        for some in [[path] for path in paths] if alone else [list(paths)]:
            execute(some, tmp_path, parameters)
    assert (tmp_path / "report" / "table1.html").is_file()
    assert (tmp_path / "report2" / "table2.html").is_file()
    for number in range(1, 8):
        name = f"figure{number}"
        assert all((tmp_path / name / f"{name}.{ending}").is_file() for ending in ("html", "md", "csv", "png", "svg"))
    assert (tmp_path / "table3" / "table3.html").is_file()
    assert (tmp_path / "report3" / "pretrain.html").is_file()
    assert "are not clearly apart from the paper's" in (tmp_path / "weights" / "weights.md").read_text()
    assert "Half CoT" in (tmp_path / "row/reports/table1/tiny/table1.md").read_text()
    assert set(read_predictions(tmp_path / "suite" / "predictions")["suite"]) >= {"own", "mmlu"}
