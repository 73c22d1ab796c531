"""Training state on disk, by Orbax: a checkpoint is there whole or not at all, and the last two are kept."""

from pathlib import Path
from typing import Any, TypeAlias

import jax
import orbax.checkpoint as ocp

from flannb.errors import UserError
from flannb.train.distribution import of_all_processes
from flannb.train.step import State

Log: TypeAlias = dict[str, list[dict[str, float]]]
"""Name of a table -> its rows so far, with a ``step`` each."""


class Checkpoints:
    """The checkpoints of one run, which all its processes write and read together, in a folder that they share.

    What is saved is all that training depends on: the variables, the state of the input pipeline, and the log so far.
    Another number of processes or devices can take it up.
    """

    def __init__(self, folder: Path):
        self.folder = Path(folder).absolute()
        options = ocp.CheckpointManagerOptions(max_to_keep=2, enable_async_checkpointing=False)
        self._manager = ocp.CheckpointManager(self.folder, options=options)

    def latest(self) -> int | None:
        """The last step that was saved."""
        return self._manager.latest_step()

    def save(self, step: int, state: State, pipeline: dict[str, Any], log: Log) -> None:
        """Saves everything of a step; ``pipeline`` is the state of this process's lanes."""
        lanes = {number: lane for part in of_all_processes(pipeline) for number, lane in part["lanes"].items()}
        arguments = ocp.args.Composite(
            state=ocp.args.StandardSave(list(state)),
            pipeline=ocp.args.JsonSave({"lanes": lanes}),
            log=ocp.args.JsonSave(log),
        )
        self._manager.save(step, args=arguments)

    def restore(self, step: int, like: State) -> tuple[State, dict[str, Any], Log]:
        """Reads a step back; ``like`` gives shapes and placement of the variables, the pipeline's state is whole.

        Raises:
            UserError: the step is that of another model or optimizer.
        """
        shapes = jax.tree.map(ocp.utils.to_shape_dtype_struct, list(like))
        arguments = ocp.args.Composite(
            state=ocp.args.StandardRestore(shapes),
            pipeline=ocp.args.JsonRestore(),
            log=ocp.args.JsonRestore(),
        )
        try:
            restored = self._manager.restore(step, args=arguments)
        except ValueError as error:
            raise UserError(
                f"{self.folder / str(step)}: the checkpoint of another training: its variables do not fit the model,"
                f" the schedule or the average asked for ({str(error).splitlines()[0]}). Train with the options of"
                " then, or in another folder."
            ) from error
        trainable, fixed, slots = restored["state"]
        return (trainable, fixed, slots), restored["pipeline"], restored["log"]

    def close(self) -> None:
        """Waits for what is being written."""
        self._manager.close()
