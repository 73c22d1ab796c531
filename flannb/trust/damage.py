"""Corrupt anything: a flipped bit or a lost tail in any file that a stage reads is named, and mended."""

import contextlib
import io
import multiprocessing
import os
import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from flannb.build import Hub, Mirror, read_shard
from flannb.build.github import GitHub
from flannb.build.mirror import copy_mirror, plan_mirror
from flannb.collection import Data, RawFile, Split
from flannb.errors import UserError
from flannb.experiments.step import find_state
from flannb.files import MANIFEST
from flannb.trust.case import Bench, Case, demand
from flannb.trust.reproduction import COMPILED, PLAIN, ROW, rehearse
from flannb.trust.server import HubServer, serving

AREA = "damage"
CASES = 200

MODEL = f"runs/tiny/mini-0/{ROW}/train/model"
PREDICTIONS = f"runs/tiny/mini-0/{ROW}/evaluate/predictions"
STEPS = ("runs/tiny/mini-0/data", f"runs/tiny/mini-0/{ROW}/train", f"runs/tiny/mini-0/{ROW}/evaluate")


@dataclass(frozen=True)
class Target:
    """Files of a kind.

    Attributes:
        what: they are, for people.
        pattern: of their paths below the reproduction's home.
        share: of the cases.
        undo: what is removed first, as if a kill had come before it was written; so the files are those of a stage
            that goes on.
    """

    what: str
    pattern: str
    share: int
    undo: tuple[str, ...] = ()


DONE = (
    Target("a shard", "runs/data/*/*/*.arrow", 24),
    Target("the index of a build", "runs/data/*/index.json", 10),
    Target("the report of a build", "runs/data/*/report.json", 4),
    Target("the tokenizer", "runs/data/*/spiece.model", 8),
    Target("the pointer to the build", "runs/tiny/mini-0/data/build.json", 4),
    *(Target("a step's manifest", f"{step}/{MANIFEST}", 6) for step in STEPS),
    Target("a step's manifest", f"reports/table1/tiny/{MANIFEST}", 4),
    Target("the weights", f"{MODEL}/model.safetensors", 14),
    Target("the model's shape", f"{MODEL}/config.json", 5),
    Target("the model's sums", f"{MODEL}/SHA256SUMS", 4),
    Target("the training log", f"runs/tiny/mini-0/{ROW}/train/loss.csv", 4),
    Target("predictions", f"{PREDICTIONS}/*.parquet", 18),
    Target("the predictions' sums", f"{PREDICTIONS}/SHA256SUMS", 4),
    Target("a file of the report", "reports/table1/tiny/[!im]*.*", 8),
)
BUILDING = (f"{STEPS[0]}/{MANIFEST}", "runs/data/*/index.json")
RESUMED = (
    Target("a shard, in a build that goes on", "runs/data/*/*/*.arrow", 8, BUILDING),
    Target("a build's sums, as it goes on", "runs/data/*/SHA256SUMS", 4, BUILDING),
    Target("the tokenizer, in a build that goes on", "runs/data/*/spiece.model", 3, BUILDING),
    Target("a checkpoint", f"{STEPS[1]}/checkpoints/*/**/*", 22, (f"{STEPS[1]}/{MANIFEST}", f"{MODEL}/*")),
    Target("predictions, in an evaluation that goes on", f"{PREDICTIONS}/*.parquet", 8, (f"{STEPS[2]}/{MANIFEST}",)),
    Target("their sums, as it goes on", f"{PREDICTIONS}/SHA256SUMS", 3, (f"{STEPS[2]}/{MANIFEST}",)),
    Target("a step's inputs", f"{STEPS[1]}/inputs.json", 3, (f"{STEPS[1]}/{MANIFEST}",)),
    Target("a compiled program", f"{COMPILED}/*-cache", 4, (f"{STEPS[1]}/*", f"{STEPS[1]}/**/*")),
)


def spoil(path: Path, rng: random.Random) -> str:
    """Flips a bit of a file or cuts its end off; returns what was done."""
    content = bytearray(path.read_bytes())
    if rng.random() < 0.7:
        at, bit = rng.randrange(len(content)), rng.randrange(8)
        content[at] ^= 1 << bit
        done = f"bit {bit} of byte {at:,} flipped"
    else:
        keep = rng.randrange(len(content))
        del content[keep:]
        done = f"cut after byte {keep:,}"
    path.write_bytes(content)
    return done


