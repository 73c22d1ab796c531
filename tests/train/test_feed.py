"""The feed: the batches of the pipeline in order, with the state of the last one taken."""

import threading
import time

import grain
import numpy as np
import pytest

from flannb.errors import UserError
from flannb.mixture import BatchShape, batches
from flannb.train.feed import AHEAD, Feed, within

SHAPE = BatchShape(4, 128, 48)


@pytest.fixture
def feed():
    opened = []

    def open_feed(dataset, say=print, **arguments):
        opened.append(Feed(dataset, lambda batch: batch, say, **arguments))
        return opened[-1]

    yield open_feed
    for each in opened:
        each.close()


def test_the_state_is_that_of_the_last_batch_taken_whatever_lies_ready(build, weights, feed):
    stream = feed(batches(build, weights, SHAPE, 0))
    direct = iter(batches(build, weights, SHAPE, 0))
    for _ in range(3):
        assert np.array_equal(next(stream)["targets"], next(direct)["targets"])
    time.sleep(0.2)  # batches are made ahead
    assert stream.get_state() == direct.get_state()
    other = feed(batches(build, weights, SHAPE, 0))
    other.set_state(stream.get_state())
    for _ in range(AHEAD + 3):
        assert np.array_equal(next(other)["targets"], next(direct)["targets"])


def test_batches_are_made_while_nobody_waits(feed):
    made = []
    numbers = grain.MapDataset.range(100).map(lambda number: made.append(number) or {"n": number})
    stream = feed(numbers.to_iter_dataset(grain.ReadOptions(num_threads=0)))
    next(stream)
    for _ in range(200):
        if len(made) > AHEAD:
            break
        time.sleep(0.05)
    assert AHEAD < len(made) < 100


def test_waiting_is_measured_and_a_long_wait_is_said_once(feed):
    said, gate = [], threading.Event()

    def wait(number):
        gate.wait(20)
        return {"n": number}

    stream = feed(
        grain.MapDataset.range(3).map(wait).to_iter_dataset(grain.ReadOptions(num_threads=0)), said.append, patience=0.2
    )
    threading.Timer(1.0, gate.set).start()
    next(stream)
    next(stream)
    assert said == ["training has waited for a batch for 0 s: is the data's disk slow or away?"]
    assert 0.5 < stream.waited() < 20 and stream.waited() == 0


def test_an_error_of_the_pipeline_reaches_the_loop(feed):
    def fail(number):
        raise UserError("shard 3 is gone")

    with pytest.raises(UserError, match="shard 3 is gone"):
        next(feed(grain.MapDataset.range(3).map(fail).to_iter_dataset()))


def test_ids_outside_of_the_vocabulary_are_named(build, weights):
    batch = next(iter(batches(build, weights, SHAPE, 0)))
    highest = max(batch["encoder_token_ids"].max(), batch["targets"].max())
    assert within(highest + 1)(batch) is batch
    with pytest.raises(
        UserError, match=f"the id {highest} among its .* a vocabulary of {highest}: they are of different"
    ):
        within(highest)(batch)
