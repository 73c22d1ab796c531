"""What generation and scoring share: batches of prompts of like length, spread over all devices, and their programs."""

import os
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import chain
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import jax
import keras
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from flannb.errors import UserError
from flannb.model.t5 import T5
from flannb.vocabulary import PAD_ID

Key = TypeVar("Key")
Value = TypeVar("Value")


class Placement:
    """Where a model's weights and batches live: the weights on every device of this process, a part of the batch each.

    Weights that a Keras distribution has sharded stay as they are, and each device gets the whole batch. Matrices are
    narrowed once to the type that the model computes in, and not at each use.

    Attributes:
        weights: the model's weights, in the order of ``trainable_variables``.
        devices: number of parts into which a batch is split.
    """

    def __init__(self, model: T5):
        self.weights = [_narrowed(variable, model.compute_dtype) for variable in model.trainable_variables]
        sharded = (w.sharding for w in self.weights if not w.sharding.is_fully_replicated)
        sharding = next((found for found in sharded if isinstance(found, NamedSharding)), None)
        mesh = Mesh(np.asarray(jax.local_devices()), ("batch",)) if sharding is None else sharding.mesh
        self.devices = mesh.size if sharding is None else 1
        self._batch = NamedSharding(mesh, PartitionSpec("batch") if sharding is None else PartitionSpec())
        self._spread = mesh.size > 1
        if sharding is None and self.devices > 1:
            self.weights = jax.device_put(self.weights, NamedSharding(mesh, PartitionSpec()))

    def rows(self, batch_size: int) -> int:
        """A batch size that every device gets an equal part of: ``batch_size``, rounded up."""
        return -(-batch_size // self.devices) * self.devices

    def put(self, array: np.ndarray) -> jax.Array | np.ndarray:
        """A batch, its rows split over the devices."""
        return jax.device_put(array, self._batch) if self._spread else array

    def like(self, shape: tuple[int, ...], dtype: str = "int32") -> jax.ShapeDtypeStruct:
        """What ``put`` returns for an array of this shape, without its values."""
        return jax.ShapeDtypeStruct(shape, dtype, sharding=self._batch if self._spread else None)


def _narrowed(variable: keras.Variable, dtype: str) -> jax.Array:
    """A weight as layers use it; scales and the tables of relative positions are used in float32."""
    kept = len(variable.shape) < 2 or variable.path.endswith("attention/embeddings")
    return variable.value if kept else variable.value.astype(dtype)


class Programs:
    """A function of a model, compiled for each shape of its arguments, for several of them at once.

    A deep model compiles for longer than many batches take, on one processor core; a host with an accelerator has more.

    Args:
        function: takes the model, arrays (or trees of them), and what is fixed in a program by name.
    """

    def __init__(self, function: Callable[..., Any]):
        self._function = function
        self._programs: WeakKeyDictionary[T5, dict[Hashable, Future]] = WeakKeyDictionary()
        self._pool = ThreadPoolExecutor(os.cpu_count())

    def prepare(self, model: T5, *arguments: Any, **fixed: Hashable) -> Callable[..., Any]:
        """Begins to compile, if that is not done yet, for arguments like these, which may be ``ShapeDtypeStruct``.

        A compilation that failed, for want of memory, say, is tried again.

        Returns:
            The function of the arguments, which waits until it is compiled.
        """
        leaves, tree = jax.tree.flatten(arguments)
        shapes = tuple((leaf.shape, str(leaf.dtype), getattr(leaf, "sharding", None)) for leaf in leaves)
        known = self._programs.setdefault(model, {})
        key = (tree, shapes, *sorted(fixed.items()))
        if key not in known or _has_failed(known[key]):
            lowered = jax.jit(partial(self._function, model, **fixed)).lower(*arguments)
            known[key] = self._pool.submit(lowered.compile)
        compiled = known[key]

        def run(*values: Any) -> Any:
            if compiled.exception() is not None:  # whose traceback would keep the model for good
                known.pop(key, None)
            return compiled.result()(*values)

        return run


def _has_failed(future: Future) -> bool:
    return future.done() and future.exception() is not None


def check_tokens(model: T5, prompts: Sequence[Sequence[int]], what: str = "prompt") -> None:
    """Raises ``UserError`` for an empty list of tokens, or a token id outside the model's vocabulary."""
    size = model.config.vocabulary_size
    for index, prompt in enumerate(prompts):
        if not prompt:
            raise UserError(f"{what} {index} is empty; give it at least one token")
        if max(prompt) >= size or min(prompt) < 0:
            raise UserError(f"{what} {index} has a token id outside the vocabulary of {size}")


def default_bucket() -> int:
    """The multiple to which prompts are padded: an accelerator computes for little and compiles for long."""
    return 32 if jax.default_backend() == "cpu" else 128


def padded_length(length: int, bucket: int, fine: int = 0) -> int:
    """The length to which a batch is padded: one of few, because each costs a compilation.

    Up to ``fine`` buckets every multiple of ``bucket``; beyond, ``fine / 2`` lengths for each doubling, at least one.

    Args:
        fine: a power of 2; 4 by default on a CPU, where lengths are 1, 2, 3, 4, 6, 8, 12, 16, ... buckets. Elsewhere 1,
            which doubles them: with T5 Base on an H200, compiling took 38 of the 39 seconds of 1,140 MMLU questions.
    """
    fine = fine or (4 if jax.default_backend() == "cpu" else 1)
    buckets = -(-length // bucket)
    step = 1
    while buckets > fine * step:
        step *= 2
    return -(-buckets // step) * step * bucket


def padded_lengths(longest: int, bucket: int) -> Iterator[int]:
    """The lengths to which batches of prompts of up to ``longest`` tokens are padded, the shortest first."""
    width = 0
    while width < longest:
        width = padded_length(width + 1, bucket)
        yield width


def pad(rows: Sequence[Sequence[int]], height: int, width: int) -> np.ndarray:
    """Int32 array (height, width) of the rows, filled up with ``PAD_ID``."""
    array = np.full((height, width), PAD_ID, np.int32)
    lengths = np.fromiter(map(len, rows), np.int64, len(rows))
    filled = np.arange(width) < lengths[:, None]
    array[: len(rows)][filled] = np.fromiter(chain.from_iterable(rows), np.int32, int(lengths.sum()))
    return array


def read_behind(results: Iterator[tuple[Key, Value]]) -> Iterator[tuple[Key, Value]]:
    """The results, each only after the next one has been asked for: devices compute while results are read."""
    waiting: list[tuple[Key, Value]] = []
    for result in results:
        waiting.append(result)
        if len(waiting) > 1:
            yield waiting.pop(0)
    yield from waiting
