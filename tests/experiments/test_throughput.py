"""Throughput from the records that the benchmarks write."""

import argparse
import json

import keras
import pytest

from flannb.bench import train, train_contenders
from flannb.bench.measure import Measured
from flannb.errors import UserError
from flannb.experiments.devices import Devices, named
from flannb.experiments.scales import SCALES
from flannb.experiments.throughput import throughputs
from flannb.model import SIZES
from flannb.model.flops import generation_flops

SMALL = SCALES["small"]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A record of the benchmark itself, so that its layout is the true one, as of another device."""
    folder = tmp_path_factory.mktemp("bench")

    def run(module, *arguments, limit):
        train_contenders.main([*arguments, str(folder / "result")])
        return Measured(json.loads((folder / "result").read_text()), 0.0, 0)

    parser = argparse.ArgumentParser()
    train.add_options(parser)
    shape = ["--size", "smoke", "--batch", "2", "--input", "16", "--target", "8", "--steps", "1", "--rounds", "1"]
    figures = train.bench(parser.parse_args([*shape, "--contenders", "flannb"]), run)
    keras.distribution.set_distribution(None)
    assert figures["flannb"]["tflops_per_second"] > 0

    def record(path, size="small", device="1 x NVIDIA H100 80GB HBM3", tflops=300.0, remat="none", **options):
        figures["options"] |= {"size": size, "remat": remat, "input": 2048, "packed": True, **options}
        figures["flannb"] |= {"device": device, "tflops_per_second": tflops}
        path.write_text(json.dumps(figures))

    return record


def speed(folder, devices="1xH100", scale=SMALL):
    return throughputs(scale, SIZES[scale.size], named(devices), folder)


def test_a_record_of_the_size_and_the_kind_counts_for_each_device(recorded, tmp_path):
    recorded(tmp_path / "train.json")
    (tmp_path / "other.json").write_text("[1]")
    (tmp_path / "cut.json").write_text("{")
    training, evaluation = speed(tmp_path, "4xH100")
    assert training.flops == pytest.approx(4 * 300e12) and "train.json" in training.basis
    assert evaluation.flops == pytest.approx(4 * 98.94e12) and "assumed: 10%" in evaluation.basis


def test_of_several_records_the_one_most_like_the_scale_counts(recorded, tmp_path):
    recorded(tmp_path / "a.json", tflops=500.0, input=512)
    recorded(tmp_path / "b.json", tflops=300.0, device="2 x NVIDIA H100 80GB HBM3")
    assert speed(tmp_path)[0].flops == pytest.approx(150e12)
    recorded(tmp_path / "c.json", tflops=400.0, packed=False)
    assert speed(tmp_path)[0].flops == pytest.approx(150e12)
    recorded(tmp_path / "d.json", tflops=200.0, dropout=0.05)
    assert speed(tmp_path)[0].flops == pytest.approx(200e12)


def test_what_is_computed_twice_is_not_work_done(recorded, tmp_path):
    recorded(tmp_path / "train.json", size="xl")
    training, _ = speed(tmp_path, scale=SCALES["xl"])
    assert training.flops == pytest.approx(225e12) and "computed twice" in training.basis
    recorded(tmp_path / "train.json", size="xl", remat="full")
    assert speed(tmp_path, scale=SCALES["xl"])[0].flops == pytest.approx(300e12)


@pytest.mark.parametrize("change", [{"size": "base"}, {"device": "1 x NVIDIA A100-SXM4-40GB"}])
def test_other_sizes_and_kinds_do_not_count(change, recorded, tmp_path):
    recorded(tmp_path / "train.json", **change)
    assert "assumed: 35%" in speed(tmp_path)[0].basis


def test_a_kind_is_named_by_whole_words(recorded, tmp_path):
    recorded(tmp_path / "train.json", device="1 x NVIDIA A100-SXM4-40GB")
    assert "train.json" in speed(tmp_path, "1xA100")[0].basis
    assert "assumed: 35%" in speed(tmp_path, "1xA10")[0].basis


def test_generation_is_taken_from_its_own_record(tmp_path):
    record = {"size": "small", "batch": 8, "input": 512, "new": 64, "device": "NVIDIA H100 80GB HBM3"}
    record["greedy"] = {"flannb": {"sequences_per_second": 100.0}}
    (tmp_path / "generate.json").write_text(json.dumps(record))
    assert speed(tmp_path)[1].flops == pytest.approx(100 * generation_flops(SIZES["small"], 1, 512, 64))


def test_processors_are_measured_and_unknown_devices_refused(tmp_path):
    here, again = throughputs(SCALES["smoke"], SIZES["smoke"], Devices("cpu", 1, None, False, here=True), tmp_path)
    assert here == again and 1e8 < here.flops < 1e14 and "measured just now" in here.basis
    with pytest.raises(UserError, match="2 x Abacus: neither a record of its speed nor its peak"):
        throughputs(SMALL, SIZES["small"], Devices("Abacus", 2, None, False, here=True), tmp_path)
