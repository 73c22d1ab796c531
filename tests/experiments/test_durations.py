"""The time left, from durations on record."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flannb.experiments.condition import Condition
from flannb.experiments.durations import Durations, Left, time_left
from flannb.experiments.step import Step
from flannb.progress import Progress


def make(name, *needs, size=""):
    return Step(name, f"runs/{name}", "", "", {"size": size}, (), needs=needs)


@pytest.fixture
def durations(tmp_path):
    """Runs of a scale here, and a report from elsewhere."""

    def manifest(path, **content):
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(content))

    runs = tmp_path / "runs/smoke/mini-0"
    manifest(runs / "data/manifest.json", step="data", seconds=10.0, parameters={})
    manifest(runs / "a/train/manifest.json", step="a/train", seconds=100, parameters={"size": ""})
    manifest(runs / "b/train/manifest.json", step="b/train", seconds=200, parameters={"size": ""})
    manifest(runs / "c/train/manifest.json", step="c/train", seconds="long")
    (runs / "d").mkdir()
    (runs / "d/manifest.json").write_text("{")
    manifest(
        tmp_path / "reports/table1/smoke/manifest.json",
        step="table1/report",
        seconds=5.0,
        needs={"x/train": {"seconds": 1.0}, "x/evaluate": {"seconds": 30.0}, "y": 3},
    )
    return Durations.at("smoke", str(tmp_path / "runs"), str(tmp_path / "reports"))


def test_a_step_takes_what_it_took_or_what_its_kind_takes(durations):
    assert durations.expected(make("a/train")) == (100, False)
    assert durations.expected(make("z/train")) == (150, False)  # the mean of trainings here; x was elsewhere
    assert durations.expected(make("z/evaluate")) == (30, True)
    assert durations.expected(make("z/train", size="large")) is None
    assert durations.expected(make("z/unknown")) is None
    durations.add(make("z/unknown"), 7.0)
    assert durations.expected(make("w/unknown")) == (7, False)


def test_steps_side_by_side_end_with_the_last(durations):
    data = make("data")
    rows = [make("a/train", data), make("b/train", data)]
    steps = [data, *rows]
    assert time_left(steps, [], {}, durations, 1) == Left(310.0)
    assert time_left(steps, [], {}, durations, 2) == Left(210.0)
    assert time_left(steps, ["runs/data", "runs/b/train"], {}, durations, 2) == Left(100.0)
    assert time_left(steps, [step.folder for step in steps], {}, durations, 2) == Left(0.0)


def test_a_step_at_work_needs_the_rest(durations):
    a = make("a/train")
    assert time_left([a], [], {a.folder: Condition("running", seconds=60.0)}, durations, 1) == Left(40.0)
    late = time_left([a], [], {a.folder: Condition("running", seconds=600.0)}, durations, 1)
    assert late == Left(5.0)  # it cannot take long any more
    new = make("new/stage")
    halfway = Progress("training", 75, 100, 50, "step", 1000.0, 1030.0)
    assert time_left([new], [], {new.folder: Condition("running", progress=halfway)}, durations, 1) == Left(30.0)


def test_guesses_are_told(durations):
    told = time_left([make("z/evaluate"), make("z/unknown")], [], {}, durations, 1)
    assert told == Left(30.0, guess=True, untimed=1)
    assert str(told) == "at least 30 s left (a guess, timed elsewhere; 1 step not timed yet)"
    assert str(time_left([make("z/unknown")], [], {}, durations, 1)).startswith("time left unknown")
    assert str(Left(600.0)) == "about 10 min left"


@given(st.lists(st.tuples(st.floats(0, 1e4), st.integers(0, 5)), min_size=1, max_size=8), st.integers(1, 4))
def test_no_less_than_the_longest_chain_and_no_more_than_one_by_one(shape, workers):
    steps, durations = [], Durations()
    for number, (seconds, back) in enumerate(shape):
        needs = [steps[number - back]] if 0 < back <= number else []
        steps.append(make(f"{number}/train", *needs))
        durations.add(steps[-1], seconds)
    chain = {}
    for step, (seconds, _) in zip(steps, shape, strict=True):
        chain[step.folder] = seconds + max((chain[need.folder] for need in step.needs), default=0.0)
    left = time_left(steps, [], {}, durations, workers).seconds
    whole = sum(seconds for seconds, _ in shape)
    assert max([*chain.values(), whole / workers]) <= left + 1e-6 <= whole + 2e-6
