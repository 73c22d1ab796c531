"""Running a program and measuring it: seconds, processor seconds and memory of it and all that it starts."""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil

from flannb.errors import UserError

EVERY = 0.1
"""Seconds between two looks at the memory, at least."""

SHARE = 0.03
"""Of a core, at most, for looking at the memory, which takes long where much of it is mapped."""


@dataclass(frozen=True)
class Measured:
    """What a program reported and what it took.

    Attributes:
        result: the JSON that it wrote.
        seconds: from its start to its end.
        peak_bytes: most memory of the program and its children together; pages that they share count once (proportional
            set size) where the system tells.
    """

    result: dict[str, Any]
    seconds: float
    peak_bytes: int


def measure(module: str, *arguments: str, limit: float | None = None) -> Measured:
    """Runs ``python -m MODULE ARGUMENTS FILE`` and reads the JSON that it writes to ``FILE``.

    Args:
        limit: seconds after which it is given up; None waits for its end.

    Raises:
        UserError: it failed, the message has its last lines; or it took longer than the limit.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "result.json"
        started = time.perf_counter()
        with (Path(folder) / "errors").open("w+") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments, str(path)], stdout=errors, stderr=errors
            )
            peak = _watch(process, limit)
            seconds = time.perf_counter() - started
            if limit is not None and seconds > limit:
                raise UserError(f"{module} {' '.join(arguments)}: took longer than {limit:g} s; measure less at once")
            if process.returncode or not path.is_file():
                errors.seek(0)
                raise UserError(f"{module} {' '.join(arguments)} failed:\n{errors.read()[-2000:]}")
        return Measured(json.loads(path.read_text()), seconds, peak)


def _watch(process: subprocess.Popen, limit: float | None) -> int:
    """The most memory of a process and its children, until it ends or is killed at the limit in seconds."""
    peak, began = 0, time.perf_counter()
    ended = threading.Event()

    def wait() -> None:
        process.wait()
        ended.set()

    root = psutil.Process(process.pid)  # before it is waited for: what has ended by then is known no more
    threading.Thread(target=wait, daemon=True).start()
    pause = EVERY
    while not ended.wait(pause):
        total, started = 0, time.perf_counter()
        try:
            family = [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            break
        for member in family:
            try:
                total += _memory(member)
            except psutil.Error:
                continue
        peak = max(peak, total)
        if limit is not None and time.perf_counter() - began > limit:
            for member in family[::-1]:
                with suppress(psutil.NoSuchProcess):
                    member.kill()
        pause = max(EVERY, (time.perf_counter() - started) / SHARE)
    process.wait()
    return peak


def _memory(process: psutil.Process) -> int:
    full = process.memory_full_info()
    return int(getattr(full, "pss", full.rss))


def processor_seconds() -> float:
    """Of this process and its children, running or ended."""
    times = os.times()
    running = 0.0
    for child in psutil.Process().children(recursive=True):
        try:
            used = child.cpu_times()
            running += used.user + used.system
        except psutil.Error:
            continue
    return times.user + times.system + times.children_user + times.children_system + running


def absent(packages: Iterable[str]) -> dict[str, str]:
    """What a contender reports that needs packages which are not installed; empty where all are."""
    missing = [package for package in packages if find_spec(package) is None]
    return {"absent": f"{' and '.join(missing)} not installed"} if missing else {}


def load() -> float:
    """Processes that wanted a core in the last minute, on average."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
