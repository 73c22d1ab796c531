"""Scarce resources: full disks, read-only folders, little memory, no network, servers that fail."""

import random
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from flannb.build import Hub, Mirror, download
from flannb.build.mirror import copy_mirror, plan_mirror
from flannb.errors import UserError
from flannb.trust.case import Bench, NotHere, demand
from flannb.trust.damage import RAW, RAW_PATH, REPOSITORY, TRAIN, fill, hub_at, parquet
from flannb.trust.reproduction import PLAIN, Rehearsed, Reproduction, ended, rehearse
from flannb.trust.server import HubServer, serving

AREA = "scarce"
DISKS = (1, 2, 3, 4, 5, 6)
"""Sizes of the disks that get full, in MiB; a whole run needs 7."""

MEMORY = 2
"""GiB of data that a process may have; a run takes less."""

TOO_LITTLE = 300
"""MiB with which it cannot even start to train."""

SERVERS = 30
"""Servers that fail, each in its way."""


def run(bench: Bench) -> None:
    """Injects the faults of this area."""
    home = bench.folder / AREA
    rehearsed = rehearse(bench)
    for size in DISKS[: bench.count(len(DISKS))]:
        bench.inject(AREA, f"a disk of {size} MiB", partial(_full_disk, rehearsed, size))
    bench.inject(AREA, "a read-only folder of runs", partial(_read_only, rehearsed, "runs"))
    bench.inject(AREA, "a read-only folder of reports", partial(_read_only, rehearsed, "reports"))
    bench.inject(AREA, f"{MEMORY} GiB of memory", partial(_memory, rehearsed))
    bench.inject(AREA, f"{TOO_LITTLE} MiB of memory", partial(_too_little_memory, rehearsed))
    bench.inject(AREA, "no network, embedded data", partial(_no_network, rehearsed))
    bench.inject(AREA, "no network, the Hub", partial(_no_hub, Reproduction(home / "hub")))
    for number in range(bench.count(SERVERS)):
        bench.inject(
            AREA,
            f"server {number} that fails",
            partial(_server, home / "servers", random.Random(f"{bench.seed} {number}")),
        )
    for what, fault in (("refuses", ("status", 500)), ("cuts every answer", ("cut", 0)), ("garbles", ("garble",))):
        bench.inject(AREA, f"a server that always {what}", partial(_hopeless, home / "hopeless", fault))


