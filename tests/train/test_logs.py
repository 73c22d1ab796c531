"""What training says: rates of real tokens, event files, spikes and stalls, each said once."""

import struct

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flannb.mixture import BatchShape
from flannb.model import training_flops
from flannb.train.logs import COLUMNS, PROGRESS_CSV, TENSORBOARD, Journal, Spikes

SHAPE = BatchShape(4, 100, 50)


def values(loss=1.0):
    return {"loss": loss, "tokens": 120.0, "inputs": 380.0, "gradient_norm": 2.0}


@pytest.fixture
def journal(config, tmp_path):
    opened = []

    def open_journal(start=0, **arguments):
        opened.append(Journal(tmp_path, config(vocabulary_size=30), SHAPE, 100, start, True, **arguments))
        return opened[-1]

    yield open_journal
    for each in opened:
        each.close()


def events(folder):
    """(step, tag, value) of all event files, which are records of a length, its checksum, an event, its checksum."""
    event = pytest.importorskip("tensorboardX.proto.event_pb2").Event
    for path in sorted(folder.iterdir()):
        content, place = path.read_bytes(), 0
        while place < len(content):
            (length,) = struct.unpack_from("<Q", content, place)
            read = event.FromString(content[place + 12 : place + 12 + length])
            place += 16 + length
            for value in read.summary.value:
                yield read.step, value.tag, value.simple_value


def test_rates_are_of_real_tokens_and_of_the_flops_of_the_model(journal, config, tmp_path):
    journal().note(2, [values(), values()], seconds=4.0, waited=1.0, learning_rate=0.5)
    (row,) = pd.read_csv(tmp_path / PROGRESS_CSV).to_dict("records")
    flops = training_flops(config(vocabulary_size=30), 4, 100, 50)
    assert list(row) == list(COLUMNS)
    assert row["step"] == 2 and row["learning_rate"] == 0.5 and row["gradient_norm"] == 2
    assert row["tokens_per_second"] == pytest.approx(2 * 500 / 4)
    assert row["tflops"] == pytest.approx(2 * flops / 4 / 1e12, rel=1e-4)
    assert row["real_inputs"] == pytest.approx(380 / 400) and row["real_tokens"] == pytest.approx(500 / 600, rel=1e-5)
    assert row["waited"] == 0.25 and row["seconds"] == 4


def test_a_training_that_goes_on_says_from_where(journal, capfd):
    journal()
    assert "goes on" not in "".join(capfd.readouterr())
    journal(start=40)
    assert "goes on from the checkpoint of step 40 of 100" in "".join(capfd.readouterr())


def test_event_files_hold_the_loss_of_every_step_and_the_rates(journal, tmp_path):
    opened = journal()
    opened.note(2, [values(3.5), values(2.5)], 4.0, 1.0, 0.5)
    opened.close()
    found = {(step, tag): value for step, tag, value in events(tmp_path / TENSORBOARD)}
    assert found[1, "loss"] == 3.5 and found[2, "loss"] == 2.5
    assert found[2, "tokens_per_second"] == 250 and found[2, "learning_rate"] == 0.5


def test_a_run_that_goes_on_drops_what_was_noted_after_its_checkpoint(journal, tmp_path):
    first = journal()
    for step in (10, 20, 30):
        first.note(step, [values()] * 10, 2.0, 0.0, 0.1)
    second = journal(start=20)
    second.note(30, [values()] * 10, 3.0, 0.0, 0.1)
    rows = pd.read_csv(tmp_path / PROGRESS_CSV)
    assert rows["step"].tolist() == [10, 20, 30] and rows["seconds"].tolist() == [2, 4, 7]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: bytes(255 - byte for byte in content),
        lambda content: content.replace(b"step", b"stop", 1),
        lambda content: content.replace(b"\n20,", b"\n2x,"),
    ],
)
def test_a_run_goes_on_though_its_progress_is_damaged(damage, journal, tmp_path):
    first = journal()
    for step in (10, 20):
        first.note(step, [values()] * 10, 2.0, 0.0, 0.1)
    path = tmp_path / PROGRESS_CSV
    path.write_bytes(damage(path.read_bytes()))
    journal(start=20).note(30, [values()] * 10, 3.0, 0.0, 0.1)
    assert pd.read_csv(path)["step"].tolist() in ([30], [10, 30])


def test_a_line_that_a_full_disk_cut_short_is_dropped(journal, tmp_path):
    first = journal()
    for step in (10, 20, 30):
        first.note(step, [values()] * 10, 2.0, 0.0, 0.1)
    path = tmp_path / PROGRESS_CSV
    path.write_text(path.read_text().rpartition("\n30,")[0] + "\n3")
    journal(start=30).note(40, [values()] * 10, 3.0, 0.0, 0.1)
    assert pd.read_csv(path)["step"].tolist() == [10, 20, 40]


def test_a_process_that_does_not_write_leaves_no_files(journal, tmp_path, capsys):
    other = journal(writes=False)
    other.note(2, [values()] * 2, 4.0, 4.0, 0.5)
    other.say("nothing")
    assert not list(tmp_path.iterdir()) and not capsys.readouterr().err


def test_a_slow_input_is_said_once_and_not_of_the_start(journal, capsys):
    opened = journal()
    opened.note(10, [values()] * 10, 10.0, 9.0, 0.1)
    opened.note(20, [values()] * 10, 10.0, 4.0, 0.1)
    capsys.readouterr()
    opened.note(30, [values()] * 10, 10.0, 6.0, 0.1)
    assert "step 30: 60% of the time goes in waiting for batches" in capsys.readouterr().err
    opened.note(40, [values()] * 10, 10.0, 9.0, 0.1)
    assert not capsys.readouterr().err


def told(losses):
    spikes = Spikes()
    return [step for step, loss in enumerate(losses, start=1) if spikes.found(step, loss)]


@settings(max_examples=30)
@given(seed=st.integers(0, 2**16), step=st.integers(40, 180), high=st.floats(3.0, 100.0))
def test_a_spike_is_told_at_its_step_and_once(seed, step, high):
    losses = 2.0 + np.random.default_rng(seed).normal(0, 0.1, 200)
    assert told(losses) == []
    losses[step : step + 15] += high
    assert told(losses) == [step + 1]


def test_a_falling_loss_and_one_as_noisy_as_ever_are_no_spikes():
    steps = np.arange(2000)
    noise = np.random.default_rng(0).normal(0, 0.4, 2000)
    assert told(1 + 6 * np.exp(-steps / 200) + noise) == []
    assert told([1.0] * 100 + [1.4] * 100) == []


def test_the_first_losses_are_no_spikes():
    assert told([11.0, 15.0, 9.0, 30.0, 7.0]) == []
