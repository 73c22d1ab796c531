"""The table of a mixture: expected shares and epochs."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flannb.build import Mini, Shard
from flannb.build.inventory import Holding, inventory
from flannb.collection import SUBMIXTURES, Split, Task, tasks
from flannb.errors import UserError
from flannb.mixture import RELEASED_RATES, Mixture, expected, planned_shards

SIZES = st.lists(st.tuples(st.sampled_from(sorted(RELEASED_RATES)), st.integers(1, 10**7)), min_size=1, max_size=12)


def holding(name, submixture, rows, reason=""):
    return Holding(Task(name, submixture, Split("a/b", "default", "train"), {}, ""), rows, reason)


@given(SIZES, st.integers(0, 10**9), st.floats(0, 1))
def test_shares_sum_to_one_and_capped_tasks_are_equal(sizes, examples, few_shot):
    held = [holding(f"t{i}", submixture, rows) for i, (submixture, rows) in enumerate(sizes)]
    table = expected(planned_shards(held), Mixture().with_few_shot(few_shot), examples)
    assert table["share"].sum() == pytest.approx(1)
    assert table["examples"].sum() == pytest.approx(examples)
    assert (table["epochs"] * table["rows"]).sum() == pytest.approx(examples)
    assert (table["share"] * table["few_shot"]).sum() == pytest.approx(few_shot, abs=1e-9)
    full = table[(table["rows"] >= table["cap"])]
    for _, alike in full.groupby(["submixture", "inverted"]):
        assert alike["share"].max() == pytest.approx(alike["share"].min())
    for _, part in table[~table["inverted"]].groupby("submixture"):
        # epochs never grow with size: below the cap they are the same, above it larger tasks are seen less
        by_size = part.sort_values("rows")["epochs"].tolist()
        assert all(later <= earlier * (1 + 1e-9) for earlier, later in pairwise(by_size))


def test_a_table_by_hand():
    held = [holding("small", "flan2021", 10_000), holding("large", "flan2021", 90_000), holding("sums", "cot", 1000)]
    table = expected(planned_shards(held), Mixture(), 9000).set_index("task")
    assert table["share"]["small"] == pytest.approx(0.40 / 0.45 / 4)
    assert table["share"]["large"] == pytest.approx(0.40 / 0.45 * 3 / 4)
    assert table["share"]["sums_inverted"] / table["share"]["sums"] == pytest.approx(0.3)
    assert table["weight"].to_dict() == {"small": 10_000, "large": 30_000, "sums": 1000, "sums_inverted": 300}
    assert table["epochs"]["large"] == pytest.approx(9000 * 0.40 / 0.45 * 3 / 4 / 90_000)
    assert list(table.index) == ["large", "small", "sums", "sums_inverted"]


def test_unavailable_tasks_take_no_part_and_unknown_sizes_are_caps():
    held = [holding("unknown", "t0_sf", None), holding("gone", "t0_sf", 50, "the mirror lacks it")]
    table = expected(planned_shards(held), Mixture(), 100)
    assert table["task"].tolist() == ["unknown"] and table["rows"].tolist() == [SUBMIXTURES["t0_sf"].cap]


def test_a_plan_is_what_a_build_makes(build, few_tasks):
    """Tasks, settings and twins; the build of the tests keeps fewer rows."""

    def key(shard: Shard):
        return (shard.task, shard.submixture, shard.setting, shard.inverted)

    assert {key(s) for s in planned_shards(inventory(Mini(), few_tasks))} == {key(s) for s in build.shards}
    table = expected(build.shards, Mixture(), 1000)
    assert table["share"].sum() == pytest.approx(1) and table["rows"].max() <= 20


def test_the_whole_of_mini_has_every_submixture_at_its_rate():
    table = expected(planned_shards(inventory(Mini(), tasks("mini"))), Mixture(), 1000)
    parts = table.groupby("submixture")["share"].sum().to_dict()
    assert parts == pytest.approx({name: rate / 1.03 for name, rate in RELEASED_RATES.items()})


def test_no_negative_number_of_examples():
    with pytest.raises(UserError, match="-1 examples"):
        expected(planned_shards([holding("a", "cot", 1)]), Mixture(), -1)
