"""The benchmark of training: a tiny run of everything that it compares."""

import json

import keras
import pytest

from flannb.bench import train, train_contenders
from flannb.bench.__main__ import main
from flannb.bench.measure import Measured

TINY = ["--size", "smoke", "--batch", "2", "--steps", "1", "--rounds", "2"]


@pytest.fixture
def here(tmp_path):
    """Runs contenders in this process."""

    def run(module, *arguments, limit):
        assert module == train_contenders.__name__
        path = tmp_path / "result.json"
        train_contenders.main([*arguments, str(path)])
        return Measured(json.loads(path.read_text()), 0.0, 0)

    yield run
    keras.distribution.set_distribution(None)


def options(*given):
    import argparse

    parser = argparse.ArgumentParser()
    train.add_options(parser)
    return parser.parse_args([*TINY, "--contenders", "flannb", *given])


def test_contenders_are_measured_each_in_a_process_and_told(tmp_path, capsys):
    path = tmp_path / "figures.json"
    shape = ["--input", "16", "--target", "8", "--contenders", "flannb,keras_hub,transformers"]
    assert main(["train", *TINY, *shape, "--json", str(path)]) == 0
    figures = json.loads(path.read_text())
    for name in ("flannb", "keras_hub", "transformers"):
        found = figures[name]
        if name == "transformers" and "absent" in found:
            continue
        assert found["step_seconds"] > 0 and found["tflops_per_second"] > 0 and len(found["round_step_seconds"]) == 2
        assert found["losses"][1] < found["losses"][0]  # it trains, always on the same batch
    shown = capsys.readouterr().out
    assert "2 x 16/8, one example a row" in shown and "flannb is" in shown
    assert figures["flannb"]["attention"] in ("plain", "cudnn") and figures["versions"]["jax"]


def test_batches_come_from_a_build(build, here):
    index = build.home / "index.json"
    shape = ["--input", "128", "--target", "48"]
    piped = train.bench(options(*shape, "--data", str(index)), run=here)["flannb"]
    assert piped["pipeline"] and 0.3 < piped["real_tokens"] < 1


def test_a_packed_batch_has_several_segments_a_row_each_with_a_start():
    given = options("--input", "64", "--target", "32", "--packed")
    batch = train_contenders.synthetic(given, train_contenders.configuration(given), packed=True)
    starts = batch["decoder_token_ids"] == 0
    assert (starts.sum(axis=1) == [len(set(row)) for row in batch["decoder_padding_mask"]]).all()
    assert batch["encoder_padding_mask"].max() > 1 and batch["encoder_padding_mask"].min() == 1


def test_devices_are_compared_with_as_many_sequences_each(capsys, tmp_path):
    path = tmp_path / "figures.json"
    shape = ["--input", "16", "--target", "8", "--devices", "1,2"]
    assert main(["train", *TINY, *shape, "--json", str(path)]) == 0
    figures = json.loads(path.read_text())
    one, two = figures["flannb, 1 device"], figures["flannb, 2 devices"]
    assert (one["device"], two["device"]) == ("1 x cpu", "2 x cpu")
    assert one["sequences_per_second"] * one["step_seconds"] == pytest.approx(2)
    assert two["sequences_per_second"] * two["step_seconds"] == pytest.approx(4)
    share = two["sequences_per_second"] / 2 / one["sequences_per_second"]
    shown = capsys.readouterr().out
    assert "2 x 16/8 a device" in shown and f"{share:.1%} of the first's speed for each device" in shown


def test_parts_of_a_batch_train_as_the_whole(here):
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    shape = ["--input", "16", "--target", "8", "--contenders", "transformers"]
    whole, parts = (train.bench(options(*shape, "--parts", n), run=here)["transformers"] for n in ("1", "2"))
    assert parts["losses"] == pytest.approx(whole["losses"], abs=1e-3) and parts["parts"] == 2


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--parts", "3"], "--parts 3: --batch 128 is not divisible by it"),
        (["--devices", "1,x"], "--devices 1,x: give whole numbers above 0"),
        (["--devices", "²"], "--devices ²: give whole numbers above 0"),
        (["--rounds", "0"], "--rounds must be at least 1"),
        (["--contenders", "fairseq"], "fairseq: unknown; choose one of flannb, keras_hub"),
    ],
)
def test_wrong_options_are_user_errors(given, message, capsys):
    assert main(["train", *given]) == 2 and message in capsys.readouterr().err


def test_a_contender_that_fails_is_told_and_does_not_stop_the_others(here):
    figures = train.bench(options("--size", "huge"), run=here)
    assert "huge: unknown; choose one of" in figures["flannb"]["failed"]
    assert "failed:" in train.show(figures)
