"""T5: packing changes nothing, positions are bucketed as published, and KerasHub computes the same."""

import dataclasses
import itertools
import math
import random
import threading
import warnings

import jax
import numpy as np
import pytest

from flannb.errors import UserError
from flannb.model import SIZES, T5Config, build_model, parameters
from flannb.model.layers import relative_position_bucket

CONFIG = T5Config(
    vocabulary_size=40,
    num_layers=2,
    num_heads=2,
    hidden_dim=16,
    intermediate_dim=24,
    key_value_dim=8,
    activation="relu",
)


def draw_weights(variables, seed=0):
    rng = np.random.default_rng(seed)
    for variable in variables:
        mean = 1.0 if len(variable.shape) == 1 else 0.0
        variable.assign(mean + 0.4 * rng.standard_normal(variable.shape).astype(np.float32))


def drawn(config):
    model = build_model(config, seed=0)
    draw_weights(model.trainable_variables)
    return model


def run(model, batch):
    return np.asarray(jax.jit(model)(batch))


def inputs(encoder, decoder, encoder_mask=None, decoder_mask=None):
    encoder, decoder = np.array(encoder, np.int32), np.array(decoder, np.int32)
    return {
        "encoder_token_ids": encoder,
        "encoder_padding_mask": (encoder > 0).astype(np.int32) if encoder_mask is None else np.array(encoder_mask),
        "decoder_token_ids": decoder,
        "decoder_padding_mask": np.ones_like(decoder) if decoder_mask is None else np.array(decoder_mask),
    }


EXAMPLES = [([5, 9, 3, 1], [0, 7]), ([8, 1], [0, 4, 6, 2]), ([11, 12, 13, 14, 15, 1], [0])]


@pytest.mark.parametrize("config", [CONFIG, dataclasses.replace(CONFIG, activation="gelu", tie_embedding_weights=True)])
def test_packed_examples_give_the_logits_of_each_alone(config):
    model = drawn(config)
    packed = inputs(
        [[*EXAMPLES[0][0], *EXAMPLES[1][0], *EXAMPLES[2][0], 0, 0]],
        [[*EXAMPLES[0][1], *EXAMPLES[1][1], *EXAMPLES[2][1], 0]],
        [[1] * 4 + [2] * 2 + [3] * 6 + [0] * 2],
        [[1] * 2 + [2] * 4 + [3] + [0]],
    )
    together = run(model, packed)[0]
    assert np.isfinite(together).all()
    start = 0
    for encoder, decoder in EXAMPLES:
        alone = run(model, inputs([encoder], [decoder]))[0]
        np.testing.assert_allclose(together[start : start + len(decoder)], alone, atol=1e-5, rtol=1e-5)
        start += len(decoder)


def test_a_padding_mask_is_the_case_of_one_segment():
    model = drawn(CONFIG)
    ones = inputs([[5, 9, 1, 0, 0]], [[0, 7, 4, 0]], None, [[1, 1, 1, 0]])
    sevens = {name: value * 7 if name.endswith("mask") else value for name, value in ones.items()}
    first = run(model, ones)
    np.testing.assert_array_equal(first, run(model, sevens))
    shorter = run(model, inputs([[5, 9, 1]], [[0, 7, 4]]))
    np.testing.assert_allclose(first[:, :3], shorter, atol=1e-5, rtol=1e-5)


def test_the_decoder_does_not_see_what_follows():
    model = drawn(CONFIG)
    first = run(model, inputs([[5, 9, 1]], [[0, 7, 4, 6]]))
    other = run(model, inputs([[5, 9, 1]], [[0, 7, 30, 31]]))
    np.testing.assert_array_equal(first[:, :2], other[:, :2])
    assert np.abs(first[:, 2] - other[:, 2]).max() > 1e-3


def test_the_output_depends_on_positions_and_on_the_prompt():
    model = drawn(CONFIG)
    first = run(model, inputs([[5, 9, 1]], [[0, 7]]))
    assert np.abs(first - run(model, inputs([[9, 5, 1]], [[0, 7]]))).max() > 1e-3
    assert np.abs(first - run(model, inputs([[5, 10, 1]], [[0, 7]]))).max() > 1e-3


def published_bucket(distance, bidirectional, buckets=32, furthest=128):
    """T5's formula for one distance (key minus query), in plain Python."""
    result, away = 0, -distance
    if bidirectional:
        buckets //= 2
        if away < 0:
            result, away = buckets, -away
    else:
        away = max(away, 0)
    exact = buckets // 2
    if away < exact:
        return result + away
    return result + min(
        exact + int(math.log(away / exact) / math.log(furthest / exact) * (buckets - exact)), buckets - 1
    )


# Where the logarithm falls on a border between buckets, the last bit of a float decides.
BORDERS = {16, 32, 64}


