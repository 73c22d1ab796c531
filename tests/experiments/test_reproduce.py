import os
from dataclasses import replace

import pytest

from flannb.errors import UserError
from flannb.experiments.reproduce import (
    Options,
    default_workers,
    enter_project,
    from_project,
    has_accelerator,
    project_root,
    table1_steps,
)


@pytest.fixture(autouse=True)
def _project():
    enter_project()


def test_steps_come_after_what_they_need():
    steps = table1_steps(Options())
    assert [s.name for s in steps[:3]] == ["data", "flan2022/train", "flan2022/evaluate"]
    assert steps[-1].name == "report" and len(steps) == 18
    for i, step in enumerate(steps):
        assert all(need in steps[:i] for need in step.needs)


def test_seeds_and_sources_have_folders_of_their_own():
    plain, seeded = table1_steps(Options()), table1_steps(Options(seed=1))
    assert not {s.folder for s in plain[:-1]} & {s.folder for s in seeded[:-1]}
    assert all(a.key != b.key for a, b in zip(plain, seeded, strict=True))


def test_everything_stays_below_runs_and_reports():
    steps = table1_steps(Options(runs="/x/runs", reports="/x/reports"))
    assert all(s.folder.startswith("/x/runs/") and s.cache in ("", "/x/runs/.cache/jax") for s in steps[:-1])
    assert steps[-1].folder == "/x/reports/table1/smoke"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scale": "huge"}, "--scale huge: unknown; choose one of smoke, micro"),
        ({"rows": ("nope",)}, "--rows nope: unknown"),
        ({"source": "/no/such/folder"}, "--source /no/such/folder: no such folder"),
    ],
)
def test_wrong_options_are_named(change, message):
    with pytest.raises(UserError, match=message):
        table1_steps(replace(Options(), **change))


@pytest.mark.parametrize(("platforms", "found"), [("cpu", False), ("cuda,cpu", True), ("tpu", True)])
def test_jax_platforms_decides_on_workers(monkeypatch, platforms, found):
    monkeypatch.setenv("JAX_PLATFORMS", platforms)
    assert has_accelerator() == found
    assert default_workers() == (1 if found else min(len(os.sched_getaffinity(0)), 8))


def test_paths_count_from_where_the_user_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert from_project("runs") == str(tmp_path / "runs")
    monkeypatch.chdir(project_root() / "notebooks")
    assert from_project("runs") == "notebooks/runs"
