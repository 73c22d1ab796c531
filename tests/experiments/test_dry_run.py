"""What a dry run says is what the stages then do."""

import json
from dataclasses import replace

import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flannb.build import open_source
from flannb.errors import UserError
from flannb.experiments import scales
from flannb.experiments.__main__ import main
from flannb.experiments.artefacts import ARTEFACTS, FIGURE4, TABLE1, TABLE2
from flannb.experiments.devices import named
from flannb.experiments.dry_run import dry_run
from flannb.experiments.finetuning import finetune_options, task_named
from flannb.experiments.reproduce import Options, artefact_steps, enter_project
from flannb.experiments.runner import run_step
from flannb.experiments.steps import built, train_options
from flannb.finetune.splits import read_splits
from flannb.mixture import BatchShape, batches, mixture, shard_weights
from flannb.model import SIZES, build_model, parameters, training_flops
from flannb.train import distribute
from flannb.train.loop import make_optimizer
from flannb.train.memory import bytes_per_device, planned_bytes

GIB = 2**30
GPU = named("1xH100")


@pytest.fixture
def tiny(monkeypatch):
    enter_project()
    chosen = replace(
        scales.SCALES["smoke"], rows_per_task=8, vocabulary_size=400, steps=40, batch=BatchShape(8, 128, 32)
    )
    monkeypatch.setitem(scales.SCALES, "smoke", chosen)
    return chosen


@pytest.fixture
def options(tmp_path):
    return Options(runs=str(tmp_path / "runs"), reports=str(tmp_path / "reports"), rows=("flan2022", "p3pp"))


def test_before_the_build_what_is_unknown_is_said(tiny, options, tmp_path):
    plan = dry_run(TABLE1, options, GPU, tmp_path)
    assert any("not built" in note for note in plan.notes)
    assert all(row.tokens is row.epochs is row.real_tokens is None for row in plan.rows)
    assert [row.tasks for row in plan.rows] == [76, 13] and not (tmp_path / "runs").exists()


def test_after_the_build_it_counts_what_training_will_read(tiny, options, tmp_path):
    planned = dry_run(TABLE1, options, GPU, tmp_path)
    data = artefact_steps(TABLE1, options)[0]
    run_step(data, papermill=False)
    plan, build = dry_run(TABLE1, options, GPU, tmp_path), built(data.folder)
    assert not plan.notes
    for before, row in zip(planned.rows, plan.rows, strict=True):
        weights = shard_weights(build.shards, mixture(row.mixture))
        assert row.tokens == sum(shard.tokens for shard in weights)
        assert 0.7 * before.examples < row.examples <= before.examples  # some rows are too long for few-shot
        stream, seen = iter(batches(build, weights, tiny.batch, options.seed)), np.zeros(2)
        for _ in range(tiny.steps):
            batch = next(stream)
            masks = (batch["encoder_padding_mask"], batch["decoder_padding_mask"])
            seen += (sum((mask > 0).sum() for mask in masks), masks[0].max(axis=1).sum())
        assert (row.real_tokens, row.drawn) == pytest.approx(tuple(seen), rel=0.05)
        assert row.positions == 40 * 8 * 160 > row.real_tokens
        assert row.epochs == pytest.approx(row.drawn / sum({s.task: s.records for s in weights}.values()))
        assert row.most_epochs >= row.epochs
        assert row.training_flops == 40 * training_flops(
            SIZES["smoke"].with_vocabulary(build.vocabulary_size), 8, 128, 32
        )


def test_memory_is_what_training_compares_with_its_device(tiny, options, tmp_path):
    plan = dry_run(TABLE1, options, GPU, tmp_path)
    model = build_model(plan.demand.config, seed=0)
    optimizer = make_optimizer(train_options(tiny, 0))
    optimizer.build(model.trainable_variables)
    assert plan.parameters == parameters(model)
    assert plan.demand.fixed == 2 * bytes_per_device(model.trainable_variables) + bytes_per_device(optimizer.variables)
    assert planned_bytes(model.trainable_variables, model.config, 1) == 4 * parameters(model)
    try:
        distribute(model.config)
        assert (
            planned_bytes(build_model(model.config, seed=0).trainable_variables, model.config, 1) == 4 * plan.parameters
        )
    finally:
        keras.distribution.set_distribution(None)


def test_devices_that_share_a_copy_hold_less(tmp_path):
    options = Options(scale="xxl", source=str(tmp_path), rows=("flan2022",))
    boolq = tmp_path / "google/boolq/default/train"
    boolq.mkdir(parents=True)
    pq.write_table(pa.table({"question": ["is it"], "passage": ["it is"], "answer": [True]}), boolq / "0.parquet")
    plan = dry_run(TABLE1, options, named("8xH100"), tmp_path)
    assert plan.parameters == 11_135_332_352 and plan.demand.replicas == 2
    assert 2 * plan.parameters < plan.demand.fixed < 2.1 * plan.parameters  # eight bytes each, between four
    assert not plan.demand.scores and plan.demand.fixed + plan.demand.activations < 80 * GIB
    assert plan.speeds[0].flops == pytest.approx(8 * 0.35 * 989.4e12) and "assumed: 35%" in plan.speeds[0].basis
    assert plan.rows[0].training_hours == pytest.approx(plan.rows[0].training_flops / plan.speeds[0].flops / 3600)
    with pytest.raises(UserError, match="2 x H100: the scale has 4 devices share a copy"):
        dry_run(TABLE1, options, named("2xH100"), tmp_path)
    with pytest.raises(UserError, match="512 x H100: a batch of 64 is not divisible by 128"):
        dry_run(TABLE1, options, named("512xH100"), tmp_path)


