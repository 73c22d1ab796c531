"""Halves of the evaluation rows, and scores with both settings in one."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flannb.evaluate import REPEAT
from flannb.search import CHOOSING, COMPARING, half, together


def made(suites, rows=60, settings=("zs", "fs"), repeats=1, seed=0):
    rng = np.random.default_rng(seed)
    lines = [
        {"suite": suite, "task": task, "setting": setting, "row": row, REPEAT: repeat, "score": rng.integers(2)}
        for suite, tasks in suites.items()
        for task in tasks
        for setting in settings
        for row in range(rows)
        for repeat in range(repeats)
    ]
    return pd.DataFrame(lines)


@given(seed=st.integers(0, 2**63))
def test_every_row_is_in_one_half_the_same_for_all_models_settings_and_suites(seed):
    frame = made({"bbh": ["navigate", "snarks"], "bbh_cot": ["navigate"]}, rows=20)
    halves = [half(frame, which, seed) for which in (CHOOSING, COMPARING)]
    assert sum(map(len, halves)) == len(frame)
    sets = [set(part[["task", "row"]].itertuples(index=False, name=None)) for part in halves]
    assert not sets[0] & sets[1]
    fewer = half(frame[frame["row"] < 10], CHOOSING, seed)  # of a model that was scored on fewer rows
    assert set(fewer[["task", "row"]].itertuples(index=False, name=None)) == {key for key in sets[0] if key[1] < 10}


def test_halves_are_about_as_large_and_differ_by_task_and_seed():
    frame = made({"mmlu": ["a", "b"]}, rows=400)
    rows = {
        (task, seed): frozenset(half(frame[frame["task"] == task], CHOOSING, seed)["row"])
        for task in "ab"
        for seed in (0, 1)
    }
    assert len(set(rows.values())) == 4
    assert all(160 < len(chosen) < 240 for chosen in rows.values())
    assert half(frame[:0], CHOOSING, 0).empty


def test_settings_of_a_row_are_averaged_for_each_model():
    frame = made({"mmlu": ["a", "b"]}, rows=5, repeats=3)
    found = together(frame)["mmlu"]["b"]
    assert found.shape == (5, 3)
    for row in range(5):
        for repeat in range(3):
            cell = frame[(frame["task"] == "b") & (frame["row"] == row) & (frame[REPEAT] == repeat)]
            assert found[row, repeat] == cell["score"].mean()


def test_rows_without_one_of_the_settings_are_left_out_and_one_setting_is_itself():
    frame = made({"mmlu": ["a"]}, rows=4)
    lacking = frame.drop(frame[(frame["setting"] == "fs") & (frame["row"] == 1)].index)
    assert len(together(lacking)["mmlu"]["a"]) == 3
    alone = together(frame[frame["setting"] == "zs"])["mmlu"]["a"]
    assert alone[:, 0] == pytest.approx(frame[frame["setting"] == "zs"]["score"])
    np.testing.assert_array_equal(together(frame.drop(columns=REPEAT))["mmlu"]["a"], together(frame)["mmlu"]["a"])
