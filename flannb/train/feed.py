"""Batches for the loop, made and put on the devices ahead of it, and how long the loop waits for them."""

import threading
import time
from collections.abc import Callable
from typing import Any

import grain
import jax
from grain.experimental import ThreadPrefetchIterDataset

from flannb.errors import UserError
from flannb.mixture import Batch

AHEAD = 64
"""Batches that lie ready. All lanes pack their next windows at about the same time, which takes as long as dozens of
steps of a small model on several GPUs."""

STALL_SECONDS = 30.0


def within(vocabulary_size: int) -> Callable[[Batch], Batch]:
    """A function that passes a batch on if all its ids are below ``vocabulary_size``.

    JAX reads the last row of an embedding for every id beyond it, and would train on without a word.

    Raises:
        UserError: (the function) an id is not.
    """

    def check(batch: Batch) -> Batch:
        for name in ("encoder_token_ids", "targets"):
            if (highest := int(batch[name].max())) >= vocabulary_size:
                raise UserError(
                    f"a batch has the id {highest} among its {name}, and the model a vocabulary of {vocabulary_size}:"
                    " they are of different tokenizers; build the data with the model's own, or train another model"
                )
        return batch

    return check


class Feed:
    """An iterator over batches, made by a thread of its own while the devices compute.

    Args:
        batches: of this process (``flannb.mixture.batches``).
        place: puts a batch on the devices; the copy overlaps the steps before it.
        say: is told, once, that a batch takes longer than ``patience`` seconds.
    """

    def __init__(
        self,
        batches: grain.IterDataset,
        place: Callable[[dict[str, Any]], dict[str, jax.Array]],
        say: Callable[[str], None],
        patience: float = STALL_SECONDS,
    ):
        self._iterator = iter(ThreadPrefetchIterDataset(batches.map(place), prefetch_buffer_size=AHEAD))
        self._since: float | None = None
        self._closed = threading.Event()
        self._waited = 0.0
        self._say, self._patience = say, patience
        threading.Thread(target=self._watch, daemon=True).start()

    def __next__(self) -> dict[str, jax.Array]:
        self._since = started = time.perf_counter()
        batch = next(self._iterator)
        self._since = None
        self._waited += time.perf_counter() - started
        return batch

    def waited(self) -> float:
        """Seconds that ``next`` has waited since this was last asked."""
        seconds, self._waited = self._waited, 0.0
        return seconds

    def get_state(self) -> dict[str, Any]:
        """The state after the last batch that ``next`` returned, whatever lies ready."""
        return self._iterator.get_state()

    def set_state(self, state: dict[str, Any]) -> None:
        """Goes on after the batch at which ``get_state`` returned this."""
        self._iterator.set_state(state)

    def close(self) -> None:
        """Ends both threads; batches that lie ready are lost."""
        self._closed.set()
        self._iterator.close()

    def _watch(self) -> None:
        while not self._closed.wait(min(1.0, self._patience / 4)):
            since = self._since
            if since is not None and time.perf_counter() - since > self._patience:
                self._say(
                    f"training has waited for a batch for {self._patience:.0f} s: is the data's disk slow or away?"
                )
                return