@pytest.mark.parametrize(("command", "artefact"), [("table2", TABLE2), ("train", TABLE1)])
def test_the_command_prints_the_plan_and_writes_it(command, artefact, tiny, tmp_path, capsys):
    path, first = tmp_path / "plan.json", artefact.rows[0].name
    where = ["--runs", str(tmp_path / "runs"), "--reports", str(tmp_path / "reports")]
    assert main([command, "--dry-run", "--json", str(path), "--repeats", f"1,{first}=3", *where]) == 0
    shown, plan = capsys.readouterr().out, json.loads(path.read_text())
    assert [row["row"] for row in plan["rows"]] == [row.name for row in artefact.rows]
    assert all(row.title in shown for row in artefact.rows) and "not built" in shown and "measured just now" in shown
    assert [row["models"] for row in plan["rows"]] == [3, *[1] * (len(artefact.rows) - 1)]
    assert plan["training"]["flops"] > 0 and plan["bytes_per_device"]["fixed"] > 0
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--devices", "eight"], "--devices eight: write 8xH100; kinds are B200"),
        (["--devices", "2xAbacus"], "--devices 2xAbacus: Abacus is unknown"),
        (["--rows", "nope"], "--rows nope: unknown"),
        (["--scale", "huge"], "--scale huge: unknown"),
        (["--vocabulary", __file__], "test_dry_run.py: not a SentencePiece model"),
    ],
)
def test_wrong_options_are_named(arguments, message, tmp_path, capsys):
    assert main(["table1", "--dry-run", "--runs", str(tmp_path), *arguments]) == 2
    assert message in capsys.readouterr().err


def test_rows_of_other_sizes_and_fewer_tasks_are_planned_as_they_are(tiny, tmp_path):
    plan = dry_run(FIGURE4, Options(runs=str(tmp_path)), GPU, tmp_path)
    assert min(row.tasks for row in plan.rows) == 8 and len({row.tasks for row in plan.rows}) == 5
    by_size = {row.row.rsplit("_", 1)[0]: row.training_flops for row in plan.rows}
    assert len(set(by_size.values())) == len(by_size) == 3


def test_figure_4_is_planned_with_the_tasks_that_the_source_has(tiny, tmp_path):
    path = tmp_path / "mirror/google/boolq/default/train/0000.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.table({"question": ["is it"], "passage": ["it is"], "answer": [True]}), path)
    source = str(tmp_path / "mirror")
    plan = dry_run(FIGURE4, Options(runs=str(tmp_path), source=source, allow_missing=True), GPU, tmp_path)
    steps = artefact_steps(FIGURE4, Options(runs=str(tmp_path), source=source, allow_missing=True))
    trained = {step.name.removesuffix("/train") for step in steps if step.name.endswith("/train")}
    assert len(plan.rows) == len(trained) == 3


def test_a_model_that_is_yet_to_be_pretrained_is_counted_apart(tiny, tmp_path):
    plan = dry_run(TABLE1, Options(runs=str(tmp_path), rows=("flan2022",), start="pretrained"), GPU, tmp_path)
    assert any(note.startswith("start: ") and "1,700 steps" in note for note in plan.notes)
    assert plan.as_json()["start"] == "pretrained"


def test_single_tasks_share_a_model_and_their_trainings_are_told(tiny, tmp_path):
    plan = dry_run(ARTEFACTS["table3"], Options(runs=str(tmp_path), rows=("rte", "pubmed_qa")), GPU, tmp_path)
    assert [(row.row, row.models, row.evaluation_hours) for row in plan.rows] == [("flan2022", 1, 0)]
    assert plan.as_json()["start"] == "pretrained" and any(note.startswith("start: ") for note in plan.notes)
    (note,) = (note for note in plan.notes if note.startswith("finetuning: "))
    source, options = open_source("mini"), finetune_options("smoke", "mini", 0)
    repeats = [
        read_splits(task_named(name, "mini"), source, 0, options.most_rows).repeats for name in ("rte", "pubmed_qa")
    ]
    assert f"2 of 2 tasks, from T5 and from the model above: {2 * sum(repeats)} trainings of {options.steps}" in note


def test_what_trains_no_model_has_no_plan(tmp_path):
    with pytest.raises(UserError, match="Figure 2 trains no model: there is nothing to plan"):
        dry_run(ARTEFACTS["figure2"], Options(runs=str(tmp_path)), GPU, tmp_path)
