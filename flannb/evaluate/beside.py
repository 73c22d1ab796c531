"""What a host does while a model computes: it reads the next prompts, and writes the last answers."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

Item = TypeVar("Item")


def ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The items, each of which is made while the one before it is used; raises what making one raised."""
    end = object()
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, items, end)
        while (item := coming.result()) is not end:
            coming = pool.submit(next, items, end)
            yield item  # type: ignore[misc]


class Behind:
    """Does work while the model goes on, one thing after the other, one waiting at most."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1)
        self._last: Future | None = None

    def __enter__(self) -> "Behind":
        return self

    def __call__(self, work: Callable[..., object], *arguments: Any) -> None:
        """Has work done, once what was given before is done; raises what that raised."""
        self._settle()
        self._last = self._pool.submit(work, *arguments)

    def _settle(self) -> None:
        if self._last is not None:
            self._last.result()

    def __exit__(self, kind: object, *error: object) -> None:
        self._pool.shutdown()
        if kind is None:
            self._settle()