def run(bench: Bench) -> None:
    """Injects the faults of this area, in as many processes as the bench has jobs."""
    kinds = [target for target in (*DONE, *RESUMED) for _ in range(target.share)]
    random.Random(bench.seed).shuffle(kinds)
    kinds = kinds[: bench.count(len(kinds))]
    others = bench.count(CASES - sum(target.share for target in (*DONE, *RESUMED)))
    if bench.jobs == 1:
        _some(bench, kinds, others, 0)
        return
    with ProcessPoolExecutor(bench.jobs, multiprocessing.get_context("spawn")) as pool:
        apart = [replace(bench, folder=bench.folder / f"job{job}", jobs=1, cases=[]) for job in range(bench.jobs)]
        for cases in pool.map(partial(_apart, kinds, others, bench.jobs), apart, range(bench.jobs)):
            bench.cases += cases


def _apart(kinds: list[Target], others: int, jobs: int, bench: Bench, job: int) -> list[Case]:
    """Every so manieth of the cases, in a process of their own."""
    os.environ["HF_HOME"] = str(bench.folder / "hf")
    _some(bench, kinds, others, job, jobs)
    return bench.cases


def _some(bench: Bench, kinds: list[Target], others: int, first: int, step: int = 1) -> None:
    for number in range(first, len(kinds), step):
        rng = random.Random(f"{bench.seed} {number}")
        bench.inject(AREA, f"{number}: {kinds[number].what} spoilt", partial(_file, bench, kinds[number], rng))
    with _sources(bench.folder / AREA / "sources") as tried:
        for number in range(first, others, step):
            what, act = tried[number % len(tried)]
            rng = random.Random(f"{bench.seed} source {number}")
            bench.inject(AREA, f"source {number}: {what} spoilt", partial(act, rng))


def _file(bench: Bench, target: Target, rng: random.Random) -> str:
    rehearsed = rehearse(bench)
    rehearsed.back_to("end")
    for pattern in target.undo:
        for path in rehearsed.home.glob(pattern):
            if path.is_file():
                path.unlink()
    # A task without examples in a setting has a file that nothing reads.
    empty = {name for name in rehearsed.whole if name.endswith(".arrow") and not len(read_shard(rehearsed.home / name))}
    found = (p for p in rehearsed.home.glob(target.pattern) if p.is_file() and p.stat().st_size)
    chosen = rng.choice(sorted(p for p in found if p.relative_to(rehearsed.home).as_posix() not in empty))
    done = f"{chosen.relative_to(rehearsed.home)}: {spoil(chosen, rng)}"
    named = [damage for step in rehearsed.steps().values() if (damage := find_state(step)[1])]
    if not target.undo:
        demand(named, f"{done}: unnoticed")
        names = (chosen.name, chosen.parent.name)  # a shard of several files is named by its folder
        demand(any(name in damage for name in names for damage in named), f"{done}: not named: {named}")
    if "jax" in chosen.parts:
        rehearsed.finish(*PLAIN)  # this process has compiled already
    else:
        rehearsed.finish_here()
    rehearsed.compare()
    return f"{done}; " + ("named and made again" if named else "not believed, made again")


TRAIN, TEST = Split("owner/set", "default", "train"), Split("owner/set", "default", "test")
REPOSITORY, RAW_PATH = "google-research/FLAN", "flan/v2/cot_data/creak_train.tsv"
RAW = RawFile(f"github/{REPOSITORY}/{RAW_PATH}", ("question", "answer", "rationale"))
Spoil = Callable[[random.Random], str]


