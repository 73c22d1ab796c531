"""The rules of appendix A.2: what is held out, what is left, and how often is trained."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flannb.build import Mini, Records
from flannb.collection import finetuning_tasks
from flannb.errors import UserError
from flannb.finetune.splits import FEW_ROWS, HELD_OUT, LEAST_ROWS, SMALL_SHARE, Pool, read_splits, size, split_rows

TASKS = {task.name: task for task in finetuning_tasks("mini")}
READS = TASKS["med_nli"].sets[0].reads


def pool(rows, name="train", first=0):
    """Rows whose prompts all differ, in a split of that name."""
    texts = [f"{name} {first + row}" for row in range(rows)]
    records = [{"premise": t, "hypothesis": t, "options": ("yes", "no"), "answer": "yes"} for t in texts]
    data = type(READS.data)("mini/med_nli", "default", name)
    return Pool(READS.__class__(**{**vars(READS), "data": data}), Records(list(range(rows)), records))


def prompts(pools):
    return [prompt.text() for each in pools for prompt in each.prompts()]


def test_a_task_with_all_splits_keeps_them():
    splits = split_rows((pool(2000),), (pool(300, "validation"),), (pool(400, "test"),))
    assert [size(part) for part in (splits.train, splits.validation, splits.test)] == [2000, 300, 400]
    assert splits.repeats == 1 and splits.notes == ()


def test_without_validation_1024_training_rows_are_held_out():
    splits = split_rows((pool(3000),), (), (pool(400, "test"),))
    assert [size(part) for part in (splits.train, splits.validation, splits.test)] == [3000 - HELD_OUT, HELD_OUT, 400]
    assert splits.notes == ("For validation, 1,024 of 3,000 rows of the train split are held out.",)


def test_without_test_the_validation_split_is_reported_on():
    splits = split_rows((pool(3000),), (pool(300, "validation"),), ())
    assert prompts(splits.test) == prompts((pool(300, "validation"),))
    assert size(splits.validation) == HELD_OUT
    assert splits.notes[0] == "There is no public test split, so scores are on the validation split."


def test_a_single_split_gives_all_three():
    splits = split_rows((pool(5000),), (), ())
    assert [size(part) for part in (splits.train, splits.validation, splits.test)] == [5000 - 2048, 1024, 1024]


def test_of_small_data_a_fifth_is_held_out():
    splits = split_rows((pool(1000),), (), ())
    assert [size(part) for part in (splits.train, splits.validation, splits.test)] == [640, 160, 200]
    assert "one in 5, since 1,024 would be more than half" in splits.notes[0]


@pytest.mark.parametrize(("rows", "repeats"), [(FEW_ROWS - 1, 3), (FEW_ROWS, 1)])
def test_few_training_rows_are_trained_on_three_times(rows, repeats):
    splits = split_rows((pool(rows),), (pool(10, "validation"),), (pool(10, "test"),))
    assert splits.repeats == repeats
    assert any("means over 3" in note for note in splits.notes) == (repeats == 3)


def test_a_training_row_with_a_prompt_of_the_test_is_left_out():
    twin = pool(50)
    splits = split_rows((pool(3000),), (pool(20, "validation"),), (twin,))
    assert size(splits.train) == 2950 and not set(prompts(splits.train)) & set(prompts(splits.test))
    assert "50 training rows are left out: their prompts are validation or test prompts too." in splits.notes


def test_too_few_rows_are_a_user_error():
    with pytest.raises(UserError, match=f"med_nli: {LEAST_ROWS - 1} rows are too few to hold some out for test"):
        split_rows((pool(LEAST_ROWS - 1),), (), ())
    with pytest.raises(UserError, match="no training row is left"):
        split_rows((pool(20),), (pool(20),), (pool(20),))


@given(
    rows=st.lists(st.integers(1, 60), min_size=1, max_size=3),
    validation=st.integers(0, 5),
    test=st.integers(0, 5),
    seed=st.integers(0, 9),
)
def test_every_row_is_in_one_part_and_draws_follow_the_seed(rows, validation, test, seed):
    train = tuple(pool(n, first=100 * i) for i, n in enumerate(rows))
    public = [(pool(n, name),) if n else () for name, n in (("validation", validation), ("test", test))]
    missing = 2 - bool(test or validation) - bool(test and validation)
    left = sum(rows) - (sum(rows) // SMALL_SHARE if missing == 2 else 0)
    if missing and min(sum(rows), left) < LEAST_ROWS:
        with pytest.raises(UserError, match="too few"):
            split_rows(train, *public, seed)
        return
    splits = split_rows(train, *public, seed)
    parts = [prompts(part) for part in (splits.train, splits.validation, splits.test)]
    everything = prompts((*train, *public[0], *public[1]))
    assert sorted(text for part in parts for text in part) == sorted(everything)
    assert all(parts)
    assert parts == [prompts(part) for part in vars(split_rows(train, *public, seed)).values() if part != splits.notes]


@pytest.mark.parametrize("name", TASKS)
def test_the_tasks_of_mini_split(name):
    splits = read_splits(TASKS[name], Mini(), most=50)
    found = [set(prompts(part)) for part in (splits.train, splits.validation, splits.test)]
    assert min(map(len, found)) > 40
    assert not found[0] & (found[1] | found[2])
    keys = [
        (p.reads.name, p.reads.data, row)
        for part in (splits.validation, splits.test)
        for p in part
        for row in p.records.rows
    ]
    assert len(keys) == len(set(keys)) == 100


def test_rows_of_several_sets_are_drawn_together():
    splits = read_splits(TASKS["anli"], Mini(), most=90)
    shares = np.array([len(part) for part in splits.test])
    assert shares.sum() == 90 and (shares > 15).all()
