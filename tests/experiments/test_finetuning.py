"""The steps of Table 3 and Figures 5 and 6, and the command ``finetune``."""

import json
from pathlib import Path

import pytest

from flannb.errors import UserError
from flannb.experiments.__main__ import main
from flannb.experiments.artefacts import FIGURE5, FIGURE6, TABLE3
from flannb.experiments.finetuning import FINETUNING, finetune_options, finetune_step, single_task_step, task_named
from flannb.experiments.registry import steps_of
from flannb.experiments.reproduce import Options, enter_project
from flannb.experiments.scales import SCALES
from flannb.finetune import FinetuneOptions
from flannb.mixture import BatchShape
from flannb.model import T5Config, build_model, save_model


@pytest.fixture(autouse=True)
def _project():
    enter_project()


def test_every_task_is_finetuned_from_both_starts():
    steps = steps_of(TABLE3, Options())
    names = [step.name for step in steps]
    assert names[:4] == ["data", "pretrain/span_corruption", "pretrain/prefix_lm", "flan2022/train"]
    assert names[-1] == "table3/report" and len(names) == 4 + 2 * 10 + 1
    by_name = {step.name: step for step in steps}
    t5, flan = by_name["wanli/t5"], by_name["wanli/flan_t5"]
    assert t5.parameters["start"] == f"{by_name['pretrain/prefix_lm'].folder}/model"
    assert flan.parameters["start"] == f"{by_name['flan2022/train'].folder}/model"
    assert by_name["flan2022/train"].parameters["start"] == t5.parameters["start"], "both have one pretraining"
    assert flan.needs == (by_name["flan2022/train"],) and t5.needs == (by_name["pretrain/prefix_lm"],)
    for i, step in enumerate(steps):
        assert all(need in steps[:i] for need in step.needs)


def test_the_artefacts_share_their_finetunings():
    table, bars, curves = ({s.folder: s.key for s in steps_of(a, Options())[:-1]} for a in (TABLE3, FIGURE5, FIGURE6))
    assert table == bars and curves.items() <= table.items()
    assert {folder.split("/")[-2] for folder in curves if "/finetune/" in folder} == {
        "wanli",
        "med_nli",
        "conda_qa",
        "pubmed_qa",
        "cxc",
    }


def test_tasks_can_be_chosen():
    steps = steps_of(FIGURE5, Options(rows=("boolq", "cxc")))
    assert [s.name for s in steps if "/finetune/" in s.folder] == ["boolq/t5", "boolq/flan_t5", "cxc/t5", "cxc/flan_t5"]
    with pytest.raises(UserError, match="--rows nope: unknown; choose one of arc, anli"):
        steps_of(FIGURE5, Options(rows=("nope",)))
    with pytest.raises(UserError, match="mini: has none of the tasks squad_v2"):
        steps_of(FIGURE5, Options(rows=("squad_v2",)))


def test_random_weights_are_no_t5():
    with pytest.raises(UserError, match="--start random: T5 was pretrained"):
        steps_of(TABLE3, Options(start="random"))


@pytest.mark.parametrize("repeats", [{"": 2}, {"wanli": 3}, {"": 1, "flan2022": 2}])
def test_trainings_of_a_task_are_not_repeated_by_option(repeats):
    with pytest.raises(UserError, match=r"--repeats: the tasks of Table 3 are trained 3 times each where .* 1,000"):
        steps_of(TABLE3, Options(repeats=repeats))


def test_one_training_of_all_rows_is_no_repeat():
    assert len(steps_of(TABLE3, Options(repeats={"": 1}))) == len(steps_of(TABLE3, Options(repeats={"wanli": 1})))


def test_a_changed_checkpoint_is_finetuned_again(tokenizer, tmp_path):
    config = T5Config(tokenizer.vocabulary_size, 1, 2, 16, 32, 8)
    found = []
    for seed in (0, 0, 1):
        save_model(build_model(config, seed), tmp_path / "given", tokenizer)
        steps = steps_of(TABLE3, Options(rows=("wanli",), start=str(tmp_path / "given")))
        found.append({step.name: step for step in steps})
    first, same, other = found
    assert {name: step.key for name, step in first.items()} == {name: step.key for name, step in same.items()}
    assert first["data"].key == other["data"].key
    assert first["wanli/t5"].key != other["wanli/t5"].key and first["wanli/flan_t5"].key != other["wanli/flan_t5"].key


