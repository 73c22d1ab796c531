"""FLOPs: the formula is the count of the matrix products that the model runs."""

import math
from dataclasses import replace

import jax
import numpy as np
import pytest

from flannb.model import SIZES, T5Config, build_model, flops

CONFIG = T5Config(
    vocabulary_size=512, num_layers=2, num_heads=4, hidden_dim=128, intermediate_dim=256, key_value_dim=32
)
BATCH, SOURCE, TARGET = 3, 96, 40


def product_flops(jaxpr):
    """FLOPs of all matrix products of a traced function, those in functions it calls included."""
    total = 0
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            left = equation.invars[0].aval.shape
            total += 2 * math.prod(equation.outvars[0].aval.shape) * math.prod(left[i] for i in contracted)
        repeats = equation.params.get("length", 1) if equation.primitive.name == "scan" else 1
        for value in equation.params.values():
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns"):
                total += repeats * product_flops(inner)
    return total


def batch():
    encoder, decoder = np.ones((BATCH, SOURCE), np.int32), np.ones((BATCH, TARGET), np.int32)
    return {
        "encoder_token_ids": encoder,
        "encoder_padding_mask": encoder,
        "decoder_token_ids": decoder,
        "decoder_padding_mask": decoder,
    }


@pytest.mark.parametrize(
    "config", [CONFIG, replace(CONFIG, use_gated_activation=False, activation="relu", tie_embedding_weights=True)]
)
def test_the_formula_counts_the_products_of_a_training_step(config):
    model = build_model(config, seed=0)
    inputs = batch()

    def loss(weights):
        logits, _ = model.stateless_call(weights, model.non_trainable_variables, inputs, training=True)
        return jax.numpy.sum(logits**2)

    weights = [variable.value for variable in model.trainable_variables]
    forward = product_flops(jax.make_jaxpr(loss)(weights).jaxpr)
    assert forward == pytest.approx(flops.forward_flops(config, BATCH, SOURCE, TARGET), rel=0.02)
    both = product_flops(jax.make_jaxpr(jax.grad(loss))(weights).jaxpr)
    assert both == pytest.approx(flops.training_flops(config, BATCH, SOURCE, TARGET), rel=0.02)


def test_the_compiler_counts_about_the_same():
    model = build_model(CONFIG, seed=0)
    compiled = jax.jit(model).lower(batch()).compile()
    counted = compiled.cost_analysis()["flops"]  # everything elementwise included
    formula = flops.forward_flops(CONFIG, BATCH, SOURCE, TARGET)
    assert formula < counted < 1.15 * formula


def test_generating_costs_the_parts_of_a_forward_pass():
    # One step attends to all positions of the cache, so that T steps cost what one pass over T positions does.
    forward = flops.forward_flops(CONFIG, BATCH, SOURCE, TARGET)
    assert flops.generation_flops(CONFIG, BATCH, SOURCE, TARGET) == forward
    first, second, third = (flops.generation_flops(CONFIG, 1, SOURCE, length) for length in (1, 2, 3))
    assert third - second == second - first + 2 * 4 * CONFIG.num_layers * CONFIG.num_heads * CONFIG.key_value_dim


def test_a_known_size_has_the_known_flops():
    # 6 operations a parameter and token, embeddings apart, and attention: within a few percent for a large model.
    config = SIZES["xl"]
    layer = 4 * 2048 * 2048 + 3 * 2048 * 5120
    tokens = 24 * (layer * 512 + (layer + 2 * 2048 * 2048) * 128 + 2 * 2048 * 2048 * 512) + 2048 * 32_128 * 128
    assert flops.training_flops(config, 1, 512, 128) == pytest.approx(6 * tokens, rel=0.05)


def test_peaks_are_known_by_the_kind_of_device():
    kinds = {
        "NVIDIA H100 80GB HBM3": 989.4,
        "NVIDIA H100 PCIe": 756.0,
        "NVIDIA H200": 989.4,
        "NVIDIA A100-SXM4-80GB": 311.8,
        "NVIDIA A100 80GB PCIe": 311.8,
        "NVIDIA H100 NVL": 835.5,
        "NVIDIA GH200 480GB": 989.4,
        "NVIDIA L4": 121.0,
        "NVIDIA L40S": 362.1,
        "NVIDIA GeForce RTX 3090": 71.0,
        "h100": 989.4,
        "TPU v4": 275.0,
        "TPU v5 lite": 197.0,
        "TPU v5": 459.0,
        "TPU v6 lite": 918.0,
        "TPU v6e": 918.0,
        "cpu": None,
    }
    assert {kind: flops.device_peak_flops(kind) for kind in kinds} == {k: v and 1e12 * v for k, v in kinds.items()}


OTHERS = ["NVIDIA L40", "NVIDIA A10G", "NVIDIA RTX A1000 Laptop GPU", "NVIDIA GB200", "NVIDIA GeForce RTX 3090 Ti"]
OTHERS += ["NVIDIA GeForce RTX 4090 D", "NVIDIA GeForce RTX 4090 Laptop GPU"]


@pytest.mark.parametrize("kind", OTHERS)
def test_a_kind_is_not_taken_for_one_whose_name_is_a_part_of_its_own(kind):
    assert flops.device_peak_flops(kind) is None


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="a GPU or TPU has a peak")
def test_a_device_without_a_known_peak_has_no_mfu():
    assert flops.peak_flops() is None and flops.mfu(1e12) is None
