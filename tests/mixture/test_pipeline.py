"""The stream of packed batches: whole examples, true to the weights, repeatable, resumable, shared by processes."""

import json
from collections import Counter
from itertools import islice

import numpy as np
import pytest

from flannb.build import read_shard
from flannb.errors import UserError
from flannb.mixture import BatchShape, Mixture, batches, shard_weights, submixture_shares
from flannb.vocabulary import EOS_ID, PAD_ID

SHAPE = BatchShape(4, 256, 96)


@pytest.fixture(scope="module")
def weights(build):
    return shard_weights(build.shards, Mixture())


@pytest.fixture(scope="module")
def examples(build):
    """(input ids, target ids) -> the submixtures that hold this example."""
    found = {}
    for shard in build.shards:
        for line in read_shard(build.home / shard.path).to_pylist():
            key = tuple(line["input_ids"]), tuple(line["target_ids"])
            found.setdefault(key, set()).add(shard.submixture)
    return found


def segments(batch):
    """The (input ids, target ids) of all segments of a batch."""
    for row in range(len(batch["targets"])):
        for segment in range(1, batch["encoder_padding_mask"][row].max() + 1):
            yield (
                tuple(batch["encoder_token_ids"][row][batch["encoder_padding_mask"][row] == segment].tolist()),
                tuple(batch["targets"][row][batch["decoder_padding_mask"][row] == segment].tolist()),
            )


def same(first, second):
    return all(np.array_equal(first[name], second[name]) for name in first) and first.keys() == second.keys()


def take(stream, n):
    return list(islice(iter(stream), n))


def test_batches_have_the_shape_and_names_of_the_model(build, weights):
    (batch,) = take(batches(build, weights, SHAPE, 0), 1)
    shapes = {name: value.shape for name, value in batch.items()}
    assert shapes == {
        "encoder_token_ids": (4, 256),
        "encoder_padding_mask": (4, 256),
        "decoder_token_ids": (4, 96),
        "decoder_padding_mask": (4, 96),
        "targets": (4, 96),
    }
    assert all(value.dtype == np.int32 for value in batch.values())


def test_packed_segments_are_whole_examples(build, weights, examples):
    for batch in take(batches(build, weights, SHAPE, 0), 20):
        for inputs, targets in segments(batch):
            assert (inputs, targets) in examples
            assert inputs[-1] == targets[-1] == EOS_ID
        assert batch["encoder_padding_mask"].max() > 1  # several to a sequence


def test_decoder_inputs_are_the_targets_shifted_within_each_segment(build, weights):
    for batch in take(batches(build, weights, SHAPE, 0), 5):
        for targets, inputs, mask in zip(
            batch["targets"], batch["decoder_token_ids"], batch["decoder_padding_mask"], strict=True
        ):
            for segment in range(1, mask.max() + 1):
                here = mask == segment
                assert inputs[here].tolist() == [PAD_ID, *targets[here][:-1].tolist()]
            assert not targets[mask == 0].any()


def test_the_stream_is_deterministic_and_follows_the_seed(build, weights):
    first, again, other = (take(batches(build, weights, SHAPE, seed), 5) for seed in (0, 0, 1))
    assert all(map(same, first, again))
    assert not any(map(same, first, other))


def test_the_stream_does_not_depend_on_the_order_of_the_weights(build, weights):
    turned = dict(reversed(weights.items()))
    assert all(map(same, take(batches(build, weights, SHAPE, 0), 3), take(batches(build, turned, SHAPE, 0), 3)))


def test_a_restored_iterator_goes_on_with_the_same_batches(build, weights):
    stream = iter(batches(build, weights, SHAPE, 0))
    for _ in range(7):
        next(stream)
    state = json.loads(json.dumps(stream.get_state()))
    following = [next(stream) for _ in range(7)]
    restored = iter(batches(build, weights, SHAPE, 0))
    restored.set_state(state)
    assert all(map(same, following, (next(restored) for _ in range(7))))


