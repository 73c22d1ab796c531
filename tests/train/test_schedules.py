"""Learning rates: constant, or of a step as the names say."""

import numpy as np
import pytest

from flannb.errors import UserError
from flannb.train.schedules import learning_rate


def rates(schedule, rate, warmup, steps):
    """The rates of all steps, the first of which Keras calls 0."""
    of = learning_rate(schedule, rate, warmup, steps)
    return [float(of(step)) for step in range(steps)]


def test_a_constant_rate_is_a_number():
    assert learning_rate("constant", 5e-4, 0, 100) == 5e-4


def test_a_warm_up_rises_in_equal_steps_to_the_rate():
    assert rates("constant", 0.8, 4, 7) == pytest.approx([0.2, 0.4, 0.6, 0.8, 0.8, 0.8, 0.8])


def test_linear_falls_to_zero_at_the_last_step():
    assert rates("linear", 1.0, 0, 4) == pytest.approx([1, 0.75, 0.5, 0.25])
    assert rates("linear", 1.0, 2, 6) == pytest.approx([0.5, 1, 1, 0.75, 0.5, 0.25])


def test_cosine_is_half_of_a_wave():
    expected = 0.5 * (1 + np.cos(np.pi * np.arange(10) / 10))
    assert rates("cosine", 2.0, 0, 10) == pytest.approx(2 * expected, abs=1e-6)
    assert rates("cosine", 2.0, 3, 13)[3:] == pytest.approx(2 * expected, abs=1e-6)


def test_the_inverse_square_root_is_that_of_t5():
    expected = [0.01 * (100 / max(n, 100)) ** 0.5 for n in range(1, 1001)]
    assert rates("inverse_square_root", 0.01, 100, 1000) == pytest.approx(expected, rel=1e-5)
    assert rates("inverse_square_root", 0.1, 100, 900)[99] == pytest.approx(0.1)


@pytest.mark.parametrize("warmup", [-1, 10, 11])
def test_a_warm_up_as_long_as_the_training_is_a_user_error(warmup):
    with pytest.raises(UserError, match=f"a warm-up of {warmup} steps does not fit 10 steps"):
        learning_rate("linear", 1.0, warmup, 10)


def test_an_unknown_schedule_is_a_user_error():
    with pytest.raises(UserError, match="schedule step: unknown; choose one of constant, inverse_square_root"):
        learning_rate("step", 1.0, 0, 10)
