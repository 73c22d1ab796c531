"""What is held out is in no setting of what is left."""

import pickle
from collections import defaultdict

import numpy as np
import pytest

from flannb.build import Holdout, TokenColumns, part_of, read_shard, token_columns
from flannb.build.inversion import SUFFIX
from flannb.mixture import BatchShape, batches, mixture, shard_weights


def records(build, shard):
    """The records of a shard's examples that are read."""
    rows = read_shard(build.home / shard.path)["row"].to_numpy()
    return rows[token_columns(build, shard).positions]


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_no_record_of_a_task_is_on_both_sides_in_any_setting(share, build):
    training, apart = (part_of(build, Holdout(share, inside, seed=0)) for inside in (False, True))
    read, held = defaultdict(set), defaultdict(set)
    for shard in build.shards:
        task = shard.task.removesuffix(SUFFIX) if shard.inverted else shard.task
        read[task].update(records(training, shard))
        held[task].update(records(apart, shard))
        assert len(token_columns(training, shard)) + len(token_columns(apart, shard)) == shard.examples
        assert len(token_columns(training, shard)) > 0
    assert all(not read[task] & held[task] for task in read)
    everything = sum(len(read[task]) + len(held[task]) for task in read)
    assert 0.5 * share < sum(map(len, held.values())) / everything < 1.6 * share


def test_the_whole_build_is_read_as_before(build):
    shard = build.shards[0]
    assert len(token_columns(build, shard)) == shard.examples


def test_another_seed_holds_out_others(build):
    first, second = (part_of(build, Holdout(0.5, True, seed)) for seed in (0, 1))
    assert any(
        list(token_columns(first, shard).positions) != list(token_columns(second, shard).positions)
        for shard in build.shards
    )


def test_columns_of_some_positions_are_those_and_survive_the_way_to_a_worker(build):
    shard = build.shards[0]
    whole, some = TokenColumns(build.home / shard.path), TokenColumns(build.home / shard.path, np.array([4, 1]))
    for each in (some, pickle.loads(pickle.dumps(some))):
        assert len(each) == 2
        for i, place in enumerate((4, 1)):
            np.testing.assert_array_equal(each[i]["encoder"], whole[place]["encoder"])
        with pytest.raises(IndexError):
            each[2]
    assert repr(some) != repr(whole)


def test_a_shard_of_which_all_would_be_held_out_keeps_all(build):
    shard = build.shards[0]
    rows = np.array([3, 3, 5])
    assert Holdout(1.0, False, 0).positions(shard, rows).tolist() == [0, 1, 2]
    assert Holdout(1.0, True, 0).positions(shard, rows).tolist() == []


def test_batches_read_the_part_only(build):
    training = part_of(build, Holdout(0.5, False, seed=0))
    weights = shard_weights(build.shards, mixture("flan2022"))
    allowed = {
        token_columns(training, shard)[i]["decoder"].tobytes()
        for shard in weights
        for i in range(len(token_columns(training, shard)))
    }
    stream = iter(batches(training, weights, BatchShape(8, 128, 48), 0))
    for _ in range(20):
        batch = next(stream)
        for row, segments in zip(batch["targets"], batch["decoder_padding_mask"], strict=True):
            for segment in range(1, segments.max() + 1):
                assert row[segments == segment].tobytes() in allowed
