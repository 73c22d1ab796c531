"""The held-out loss: that of the tokens, whatever the batches, and the same on several devices."""

import numpy as np
import pytest

from flannb.mixture import BatchShape
from flannb.model import build_model
from flannb.model.loss import token_loss
from flannb.train import HeldOut
from flannb.vocabulary import PAD_ID

SHAPE = BatchShape(4, 128, 48)

DEVICES = """
import keras
from flannb.train import HeldOut, distribute

model_parallel = options.model_parallel
with distribute(config, model_parallel).scope():
    from flannb.model import build_model
    model = build_model(config, 0)
    stream = iter(stream.batches(options.shape, 0, 0, 1))
    print(HeldOut({"loss": [next(stream) for _ in range(2)]})(model)["loss"])
"""


@pytest.fixture(scope="module")
def batches(stream):
    iterator = iter(stream.batches(SHAPE, 0, 0, 1))
    return [next(iterator) for _ in range(2)]


@pytest.fixture(scope="module")
def model(config, tokenizer):
    return build_model(config(vocabulary_size=tokenizer.vocabulary_size, dropout=0.5), 0)


def test_it_is_the_mean_over_all_tokens_without_dropout(model, batches):
    batches[1]["targets"][2:] = PAD_ID  # batches of different numbers of tokens
    losses, counts = zip(
        *[map(float, token_loss(model(batch), batch["targets"], 0.0)) for batch in batches], strict=True
    )
    assert counts[0] != counts[1]
    measure = HeldOut({"all": batches, "first": batches[:1]})
    assert measure(model) == pytest.approx({"all": np.average(losses, weights=counts), "first": losses[0]}, rel=1e-5)
    assert measure(model) == measure(model)


def test_rows_without_tokens_do_not_count(model, batches):
    padded = {name: np.concatenate([values, np.zeros_like(values)]) for name, values in batches[0].items()}
    found = [HeldOut({"loss": some})(model)["loss"] for some in ([padded], batches[:1])]
    assert found[0] == pytest.approx(found[1], rel=1e-6)


def test_another_model_is_another_loss(model, batches):
    measure = HeldOut({"loss": batches})
    other = build_model(model.config, 1)
    assert measure(model) != measure(other) and measure(model) == HeldOut({"loss": batches})(model)


@pytest.mark.parametrize("parallel", [1, 2])
def test_several_devices_compute_the_same(stream, config, tokenizer, options, start, tmp_path, parallel):
    shape = config(vocabulary_size=tokenizer.vocabulary_size)
    flags = "--xla_force_host_platform_device_count=4"
    process = start(DEVICES, tmp_path, shape, options(4, 1, model_parallel=parallel), XLA_FLAGS=flags)
    output, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    iterator = iter(stream.batches(SHAPE, 0, 0, 1))
    here = HeldOut({"loss": [next(iterator) for _ in range(2)]})(build_model(shape, 0))
    assert float(output.splitlines()[-1]) == pytest.approx(here["loss"], abs=1e-5)