def test_only_what_the_source_lacks_is_absent_from_a_report(start, tmp_path):
    steps = steps_of(TABLE3, Options(rows=("wanli", "squad_v2", "arc")))
    assert {task: list(made) for task, made in steps[-1].parameters["finetunings"].items()} == {
        "arc": ["t5", "flan_t5"],
        "squad_v2": [],
        "wanli": ["t5", "flan_t5"],
    }
    tuned = str(finetune_step(str(tmp_path / "wanli"), str(start), "wanli", scale="tiny", quiet=True).folder)
    told = []
    for more in ({}, {"squad_v2": {}}):
        finetunings = {"wanli": {"t5": tuned, "flan_t5": tuned}, **more}
        report = single_task_step(str(tmp_path / "report"), "table3", finetunings, "mini", "tiny", 0)
        told.append(next(path for path in map(Path, report) if path.suffix == ".md").read_text())
    assert "Not in this source" not in told[0] and "RTE" not in told[0]
    assert "Not in this source: SQuAD v2." in told[1]


def test_scales_of_the_paper_finetune_as_it_does():
    paper = FinetuneOptions()
    assert (paper.steps, paper.learning_rate, paper.dropout, paper.checkpoint_every) == (100_000, 1e-3, 0.1, 20)
    assert paper.shape == BatchShape(128, 512, 512) and paper.most_rows is None
    for scale in set(SCALES) - set(FINETUNING):
        assert vars(finetune_options(scale, "flan2022", 3)) == vars(paper) | {"dtype": SCALES[scale].dtype, "seed": 3}
    with pytest.raises(UserError, match="--scale huge: unknown"):
        finetune_options("huge", "mini", 0)
    with pytest.raises(UserError, match="--task nope: unknown; choose one of arc"):
        task_named("nope", "mini")


@pytest.fixture(scope="module")
def start(tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("start")
    save_model(build_model(T5Config(tokenizer.vocabulary_size, 1, 2, 16, 32, 8), seed=0), folder, tokenizer)
    return folder


@pytest.fixture
def own(tmp_path):
    """Rows and a template of one's own."""
    rows = "".join(json.dumps({"text": f"row {i}", "label": i % 2}) + "\n" for i in range(40))
    (tmp_path / "rows.jsonl").write_text(rows)
    (tmp_path / "t.yaml").write_text('input: "{text}\\n{options}"\ntarget: "{label}"\noptions: [bad, good]\n')
    return ["--data", str(tmp_path / "rows.jsonl"), "--template", str(tmp_path / "t.yaml")]


def test_the_command_finetunes_on_rows_of_ones_own(own, start, tmp_path, capsys):
    made = ["--to", str(tmp_path / "out"), "--steps", "2", "--checkpoint-every", "2", "--batch", "2,64,16"]
    assert main(["finetune", *own, "--start", str(start), *made]) == 0
    said = capsys.readouterr().out
    assert "For test, 8 of 40 rows of the train split are held out" in said
    assert "rows, accuracy on the test rows (%):" in said
    assert f"model: {tmp_path}/out/seed" in said
    about = json.loads((tmp_path / "out" / "finetuning.json").read_text())
    assert (len(about["trainings"]), about["options"]["steps"]) == (3, 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name either --task, or --data with its --template"),
        (["--task", "wanli", "--data", "x.csv"], "name either --task"),
        (["--data", "x.csv"], "--data: needs --template"),
        (["--task", "wanli", "--test", "x.csv"], "--test: goes with --data, not with --task"),
        (["--task", "wanli", "--metric", "accuracy"], "--metric: goes with --data, not with --task"),
        (["--data", ""], "--data: names no file"),
        (["--data", "x.csv", "--template", "t.yaml", "--test", ""], "--test: names no file"),
        (["--task", "wanli", "--steps", "0"], "--steps 0: must be above 0"),
        (["--task", "wanli", "--learning-rate", "inf"], "--learning-rate inf: must be above 0, and finite"),
        (["--task", "wanli", "--learning-rate", "nan"], "--learning-rate nan: must be above 0, and finite"),
        (["--task", "wanli", "--batch", "12"], "--batch 12: give three numbers"),
        (["--task", "squad_v2"], "--task squad_v2: unknown; choose one of arc"),
        (["--task", "wanli"], "nowhere: no such folder"),
    ],
)
def test_wrong_options_are_named(arguments, message, capsys, tmp_path):
    assert main(["finetune", "--start", str(tmp_path / "nowhere"), *arguments]) == 2
    assert message in capsys.readouterr().err
