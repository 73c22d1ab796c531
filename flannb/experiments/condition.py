"""The condition of steps: done, at work, failed, stopped, damaged, outdated or missing; and who is at work on them.

While a step runs, a record beside its folder says who runs it since when; after a failure it says why. A record without
the lock of its folder is that of a process that is gone. The log beside it keeps what the step said, over all attempts.
"""

import contextlib
import json
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from flannb.errors import UserError
from flannb.experiments.step import Step, find_state, key_in, seconds_of
from flannb.files import INPUTS, read_sealed, write_json
from flannb.progress import Progress, read_progress

DONE, RUNNING, FAILED, STOPPED = "done", "running", "failed", "stopped"
DAMAGED, OUTDATED, MISSING = "damaged", "outdated", "missing"
STATES = (DONE, RUNNING, FAILED, STOPPED, DAMAGED, OUTDATED, MISSING)


@dataclass(frozen=True)
class Condition:
    """The condition of a step.

    Attributes:
        state: of ``STATES``.
        detail: what a person wants to know about it.
        seconds: that it took, or has taken so far.
        progress: of the stage that it is in, or was in when it ended.
    """

    state: str
    detail: str = ""
    seconds: float | None = None
    progress: Progress | None = None


def lock_of(folder: Path) -> FileLock:
    """Only one process works in a folder; the system ends the lock with its holder, however that dies."""
    return FileLock(beside(folder, "lock"))


def log_of(folder: Path | str) -> Path:
    """Where what a step says is kept."""
    return Path(f"{folder}.log")


def beside(folder: Path, ending: str) -> Path:
    """A hidden file beside a step's folder: its ``lock``, its ``record``, its ``progress``."""
    return folder.parent / f".{folder.name}.{ending}"


@contextlib.contextmanager
def on_record(step: Step) -> Iterator[None]:
    """In the block, a record says that this process runs the step; after a failure, why it failed."""
    path = beside(Path(step.folder), "record")
    began, host = time.time(), socket.gethostname()
    about = {"key": step.key, "state": RUNNING, "pid": os.getpid(), "host": host, "since": began, "error": ""}
    beside(Path(step.folder), "progress").unlink(missing_ok=True)
    write_json(path, about)
    _add_to_log(step, f"begins, process {os.getpid()} on {host}")
    try:
        yield
    except BaseException as error:
        stopped = not isinstance(error, Exception)
        ended = {"state": STOPPED} if stopped else {"state": FAILED, "error": str(error) or type(error).__name__}
        with contextlib.suppress(UserError):  # what went wrong first is what people should read
            write_json(path, about | ended)
        _add_to_log(step, "stopped" if stopped else f"failed: {error}")
        raise
    forget_record(Path(step.folder))
    _add_to_log(step, f"done in {time.time() - began:.0f} s")


def forget_record(folder: Path) -> None:
    """Removes what says that a step is at work or has failed."""
    for ending in ("record", "progress"):
        beside(folder, ending).unlink(missing_ok=True)


def _add_to_log(step: Step, line: str) -> None:
    with contextlib.suppress(OSError), log_of(step.folder).open("a", encoding="utf-8") as log:
        log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {step.name}: {line}\n")


def read_record(folder: Path) -> dict[str, Any]:
    """The record of a step; empty where there is none to read."""
    try:
        record = json.loads(beside(folder, "record").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) and isinstance(record.get("since"), int | float) else {}


def is_held(folder: Path) -> bool:
    """Whether a process has the lock of a folder."""
    if not beside(folder, "lock").is_file():
        return False
    try:
        with lock_of(folder).acquire(timeout=0):
            return False
    except Timeout:
        return True
    except OSError:  # a folder that may only be read: nobody here works in it
        return False


def condition(step: Step, verify: bool = False) -> Condition:
    """The condition of a step.

    Args:
        verify: compare the hashes of all that it wrote, not only the sizes.
    """
    folder = Path(step.folder)
    record, progress = read_record(folder), read_progress(beside(folder, "progress"))
    if is_held(folder):
        since = record.get("since")
        return Condition(RUNNING, str(progress or ""), since and time.time() - since, progress)
    done, damage = find_state(step, verify)
    if done:
        return Condition(DAMAGED, f"{damage}; is made again", None) if damage else Condition(DONE, "", seconds_of(step))
    reached = f" at {progress}" if progress else ""
    if record.get("key") == step.key:
        if record.get("state") == FAILED:
            return Condition(FAILED, f"{record.get('error')}\nIts log: {log_of(folder)}", None, progress)
        if record.get("state") == STOPPED:
            return Condition(STOPPED, f"asked to stop{reached}; goes on from there", None, progress)
        holder = f"process {record.get('pid')} on {record.get('host')} is gone"
        return Condition(STOPPED, f"{holder}{reached}; goes on from there", None, progress)
    begun = key_in(folder / INPUTS)
    if begun == step.key:
        return Condition(STOPPED, "begun and not finished; goes on from there", None, progress)
    return Condition(OUTDATED, _difference(step, folder / INPUTS)) if begun else Condition(MISSING)


def _difference(step: Step, inputs: Path) -> str:
    """In what a step differs from the one whose results are in its folder."""
    try:
        before = dict(read_sealed(inputs)["parameters"])
    except (UserError, KeyError, TypeError, ValueError):
        before = {}
    now = json.loads(json.dumps(dict(step.parameters)))
    changed = [name for name in now if before.get(name) != now[name]]
    told = [
        f"other {name}" if isinstance(now[name], dict) else f"{name} {before[name]!r}"
        for name in changed
        if name in before
    ]
    return f"made with {', '.join(told)}; is made anew" if told else "made by other code or of other data; is made anew"
