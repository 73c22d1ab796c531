"""Kill anything: runs that are killed, or asked to stop, at any moment, end with the same bytes when given again."""

import os
import random
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from queue import Queue

from flannb.trust.case import Bench, NotHere, demand
from flannb.trust.reproduction import PLAIN, Pretraining, Rehearsed, ended, kill, none_left, rehearse

AREA = "kill"
KILLS = 40
NOTEBOOKS = 4
"""In every so manieth round of all stages the run goes through Dask and notebooks, as the sessions of nox do it; that
takes longer."""

STARTING = 0.15
"""Share of kills before the stage has begun, while the process starts."""

STAGES: dict[str, type[Rehearsed]] = {
    "data": Rehearsed,
    "pretrain": Pretraining,
    "train": Rehearsed,
    "evaluate": Rehearsed,
    "report": Rehearsed,
}
"""The stages that are killed, and what is run to get there."""

Fault = tuple[str, str, Callable[[Rehearsed], str]]
"""Name, stage, and what injects it."""


def run(bench: Bench) -> None:
    """Injects the faults of this area."""
    rng = random.Random(bench.seed)
    compiled = bench.share < 1  # what it takes to compile again is most of a kill's time
    faults: list[Fault] = []
    for number in range(bench.count(KILLS)):
        turn, place = divmod(number, len(STAGES))
        stage = [*STAGES][place]
        through = turn % NOTEBOOKS == NOTEBOOKS - 1
        moment = rng.random() if rng.random() > STARTING else -rng.random()
        when = f"at {moment:.0%} of" if moment >= 0 else f"{-moment:.0%} into the start before"
        how = "notebooks" if through else "one process"
        faults.append((f"SIGKILL {when} {stage}, {how}", stage, partial(_kill, stage, moment, through, compiled)))
    stops = [(asked, stage) for asked in (signal.SIGTERM, signal.SIGINT) for stage in [*STAGES][-2::-1]]
    for asked, stage in stops[: bench.count(len(stops))]:
        faults.append((f"{asked.name} in {stage}", stage, partial(_stop, stage, asked)))
    kinds = {STAGES[stage] for _, stage, _ in faults}
    with ThreadPoolExecutor(bench.jobs) as pool:
        homes: Queue[dict[type[Rehearsed], Rehearsed]] = Queue()
        for job in range(min(bench.jobs, len(faults))):
            homes.put({kind: rehearse(bench, job, kind) for kind in kinds})

        def inject(fault: Fault) -> None:
            home = homes.get()
            name, stage, act = fault
            try:
                bench.inject(AREA, name, partial(act, home[STAGES[stage]]))
            finally:
                homes.put(home)

        list(pool.map(inject, faults))


def _kill(stage: str, moment: float, through: bool, compiled: bool, rehearsed: Rehearsed) -> str:
    rehearsed.back_to(stage, compiled)
    options = () if through else PLAIN
    process = rehearsed.start(*options)
    try:
        if moment < 0:
            time.sleep(-moment)
        else:
            rehearsed.reach(process, stage, moment)
        alive = process.poll() is None
    finally:
        kill(process)
    rehearsed.finish(*options)
    rehearsed.compare()
    return "killed, run again, the same bytes" if alive else "had ended before, the same bytes"


def _stop(stage: str, number: signal.Signals, rehearsed: Rehearsed) -> str:
    rehearsed.back_to(stage)
    process = rehearsed.start(*PLAIN)
    with none_left(process):
        rehearsed.reach(process, stage, 0.2)
        if process.poll() is None:
            os.killpg(process.pid, number)
        code, said = ended(process, 120)
    if not code:
        raise NotHere("the run had ended before the signal came")
    # Python ends by Ctrl-C itself, though that was caught, where it was raised inside ``exec`` (of a dataclass, say).
    demand(code in (2, 128 + number, -number), f"ended with {code}: {said[-300:]}")
    demand("go on" in said or "goes on" in said, f"does not say how to go on: {said[-300:]}")
    demand("Traceback" not in said, f"shows a traceback: {said[-500:]}")
    rehearsed.finish(*PLAIN)
    rehearsed.compare()
    return f"ended with {code}, run again, the same bytes"
