"""Together: reproductions in one folder and users of one cache, at once, do the work once and spoil nothing."""

import multiprocessing
import re
import signal
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

from filelock import FileLock

from flannb.trust.case import Bench, demand, until
from flannb.trust.damage import RAW, TRAIN, fill, hub_at, parquet
from flannb.trust.reproduction import PLAIN, Rehearsed, ended, none_left, rehearse
from flannb.trust.server import serving

AREA = "together"
READERS = 4


def run(bench: Bench) -> None:
    """Injects the faults of this area."""
    rehearsed = rehearse(bench)
    bench.inject(AREA, "two reproductions in one folder", partial(_two, rehearsed, (PLAIN, PLAIN)))
    bench.inject(AREA, "a process dies with the lock of a step", partial(_dead_holder, rehearsed))
    bench.inject(AREA, f"{READERS} users of one cache, from empty", partial(_one_cache, bench.folder / AREA / "cache"))
    if bench.share == 1:
        bench.inject(AREA, "two reproductions through notebooks in one folder", partial(_two, rehearsed, ((), ())))
        bench.inject(AREA, "one of two reproductions with --force", partial(_forced, rehearsed))


def _two(rehearsed: Rehearsed, options: tuple[tuple[str, ...], tuple[str, ...]]) -> str:
    rehearsed.back_to("data")
    both = [rehearsed.start(*some) for some in options]
    with none_left(*both):
        said = [_well(ended(process)) for process in both]
    rehearsed.compare()
    worked = Counter(name for each in said for name, seconds in re.findall(r"(\w+): (\d+) s", each) if seconds != "0")
    twice = [name for name in rehearsed.STAGES if worked[name] > 1]
    demand(not twice, f"both did {', '.join(twice)}")
    return "each step was done once, the same bytes"


def _forced(rehearsed: Rehearsed) -> str:
    rehearsed.back_to("train")
    both = [rehearsed.start(*PLAIN), rehearsed.start(*PLAIN, "--force")]
    with none_left(*both):
        for process in both:
            _well(ended(process))
    rehearsed.finish(*PLAIN)
    rehearsed.compare()
    return "both ended well, the same bytes"


def _well(end: tuple[int, str]) -> str:
    demand(end[0] == 0, f"one ended with {end[0]}: {end[1][-500:]}")
    return end[1]


def _dead_holder(rehearsed: Rehearsed) -> str:
    rehearsed.back_to("train")
    folder = Path(rehearsed.steps()["train"].folder)
    folder.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("spawn")
    has = context.Event()
    holder = context.Process(target=_hold, args=(str(folder.parent / f".{folder.name}.lock"), has), daemon=True)
    holder.start()
    demand(has.wait(60), "the lock could not be taken")
    holder.kill()
    holder.join()
    rehearsed.finish(*PLAIN)
    rehearsed.compare()
    return "the next one took it and ended with the same bytes"


def _hold(path: str, has: Any) -> None:
    with FileLock(path):
        has.set()
        signal.pause()


def _one_cache(cache: Path) -> str:
    with serving() as server:
        fill(server, {f"{TRAIN.config}/{TRAIN.split}/0000.parquet": parquet(0, 20_000)}, 9000)
        context = multiprocessing.get_context("spawn")
        found = context.Queue()
        some = (server.url, cache, found)
        readers = [context.Process(target=_read, args=some, daemon=True) for _ in range(READERS)]
        for reader in readers:
            reader.start()
        until(lambda: not any(reader.is_alive() for reader in readers), 240, "the end of all")
        demand([reader.exitcode for reader in readers] == [0] * READERS, "a reader failed")
        read = {found.get() for _ in readers}
        demand(read == {(20_000, 9000)}, f"they read {sorted(read)} rows")
        whole = [path for path in server.ranges(".tsv") if not path]
        demand(len(whole) == 1, f"the raw file was fetched {len(whole)} times")
    return "all read the same; the raw file was fetched once"


def _read(url: str, cache: Path, found: Any) -> None:
    hub = hub_at(url, cache)
    found.put((hub.read(TRAIN, ("text",)).num_rows, hub.read(RAW, RAW.columns).num_rows))
