"""Several streams side by side as one, each with a state of its own."""

from collections.abc import Mapping
from typing import Any

import grain
import numpy as np

from flannb.errors import UserError


class Lanes(grain.IterDataset):
    """A dataset that takes an element of every lane at a time and concatenates them, in the order given.

    Args:
        lanes: number of the lane -> dataset of dictionaries of arrays.
    """

    def __init__(self, lanes: Mapping[int, grain.IterDataset]):
        super().__init__()
        self._lanes = lanes

    def __iter__(self) -> "LanesIterator":
        return LanesIterator({number: iter(lane) for number, lane in self._lanes.items()})

    def __str__(self) -> str:
        return f"Lanes({list(self._lanes)})"


class LanesIterator(grain.DatasetIterator):
    """The iterator of ``Lanes``. Its state is ``{"lanes": {lane: state}}`` with lanes as text, as JSON has keys."""

    def __init__(self, lanes: Mapping[int, grain.DatasetIterator]):
        super().__init__()
        self._lanes = lanes

    def __next__(self) -> dict[str, np.ndarray]:
        parts = [next(lane) for lane in self._lanes.values()]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def get_state(self) -> dict[str, Any]:
        """``{"lanes": {lane: state}}``, as ``set_state`` takes it."""
        return {"lanes": {str(number): lane.get_state() for number, lane in self._lanes.items()}}

    def set_state(self, state: dict[str, Any]) -> None:
        """Goes on from a state, which may hold more lanes than this iterator has.

        Raises:
            UserError: it lacks a lane.
        """
        lacking = [number for number in self._lanes if str(number) not in state.get("lanes", {})]
        if lacking:
            raise UserError(
                f"the checkpoint's input pipeline has no lanes {lacking}: it was saved by a number of processes that"
                " does not go with this one; resume with as many as before"
            )
        for number, lane in self._lanes.items():
            lane.set_state(state["lanes"][str(number)])
