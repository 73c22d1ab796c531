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


def test_processes_share_the_stream_without_overlap(build, weights):
    def seen(n, process=0, processes=1):
        stream = batches(build, weights, SHAPE, 0, process, processes)
        return [Counter(segments(batch)) for batch in take(stream, n)]

    zero, one = (sum(seen(12, process, 2), Counter()) for process in (0, 1))
    together = zero + one
    # A batch holds consecutive elements of its stream, so n of a process's are among the first 2n of the whole one.
    furthest, nearest = 2 * max(zero.total(), one.total()), 2 * min(zero.total(), one.total())
    prefix, short, count = Counter(), Counter(), 0
    for batch in seen(60):
        if count + batch.total() <= nearest:
            short += batch
        count += batch.total()
        prefix += batch
        if count >= furthest:
            break
    assert count >= furthest and short.total() > 100
    assert together <= prefix
    assert short <= together


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
