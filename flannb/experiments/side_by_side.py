"""Steps side by side on this machine, each in a process of its own with its part of the cores and GPUs.

A process for each step frees all memory when it ends, and one that is killed is told from one that fails. All end with
the process that started them; a training saves a checkpoint first.
"""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait

from flannb.errors import UserError
from flannb.experiments.condition import log_of
from flannb.experiments.devices import GPUS, gpus, share
from flannb.experiments.step import Step
from flannb.progress import environment

PATIENCE = 60.0
"""Seconds that processes have to end when they are asked to; a large checkpoint takes some."""

KILLED = "its process was killed; if memory ran out, pass a smaller --workers. The same command goes on."
"""What to tell people of a step whose process, kernel or worker was killed."""


APART = 10.0
"""Seconds between the starts of steps that compile and share a GPU. A step loads and compiles for some 15, while the
GPU is idle: started together, they would all be at that at once, now and whenever they end together. On an H200 with
four places, 20 seconds left places empty as soon as steps took less than 80.
"""


@dataclass(frozen=True)
class _Running:
    step: Step
    process: multiprocessing.process.BaseProcess
    slot: int


def side_by_side(
    steps: list[Step], workers: int, run: Callable[[Step], float], finished: Callable[[Step, float], object]
) -> None:
    """Runs steps in the order of their needs, so many at a time.

    Args:
        steps: to run; what they need and is not among them is done.
        workers: processes at a time. Where there are GPUs, each sees its own (``flannb.experiments.devices.share``).
        run: runs a step in a process and returns its seconds. What it prints goes to a file beside the step's folder.
        finished: called with each and its seconds.

    Raises:
        UserError: a step failed or was killed; the others have been stopped.
    """
    waiting, running = list(steps), dict[Connection, _Running]()
    slots = _Slots(workers)
    try:
        while waiting or running:
            unfinished = {step.folder for step in (*waiting, *(each.step for each in running.values()))}
            ready = [step for step in waiting if not any(need.folder in unfinished for need in step.needs)]
            for step in ready:
                if (slot := slots.take(step)) is None:
                    continue
                waiting.remove(step)
                with environment(slots.environments[slot]), _interrupts_ignored():
                    results, process = _start(step, run, slot)
                running[results] = _Running(step, process, slot)
            held = any(step in waiting for step in ready)
            speaking = wait(list(running), slots.seconds_left() if held else None)
            for results in [each for each in running if each in speaking]:
                ended = running[results]
                seconds = _outcome(results, ended)
                del running[results]
                slots.free.append(ended.slot)
                finished(ended.step, seconds)
    finally:
        _stop([each.process for each in running.values()])


class _Slots:
    """The places of processes that run at a time.

    Attributes:
        free: those that no process has.
        environments: of each, the variables that give it its part of the GPUs.
    """

    def __init__(self, workers: int):
        found = gpus()
        self.free = list(range(workers))
        self.environments = [dict(share(slot, workers, found)) for slot in range(workers)]
        self._gap = APART if 0 < len(found) < workers else 0.0
        self._last: dict[str, float] = {}  # by GPU, when a step that compiles last got a place there

    def take(self, step: Step) -> int | None:
        """A free place, where a step compiles on a GPU where no other just started; None where there is none."""
        slot = min(self.free, key=self._from, default=None)
        if slot is None or (step.cache and self._from(slot) > time.monotonic()):
            return None
        self.free.remove(slot)
        if step.cache:
            self._last[self._gpu(slot)] = time.monotonic()
        return slot

    def seconds_left(self) -> float | None:
        """Until a free place can be taken; None where all are taken."""
        return max(0.0, min(map(self._from, self.free)) - time.monotonic()) if self.free else None

    def _gpu(self, slot: int) -> str:
        return self.environments[slot].get(GPUS, "")

    def _from(self, slot: int) -> float:
        """When a step that compiles may start there, by the clock ``time.monotonic``."""
        return self._last.get(self._gpu(slot), -self._gap) + self._gap


def _start(
    step: Step, run: Callable[[Step], float], slot: int
) -> tuple[Connection, multiprocessing.process.BaseProcess]:
    context = multiprocessing.get_context("spawn")
    results, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(sender, run, step, slot))  # no daemon: a build starts processes
    process.start()
    sender.close()  # so that the end of the process is the end of the connection
    return results, process


def _outcome(results: Connection, ended: _Running) -> float:
    """The seconds that a process reports.

    Raises:
        UserError: it reports a failure, or nothing.
    """
    try:
        seconds, failure = results.recv()
    except EOFError:
        ended.process.join()
        if ended.process.exitcode == 1:
            raise UserError(
                f"{ended.step.name}: failed in a way that it should not. The traceback is in"
                f" {log_of(ended.step.folder)}; this is a defect of flannb, please report it."
            ) from None
        raise UserError(f"{ended.step.name}: {KILLED}\n  Its log: {log_of(ended.step.folder)}") from None
    ended.process.join()
    if failure:
        raise UserError(failure)
    return seconds


def _work(results: Connection, run: Callable[[Step], float], step: Step, slot: int) -> None:
    """Runs a step; the only thing that a process does."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    log_of(step.folder).parent.mkdir(parents=True, exist_ok=True)
    with log_of(step.folder).open("ab") as log:
        for stream in (1, 2):
            os.dup2(log.fileno(), stream)
    if step.threads == 1 and hasattr(os, "sched_setaffinity"):
        # The thread pools of several processes on the same cores would slow each other down threefold.
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[slot % len(cores)]})
    try:
        results.send((run(step), ""))
    except UserError as error:
        results.send((0.0, str(error)))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)


def _stop(processes: list[multiprocessing.process.BaseProcess]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(PATIENCE)
        if process.is_alive():
            process.kill()
            process.join()


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Processes that are started inside ignore Ctrl-C: it is this one that stops them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
