"""Adafactor (Shazeer and Stern 2018, arXiv 1804.04235) as T5X runs it, with second moments that are factored only."""

from typing import Any

import keras
from keras import ops


class Adafactor(keras.optimizers.Optimizer):
    """The optimizer of T5, without momentum, at a learning rate relative to the size of each weight matrix.

    What it keeps of a matrix is a mean for each row and each column of the squared gradients. Keras's own Adafactor
    keeps their product too, which is as large as the matrix. The settings and their defaults are those of T5X
    (github.com/google-research/t5x, ``t5x/adafactor.py``), with which T5 and Flan-T5 were trained; its
    ``multiply_by_parameter_scale`` is always on, as it was there. Keras's own also bounds the learning rate by
    1 / sqrt(step), even where ``relative_step`` is off; here a schedule says so (see ``learning_rate``).

    Arguments:
        learning_rate: a float or a Keras schedule; multiplied by the root mean square of the variable.
        decay: the second moments' decay at step t (from 1) is 1 - t ** -decay.
        clipping_threshold: the largest root mean square of an update before the learning rate.
        epsilon_1: added to squared gradients.
        epsilon_2: the least that stands for the root mean square of a variable.
        min_dim_size_to_factor: matrices with a smaller side keep all of their second moments. Of variables of more
            than two axes the last two are factored.
        arguments: those of every Keras optimizer, such as ``global_clipnorm`` and ``use_ema``.
    """

    def __init__(
        self,
        learning_rate: Any = 1e-3,
        decay: float = 0.8,
        clipping_threshold: float = 1.0,
        epsilon_1: float = 1e-30,
        epsilon_2: float = 1e-3,
        min_dim_size_to_factor: int = 128,
        **arguments: Any,
    ):
        super().__init__(learning_rate=learning_rate, **arguments)
        self.decay = decay
        self.clipping_threshold = clipping_threshold
        self.epsilon_1, self.epsilon_2 = epsilon_1, epsilon_2
        self.min_dim_size_to_factor = min_dim_size_to_factor

    def build(self, variables: list[keras.Variable]) -> None:
        """Makes the second moments: of each variable a row and a column mean, or one of its own shape."""
        if self.built:
            return
        super().build(variables)
        self._moments = [
            (self._slot(variable, "v_row", -1), self._slot(variable, "v_column", -2))
            if self._is_factored(variable)
            else (self.add_variable_from_reference(variable, "v"),)
            for variable in variables
        ]

    def _is_factored(self, variable: keras.Variable) -> bool:
        return len(variable.shape) > 1 and min(variable.shape[-2:]) >= self.min_dim_size_to_factor

    def _slot(self, variable: keras.Variable, name: str, axis: int) -> keras.Variable:
        """Zeros in the shape of a variable without an axis, laid out over devices as what is left of it."""

        def without(values: tuple) -> tuple:
            kept = list(values)
            del kept[axis]
            return tuple(kept)

        layout = getattr(variable, "_layout", None)
        if layout is not None:
            layout = keras.distribution.TensorLayout(without(layout.axes), layout.device_mesh)
        path = variable.path.replace("/", "_")
        return self.add_variable(without(variable.shape), dtype=variable.dtype, layout=layout, name=f"{path}_{name}")

    def update_step(self, gradient: Any, variable: keras.Variable, learning_rate: Any) -> None:
        """Changes a variable by its gradient, of the same shape, at a rate relative to the variable's size."""
        gradient = ops.cast(gradient, variable.dtype)
        kept = 1.0 - ops.power(ops.cast(self.iterations + 1, variable.dtype), -self.decay)
        squared = ops.square(gradient) + self.epsilon_1

        def moment(slot: keras.Variable, new: Any) -> Any:
            value = kept * slot + (1.0 - kept) * new
            self.assign(slot, value)
            return value

        moments = self._moments[self._get_variable_index(variable)]
        if len(moments) == 2:
            row = moment(moments[0], ops.mean(squared, axis=-1))
            column = moment(moments[1], ops.mean(squared, axis=-2))
            row = row / ops.mean(row, axis=-1, keepdims=True)
            update = gradient * ops.rsqrt(row)[..., :, None] * ops.rsqrt(column)[..., None, :]
        else:
            update = gradient * ops.rsqrt(moment(moments[0], squared))
        update = update / ops.maximum(1.0, _root_mean_square(update) / self.clipping_threshold)
        scale = ops.maximum(self.epsilon_2, _root_mean_square(variable))
        self.assign_sub(variable, ops.cast(learning_rate, variable.dtype) * scale * update)

    def get_config(self) -> dict[str, Any]:
        """The arguments of an equal optimizer, as Keras saves them."""
        names = ("decay", "clipping_threshold", "epsilon_1", "epsilon_2", "min_dim_size_to_factor")
        return super().get_config() | {name: getattr(self, name) for name in names}


def _root_mean_square(x: Any) -> Any:
    return ops.sqrt(ops.mean(ops.square(x)))
