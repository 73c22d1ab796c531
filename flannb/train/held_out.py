"""The loss on held-out batches."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import keras

from flannb.mixture import Batch
from flannb.model import T5
from flannb.train.distribution import data_share, placer


class HeldOut:
    """A function of a model: its losses on batches that it is not trained on.

    The targets before a token are given, nothing is dropped, and each target token counts alike. Within a training all
    its devices and processes compute together, and all of them call this.

    Args:
        batches: by the name of what they measure, of all processes together, all of one shape.
    """

    def __init__(self, batches: Mapping[str, Sequence[Batch]]):
        self._batches = batches
        self._compiled: tuple[T5, Callable[..., tuple[jax.Array, jax.Array]]] | None = None

    def __call__(self, model: T5) -> dict[str, float]:
        """Mean cross-entropy in nats a target token, by name."""
        sums = self._sums(model)
        variables = (model.trainable_variables, model.non_trainable_variables)
        weights = tuple([variable.value for variable in group] for group in variables)
        place = _placer()
        found = {}
        for name, batches in self._batches.items():
            total = tokens = 0.0
            for loss, count in jax.device_get([sums(*weights, place(batch)) for batch in batches]):
                total, tokens = total + float(loss) * float(count), tokens + float(count)
            found[name] = total / tokens
        return found

    def _sums(self, model: T5) -> Callable[..., tuple[jax.Array, jax.Array]]:
        """Mean loss and number of target tokens of a batch; compiled once for the model of a training."""

        def sums(trainable: list[Any], fixed: list[Any], batch: dict[str, Any]) -> tuple[Any, Any]:
            value, tokens, _ = model.stateless_loss(trainable, fixed, batch, z_loss=0.0, training=False)
            return value, tokens

        if self._compiled is None or self._compiled[0] is not model:
            self._compiled = (model, jax.jit(sums))
        return self._compiled[1]


def _placer() -> Callable[[Batch], dict[str, Any]]:
    """A function that puts a batch on the devices, of which this process brings its rows."""
    distribution = keras.distribution.distribution()
    if distribution is None:
        return dict
    (share, shares), place = data_share(distribution), placer(distribution)

    def own(values: Any) -> Any:
        rows = len(values) // shares
        return values[share * rows : (share + 1) * rows]

    return lambda batch: place({name: own(values) for name, values in batch.items()})
