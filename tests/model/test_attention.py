"""Attention: all ways compute the same for any layout of segments, values and gradients."""

import ast
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flannb.errors import UserError
from flannb.model import T5Config, build_model
from flannb.model.attention import Mask, attend, choose
from flannb.model.flash import flash_attention

BATCH, HEADS, SIZE = 2, 3, 8
RNG = np.random.default_rng(0)


def segments(length):
    """Rows of segment ids: lengths of segments, and padding at the end."""
    pieces = st.lists(st.integers(1, length), min_size=1, max_size=6)
    return pieces.map(lambda sizes: np.pad(np.repeat(np.arange(1, len(sizes) + 1), sizes), (0, length))[:length])


def layouts(queries, keys):
    rows = st.tuples(*[st.tuples(segments(queries), segments(keys))] * BATCH)
    return rows.map(lambda rows: [np.stack(part).astype(np.int32) for part in zip(*rows, strict=True)])


def outcome(queries, keys, causal, with_bias, rate):
    """A compiled function of (way, segments) to the attention of fixed arrays and all gradients."""
    shapes = [(BATCH, HEADS, length, SIZE) for length in (queries, keys, keys)]
    arrays = [RNG.standard_normal(shape).astype(np.float32) for shape in shapes]
    arrays += [RNG.standard_normal((1, HEADS, queries, keys)).astype(np.float32)] if with_bias else []
    weights = RNG.standard_normal(shapes[0]).astype(np.float32)

    def run(way, query_segments, key_segments):
        mask = Mask(query_segments, key_segments, causal)
        # What queries that may attend to nothing get is not specified.
        counts = mask.allowed().any(axis=3)[..., None]

        def total(arrays):
            bias = arrays[3] if with_bias else None
            found = jnp.where(counts, attend(way, *arrays[:3], bias, mask, rate, jnp.uint32(3)), 0.0)
            return (found * weights).sum(), found

        (_, found), gradients = jax.value_and_grad(total, has_aux=True)(arrays)
        return [found, *gradients]

    return jax.jit(run, static_argnums=0)


SELF = outcome(40, 40, True, True, 0.25)
CROSS = outcome(20, 37, False, False, 0.0)
ENCODER = outcome(33, 33, False, True, 0.0)


@settings(max_examples=12)
@given(layouts(40, 40), layouts(20, 37), layouts(33, 33))
def test_the_fused_kernel_computes_what_the_plain_way_does(own, across, both):
    for run, (queries, keys) in ((SELF, (own[0], own[0])), (CROSS, across), (ENCODER, (both[0], both[0]))):
        for one, other in zip(run("flash", queries, keys), run("plain", queries, keys), strict=True):
            np.testing.assert_allclose(one, other, atol=2e-5, rtol=2e-5)


def test_plain_attention_is_the_softmax_of_the_definition():
    query, keys, values = (RNG.standard_normal((1, 1, 4, 2)) for _ in range(3))
    bias, ids = RNG.standard_normal((1, 1, 4, 4)), np.array([[1, 1, 2, 0]], np.int32)
    found = attend("plain", *(jnp.float32(x) for x in (query, keys, values, bias)), Mask(ids, ids, causal=True))
    for i, seen in enumerate([[0], [0, 1], [2]]):
        weights = np.exp(query[0, 0, i] @ keys[0, 0, seen].T + bias[0, 0, i, seen])
        np.testing.assert_allclose(found[0, 0, i], weights @ values[0, 0, seen] / weights.sum(), rtol=1e-5)


@pytest.mark.skipif(
    jax.__version_info__ >= (0, 11) and jax.default_backend() != "gpu",
    reason="JAX lowers kernels from 0.11 on only where there is a GPU",
)
@pytest.mark.filterwarnings("ignore:The Pallas Triton backend is deprecated:DeprecationWarning")
def test_the_kernels_lower_for_cuda_in_16_bits_at_lengths_that_are_no_powers_of_two():
    def loss(query, keys, values, bias, ids, seeds):
        found = flash_attention(query, keys, values, bias, ids, ids, seeds, True, 0.1, interpret=False)
        return found.astype("float32").sum()

    rows, ids = jax.ShapeDtypeStruct((3, 2, 192, 64), "bfloat16"), jax.ShapeDtypeStruct((3, 192), "int32")
    bias, seeds = jax.ShapeDtypeStruct((1, 2, 192, 192), "float32"), jax.ShapeDtypeStruct((3, 2), "uint32")
    traced = jax.jit(jax.grad(loss, (0, 1, 2, 3))).trace(rows, rows, rows, bias, ids, seeds)
    text = traced.lower(lowering_platforms=("cuda",)).as_text()
    assert text.count("__gpu$xla.gpu.triton") == 4  # the forward pass; gradients of queries, of keys, of the bias
    assert "3x2x192x192" not in text  # no scores, nor a bias for each row


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="about machines without a GPU")
def test_the_choice_says_what_cannot_run():
    assert choose("auto", "float32", 64, drops=True) == choose("auto", "bfloat16", 64, drops=False) == "plain"
    assert choose("flash", "float32", 64, drops=True) == "flash"
    with pytest.raises(UserError, match="unknown; choose one of auto, plain, flash, cudnn"):
        choose("fast", "float32", 64, drops=False)
    config = T5Config(40, 1, 2, 8, 8, 4)
    with pytest.raises(UserError, match="needs an NVIDIA GPU"):
        build_model(config, seed=0, attention="cudnn")