@contextmanager
def _mounted(folder: Path, size: int) -> Iterator[None]:
    """A disk of its own at a folder, of so many MiB.

    Raises:
        NotHere: this user may not mount.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}m", "flannb", folder], capture_output=True, text=True
    )
    if made.returncode:
        raise NotHere(f"mounting a disk is not allowed ({made.stderr.strip()})")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def _full_disk(rehearsed: Rehearsed, size: int) -> str:
    shutil.rmtree(rehearsed.home, ignore_errors=True)
    with _mounted(rehearsed.home, size):
        code, said = ended(rehearsed.start(*PLAIN))
        demand(code == 2 and "error: " in said, f"ended with {code}: {said[-500:]}")
        demand("Traceback" not in said, f"shows a traceback: {said[-800:]}")
        subprocess.run(["mount", "-o", "remount,size=64m", rehearsed.home], check=True)
        rehearsed.finish(*PLAIN)
        rehearsed.compare()
    return _last_words(said) + "; with more space the same bytes"


def _read_only(rehearsed: Rehearsed, name: str) -> str:
    rehearsed.back_to("data" if name == "runs" else "report")
    folder = rehearsed.home / name
    with _mounted(folder, 1):
        subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
        code, said = ended(rehearsed.start(*PLAIN))
        demand(code == 2 and "error: " in said and "Traceback" not in said, f"ended with {code}: {said[-500:]}")
        demand("ead-only" in said, f"does not say why: {said[-300:]}")
    rehearsed.finish(*PLAIN)
    rehearsed.compare()
    return _last_words(said)


def _limited(*words: str) -> Sequence[str]:
    if shutil.which("prlimit") is None:
        raise NotHere("there is no prlimit")
    return ("prlimit", *words)


def _memory(rehearsed: Rehearsed) -> str:
    rehearsed.back_to("data")
    rehearsed.finish(*PLAIN, before=_limited(f"--data={MEMORY * 2**30}"))
    rehearsed.compare()
    return "the same bytes"


def _too_little_memory(rehearsed: Rehearsed) -> str:
    rehearsed.back_to("data")
    code, said = ended(rehearsed.start(*PLAIN, before=_limited(f"--data={TOO_LITTLE * 2**20}")))
    demand(code == 2, f"ended with {code}: {said[-500:]}")
    demand("of memory only" in said, f"does not say why: {said[-500:]}")
    rehearsed.finish(*PLAIN)
    rehearsed.compare()
    return f"ended with {code}; with enough memory the same bytes"


def _without_network() -> Sequence[str]:
    if subprocess.run(["unshare", "--net", "true"], capture_output=True).returncode:
        raise NotHere("taking the network away is not allowed")
    return ("unshare", "--net")


def _no_network(rehearsed: Rehearsed) -> str:
    rehearsed.back_to("data")
    rehearsed.finish(*PLAIN, before=_without_network())
    rehearsed.compare()
    return "the same bytes"


def _no_hub(reproduction: Reproduction) -> str:
    process = reproduction.start(*PLAIN, "--source", "hub", before=_without_network())
    code, said = ended(process, 300)
    demand(code == 2 and "Traceback" not in said, f"ended with {code}: {said[-500:]}")
    demand("--source" in said and "did not answer" in said, f"does not say what to do: {said[-300:]}")
    return _last_words(said)


def _last_words(said: str) -> str:
    """The error that a run ended with."""
    return next((line for line in said.splitlines() if line.startswith("error: ")), said[-200:])[:300]


@contextmanager
def _impatient() -> Iterator[None]:
    """Downloads do not wait long."""
    before = download.FIRST_WAIT, download.TIMEOUT
    download.FIRST_WAIT, download.TIMEOUT = 0.01, 1.0
    try:
        yield
    finally:
        download.FIRST_WAIT, download.TIMEOUT = before


def _filled(server: HubServer) -> list[str]:
    """Puts data on a server; returns the paths that are asked for."""
    files = {f"{TRAIN.config}/{TRAIN.split}/{n:04d}.parquet": parquet(n, 500) for n in range(2)}
    fill(server, files, 500)
    commit = server.commit
    return [
        f"/api/datasets/{TRAIN.repo_id}/revision/{Hub().branch}",
        *(f"/datasets/{TRAIN.repo_id}/resolve/{commit}/{name}" for name in files),
        f"/raw/{REPOSITORY}/{commit}/{RAW_PATH}",
    ]


def _server(folder: Path, rng: random.Random) -> str:
    shutil.rmtree(folder, ignore_errors=True)
    with serving() as server, _impatient():
        kinds = (
            lambda: ("drop", rng.randrange(9000)),
            lambda: ("cut", rng.randrange(9000)),
            lambda: ("slow", 0.001),
            lambda: ("slow", 1.5),
            lambda: ("status", rng.choice((429, 500, 502, 503, 504))),
            lambda: ("garble",),
            lambda: ("no ranges",),
            lambda: ("huge",),
        )
        listing, *files = _filled(server)
        server.faults[listing] = [("status", rng.choice((500, 503))) for _ in range(rng.randrange(3))]
        for path in files:
            server.faults[path] = [rng.choice(kinds)() for _ in range(rng.randint(1, 4))]
            # Content that contradicts its hash twice is not asked for a third time.
            while [fault[0] for fault in server.faults[path]].count("garble") > 1:
                server.faults[path].remove(("garble",))
        faults = [fault for path in (listing, *files) for fault in server.faults[path]]
        hub = hub_at(server.url, folder / "cache")
        plan = plan_mirror(hub, (TRAIN, RAW), folder / "mirror")
        copy_mirror(plan, folder / "mirror")
        for item in plan.items:
            name = item.path.removeprefix(f"{TRAIN.repo_id}/")
            wanted = server.datasets[TRAIN.repo_id].get(name) or server.repositories[REPOSITORY][RAW_PATH]
            demand((folder / "mirror" / item.path).read_bytes() == wanted, f"{item.path} has other bytes")
        demand(Mirror(folder / "mirror").read(TRAIN, ("text",)).num_rows == 1000, "rows are missing")
        demand(not list((folder / "mirror").rglob(".*.part")), "half a file is left")
    return f"{', '.join(' '.join(map(str, fault)) for fault in faults)}: the mirror is whole"


def _hopeless(folder: Path, fault: tuple) -> str:
    shutil.rmtree(folder, ignore_errors=True)
    with serving() as server, _impatient():
        _, path, *_ = _filled(server)
        server.faults[path] = [fault] * 100
        hub = hub_at(server.url, folder / "cache")
        plan = plan_mirror(hub, (TRAIN,), folder / "mirror")
        try:
            copy_mirror(plan, folder / "mirror")
        except UserError as error:
            said = str(error)
        else:
            demand(False, "a mirror came out of it")
        demand("0000.parquet" in said, f"does not name the file: {said}")
        demand(not (folder / "mirror" / str(TRAIN) / "0000.parquet").exists(), "half a file has its name")
        demand(not Mirror(folder / "mirror").has(TRAIN), "the split counts as there")
        server.faults[path].clear()
        copy_mirror(plan, folder / "mirror")
        demand(Mirror(folder / "mirror").read(TRAIN, ("text",)).num_rows == 1000, "rows are missing")
    return said
