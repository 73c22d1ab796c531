"""Memory: what a step takes, and what is proposed where it is too much."""

import jax
import jax.numpy as jnp
import pytest

from flannb.errors import UserError
from flannb.mixture import BatchShape
from flannb.model import SIZES, build_model, parameters
from flannb.train import Adafactor
from flannb.train.memory import GIB, Demand, activation_bytes, bytes_per_device, is_out_of_memory

SHAPE = BatchShape(128, 512, 128)
BASE = SIZES["base"]


def demand(**changes):
    given = {
        "fixed": 3 * GIB,
        "config": BASE,
        "shape": SHAPE,
        "replicas": 1,
        "accumulation": 1,
        "dtype": "mixed_bfloat16",
        "remat": "none",
        "scores": False,
        "have": 24 * GIB,
    }
    return Demand(**(given | changes))


def test_bytes_of_variables_are_those_of_their_arrays(config):
    model = build_model(config(vocabulary_size=40), seed=0)
    assert bytes_per_device(model.trainable_variables) == 4 * parameters(model)
    optimizer = Adafactor(1e-3)
    optimizer.build(model.trainable_variables)
    assert bytes_per_device(optimizer.variables) == sum(variable.value.nbytes for variable in optimizer.variables)


def test_activations_grow_with_rows_and_halve_with_bf16():
    one, eight = (activation_bytes(BASE, rows, SHAPE, "mixed_bfloat16") for rows in (1, 8))
    assert eight == 8 * one
    full = activation_bytes(BASE, 1, SHAPE, "float32")
    assert one < full <= 2 * one


def test_rematerialisation_and_fused_attention_keep_less():
    sizes = [activation_bytes(BASE, 8, SHAPE, "float32", remat, scores=False) for remat in ("none", "dots", "full")]
    assert sizes == sorted(sizes, reverse=True) and sizes[2] < sizes[0] / 4
    assert sizes[0] < activation_bytes(BASE, 8, SHAPE, "float32")


def test_a_step_that_fits_is_not_refused():
    demand().check()
    demand(have=None).check()


def test_weights_that_do_not_fit_are_refused_before_anything_runs():
    with pytest.raises(
        UserError, match=r"memory of a device \(24.0 GiB\): weights, gradients and optimizer take 30.00"
    ):
        demand(fixed=30 * GIB).check()


def test_what_is_proposed_fits_by_the_same_estimate():
    message = str(demand().error())
    parts = int(message.partition("accumulation=")[2].partition(":")[0])
    rows = SHAPE.size // parts
    assert SHAPE.size % parts == 0
    assert 3 * GIB + activation_bytes(BASE, rows, SHAPE, "mixed_bfloat16", scores=False) < 24 * GIB
    assert "remat='full'" in message and "remat" not in str(demand(remat="full").error())
    assert f"batches of {rows} rows instead of 128" in message and "model_parallel" in message
    assert "bfloat16" not in message and "dtype='mixed_bfloat16'" in str(demand(dtype="float32").error())


def test_where_the_weights_leave_no_room_no_batch_is_proposed():
    assert "accumulation" not in str(demand(fixed=24 * GIB).error())


def test_an_allocation_that_fails_is_told_from_other_errors():
    with pytest.raises(jax.errors.JaxRuntimeError) as failed:
        jnp.zeros((2**45,), jnp.float32).block_until_ready()
    assert is_out_of_memory(failed.value)
    assert not is_out_of_memory(ValueError("RESOURCE_EXHAUSTED"))
