"""Distributed: a process of a training, or a Dask worker, is killed; the same command goes on with what there is."""

import io
import os
import shutil
import socket
import threading
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import pandas as pd
import psutil

from flannb.build import BuildOptions, Lengths, Mini, build_data
from flannb.collection import tasks
from flannb.files import SUMS
from flannb.trust.case import Bench, demand, until
from flannb.trust.reproduction import PLAIN, ROW, Rehearsed, ended, kill, none_left, rehearse

AREA = "distributed"
NEAR = 1e-4
"""By how much the losses of two processes may differ from those of one, which adds up in another order."""

LONGEST = 300.0
"""Seconds within which a training ends that has lost one of its processes."""


def run(bench: Bench) -> None:
    """Injects the faults of this area."""
    home = bench.folder / AREA
    rehearsed = rehearse(bench)
    for lost, left in ((1, 1), (0, 2))[: bench.count(2)]:
        what = f"process {lost} of a training of two is killed, {left} go{'es' * (left == 1)} on"
        bench.inject(AREA, what, partial(_lost_process, rehearsed, lost, left))
    for stage in ("data", "train", "evaluate")[: bench.count(3)]:
        bench.inject(AREA, f"the Dask worker at {stage} is killed", partial(_lost_worker, rehearsed, stage))
    bench.inject(AREA, "a Dask worker is killed in a build that fans out", partial(_lost_builder, home / "builds"))


def _together(number: int, count: int, port: int) -> dict[str, str]:
    return {
        "JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{port}",
        "JAX_NUM_PROCESSES": str(count),
        "JAX_PROCESS_ID": str(number),
    }


def _port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _losses(rehearsed: Rehearsed) -> list[float]:
    name = f"runs/tiny/mini-0/{ROW}/train/loss.csv"
    return pd.read_csv(io.BytesIO((rehearsed.home / name).read_bytes()))["loss"].tolist()


def _lost_process(rehearsed: Rehearsed, lost: int, left: int) -> str:
    rehearsed.back_to("end")
    alone = _losses(rehearsed)
    rehearsed.back_to("train")
    checkpoints = Path(rehearsed.steps()["train"].folder) / "checkpoints"
    port = _port()
    both = [rehearsed.start(*PLAIN, command="train", environment=_together(i, 2, port)) for i in range(2)]
    with none_left(*both):
        until(lambda: any(checkpoints.glob(f"[0-9]*/{SUMS}")) or both[lost].poll() is not None, LONGEST, "a checkpoint")
        kill(both[lost])
        began = time.monotonic()
        code, said = ended(both[1 - lost], LONGEST)
        waited = time.monotonic() - began
    if code:  # it may have been done already
        # Where the coordinator was lost, JAX may end the others in its own words before they can speak.
        words = ("goes on from the last checkpoint", "another task died")
        demand(any(word in said for word in words), f"the other ended with {code}: {said[-600:]}")
    if left == 1:
        rehearsed.finish(*PLAIN, command="train")
    else:
        port = _port()
        again = [rehearsed.start(*PLAIN, command="train", environment=_together(i, 2, port)) for i in range(2)]
        with none_left(*again):
            for process in again:
                code_again, more = ended(process)
                demand(code_again == 0, f"ended with {code_again}: {more[-500:]}")
    losses = _losses(rehearsed)
    demand(len(losses) == len(alone), f"{len(losses)} steps instead of {len(alone)}")
    worst = max(abs(a - b) for a, b in zip(losses, alone, strict=True))
    demand(worst < NEAR, f"losses differ by {worst}")
    return f"the other ended with {code} after {waited:.0f} s; losses of all steps within {worst:.1e} of one process"


def workers_of(pid: int) -> list[psutil.Process]:
    """The Dask workers that a process has started, the busiest first."""
    found = []
    for process in psutil.Process(pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # it has ended meanwhile
            if "spawn_main" in " ".join(process.cmdline()):
                found.append((sum(process.cpu_times()[:2]), process.ppid(), process))
    parents = {parent for _, parent, _ in found}
    workers = [(busy, process) for busy, _, process in found if process.pid not in parents]
    return [process for _, process in sorted(workers, key=lambda pair: -pair[0])]


def _lost_worker(rehearsed: Rehearsed, stage: str) -> str:
    rehearsed.back_to(stage)
    process = rehearsed.start("--plain", "--workers", "2")
    with none_left(process):
        rehearsed.reach(process, stage, 0.3)
        if process.poll() is None and (running := workers_of(process.pid)):
            running[0].kill()
            seen = "killed"
        else:
            seen = "had ended before"
        code, said = ended(process, LONGEST)
    if code:
        demand(code == 2 and "goes on" in said, f"ended with {code}: {said[-500:]}")
    rehearsed.finish(*PLAIN)
    rehearsed.compare()
    return f"{seen}; the run ended with {code}, run again the same bytes"


def _lost_builder(home: Path) -> str:
    some = tuple(task for task in tasks("mini") if task.submixture in ("cot", "flan2021"))
    options = BuildOptions(Lengths(80, 32), rows_per_task=120, vocabulary_size=400, seed=0)
    shutil.rmtree(home, ignore_errors=True)
    undisturbed = build_data(Mini(), some, options, home / "one", count=1)
    killed: list[int] = []
    built = threading.Event()

    def kill_one() -> None:
        while not killed and not built.is_set():
            found = workers_of(os.getpid())
            if len(found) > 1 and any((home / "two").rglob("*.arrow")):
                found[0].kill()
                killed.append(found[0].pid)
            time.sleep(0.01)

    watcher = threading.Thread(target=kill_one, daemon=True)
    watcher.start()
    try:
        index = build_data(Mini(), some, options, home / "two", count=2)
    finally:  # the workers of what comes after it are let alone
        built.set()
        watcher.join()
    demand(killed, "the build was done before a worker could be killed")
    for path in sorted(undisturbed.parent.rglob("*")):
        if path.is_file():
            other = index.parent / path.relative_to(undisturbed.parent)
            demand(other.is_file() and other.read_bytes() == path.read_bytes(), f"{path.name} differs")
    return "the build went on without it, to the same bytes"
