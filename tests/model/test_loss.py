"""The loss on states: that of the logits, in value and in every gradient, whatever is computed at a time."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flannb.model.loss import head_loss, token_loss

RNG = np.random.default_rng(0)
HIDDEN = RNG.standard_normal((3, 8, 16)).astype(np.float32)
KERNEL = RNG.standard_normal((16, 50)).astype(np.float32)
TARGETS = (RNG.integers(0, 50, (3, 8)) * (RNG.random((3, 8)) < 0.7)).astype(np.int32)


def differentiated(function):
    return jax.value_and_grad(function, argnums=(0, 1), has_aux=True)


@pytest.mark.parametrize("largest", [1, 3 * 2 * 50, 10**9])
@pytest.mark.parametrize("z_loss", [0.0, 0.01])
def test_it_is_the_loss_of_the_logits(largest, z_loss):
    plain = differentiated(lambda hidden, kernel: token_loss(hidden @ kernel, TARGETS, z_loss))
    lean = differentiated(lambda hidden, kernel: head_loss(hidden, kernel, TARGETS, z_loss, largest))
    (expected, tokens), gradients = plain(HIDDEN, KERNEL)
    (value, counted), found = lean(HIDDEN, KERNEL)
    assert float(value) == pytest.approx(float(expected), rel=1e-6)
    assert float(counted) == float(tokens) == (TARGETS > 0).sum()
    for one, other in zip(found, gradients, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6, rtol=1e-4)
    assert float(head_loss(HIDDEN, KERNEL, TARGETS, z_loss, largest)[0]) == pytest.approx(float(expected), rel=1e-6)


def test_no_more_logits_exist_than_allowed():
    def largest_float(limit):
        def loss(hidden, kernel):
            return head_loss(hidden, kernel, TARGETS, 0.0, limit)[0]

        text = jax.jit(jax.grad(loss, (0, 1))).lower(HIDDEN, KERNEL).as_text()
        return [f"tensor<3x{length}x50xf32>" in text for length in (8, 2)]

    assert largest_float(10**9) == [True, False]
    assert largest_float(3 * 2 * 50) == [False, True]


def test_half_precision_adds_up_in_full():
    states = jnp.asarray(HIDDEN, jnp.bfloat16)
    expected, of_kernel = jax.value_and_grad(lambda k: token_loss(states.astype("float32") @ k, TARGETS, 0.0)[0])(
        KERNEL
    )
    value, found = jax.value_and_grad(lambda k: head_loss(states, k, TARGETS, 0.0)[0])(KERNEL)
    assert found.dtype == jnp.float32
    assert float(value) == pytest.approx(float(expected), rel=0.01)
    np.testing.assert_allclose(found, of_kernel, atol=0.01 * np.abs(of_kernel).max())


def test_a_batch_of_padding_has_no_loss_and_no_gradient():
    value, gradients = jax.value_and_grad(lambda h, k: head_loss(h, k, np.zeros_like(TARGETS), 0.1)[0], (0, 1))(
        HIDDEN, KERNEL
    )
    assert float(value) == 0 and not any(np.any(gradient) for gradient in gradients)