EXAMPLES = 3
MODELS = {}


def model(attention):
    from golden import SHAPE, drawn_model

    if attention not in MODELS:
        built = drawn_model(T5Config(**SHAPE))
        built.attention = attention
        MODELS[attention] = jax.jit(built)
    return MODELS[attention]


@pytest.mark.parametrize("attention", ["plain", "flash"])
@settings(max_examples=8)
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 7)), min_size=EXAMPLES, max_size=EXAMPLES), st.data())
def test_packed_rows_give_what_each_example_gives_alone(attention, sizes, data):
    lengths = 30, 24
    alone = {}
    for side, length, part in (("encoder", lengths[0], 0), ("decoder", lengths[1], 1)):
        ids = np.zeros((EXAMPLES, length), np.int32)
        for row, size in enumerate(sizes):
            ids[row, : size[part]] = data.draw(st.lists(st.integers(2, 39), min_size=size[part], max_size=size[part]))
        mask = np.arange(length) < np.array(sizes)[:, part, None]
        alone |= {f"{side}_token_ids": ids, f"{side}_padding_mask": mask.astype(np.int32)}
    packed = {}
    for name, rows in alone.items():
        lengths_here = np.array(sizes)[:, 0 if "encoder" in name else 1]
        pieces = [
            row[:size] * (i if "mask" in name else 1)
            for i, (row, size) in enumerate(zip(rows, lengths_here, strict=True), 1)
        ]
        joined = np.concatenate(pieces)
        # The same row three times: one shape for both calls.
        packed[name] = np.tile(np.pad(joined, (0, rows.shape[1] - len(joined))), (EXAMPLES, 1))
    together, separate = np.asarray(model(attention)(packed))[0], np.asarray(model(attention)(alone))
    start = 0
    for row, (_, size) in enumerate(sizes):
        np.testing.assert_allclose(together[start : start + size], separate[row, :size], atol=1e-5, rtol=1e-5)
        start += size


SPREAD = """
import flannb, keras, jax, jax.numpy as jnp, numpy as np
from flannb.model.attention import Mask, attend

rng = np.random.default_rng(0)
operands = [rng.standard_normal((4, 2, 20, 8)).astype("float32") for _ in range(3)]
bias = rng.standard_normal((1, 2, 20, 20)).astype("float32")
segments = (1 + np.arange(20) // rng.integers(4, 9, (4, 1))).astype("int32")
if SPREAD:
    distribution = keras.distribution.DataParallel(devices=keras.distribution.list_devices())
    keras.distribution.set_distribution(distribution)
    place = distribution.get_data_layout((None, None)).backend_layout.spec[0]
    mesh = distribution.device_mesh.backend_mesh
    rows = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(place))
    *operands, segments = jax.device_put([*operands, segments], rows)

def total(operands, bias, segments):
    mask = Mask(segments, segments, causal=True)
    return (attend("flash", *operands, bias, mask, 0.2, jnp.uint32(5)) ** 3).sum()

compiled = jax.jit(jax.value_and_grad(total, (0, 1))).lower(operands, bias, segments).compile()
value, (of_operands, of_bias) = compiled(operands, bias, segments)
outcome = [float(value), *(float(abs(np.asarray(g)).sum()) for g in (*of_operands, of_bias))]
"""


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="XLA simulates several devices on a CPU only")
def test_two_devices_share_a_batch_and_its_dropout():
    here = {"SPREAD": False}
    exec(SPREAD, here)
    flags = {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    program = f"SPREAD = True{SPREAD}print([jax.device_count(), of_operands[0].sharding.num_devices, *outcome])"
    there = subprocess.run([sys.executable, "-c", program], env=os.environ | flags, capture_output=True, text=True)
    assert there.returncode == 0, there.stderr
    devices, spread, *outcome = ast.literal_eval(there.stdout)
    assert devices == spread == 2
    assert outcome == pytest.approx(here["outcome"], rel=1e-4)