@contextlib.contextmanager
def _sources(home: Path) -> Iterator[list[tuple[str, Spoil]]]:
    """Kinds of files that sources read, each with what spoils one and sees whether it is noticed and mended."""
    with serving() as server:
        files = {
            f"{data.config}/{data.split}/{n:04d}.parquet": parquet(n, 200) for data in (TRAIN, TEST) for n in range(2)
        }
        fill(server, files, 99)
        hub = hub_at(server.url, home / "github")
        folder = home / "mirror"
        copy_mirror(plan_mirror(hub, (TRAIN, TEST, RAW), folder), folder)
        whole = shutil.copytree(folder, home / "whole")
        mirror = partial(_mirror, hub, folder, whole)
        yield [
            ("a mirror's Parquet file", partial(mirror, f"{TRAIN}/*.parquet", TRAIN)),
            ("a mirror's raw file", partial(mirror, RAW.path, RAW)),
            ("a mirror's manifest", partial(mirror, "MANIFEST.json", TEST)),
            ("a mirror's sums", partial(mirror, "SHA256SUMS", TEST)),
            ("a file in GitHub's cache", partial(_cached, server, hub, home / "github", "*.tsv", RAW)),
            ("the sums of GitHub's cache", partial(_cached, server, hub, home / "github", "SHA256SUMS", RAW)),
            ("a file in the Hub's cache", partial(_cached, server, hub, _hub_cache() / _repo(TRAIN), "blobs/*", TRAIN)),
        ]


def fill(server: HubServer, files: dict[str, bytes], lines: int) -> None:
    """Puts data on a server.

    Args:
        files: of the dataset of ``TRAIN``: path -> content.
        lines: of the file ``RAW``.
    """
    server.datasets[TRAIN.repo_id] = files
    text = "".join(f"is {i} odd?\t{'yes' if i % 2 else 'no'}\tits last bit says so\n" for i in range(lines))
    server.repositories[REPOSITORY] = {RAW_PATH: text.encode()}


def hub_at(address: str, cache: Path) -> Hub:
    """The Hub, and with it GitHub, at the address of a server.

    Args:
        cache: of GitHub's files.
    """
    return Hub(address, GitHub(f"{address}/raw", address, cache=cache))


def parquet(seed: int, rows: int) -> bytes:
    """A Parquet file of random text."""
    sink = io.BytesIO()
    rng = random.Random(seed)
    pq.write_table(pa.table({"text": [f"row {i} {rng.random()}" for i in range(rows)]}), sink)
    return sink.getvalue()


def _columns(data: Data) -> tuple[str, ...]:
    return data.columns if isinstance(data, RawFile) else ("text",)


def _mirror(hub: Hub, folder: Path, whole: Path, pattern: str, data: Data, rng: random.Random) -> str:
    shutil.rmtree(folder)
    shutil.copytree(whole, folder)
    expected = Mirror(folder).read(data, _columns(data))
    chosen = rng.choice(sorted(folder.glob(pattern)))
    done = f"{chosen.relative_to(folder)}: {spoil(chosen, rng)}"
    try:
        found = Mirror(folder).read(data, _columns(data))
        # Sums that say nothing of the manifest leave it as good as one that a user wrote.
        demand(chosen.name == "SHA256SUMS" and found.equals(expected), f"{done}: unnoticed")
        seen = "read as before"
    except UserError as error:
        demand(str(chosen.name) in str(error), f"{done}: not named: {error}")
        seen = "named and fetched again"
    if chosen.name in ("MANIFEST.json", "SHA256SUMS"):
        for name in ("MANIFEST.json", "SHA256SUMS"):
            (folder / name).unlink()
    copy_mirror(plan_mirror(hub, (TRAIN, TEST, RAW), folder), folder, check=True)
    demand(Mirror(folder).read(data, _columns(data)).equals(expected), f"{done}: not mended")
    return f"{done}; {seen}"


def _hub_cache() -> Path:
    from huggingface_hub.constants import HF_HUB_CACHE

    return Path(HF_HUB_CACHE)


def _repo(data: Split) -> str:
    return f"datasets--{data.repo_id.replace('/', '--')}"


def _cached(server: HubServer, hub: Hub, cache: Path, pattern: str, data: Data, rng: random.Random) -> str:
    expected = hub.read(data, _columns(data))
    files: Sequence[Path] = sorted(path for path in cache.rglob(pattern) if path.is_file())
    chosen = rng.choice(files)
    done = f"{chosen.relative_to(cache)}: {spoil(chosen, rng)}"
    before = len(server.requests)
    demand(hub.read(data, _columns(data)).equals(expected), f"{done}: other rows were read")
    # Without its sum, a file is held against what the server says of it, and kept.
    demand(chosen.name == "SHA256SUMS" or len(server.requests) > before, f"{done}: nothing was fetched again")
    return f"{done}; fetched again"
