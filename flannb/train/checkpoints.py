"""Training state on disk, by Orbax: a checkpoint is there whole or not at all, and the last two are kept."""

from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp

from flannb.train.step import State


class Checkpoints:
    """The checkpoints of one run.

    What is saved is all that training depends on: the variables, the state of the input pipeline, and the log so far.
    """

    def __init__(self, folder: Path):
        options = ocp.CheckpointManagerOptions(max_to_keep=2, enable_async_checkpointing=False)
        self._manager = ocp.CheckpointManager(Path(folder).absolute(), options=options)

    def latest(self) -> int | None:
        """The last step that was saved."""
        return self._manager.latest_step()

    def save(self, step: int, state: State, pipeline: dict[str, Any], log: list[dict[str, float]]) -> None:
        """Saves everything of a step."""
        arguments = ocp.args.Composite(
            state=ocp.args.StandardSave(list(state)),
            pipeline=ocp.args.JsonSave(pipeline),
            log=ocp.args.JsonSave(log),
        )
        self._manager.save(step, args=arguments)

    def restore(self, step: int, like: State) -> tuple[State, dict[str, Any], list[dict[str, float]]]:
        """Reads a step back; ``like`` gives shapes and placement of the variables."""
        shapes = jax.tree.map(ocp.utils.to_shape_dtype_struct, list(like))
        restored = self._manager.restore(
            step,
            args=ocp.args.Composite(
                state=ocp.args.StandardRestore(shapes),
                pipeline=ocp.args.JsonRestore(),
                log=ocp.args.JsonRestore(),
            ),
        )
        trainable, fixed, slots = restored["state"]
        return (trainable, fixed, slots), restored["pipeline"], restored["log"]

    def close(self) -> None:
        """Waits for what is being written."""
        self._manager.close()
