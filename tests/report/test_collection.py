"""The reconciliation with the paper's 1,836 tasks."""

from dataclasses import replace

import pandas as pd
import pytest

from flannb.collection import SUBMIXTURES, tasks
from flannb.errors import UserError
from flannb.experiments.reproduce import project_root
from flannb.report.collection import PAPER_COUNT, PAPER_PARTS, counts, differences, flan2022, write_collection
from flannb.report.published import published

TASKS = tasks("hub")


def test_every_difference_is_counted():
    changes = differences(TASKS)
    assert PAPER_COUNT + changes["change"].sum() == len(flan2022(TASKS))
    assert sum(count for _, count in PAPER_PARTS) == PAPER_COUNT == 1836
    assert (changes["why"].str.len() > 15).all()
    assert {name for names, _ in PAPER_PARTS for name in names} == {n for n, s in SUBMIXTURES.items() if s.rate}


def test_the_public_list_is_whole():
    listed = published("collection")
    assert listed["submixture"].value_counts().to_dict() == {
        "super_natural_instructions": 1556,
        "t0_sf": 193,
        "flan2021": 72,
        "cot": 9,
        "program_synthesis": 5,
        "dialog": 3,
    }
    assert listed["name"].duplicated().sum() == 1  # mnli


def test_each_name_of_the_list_stands_for_tasks_of_its_submixture():
    by_name = {task.name: task for task in TASKS}
    for submixture, _, ours in published("collection").itertuples(index=False):
        assert {by_name[name].submixture for name in ours.split()} == {submixture}


def test_counts_add_up():
    table = counts(TASKS)
    assert table["flannb"].sum() == len(TASKS) and table["public list"].sum() == 1838
    assert table["of these without data"].sum() == sum(bool(task.unavailable) for task in TASKS)


def test_a_task_too_many_needs_a_reason():
    extra = replace(TASKS[0], name="extra")
    with pytest.raises(UserError, match="'extra' is not in the paper's list"):
        differences([*TASKS, extra])
    changes = differences([*TASKS, replace(extra, note="to see whether it helps")])
    assert changes["change"].sum() == differences(TASKS)["change"].sum() + 1


def test_a_task_too_few_is_named():
    with pytest.raises(UserError, match="the paper's bool_q stands for task 'boolq', which does not exist"):
        differences(task for task in TASKS if task.name != "boolq")


def test_the_committed_page_is_up_to_date(tmp_path):
    for path in write_collection(tmp_path):
        committed = project_root() / "reports" / "collection" / path.name
        assert committed.read_text() == path.read_text(), "run nox -s data -- --reconcile"
    assert len(pd.read_csv(tmp_path / "tasks.csv")) == len(TASKS)
