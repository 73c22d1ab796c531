import pytest

from flannb.errors import UserError
from flannb.experiments import weights_of


def test_drawn_tasks_take_part_alone_and_a_seed_draws_the_same(build):
    names = {shard.task for shard in weights_of(build, "flan2022", seed=3, tasks_drawn=4)}
    assert len({name.removesuffix("_inverted") for name in names}) == 4
    assert "boolq" in names  # Held-In tasks always take part
    assert names == {shard.task for shard in weights_of(build, "flan2022", seed=3, tasks_drawn=4)}
    assert names < {shard.task for shard in weights_of(build, "flan2022", seed=3)}


def test_more_tasks_than_there_are_cannot_be_drawn(build):
    with pytest.raises(UserError, match="99 tasks cannot be drawn"):
        weights_of(build, "flan2022", seed=0, tasks_drawn=99)
