"""Steps on a Dask cluster whose workers share the project's folder."""

import logging
import os
from collections.abc import Callable
from typing import Any

from flannb.build.workers import CLUSTER, dask_client
from flannb.errors import UserError
from flannb.experiments.side_by_side import KILLED
from flannb.experiments.step import Step


def on_cluster(
    steps: list[Step], cluster: str, run: Callable[[Step], float], finished: Callable[[Step, float], object]
) -> None:
    """Runs steps in the order of their needs, as many at a time as the cluster has workers.

    Args:
        cluster: address of the scheduler.
        steps, run, finished: as in ``flannb.experiments.side_by_side``.

    Raises:
        UserError: no scheduler answers, or a step failed or was killed.
    """
    _silence_dask()
    from dask.distributed import KilledWorker, as_completed

    with dask_client(0, cluster, timeout="20s") as client:
        futures: dict[str, Any] = {}
        for step in steps:
            before = [futures[need.folder] for need in step.needs if need.folder in futures]
            futures[step.folder] = client.submit(_after, run, step, before, key=step.folder, pure=False)
        by_folder = {step.folder: step for step in steps}
        for future in as_completed(futures.values()):
            step = by_folder[future.key]
            try:
                finished(step, future.result())
            except KilledWorker:
                raise UserError(f"{step.name}: {KILLED}") from None


def _silence_dask() -> None:
    """Leaves it to the steps to say what went wrong; Dask's own report of the same failure would hide it.

    Dask reads these settings when it is first imported.
    """
    os.environ |= {"DASK_LOGGING__DISTRIBUTED": "critical"}
    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _after(run: Callable[[Step], float], step: Step, before: list[float]) -> float:
    """Runs a step on a worker, once the steps before it are done; a build sends its parts to the whole cluster."""
    from dask.distributed import get_worker, secede

    if step.function == "build_step":
        os.environ[CLUSTER] = get_worker().scheduler.address
        secede()
    return run(step)