@pytest.mark.parametrize("bidirectional", [True, False])
def test_buckets_are_those_of_the_formula(bidirectional):
    distances = [d for d in range(-300, 301) if abs(d) not in BORDERS]
    found = relative_position_bucket(np.array(distances), bidirectional)
    assert found.tolist() == [published_bucket(d, bidirectional) for d in distances]


def test_buckets_at_known_distances():
    encoder = {0: 0, -1: 1, -7: 7, -8: 8, -11: 8, -12: 9, -128: 15, -999: 15, 1: 17, 7: 23, 8: 24, 128: 31, 999: 31}
    decoder = {5: 0, 0: 0, -1: 1, -15: 15, -16: 16, -128: 31, -999: 31}
    for known, bidirectional in ((encoder, True), (decoder, False)):
        found = relative_position_bucket(np.array(list(known)), bidirectional)
        assert dict(zip(known, found.tolist(), strict=True)) == known


# Importing KerasHub takes many seconds, since it brings TensorFlow: this is the only test that does.
@pytest.mark.filterwarnings("ignore:(?s).*does not support masking:UserWarning")  # KerasHub's own, of its own layers
def test_kerashub_computes_the_same():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of TensorFlow and its dependencies
        import keras_hub

    batch = inputs([[5, 9, 3, 1, 0, 0], [8, 7, 6, 5, 4, 1]], [[0, 7, 2, 9], [0, 4, 6, 2]])
    for gated, tied in itertools.product([False, True], repeat=2):
        config = dataclasses.replace(CONFIG, use_gated_activation=gated, tie_embedding_weights=tied)
        ours, theirs = drawn(config), keras_hub.models.T5Backbone(**dataclasses.asdict(config))
        pairs = list(zip(ours.trainable_variables, theirs.trainable_variables, strict=True))
        assert [a.shape for a, _ in pairs] == [b.shape for _, b in pairs]
        # KerasHub numbers its normalisations and leaves a bias table without its layer's name.
        assert [a.path.split("/")[-1] for a, _ in pairs] == [b.path.split("/")[-1] for _, b in pairs]
        kernels = [(a.path, b.path) for a, b in pairs if a.path.endswith("kernel")]
        assert all(a.split("/")[-3:] == b.split("/")[-3:] for a, b in kernels)
        for mine, other in pairs:
            other.assign(mine.value)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            hidden = theirs(batch)["decoder_sequence_output"]
        segments = batch["encoder_padding_mask"]
        memory = ours.encode(batch["encoder_token_ids"], segments)
        found = ours.decode(batch["decoder_token_ids"], batch["decoder_padding_mask"], memory, segments)
        np.testing.assert_allclose(np.asarray(found), np.asarray(hidden), atol=1e-4, rtol=1e-4)
        # The tied head rescales as T5 1.0's does; KerasHub leaves that to its language model.
        scale = config.hidden_dim**-0.5 if tied else 1.0
        logits = np.asarray(theirs.token_embedding(hidden * scale, reverse=True))
        np.testing.assert_allclose(np.asarray(ours(batch)), logits, atol=1e-4, rtol=1e-4)


def test_the_seed_fixes_the_initial_weights():
    models = [build_model(CONFIG, seed) for seed in (0, 0, 1)]
    first, again, other = ([np.asarray(v.value) for v in model.trainable_variables] for model in models)
    assert all(map(np.array_equal, first, again))
    assert not np.array_equal(first[0], other[0])


def test_half_precision_computes_about_the_same_with_full_precision_weights():
    batch = inputs([[5, 9, 3, 1]], [[0, 7, 2]])
    full, half = build_model(CONFIG, 0), build_model(CONFIG, 0, "mixed_bfloat16")
    assert {str(v.dtype) for v in half.trainable_variables} == {"float32"}
    logits = run(half, batch)
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, np.asarray(full(batch)), atol=0.15)


def test_dropout_acts_in_training_only():
    model = drawn(dataclasses.replace(CONFIG, dropout=0.5))
    batch = inputs([[5, 9, 3, 1]], [[0, 7, 2]])
    once = run(model, batch)
    np.testing.assert_array_equal(once, run(model, batch))
    assert not np.array_equal(np.asarray(model(batch, training=True)), once)


def test_rematerialisation_changes_neither_loss_nor_gradients():
    config = dataclasses.replace(CONFIG, num_layers=1, dropout=0.3)
    ids = np.array([[5, 9, 3, 1], [8, 1, 0, 0]], np.int32)
    batch = inputs(ids, ids) | {"targets": ids}

    def outcome(remat):
        model = build_model(config, 0, remat=remat)
        values = [[v.value for v in group] for group in (model.trainable_variables, model.non_trainable_variables)]
        step = jax.value_and_grad(lambda *given: model.stateless_loss(*given, batch, 1e-4)[0])
        return jax.jit(step)(*values), str(jax.make_jaxpr(step)(*values))

    (loss, gradients), plain = outcome("none")
    products = [plain.count("dot_general")]
    for remat in ("dots", "full"):
        (again, recomputed), text = outcome(remat)
        assert float(again) == pytest.approx(float(loss), rel=1e-6)
        for one, other in zip(gradients, recomputed, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)
        products.append(text.count("dot_general"))
    assert products[0] < products[1] < products[2]