def test_processes_make_the_rows_that_one_process_makes(build, weights):
    whole = take(batches(build, weights, SHAPE, 0), 12)
    for processes in (2, 4):
        parts = [take(batches(build, weights, SHAPE, 0, process, processes), 12) for process in range(processes)]
        for batch, *of_processes in zip(whole, *parts, strict=True):
            assert same(batch, {name: np.concatenate([part[name] for part in of_processes]) for name in batch})


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1), (4, 2), (2, 4)])
def test_another_number_of_processes_goes_on_from_the_state_of_all(build, weights, before, after):
    first = [iter(batches(build, weights, SHAPE, 0, process, before)) for process in range(before)]
    for stream in first:
        for _ in range(5):
            next(stream)
    lanes = {number: lane for stream in first for number, lane in stream.get_state()["lanes"].items()}
    state = json.loads(json.dumps({"lanes": lanes}))
    then = [iter(batches(build, weights, SHAPE, 0, process, after)) for process in range(after)]
    for stream in then:
        stream.set_state(state)
    for _ in range(5):
        old, new = [next(stream) for stream in first], [next(stream) for stream in then]
        for name in old[0]:
            assert np.array_equal(*(np.concatenate([part[name] for part in parts]) for parts in (old, new)))


def test_nothing_is_read_twice_and_nothing_left_out(build, weights, monkeypatch):
    """The first windows of all lanes hold the first elements of the mixed stream, each once."""
    monkeypatch.setattr("flannb.mixture.pipeline.WINDOW", 64)
    ((only, weight),) = [max(weights.items(), key=lambda item: item[0].examples)]
    rows = Counter(
        (tuple(line["input_ids"]), tuple(line["target_ids"])) for line in read_shard(build.home / only.path).to_pylist()
    )
    epochs = 6
    stream = take(batches(build, {only: weight}, SHAPE, 0), 200)
    seen, counted = Counter(), 0
    for batch in stream:
        seen += Counter(segments(batch))
        counted = seen.total()
        if counted > (epochs + 4) * rows.total():
            break
    # Lanes run ahead of each other by part of a window, so that is how far the counts of rows may lie apart.
    assert seen.keys() == rows.keys()
    low, high = counted / rows.total() - 4, counted / rows.total() + 4
    assert all(low * rows[key] <= times <= high * rows[key] for key, times in seen.items())


def test_a_state_that_lacks_a_lane_is_a_user_error(build, weights):
    stream = iter(batches(build, weights, BatchShape(6, 256, 96), 0, 1, 3))
    with pytest.raises(UserError, match=r"no lanes \[2, 3\].*resume with as many as before"):
        stream.set_state(iter(batches(build, weights, BatchShape(6, 256, 96), 0)).get_state())


def test_each_process_gets_its_part_of_a_batch(build, weights):
    (batch,) = take(batches(build, weights, SHAPE, 0, 1, 2), 1)
    assert batch["targets"].shape == (2, 96)


def test_shares_of_the_stream_approach_the_weights(build, weights, examples):
    counts, total = Counter(), 0
    for batch in take(batches(build, weights, SHAPE, 0), 120):
        for key in segments(batch):
            (submixture,) = examples[key]
            counts[submixture] += 1
            total += 1
    expected = submixture_shares(weights)
    assert {name: counts[name] / total for name in expected} == pytest.approx(expected, abs=0.02)


def test_sequences_shorter_than_the_examples_are_a_user_error(build, weights):
    with pytest.raises(UserError, match="128/48 tokens, more than the batch's 64/96"):
        batches(build, weights, BatchShape(4, 64, 96), 0)


def test_a_batch_that_processes_cannot_share_is_a_user_error(build, weights):
    with pytest.raises(UserError, match="batch size 4 is not divisible by 3 processes"):
        batches(build, weights, SHAPE, 0, 0, 3)
