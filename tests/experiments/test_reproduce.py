from dataclasses import replace

import pytest

from flannb import files
from flannb.build import Mini
from flannb.errors import UserError
from flannb.experiments.artefacts import TABLE1, TABLE2
from flannb.experiments.registry import steps_of
from flannb.experiments.reproduce import (
    Options,
    artefact_steps,
    enter_project,
    from_project,
    pretrain_report_steps,
    project_root,
    run_home,
)
from flannb.experiments.scales import SCALES
from flannb.model import SIZES, build_model, save_model


@pytest.fixture(autouse=True)
def _project():
    enter_project()


def test_steps_come_after_what_they_need():
    steps = artefact_steps(TABLE1, Options())
    assert [s.name for s in steps[:3]] == ["data", "flan2022/train", "flan2022/evaluate"]
    assert steps[-1].name == "table1/report" and len(steps) == 18
    for i, step in enumerate(steps):
        assert all(need in steps[:i] for need in step.needs)


def test_seeds_and_sources_have_folders_of_their_own():
    plain, seeded = artefact_steps(TABLE1, Options()), artefact_steps(TABLE1, Options(seed=1))
    assert not {s.folder for s in plain[:-1]} & {s.folder for s in seeded[:-1]}
    assert all(a.key != b.key for a, b in zip(plain, seeded, strict=True))


def test_repeats_are_models_of_other_seeds_on_the_same_data():
    steps = {
        s.name: s for s in artefact_steps(TABLE1, Options(rows=("flan2022", "minus_cot"), repeats={"flan2022": 3}))
    }
    assert list(steps)[1:9:2] == [
        "flan2022/train",
        "flan2022-repeat1/train",
        "flan2022-repeat2/train",
        "minus_cot/train",
    ]
    trained = [step for name, step in steps.items() if name.startswith("flan2022") and name.endswith("train")]
    assert [step.parameters["seed"] for step in trained] == [0, 1, 2]
    assert len({step.folder for step in trained}) == 3
    assert all(step.needs == (steps["data"],) for step in trained)
    assert [len(homes) for homes in steps["table1/report"].parameters["evaluations"].values()] == [3, 1]
    assert {step.parameters["seed"] for name, step in steps.items() if name.endswith("evaluate")} == {0}


def steps_at(scale="micro", **options):
    """The steps of one row by name; every scale is planned on mini."""
    return {s.name: s for s in artefact_steps(TABLE1, Options(scale=scale, rows=("flan2022",), **options))}


def test_rows_start_from_the_pretrained_model_that_all_share():
    steps = steps_at(repeats={"flan2022": 2})
    assert list(steps)[:3] == ["data", "pretrain/span_corruption", "pretrain/prefix_lm"]
    first, second = steps["pretrain/span_corruption"], steps["pretrain/prefix_lm"]
    assert first.folder == "runs/micro/mini-0/pretrain/span_corruption" and not first.parameters["start"]
    assert second.parameters["start"] == f"{first.folder}/model" and second.needs == (first,)
    for name in ("flan2022/train", "flan2022-repeat1/train"):
        assert steps[name].parameters["start"] == f"{second.folder}/model" and second in steps[name].needs
    alone = pretrain_report_steps(Options(scale="micro"))
    assert [s.name for s in alone] == ["data", "pretrain/span_corruption", "pretrain/prefix_lm", "pretrain/report"]
    assert [s.key for s in alone[:3]] == [s.key for s in list(steps.values())[:3]]


def test_the_smoke_scale_starts_from_random_weights_and_can_pretrain():
    assert "pretrain/prefix_lm" not in steps_at("smoke") and not steps_at("smoke")["flan2022/train"].parameters["start"]
    started = steps_at("smoke", start="pretrained")
    assert started["pretrain/prefix_lm"].folder == "runs/smoke/mini-0/pretrain/prefix_lm"
    assert started["flan2022/train"].folder.startswith("runs/smoke/mini-0/from-pretrained-")
    assert steps_at("smoke")["flan2022/train"].folder == "runs/smoke/mini-0/flan2022/train"


