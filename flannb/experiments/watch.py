"""What people see of a run: one bar over all steps with the time left, and one for each step at work."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, TextIO

from flannb.experiments.condition import RUNNING, Condition, beside, log_of, read_record
from flannb.experiments.durations import Durations, time_left
from flannb.experiments.step import Step
from flannb.progress import BAR, Bar, is_quiet, is_verbose, read_progress, remark

EVERY = 1.0
"""Seconds between two looks at the steps at work."""

ALL = "{desc}{n_fmt} of {total_fmt} steps |" + BAR + "| {elapsed}{postfix}"
ONE = "  {desc} |" + BAR + "| {n_fmt} of {total_fmt} {unit}s{postfix}"


class Watch:
    """Shows how steps go, until the block ends; what they say, too, where people want it.

    Args:
        steps: all of them.
        waiting: those that are not done.
        workers: how many run at a time.
        durations: what steps take.
        here: whether they run in this process, where each shows its own bar.
    """

    def __init__(self, steps: Sequence[Step], waiting: Sequence[Step], workers: int, durations: Durations, here: bool):
        self._steps, self._workers, self._durations, self._here = steps, workers, durations, here
        self._waiting = {step.folder: step for step in waiting}
        self._began = time.time()
        self._read = {folder: _size(log_of(folder)) for folder in self._waiting}
        self._bars: dict[str, Bar] = {}
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._stack = ExitStack()

    def __enter__(self) -> Watch:
        done = len(self._steps) - len(self._waiting)
        self._bar = Bar(total=len(self._steps), initial=done, unit="step", file=sys.stderr, bar_format=ALL)
        self._stack.callback(self._bar.close)
        self._show(self._running())
        if not is_quiet():
            self._thread.start()
            self._stack.callback(self._thread.join)
        self._stack.callback(self._ended.set)
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()
        for bar in self._bars.values():
            bar.close()
        self._tell_what_was_said()

    def finished(self, step: Step, seconds: float) -> None:
        """A step is done."""
        self._durations.add(step, seconds)
        with self._lock:
            self._waiting.pop(step.folder, None)
            if bar := self._bars.pop(step.folder, None):
                bar.close()
        self._bar.update(1)
        running = self._running()
        left = f"; {self._left(running)}" if self._waiting and self._bar.disable else ""
        done = len(self._steps) - len(self._waiting)
        remark(f"{step.name}: {seconds:.0f} s" + (f" ({done} of {len(self._steps)} steps{left})" if left else ""))
        self._show(running)

    def _look(self) -> None:
        while not self._ended.wait(EVERY):
            with self._lock:
                running = self._running()
                self._show(running)
                self._show_stages(running)
            self._tell_what_was_said()

    def _left(self, running: Mapping[str, Condition]) -> str:
        done = {step.folder for step in self._steps} - self._waiting.keys()
        return str(time_left(self._steps, done, running, self._durations, self._workers))

    def _running(self) -> dict[str, Condition]:
        """The steps that this run is at; no lock is asked, so that none is in anybody's way."""
        found = {}
        for folder in list(self._waiting):
            record = read_record(Path(folder))
            if record.get("state") == RUNNING and record["since"] >= self._began:
                progress = read_progress(beside(Path(folder), "progress"))
                found[folder] = Condition(RUNNING, "", time.time() - record["since"], progress)
        return found

    def _show(self, running: Mapping[str, Condition]) -> None:
        if not self._bar.disable:
            self._bar.set_postfix_str(self._left(running) if self._waiting else "", refresh=True)

    def _show_stages(self, running: Mapping[str, Condition]) -> None:
        if self._here or self._bar.disable:
            return
        for folder in self._bars.keys() - running.keys():
            self._bars.pop(folder).close()
        for folder, found in running.items():
            if (progress := found.progress) is None:
                continue
            what = f"{self._waiting[folder].name}: {progress.what}"
            if folder not in self._bars:
                self._bars[folder] = Bar(
                    total=progress.total,
                    initial=progress.done,
                    unit=progress.unit,
                    desc=what,
                    file=sys.stderr,
                    leave=False,
                    bar_format=ONE,
                )
            bar = self._bars[folder]
            bar.unit, bar.total, bar.n = progress.unit, progress.total, progress.done
            bar.set_description_str(what)

    def _tell_what_was_said(self) -> None:
        """Prints the new lines of the logs of steps."""
        if not is_verbose() or self._here:
            return
        for folder, start in self._read.items():
            try:
                with log_of(folder).open("rb") as log:
                    log.seek(start)
                    said, _, _ = log.read().rpartition(b"\n")
            except OSError:
                continue
            if said:
                self._read[folder] = start + len(said) + 1
                name = os.path.relpath(folder)
                for line in said.decode(errors="replace").splitlines():
                    remark(f"{name}: {line}")


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


class Spoken:
    """In the block, what this process says can be kept in files, without bars. What steps say on the output is then not
    shown, unless people want it; warnings are.
    """

    def __init__(self) -> None:
        self._logs: list[TextIO] = []
        self._stack = ExitStack()

    def __enter__(self) -> Spoken:
        self._stack.enter_context(redirect_stdout(_Twice(sys.stdout, self._logs, shown=is_verbose())))
        self._stack.enter_context(redirect_stderr(_Twice(sys.stderr, self._logs, shown=True)))
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    @contextmanager
    def kept(self, path: Path) -> Iterator[None]:
        """In the block, what is said is added to a file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as log:
            self._logs.append(log)
            try:
                yield
            finally:
                self._logs.remove(log)


class _Twice:
    """A stream that also writes to files, but for what redraws a line of a terminal.

    Args:
        shown: whether what goes to files is shown, too.
    """

    def __init__(self, stream: TextIO, logs: list[TextIO], shown: bool):
        self._stream, self._logs, self._shown = stream, logs, shown

    def write(self, text: str) -> int:
        for log in self._logs:
            if "\r" not in text and "\x1b[A" not in text:
                log.write(text)
                log.flush()
        return self._stream.write(text) if self._shown or not self._logs else len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
