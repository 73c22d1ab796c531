"""Training state on disk, by Orbax: a checkpoint is there whole or not at all, and the last two are kept.

Each has a list of its files' hashes, ``SHA256SUMS``. One that is not as the list says is taken away, and training goes
on from the one before it.
"""

import shutil
from pathlib import Path
from typing import Any, TypeAlias

import jax
import orbax.checkpoint as ocp

from flannb.errors import UserError
from flannb.files import SUMS, is_intact, read_sums, sha256, write_sums
from flannb.train.distribution import of_all_processes
from flannb.train.step import State

BESIDE = 2**20
"""Bytes of what a checkpoint holds beside the variables, about."""

Log: TypeAlias = dict[str, list[dict[str, float]]]
"""Name of a table -> its rows so far, with a ``step`` each."""


class Checkpoints:
    """The checkpoints of one run, which all its processes write and read together, in a folder that they share.

    What is saved is all that training depends on: the variables, the state of the input pipeline, and the log so far.
    Another number of processes or devices can take it up.

    Attributes:
        damaged: what was found damaged, a line each.
    """

    def __init__(self, folder: Path):
        self.folder = Path(folder).absolute()
        self.damaged = _take_away_damaged(self.folder) if jax.process_index() == 0 else []
        of_all_processes(self.damaged)  # none looks before the first has cleared
        options = ocp.CheckpointManagerOptions(max_to_keep=2, enable_async_checkpointing=False)
        self._manager = ocp.CheckpointManager(self.folder, options=options)

    def latest(self) -> int | None:
        """The last step that was saved."""
        return self._manager.latest_step()

    def save(self, step: int, state: State, pipeline: dict[str, Any], log: Log) -> None:
        """Saves everything of a step; ``pipeline`` is the state of this process's lanes.

        Raises:
            UserError: the disk has less room than it takes. Orbax would fail too, but with tracebacks of its threads.
        """
        self._check_room(state)
        lanes = {number: lane for part in of_all_processes(pipeline) for number, lane in part["lanes"].items()}
        arguments = ocp.args.Composite(
            state=ocp.args.StandardSave(list(state)),
            pipeline=ocp.args.JsonSave({"lanes": lanes}),
            log=ocp.args.JsonSave(log),
        )
        self._manager.save(step, args=arguments)
        if jax.process_index() == 0:
            home = self.folder / str(step)
            write_sums(home, {path.relative_to(home).as_posix(): sha256(path) for path in _files(home)})

    def _check_room(self, state: State) -> None:
        needed = sum(value.nbytes for value in jax.tree.leaves(list(state))) + BESIDE
        free = of_all_processes(shutil.disk_usage(self.folder).free)[0]  # all of them go on, or none
        if free < needed:
            raise UserError(
                f"{self.folder}: a checkpoint takes {needed / 2**20:,.1f} MiB and the disk has {free / 2**20:,.1f}"
                " left. Free space or choose another folder; the same command goes on."
            )

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


def _take_away_damaged(folder: Path) -> list[str]:
    """Deletes the checkpoints that are not as their lists say, and tells of what; a kill may have left one unlisted."""
    found = []
    for home in sorted(folder.glob("[0-9]*")):
        sums = read_sums(home)
        files = {path.relative_to(home).as_posix() for path in _files(home)}
        bad = sorted(name for name in files | sums.keys() if not is_intact(home / name, sums.get(name)))
        if bad or not sums:
            found.append(f"{home}: {bad[0] if bad and sums else SUMS} is not as it was written; going on without it")
            shutil.rmtree(home)
    return found


def _files(home: Path) -> list[Path]:
    return [path for path in home.rglob("*") if path.is_file() and path.name != SUMS]
