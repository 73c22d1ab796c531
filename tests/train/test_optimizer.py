"""Adafactor: the updates of the paper and of T5X, from second moments that are factored only."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flannb.train import Adafactor

STEPS = 4


def reference(values, gradients, rate, factor):
    """Algorithms 4 and 5 of arXiv 1804.04235 in float64, with T5X's constants and without momentum."""
    value, row, column, full = values.astype(np.float64), 0.0, 0.0, 0.0
    rms = lambda x: np.sqrt(np.mean(np.square(x)))  # noqa: E731
    for step, gradient in enumerate(gradients, start=1):
        decay = 1 - step**-0.8
        squared = gradient.astype(np.float64) ** 2 + 1e-30
        if value.ndim == 2 and min(value.shape) >= factor:
            row = decay * row + (1 - decay) * squared.sum(axis=1)
            column = decay * column + (1 - decay) * squared.sum(axis=0)
            moment = np.outer(row, column) / row.sum()
        else:
            moment = full = decay * full + (1 - decay) * squared
        update = gradient / np.sqrt(moment)
        update = update / max(1.0, rms(update))
        value = value - rate * max(1e-3, rms(value)) * update
    return value


def run(values, gradients, **arguments):
    variables = [keras.Variable(value) for value in values]
    optimizer = Adafactor(**arguments)
    optimizer.build(variables)
    for step in range(STEPS):
        optimizer.apply([gradient[step] for gradient in gradients], variables)
    return [np.asarray(variable.value) for variable in variables], optimizer


@settings(max_examples=6)
@given(
    shapes=st.lists(st.lists(st.integers(1, 9), max_size=2).map(tuple), min_size=1, max_size=4),
    factor=st.integers(1, 6),
    scale=st.sampled_from([1e-4, 1.0, 30.0]),
    seed=st.integers(0, 2**16),
)
def test_updates_are_those_of_the_paper(shapes, factor, scale, seed):
    rng = np.random.default_rng(seed)
    values = [scale * rng.standard_normal(shape).astype(np.float32) for shape in shapes]
    gradients = [rng.standard_normal((STEPS, *shape)).astype(np.float32) for shape in shapes]
    found, _ = run(values, gradients, learning_rate=0.03, min_dim_size_to_factor=factor)
    for value, gradient, new in zip(values, gradients, found, strict=True):
        assert new == pytest.approx(reference(value, gradient, 0.03, factor), rel=2e-4, abs=2e-5 * scale)


def test_second_moments_take_a_row_and_a_column_of_a_matrix():
    optimizer = Adafactor(1e-3)
    variables = [keras.Variable(np.zeros(shape, np.float32)) for shape in ((256, 384), (127, 4000), (300,), ())]
    optimizer.build(variables)
    shapes = [tuple(variable.shape) for variable in optimizer.variables]
    # the step and the learning rate; of T5X's minimum of 128 on, matrices are factored
    assert shapes == [(), (), (256,), (384,), (127, 4000), (300,), ()]


def test_more_than_two_axes_are_factored_over_the_last_two():
    rng = np.random.default_rng(0)
    value = rng.standard_normal((3, 4, 5)).astype(np.float32)
    gradient = rng.standard_normal((STEPS, 3, 4, 5)).astype(np.float32)
    _, optimizer = run([value], [gradient], learning_rate=0.1, min_dim_size_to_factor=2)
    assert [tuple(variable.shape) for variable in optimizer.variables] == [(), (), (3, 4), (3, 5)]


def test_a_gradient_of_zero_leaves_a_variable():
    (value,), _ = run([np.ones((4, 4), np.float32)], [np.zeros((STEPS, 4, 4), np.float32)], learning_rate=0.1)
    assert (value == 1).all()


def test_all_gradients_together_are_clipped():
    values = [np.ones(2, np.float32), np.ones(3, np.float32)]
    optimizer = Adafactor(0.1, global_clipnorm=1.0)
    variables = [keras.Variable(value) for value in values]
    optimizer.build(variables)
    gradients = [np.full(2, 3.0, np.float32), np.full(3, 4.0, np.float32)]
    optimizer.apply(gradients, variables)
    norm = np.sqrt(2 * 9 + 3 * 16)
    first, second = (np.asarray(variable.value) for variable in optimizer.variables[-2:])
    assert first == pytest.approx((3 / norm) ** 2) and second == pytest.approx((4 / norm) ** 2)


def test_it_is_saved_as_a_keras_optimizer():
    schedule = keras.optimizers.schedules.CosineDecay(0.2, 100)
    optimizer = Adafactor(schedule, decay=0.7, min_dim_size_to_factor=4, global_clipnorm=2.0)
    assert Adafactor.from_config(optimizer.get_config()).get_config() == optimizer.get_config()
