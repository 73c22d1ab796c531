"""Whether this process is one of several that train together."""

from collections.abc import Mapping

COORDINATOR = "JAX_COORDINATOR_ADDRESS"
"""Set by hand, with ``JAX_NUM_PROCESSES`` and ``JAX_PROCESS_ID``, where nothing else tells of the other processes."""


def are_several(environment: Mapping[str, str]) -> bool:
    """Whether the environment tells of several: by hand, by one ``srun`` or ``mpirun``, or as hosts of a TPU pod."""
    tasks = {environment.get(name, "1") for name in ("SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE")}
    return COORDINATOR in environment or tasks != {"1"} or "," in environment.get("TPU_WORKER_HOSTNAMES", "")
