"""How the learning rate goes with the steps."""

from typing import Any

import keras
from keras import ops

from flannb.errors import UserError
from flannb.names import check_name

SCHEDULES = ("constant", "inverse_square_root", "linear", "cosine")


class WarmUp(keras.optimizers.schedules.LearningRateSchedule):
    """Rises in equal steps for ``steps`` steps to where another schedule, or a constant rate, begins."""

    def __init__(self, steps: int, after: Any):
        self.steps, self.after = steps, after

    def __call__(self, step: Any) -> Any:
        """The rate (float32) of a step, counted from 0."""
        step = ops.cast(step, "float32")
        rate = self.after(ops.maximum(step - self.steps, 0.0)) if callable(self.after) else self.after
        return rate * ops.minimum(1.0, (step + 1.0) / max(self.steps, 1))

    def get_config(self) -> dict[str, Any]:
        """The arguments of an equal schedule, as Keras saves them."""
        return {"steps": self.steps, "after": self.after}


class InverseSquareRoot(keras.optimizers.schedules.LearningRateSchedule):
    """A rate for the first ``flat`` steps, then in inverse proportion to the root of the step: T5's pre-training
    (Raffel et al. 2020, arXiv 1910.10683, section 3.1.2) is a rate of 0.01 and 10,000 steps.
    """

    def __init__(self, rate: float, flat: int):
        self.rate, self.flat = rate, flat

    def __call__(self, step: Any) -> Any:
        """The rate (float32) of a step, counted from 0."""
        step = ops.cast(step, "float32") + 1.0
        return self.rate * ops.rsqrt(ops.maximum(step / max(self.flat, 1), 1.0))

    def get_config(self) -> dict[str, Any]:
        """The arguments of an equal schedule, as Keras saves them."""
        return {"rate": self.rate, "flat": self.flat}


def learning_rate(schedule: str, rate: float, warmup: int, steps: int) -> Any:
    """What an optimizer takes as its learning rate.

    Args:
        schedule: a name of ``SCHEDULES``: ``constant``; ``inverse_square_root``, see ``InverseSquareRoot``; ``linear``
            and ``cosine``, which fall to zero at the last step.
        rate: the highest rate.
        warmup: steps of a linear rise before; of ``inverse_square_root``, the flat steps instead.
        steps: all steps, those of the rise included.

    Raises:
        UserError: an unknown name, or a warm-up that is not shorter than the training.
    """
    check_name("schedule", schedule, SCHEDULES)
    if schedule == "inverse_square_root":
        return InverseSquareRoot(rate, warmup)
    if not 0 <= warmup < steps:
        raise UserError(f"a warm-up of {warmup} steps does not fit {steps} steps of training; make it shorter")
    schedules = keras.optimizers.schedules
    after = {
        "constant": lambda: rate,
        "linear": lambda: schedules.PolynomialDecay(rate, steps - warmup, end_learning_rate=0.0),
        "cosine": lambda: schedules.CosineDecay(rate, steps - warmup),
    }[schedule]()
    return WarmUp(warmup, after) if warmup else after
