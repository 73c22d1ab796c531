"""What is counted is what the stream gives."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flannb.build import TokenColumns
from flannb.mixture import BatchShape, batches, mixture, seen, shard_weights
from flannb.mixture.pipeline import mixed_examples
from flannb.mixture.seen import counts_of_first


def key(example):
    return example["encoder"].tobytes(), example["decoder"].tobytes()


@pytest.mark.parametrize("number", [37, 2000])
@pytest.mark.parametrize("name", ["flan2022", "equal"])
def test_the_count_is_that_of_the_stream(name, number, build):
    """Which task an example is of is told by its tokens; one that two tasks share is left out on both sides."""
    weights, seed = shard_weights(build.shards, mixture(name)), 3
    owners = {}
    for shard in weights:
        columns = TokenColumns(build.home / shard.path)
        for i in range(len(columns)):
            owners.setdefault(key(columns[i]), set()).add(shard.task)
    assert all(len(tasks) == 1 for tasks in owners.values())
    stream = mixed_examples(build, weights, seed)
    examples, tokens, targets = Counter(), Counter(), 0
    for i in range(number):
        example = stream[i]
        (task,) = owners[key(example)]
        examples[task] += 1
        tokens[task] += len(example["encoder"]) + len(example["decoder"])
        targets += len(example["decoder"])
    table = seen(build, weights, seed, targets).set_index("task")
    # The last example may be another of as many target tokens as the mean has.
    for column, counted, slack in (("examples", examples, 4), ("tokens", tokens, 400)):
        found = table[column]
        assert sum(abs(found[task] - counted[task]) for task in found.index) <= slack
        assert set(counted) <= set(found.index)
    assert table["share"].sum() == pytest.approx(1)
    records = {shard.task: shard.records for shard in weights}
    assert table["epochs"].to_dict() == pytest.approx({t: n / records[t] for t, n in table["examples"].items()})


def test_the_count_goes_with_the_batches_that_training_reads(build):
    weights, shape, targets, inputs, examples = (
        shard_weights(build.shards, mixture("flan2022")),
        BatchShape(8, 256, 64),
        0,
        0,
        0,
    )
    stream = iter(batches(build, weights, shape, 0))
    for _ in range(400):
        batch = next(stream)
        targets += int((batch["decoder_padding_mask"] > 0).sum())
        inputs += int((batch["encoder_padding_mask"] > 0).sum())
        examples += int(batch["encoder_padding_mask"].max(axis=1).sum())
    table = seen(build, weights, 0, targets)
    assert table["tokens"].sum() == pytest.approx(inputs + targets, rel=0.02)
    assert table["examples"].sum() == pytest.approx(examples, rel=0.02)


def test_of_nothing_nothing_is_counted(build):
    table = seen(build, shard_weights(build.shards, mixture("flan2022")), 0, 0)
    assert not table[["examples", "tokens", "share", "epochs"]].to_numpy().any()


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=50), st.integers(0, 10**7))
def test_counts_are_shares_up_to_rounding_at_each_dataset(proportions, number):
    counts = np.array(counts_of_first(number, proportions))
    assert counts.sum() == number and (counts >= 0).all()
    assert (abs(counts - number * np.array(proportions) / sum(proportions)) <= len(proportions)).all()


@given(st.lists(st.integers(100, 1000), min_size=2, max_size=6), st.integers(1, 60))
def test_grain_deals_out_as_counted(weights, number):
    import grain

    parts = [grain.MapDataset.source([i] * 100) for i in range(len(weights))]
    mixed = grain.MapDataset.mix(parts, weights)
    proportions = [int(weight * (100 / min(weights))) for weight in weights]
    dealt = Counter(mixed[i] for i in range(min(number, len(mixed))))
    assert [dealt[i] for i in range(len(weights))] == counts_of_first(min(number, len(mixed)), proportions)
