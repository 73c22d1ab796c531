"""The tasks of Table 3: their names, metrics and splits, on the public data and on the embedded collection."""

import os
from pathlib import Path

import pytest

from flannb.build import Mini, Mirror, read_records
from flannb.collection import Split, check, finetuning_tasks, tasks
from flannb.collection.finetuning import gsm8k_rationale
from flannb.collection.task import RowError
from flannb.evaluate import METRICS
from flannb.report import published

MIRROR = Path(os.environ.get("FLANNB_MIRROR") or Path(__file__).parents[2] / "../shared/mirror")

needs_mirror = pytest.mark.skipif(
    not MIRROR.is_dir(), reason=f"no mirror of the datasets at {MIRROR}; name one in FLANNB_MIRROR"
)

PUBLIC, MINI = finetuning_tasks("hub"), finetuning_tasks("mini")
METRIC_NAMES = {
    "accuracy": "accuracy",
    "3-class macro F1": "macro_f1",
    "4-class macro F1": "macro_f1",
    "AUC-ROC": "auc_roc",
    "Spearman correlation": "spearman",
}


def test_they_are_the_rows_of_table_3_with_its_metrics():
    paper = published("table3")
    assert [task.title for task in PUBLIC] == paper["dataset"].tolist()
    for task, metric in zip(PUBLIC, paper["metric"], strict=True):
        assert task.metric in METRICS
        assert metric == "F1" or task.metric == METRIC_NAMES[metric]
    assert [task.name for task in PUBLIC if task.metric == "squad_f1"] == ["squad_v2"]
    assert [task.name for task in PUBLIC if task.held_out] == ["wanli", "med_nli", "conda_qa", "pubmed_qa", "cxc"]


def test_mini_has_held_in_and_held_out_ones_with_the_same_metrics():
    public = {task.name: task for task in PUBLIC}
    assert sum(task.held_out for task in MINI) == sum(not task.held_out for task in MINI) == 5
    for task in MINI:
        assert (task.title, task.held_out) == (public[task.name].title, public[task.name].held_out)
        assert task.metric == public[task.name].metric


@pytest.mark.parametrize("found", [PUBLIC, MINI], ids=["public", "mini"])
def test_they_are_sound(found):
    check([part.reads for task in found for part in task.sets])
    for task in found:
        assert len({part.reads.metric for part in task.sets}) == 1
        assert len({(part.validation is None, part.test is None) for part in task.sets}) == 1
        assert len(task.data) == len(set(task.data)), "a split is read once"


def test_held_out_tasks_of_mini_are_no_training_tasks():
    trained = {task.data.repo_id for task in tasks("mini") if isinstance(task.data, Split)}
    for task in MINI:
        own = {data.repo_id for data in task.data if isinstance(data, Split)}
        assert bool(own & trained) == (not task.held_out)


@pytest.mark.parametrize("task", MINI, ids=[task.name for task in MINI])
def test_rows_of_mini_are_usable_and_in_one_split(task):
    for part in task.sets:
        seen = set()
        for data in part.data:
            found = read_records(Mini(), data, part.train_fields or part.reads.fields)
            assert not found.rejected
            inputs = {str(sorted((k, v) for k, v in r.items() if k != "answer")) for r in found.records}
            assert not inputs & seen
            seen |= inputs


@needs_mirror
@pytest.mark.parametrize("task", PUBLIC, ids=[task.name for task in PUBLIC])
def test_rows_of_the_mirror_are_usable(task):
    source = Mirror(MIRROR)
    for part in task.sets:
        for data in part.data:
            if source.has(data):
                fields = part.train_fields if data == part.train and part.train_fields else part.reads.fields
                found = read_records(source, data, fields, limit=200)
                assert len(found) > 100


def test_gsm8ks_steps_lose_their_marks():
    assert gsm8k_rationale("He has 2*3=<<2*3=6>>6 pens.\n#### 6") == "He has 2*3=6 pens."
    with pytest.raises(RowError, match="no steps"):
        gsm8k_rationale("#### 6")
