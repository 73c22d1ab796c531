"""Workers: the same function on many items, in this process or fanned out through Dask.

A worker that is killed costs its items another try, not the work: Dask starts a new one in its place.
"""

import gc
import logging
import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from flannb import extra
from flannb.errors import UserError

Item = TypeVar("Item")
Result = TypeVar("Result")
Run = Callable[[Callable[[Item], Result], Sequence[Item]], Iterator[tuple[Item, Result]]]
"""Calls a function with each item; yields items and results in whatever order they come."""

TRIES = 3
"""How often an item may lose its worker before it is taken for the cause."""

AHEAD = 1000
"""Items handed to Dask at a time."""

WORKERS, CLUSTER = "FLANNB_WORKERS", "FLANNB_CLUSTER"
"""Environment variables by which a run tells its builds, wherever they are executed, which workers to use."""


def asked_for() -> tuple[int | None, str]:
    """Number of workers and address of a scheduler that the environment asks for; ``None`` and empty by default."""
    count = os.environ.get(WORKERS, "0")
    if not count.isdecimal():
        raise UserError(f"{WORKERS}={count}: must be a number of worker processes")
    return int(count) or None, os.environ.get(CLUSTER, "")


def default_workers() -> int:
    """One for each core that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


GUARD = 'in a script of your own, put what starts the build below `if __name__ == "__main__":`, or pass count=1'


def check_main_is_guarded() -> None:
    """Stops a script that a worker is starting anew, where it would wait for what the first one holds.

    Python's ``spawn`` imports the script that started a process in that process too.

    Raises:
        UserError: this process is being started.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise UserError(f"this script is run again by each worker that it starts; {GUARD}")


@contextmanager
def workers(count: int, cluster: str = "") -> Iterator[Run]:
    """Workers for the duration of the block.

    Args:
        count: processes of a local Dask cluster; with one, the work is done in this process, as it is where no
            processes can be started (in a Dask worker).
        cluster: address of a Dask scheduler whose workers share the folders that items name; empty for local ones.

    Raises:
        UserError: no scheduler answers at the address, or Dask is not installed.
    """
    if not cluster and (count <= 1 or multiprocessing.current_process().daemon):
        yield _run_here
        return
    try:
        import dask
        import dask.distributed  # now, since settings that come while others are changed go with those
    except ModuleNotFoundError as error:
        raise UserError(
            f"several processes need Dask, which is not installed here ({error}): pip install 'dask[distributed]', or"
            " pass --workers 1"
        ) from error

    quiet = {
        "distributed.scheduler.allowed-failures": TRIES,
        "distributed.worker.profile.enabled": False,  # samples every 10 ms, which costs a few percent
        # Dask has workers give memory back at once; to get it again for the next part costs a tenth of the time.
        "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": 2**28,
        "distributed.nanny.pre-spawn-environ.MALLOC_MMAP_THRESHOLD_": 2**25,
    }
    with dask.config.set(quiet), _quiet_logs(), dask_client(count, cluster) as client:
        yield lambda function, items: _run_on(client, function, items)


@contextmanager
def dask_client(count: int, cluster: str = "", timeout: str | None = None) -> Iterator[Any]:
    """A Dask client for the duration of the block.

    Args:
        count: processes of a local cluster, which ends with the block.
        cluster: address of a scheduler to use instead; empty for a local cluster.
        timeout: how long to wait for that scheduler; Dask's own by default.

    Raises:
        UserError: no scheduler answers at the address.
    """
    from dask.distributed import Client, LocalCluster

    if cluster:
        try:
            client, local = Client(cluster, **({"timeout": timeout} if timeout else {})), None
        except (OSError, ValueError) as error:
            raise UserError(
                f"--cluster {cluster}: no scheduler answers there ({error}); start one: dask scheduler"
            ) from error
    else:
        try:
            local = LocalCluster(
                n_workers=count,
                threads_per_worker=1,
                dashboard_address=":0",
                memory_limit=0,
                silence_logs=logging.CRITICAL,
            )
        except RuntimeError as error:
            raise UserError(f"no worker process could be started ({error}); {GUARD}") from error
        client = Client(local)
    try:
        if cluster or extra.files():
            _take_extras(client)
        yield client
    finally:
        client.close()
        if local is not None:
            local.close(timeout=10)


def _take_extras(client: Any) -> None:
    """Has all workers, those that come later too, take the files of one's own; they share the folder with this
    process. Work that is sent to them names functions of these files.
    """
    from dask.distributed import WorkerPlugin

    class Extras(WorkerPlugin):
        files = extra.files()

        def setup(self, worker: Any) -> None:
            extra.use(*self.files)

    client.register_plugin(Extras(), name="flannb-extra")


@contextmanager
def _quiet_logs() -> Iterator[None]:
    """Leaves it to the build to say what went wrong; Dask reports every lost worker at length."""
    loggers = [logging.getLogger(name) for name in ("distributed", "distributed.client", "distributed.nanny")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


def _run_here(function: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    for item in items:
        yield item, _call(function, item)


def _call(function: Callable[[Any], Any], item: Any) -> Any:
    """Calls without Python's search for cycles: it would go through all rows at hand again and again, for a third of
    the time, and there are none.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        return function(item)
    finally:
        if collecting:
            gc.enable()


def _run_on(client: Any, function: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    from dask.distributed import KilledWorker, as_completed

    waiting = deque(items)
    lost: dict[int, int] = {}
    running: dict[Any, Any] = {}

    def submit() -> Any:
        item = waiting.popleft()
        future = client.submit(_call, function, item, pure=False)
        running[future] = item
        return future

    done = as_completed([submit() for _ in range(min(AHEAD, len(waiting)))])
    try:
        for future in done:
            item = running.pop(future)
            try:
                result = future.result()
            except KilledWorker:
                # A scheduler that is not ours may allow no failure at all.
                lost[id(item)] = lost.get(id(item), 0) + 1
                if lost[id(item)] >= TRIES:
                    raise UserError(
                        f"a worker was killed {TRIES} times at the same work; if memory ran out, use fewer workers."
                        " The same command goes on."
                    ) from None
                waiting.append(item)
            else:
                yield item, result
            if waiting:
                done.add(submit())
    finally:
        client.cancel(list(running))