def test_dropout_is_new_in_every_step_and_fixed_by_the_seed():
    ids = np.array([[5, 9, 3, 1]], np.int32)
    batch = inputs(ids, ids) | {"targets": ids}

    def losses(seed):
        model = build_model(dataclasses.replace(CONFIG, dropout=0.3), seed)
        fixed, found = [v.value for v in model.non_trainable_variables], []
        step = jax.jit(
            lambda fixed: model.stateless_loss([v.value for v in model.trainable_variables], fixed, batch, 0.0)
        )
        for _ in range(3):
            loss, _, fixed = step(fixed)
            found.append(float(loss))
        return found

    first = losses(0)
    assert len(set(first)) == 3 and losses(0) == first


def test_what_does_not_fit_is_a_user_error():
    for change, message in (
        ({"num_heads": 0}, "num_heads is 0"),
        ({"hidden_dim": 1.5}, r"hidden_dim is 1\.5"),
        ({"dropout": 1.0}, r"dropout is 1\.0"),
        ({"dropout": "0.1"}, "dropout is '0.1'"),
        ({"layer_norm_epsilon": -1e-6}, "layer_norm_epsilon is -1e-06"),
        ({"activation": "tanh"}, "choose one of gelu, relu"),
    ):
        with pytest.raises(UserError, match=message):
            dataclasses.replace(CONFIG, **change)
    model, batch = build_model(CONFIG, 0), inputs([[5, 9, 1]], [[0, 7]])
    with pytest.raises(UserError, match=r"decoder_padding_mask \(1, 3\); make both"):
        model(batch | {"decoder_padding_mask": batch["encoder_padding_mask"]})
    with pytest.raises(UserError, match="has 1 rows and decoder_token_ids 2"):
        model(inputs([[5, 9, 1]], [[0, 7], [0, 8]]))
    with pytest.raises(UserError, match="choose one of none, dots, full"):
        build_model(CONFIG, 0, remat="half")


def test_parameters_are_counted():
    model = build_model(CONFIG, 0)
    attention, hidden = 4 * 16 * 16, 3 * 16 * 24
    encoder, decoder = attention + hidden + 2 * 16, 2 * attention + hidden + 3 * 16
    assert parameters(model) == 2 * 40 * 16 + 2 * (encoder + decoder) + 2 * 32 * 2 + 2 * 16


def test_published_sizes_are_those_of_t5_1_0():
    # Parameters as the paper and the checkpoints have them, in millions.
    millions = {"t5-small": 60.5, "t5-base": 222.9, "t5-large": 737.7, "t5-3b": 2851.6, "t5-11b": 11307.3}
    for name, expected in millions.items():
        size = SIZES[name]
        assert (size.activation, size.use_gated_activation, size.tie_embedding_weights) == ("relu", False, True)
        attention = 4 * size.hidden_dim * size.num_heads * size.key_value_dim
        layers = size.num_layers * (3 * attention + 4 * size.hidden_dim * size.intermediate_dim)
        found = size.vocabulary_size * size.hidden_dim + layers
        assert found / 1e6 == pytest.approx(expected, rel=1e-3)


def test_published_sizes_are_those_of_t5_1_1():
    shapes = {
        "small": (512, 1024, 6, 8),
        "base": (768, 2048, 12, 12),
        "large": (1024, 2816, 16, 24),
        "xl": (2048, 5120, 32, 24),
        "xxl": (4096, 10_240, 64, 24),
    }
    for name, shape in shapes.items():
        size = SIZES[name]
        assert (size.hidden_dim, size.intermediate_dim, size.num_heads, size.num_layers) == shape
        assert (size.vocabulary_size, size.key_value_dim, size.activation) == (32_128, 64, "gelu")
        assert size.use_gated_activation and not size.tie_embedding_weights
    assert CONFIG.with_vocabulary(128) == dataclasses.replace(CONFIG, vocabulary_size=128)


def test_weights_of_a_seed_do_not_depend_on_what_other_threads_draw():
    alone = [np.asarray(v.value) for v in build_model(CONFIG, seed=3).trainable_variables]
    randint, ended = random.randint, threading.Event()

    def draw():
        while not ended.is_set():
            random.randint(0, 9)

    other = threading.Thread(target=draw)
    other.start()
    try:
        beside = [np.asarray(v.value) for v in build_model(CONFIG, seed=3).trainable_variables]
    finally:
        ended.set()
        other.join()
    assert all(np.array_equal(a, b) for a, b in zip(alone, beside, strict=True))
    assert random.randint == randint