def test_rows_start_from_a_given_checkpoint_whose_vocabulary_the_build_has(tokenizer, tmp_path):
    folder = tmp_path / "given"
    save_model(build_model(replace(SIZES["smoke"], vocabulary_size=tokenizer.vocabulary_size), 0), folder, tokenizer)
    steps = steps_at(start=str(folder))
    assert "pretrain/prefix_lm" not in steps
    data, train = steps["data"], steps["flan2022/train"]
    assert data.parameters["vocabulary"] == train.parameters["start"] == str(folder)
    assert train.folder.startswith("runs/micro/mini-0-given-") and data.folder.startswith("runs/micro/mini-0-given-")
    before = train.key
    save_model(build_model(replace(SIZES["smoke"], vocabulary_size=tokenizer.vocabulary_size), 1), folder, tokenizer)
    assert steps_at(start=str(folder))["flan2022/train"].key != before
    (folder / "spiece.model").unlink()
    with pytest.raises(UserError, match=r"given: has no tokenizer; name the SentencePiece model .*: --vocabulary"):
        steps_at(start=str(folder))
    named = steps_at(start=str(folder), vocabulary=str(tokenizer.path))
    assert named["data"].parameters["vocabulary"] == str(tokenizer.path)
    assert steps_at(start="random")["flan2022/train"].parameters["start"] == ""


def test_rows_from_random_weights_live_beside_those_of_the_scale():
    enter_project()
    for scale in ("micro", "smoke"):
        made = [
            artefact_steps(TABLE1, Options(scale=scale, start=start, rows=("flan2022",))) for start in ("", "random")
        ]
        usual, random = ([step.folder for step in steps if step.name.endswith("train")] for steps in made)
        assert (usual == random) == (scale == "smoke")  # which starts from random weights
    homes = {run_home(Options(scale="small", start=start), Mini(), SCALES["small"]) for start in ("", "random", "mine")}
    assert len(homes) == 3


def test_a_checkpoint_is_read_once_for_all_rows(tokenizer, tmp_path, monkeypatch):
    folder, read = tmp_path / "given", []
    save_model(build_model(replace(SIZES["smoke"], vocabulary_size=tokenizer.vocabulary_size), 0), folder, tokenizer)
    whole = files.sha256
    monkeypatch.setattr(files, "sha256", lambda path: read.append(path.name) or whole(path))
    artefact_steps(TABLE1, Options(start=str(folder), repeats={"": 2}))
    assert read.count("model.safetensors") == 1


def test_tables_share_the_models_of_one_mixture():
    first, second = ({s.folder: s.key for s in artefact_steps(table, Options())} for table in (TABLE1, TABLE2))
    shared = first.keys() & second.keys()
    assert {folder.removeprefix("runs/smoke/mini-0/") for folder in shared} == {
        "data",
        "flan2022/train",
        "flan2022/evaluate",
        "equal/train",
        "equal/evaluate",
    }
    assert all(first[folder] == second[folder] for folder in shared)


def test_everything_stays_below_runs_and_reports():
    steps = artefact_steps(TABLE1, Options(runs="/x/runs", reports="/x/reports"))
    assert all(s.folder.startswith("/x/runs/") and s.cache in ("", "/x/runs/.cache/jax") for s in steps[:-1])
    assert steps[-1].folder == "/x/reports/table1/smoke"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scale": "huge"}, "--scale huge: unknown; choose one of tiny, smoke, micro, small"),
        ({"rows": ("nope",)}, "--rows nope: unknown"),
        ({"repeats": {"nope": 2}}, "--repeats nope: unknown"),
        ({"source": "/no/such/folder"}, "--source /no/such/folder: no such folder"),
    ],
)
def test_wrong_options_are_named(change, message):
    with pytest.raises(UserError, match=message):
        artefact_steps(TABLE1, replace(Options(), **change))


def test_paths_count_from_where_the_user_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert from_project("runs") == str(tmp_path / "runs")
    monkeypatch.chdir(project_root() / "notebooks")
    assert from_project("runs") == "notebooks/runs"


def test_the_report_names_the_command_that_makes_it_again():
    options = Options(scale="tiny", seed=3, allow_missing=True, rows=("flan2022",), repeats={"": 1, "flan2022": 3})
    report = steps_of(TABLE1, options)[-1]
    assert report.command == (
        "nox -s reproduce_table1 -- --scale tiny --source mini --seed 3 --rows flan2022 --repeats flan2022=3"
        " --allow-missing"
    )


def test_a_training_depends_on_its_own_fields_of_the_scale(monkeypatch):
    def keys():
        return {step.name: step.key for step in artefact_steps(TABLE1, Options(rows=("flan2022",), start="pretrained"))}

    before = keys()
    monkeypatch.setitem(SCALES, "smoke", replace(SCALES["smoke"], learning_rate=0.5))
    trained_otherwise = keys()
    changed = {name for name, key in before.items() if trained_otherwise[name] != key}
    assert changed == {"flan2022/train", "flan2022/evaluate", "table1/report"}
    monkeypatch.setitem(SCALES, "smoke", replace(SCALES["smoke"], learning_rate=0.5, eval_rows=1))
    assert {name for name, key in keys().items() if trained_otherwise[name] != key} == {
        "flan2022/evaluate",
        "table1/report",
    }
