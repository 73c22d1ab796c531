"""Inputs: mutated template files, manifests, indices and lists are read or refused in words, never with a crash."""

import json
import random
import re
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from flannb.build import Mirror, open_build
from flannb.collection.template import FOLDER, load_templates
from flannb.errors import UserError, printable
from flannb.evaluate import read_predictions
from flannb.experiments.step import find_state
from flannb.files import SUMS, read_sums, write_sealed
from flannb.model import open_checkpoint
from flannb.trust.case import Bench, demand
from flannb.trust.damage import MODEL, PREDICTIONS
from flannb.trust.reproduction import Rehearsed, rehearse

AREA = "input"
MUTANTS = 3000
"""Of template files; of each other kind a tenth."""

SLOWEST = 5.0
"""Seconds that a mutant may take."""

ODD = (
    *("", "\0", "{", "}}", "{x!r}", "{a.b}", "{a[0]}", "{0}", "{options}", "{letter}", "{answer}", "%s", "%"),
    *("\n", "\t", "&a", "*a", "<<: *a", "!!python/object:os.system", "- ", ": ", "|", ">", "'", '"', "["),
    *("\u202e", "\ud7ff", "\U0001f9ea", "null", "1e999", "true", "-1", "9" * 400, "../..", "/etc/passwd", "~"),
)
"""Pieces that parsers stumble over."""


def run(bench: Bench) -> None:
    """Injects the faults of this area."""
    rng = random.Random(bench.seed)
    home = bench.folder / AREA
    home.mkdir(parents=True, exist_ok=True)
    files = sorted(FOLDER.glob("*.yaml"))
    bench.inject(
        AREA, f"{bench.count(MUTANTS)} template files", partial(_templates, home, files, bench.count(MUTANTS), rng)
    )
    rehearsed = rehearse(bench)
    rehearsed.back_to("end")
    for what, source, read in _kinds(rehearsed, home):
        some = bench.count(MUTANTS // 10)
        bench.inject(AREA, f"{some} mutants of {what}", partial(_mutants, source, read, some, rng))


def mutate(content: bytes, rng: random.Random) -> bytes:
    """The content with some bytes flipped, cut, doubled, moved, or replaced by odd pieces."""
    made = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(made) + 1)
        to = min(len(made), at + rng.choice((1, 1, 3, 20, 200)))
        kind = rng.randrange(5)
        if kind == 0 and at < len(made):
            made[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del made[at:to]
        elif kind == 2:
            made[at:at] = made[at:to]
        elif kind == 3:
            made[at:to] = rng.choice(ODD).encode("utf-8", "surrogatepass")
        else:
            lines = made.split(b"\n")
            i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
            lines[i], lines[j] = lines[j], lines[i]
            made = bytearray(b"\n".join(lines))
    return bytes(made)


def mutate_json(value: Any, rng: random.Random) -> Any:
    """The value with one part of it, at any depth, replaced by something else or taken away."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = rng.choice(sorted(value))
        changed = {**value, key: mutate_json(value[key], rng)}
        return {k: v for k, v in changed.items() if k != key} if rng.random() < 0.1 else changed
    if isinstance(value, list) and value and rng.random() < 0.9:
        i = rng.randrange(len(value))
        return [*value[:i], mutate_json(value[i], rng), *value[i + 1 :]]
    return rng.choice((None, 0, -1, 1.5, 10**30, True, [], {}, [[]], {"a": None}, *ODD))


def _refused(read: Callable[[], object], what: bytes) -> bool:
    """Whether reading ends with words for people; raises where it ends otherwise."""
    began = time.monotonic()
    try:
        read()
        refused = False
    except UserError as error:
        printable(str(error)).encode()
        refused = True
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a panic of Rust is no Exception
        raise AssertionError(f"{type(error).__name__}: {error} from {what[:200]!r}") from error
    demand(time.monotonic() - began < SLOWEST, f"took too long: {what[:200]!r}")
    return refused


def _templates(home: Path, files: list[Path], count: int, rng: random.Random) -> str:
    path, refused = home / "mutant.yaml", 0
    for _ in range(count):
        whole = rng.choice(files).read_bytes()
        # Most time is spent on small files: a set each.
        content = mutate(whole if rng.random() < 0.05 else rng.choice(re.split(rb"\n(?=\w)", whole)), rng)
        path.write_bytes(content)
        refused += _refused(partial(load_templates, path), content)
    return f"{refused} refused, {count - refused} read"


def _mutants(path: Path, read: Callable[[], object], count: int, rng: random.Random) -> str:
    whole, refused = path.read_bytes(), 0
    try:
        for number in range(count):
            if path.suffix == ".json" and number % 2:
                value = mutate_json(json.loads(whole), rng)
                if isinstance(value, dict) and "digest" in value:  # as one who means it would write it
                    write_sealed(path, {k: v for k, v in value.items() if k != "digest"})
                else:
                    path.write_text(json.dumps(value), encoding="utf-8", errors="surrogatepass")
            else:
                path.write_bytes(mutate(whole, rng))
            refused += _refused(read, path.read_bytes())
    finally:
        path.write_bytes(whole)
    return f"{refused} refused, {count - refused} read"


def _kinds(rehearsed: Rehearsed, home: Path) -> list[tuple[str, Path, Callable[[], object]]]:
    """Files, and what reads each."""
    mirror = home / "mirror"
    mirror.mkdir(exist_ok=True)
    entry = {
        "repo_id": "o/d",
        "config": "c",
        "split": "s",
        "file": "0.parquet",
        "sha256": "",
        "bytes": 1,
        "revision": "",
    }
    (mirror / "MANIFEST.json").write_text(json.dumps([entry, {"path": "github/a/b/c.tsv"}]), encoding="utf-8")
    steps = rehearsed.steps()
    index = next((rehearsed.home / "runs/data").glob("*/index.json"))
    predictions, model = rehearsed.home / PREDICTIONS, rehearsed.home / MODEL
    (model / SUMS).unlink()
    checkpoint = sorted((Path(steps["train"].folder) / "checkpoints").glob("[0-9]*"))[0]
    return [
        ("a mirror's manifest", mirror / "MANIFEST.json", lambda: Mirror(mirror).promises("x")),
        ("a step's manifest", Path(steps["train"].folder) / "manifest.json", lambda: find_state(steps["train"])),
        ("an index of shards", index, lambda: open_build(index)),
        ("a list of sums", predictions / SUMS, lambda: read_predictions(predictions)),
        ("a checkpoint's list of sums", checkpoint / SUMS, lambda: read_sums(checkpoint)),
        ("a model's shape", model / "config.json", lambda: open_checkpoint(model)),
    ]
