"""The loss: cross-entropy of the real tokens, and what the optimizer sees of it."""

import keras
import numpy as np
import pytest

from flannb.model import T5Config, build_model
from flannb.model.loss import token_loss
from flannb.train.step import make_step

RNG = np.random.default_rng(0)
LOGITS = RNG.standard_normal((2, 5, 11)).astype(np.float32)
TARGETS = np.array([[3, 10, 1, 0, 0], [7, 2, 5, 4, 1]], np.int32)


@pytest.mark.parametrize("z_loss", [0.0, 1e-4, 0.1])
def test_the_loss_is_the_mean_over_the_real_tokens(z_loss):
    losses = []
    for logits, target in zip(LOGITS.reshape(-1, 11), TARGETS.ravel(), strict=True):
        if target:
            partition = np.log(np.exp(logits.astype(np.float64)).sum())
            losses.append(partition - logits[target] + z_loss * partition**2)
    value, tokens = token_loss(LOGITS, TARGETS, z_loss)
    assert int(tokens) == len(losses) == 8
    assert float(value) == pytest.approx(np.mean(losses), rel=1e-5)


def test_logits_at_padding_do_not_matter():
    other = LOGITS.copy()
    other[0, 3:] = 50
    assert token_loss(other, TARGETS, 0.1) == token_loss(LOGITS, TARGETS, 0.1)


def test_a_batch_of_padding_has_no_loss():
    value, tokens = token_loss(LOGITS, np.zeros_like(TARGETS), 1e-4)
    assert (float(value), float(tokens)) == (0, 0)


def test_a_step_reports_the_loss_before_it_and_lowers_it():
    model = build_model(T5Config(11, 1, 2, 8, 16, 4), seed=0)
    optimizer = keras.optimizers.SGD(learning_rate=0.05)
    optimizer.build(model.trainable_variables)
    ids = np.array([[4, 5, 1, 0], [6, 1, 0, 0]], np.int32)
    inputs = {
        "encoder_token_ids": ids,
        "encoder_padding_mask": (ids > 0).astype(np.int32),
        "decoder_token_ids": np.concatenate([np.zeros((2, 1), np.int32), TARGETS[:, :-1]], axis=1),
        "decoder_padding_mask": (TARGETS > 0).astype(np.int32),
    }
    expected, _ = token_loss(np.asarray(model(inputs)), TARGETS, 1e-4)
    groups = (model.trainable_variables, model.non_trainable_variables, optimizer.variables)
    state = tuple([np.array(v.value) for v in group] for group in groups)
    step = make_step(model, optimizer, 1e-4)
    losses = []
    for _ in range(5):
        state, metrics = step(state, inputs | {"targets": TARGETS})
        losses.append(float(metrics["loss"]))
    assert losses[0] == pytest.approx(float(expected), rel=1e-5) and int(metrics["tokens"]) == 8
    assert losses == sorted(losses, reverse=True)


def test_a_batch_in_parts_gives_the_step_of_the_whole():
    """Rows of unequal numbers of tokens: every token counts the same, whichever part it is in."""
    rng = np.random.default_rng(1)
    targets = rng.integers(2, 11, (4, 5)).astype(np.int32)
    targets[0, 1:] = targets[1, 4:] = targets[2, 2:] = 0
    ids = rng.integers(2, 11, (4, 6)).astype(np.int32)
    batch = {
        "encoder_token_ids": ids,
        "encoder_padding_mask": np.ones_like(ids),
        "decoder_token_ids": np.concatenate([np.zeros((4, 1), np.int32), targets[:, :-1]], axis=1),
        "decoder_padding_mask": (targets > 0).astype(np.int32),
        "targets": targets,
    }
    model = build_model(T5Config(11, 1, 2, 8, 16, 4), seed=0)
    optimizer = keras.optimizers.SGD(learning_rate=0.1)
    optimizer.build(model.trainable_variables)
    groups = (model.trainable_variables, model.non_trainable_variables, optimizer.variables)
    results = []
    for parts in (1, 2, 4):
        state = tuple([np.array(v.value) for v in group] for group in groups)
        results.append(make_step(model, optimizer, 1e-2, parts)(state, batch))
    (whole, metrics), *others = results
    for state, found in others:
        assert {name: float(value) for name, value in found.items()} == pytest.approx(
            {name: float(value) for name, value in metrics.items()}, rel=1e-5
        )
        for expected, variable in zip(whole[0], state[0], strict=True):
            assert np.asarray(variable) == pytest.approx(np.asarray(expected), abs=1e-6)
