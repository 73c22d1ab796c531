"""Export: the rendered examples of a build as Parquet or JSON lines, with a dataset card, for any trainer.

The files are grouped by submixture, ``<submixture>/<submixture>-00000-of-00003.parquet``. Columns are those of the
public submixture datasets and the provenance that a build keeps (``COLUMNS``). The folder is a dataset: its card names
a configuration for each submixture, so ``datasets.load_dataset(DIR, "cot")`` reads one of them.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from flannb import __version__
from flannb.build.card import TASK_SOURCES, dataset_card
from flannb.build.index import Build
from flannb.build.shards import Shard, read_shard
from flannb.errors import UserError
from flannb.files import add_sum, atomic, digest, is_intact, read_json, read_sums, write_json, write_sums, write_text

FORMATS = ("parquet", "jsonl")
STATE = "export.json"
PART = 200_000
"""Examples of a file, at which the next shard begins a new one."""

SLICE = 20_000
"""Examples held in memory at once."""

COLUMNS = pa.schema(
    [
        ("inputs", pa.string()),
        ("targets", pa.string()),
        ("task_source", pa.string()),
        ("task_name", pa.string()),
        ("template_type", pa.string()),
        ("template_idx", pa.int32()),
        ("submixture", pa.string()),
        ("setting", pa.string()),
        ("row", pa.int32()),
        ("exemplars", pa.list_(pa.int32())),
        ("inverted", pa.bool_()),
        ("style", pa.string()),
        ("exemplar_templates", pa.list_(pa.int16())),
        ("exemplar_style", pa.string()),
        ("exemplar_kind", pa.string()),
    ]
)
"""The columns: the first six are those of the public datasets."""


@dataclass(frozen=True)
class _Part:
    """A file: its path in the folder, and the shards that it holds with the number of examples of each."""

    path: str
    submixture: str
    shards: tuple[tuple[Shard, int], ...]

    @property
    def examples(self) -> int:
        return sum(count for _, count in self.shards)


def quotas(weights: Mapping[Shard, float], examples: int) -> dict[Shard, int]:
    """How many of ``examples`` each shard gives at a mixture's weights; they sum to ``examples``.

    Whole numbers by largest remainder; ties go to the shard whose path comes first.
    """
    shards = sorted(weights, key=lambda shard: shard.path)
    exact = np.array([weights[shard] for shard in shards])
    exact = exact / exact.sum() * examples
    counts = np.floor(exact).astype(int)
    most = np.argsort(counts - exact, kind="stable")[: examples - counts.sum()]
    counts[most] += 1
    return {shard: int(count) for shard, count in zip(shards, counts, strict=True) if count}


def export(
    build: Build,
    folder: Path,
    form: str,
    counts: Mapping[Shard, int],
    mixture: str,
    seed: int,
    advance: Callable[[int], object] = lambda examples: None,
) -> Path:
    """Writes examples of a build; files that an earlier, broken-off call has finished are kept, damaged ones are not.

    Args:
        form: one of ``FORMATS``.
        counts: shard -> number of its examples. Fewer than it has are drawn without repetition, more are whole epochs
            and a draw; in any case in the shard's order.
        mixture: name of the mixture, for the card.
        seed: fixes the draws.
        advance: called with numbers of examples written.

    Returns:
        The path of the dataset card.

    Raises:
        UserError: the folder holds another export or something else, or cannot be written.
    """
    folder = Path(folder)
    key = digest([build.key, form, sorted((shard.path, n) for shard, n in counts.items()), mixture, seed, __version__])
    if not (folder / STATE).is_file():
        if folder.is_dir() and any(folder.iterdir()):
            raise UserError(f"--export {folder}: the folder is not empty and no export; choose another one")
        write_json(folder / STATE, {"key": key})
    if (state := read_json(folder / STATE)) != {"key": key}:
        what = "another export" if isinstance(state, dict) and "key" in state else f"a {STATE} that is of no export"
        raise UserError(f"--export {folder}: holds {what}; choose another folder, or delete it")
    sums, parts = read_sums(folder), _parts(counts, form)
    for part in parts:
        path = folder / part.path
        if not is_intact(path, sums.get(part.path)):
            with atomic(path) as temporary:
                _write(build, part, temporary, form, seed)
            add_sum(folder, part.path)
        advance(part.examples)
    write_sums(folder, {part.path: read_sums(folder)[part.path] for part in parts})
    card = folder / "README.md"
    write_text(card, dataset_card(build, counts, form, mixture, seed))
    return card


def _parts(counts: Mapping[Shard, int], form: str) -> list[_Part]:
    """Whole shards, by submixture, in files of about ``PART`` examples."""
    groups: dict[str, list[list[tuple[Shard, int]]]] = {}
    for shard in sorted(counts, key=lambda shard: shard.path):
        files = groups.setdefault(shard.submixture, [[]])
        if sum(n for _, n in files[-1]) >= PART:
            files.append([])
        files[-1].append((shard, counts[shard]))
    return [
        _Part(f"{name}/{name}-{i:05d}-of-{len(files):05d}.{form}", name, tuple(members))
        for name, files in groups.items()
        for i, members in enumerate(files)
    ]


def _write(build: Build, part: _Part, path: Path, form: str, seed: int) -> None:
    tables = (table for shard, count in part.shards for table in _tables(build, shard, count, seed))
    if form == "jsonl":
        with path.open("w", encoding="utf-8", newline="\n") as file:
            for table in tables:
                file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in table.to_pylist())
        return
    with pq.ParquetWriter(path, COLUMNS, compression="zstd") as writer:
        for table in tables:
            writer.write_table(table)


def _tables(build: Build, shard: Shard, count: int, seed: int) -> Iterator[pa.Table]:
    """A shard's examples with the exported columns, a slice at a time."""
    whole = read_shard(build.home / shard.path)
    rows = _rows(shard, count, seed)
    for start in range(0, len(rows), SLICE):
        table = whole.take(pa.array(rows[start : start + SLICE]))
        values: dict[str, Any] = {
            "task_source": TASK_SOURCES[shard.submixture],
            "task_name": shard.task,
            "template_type": shard.setting,
            "submixture": shard.submixture,
            "setting": shard.setting,
            "inverted": shard.inverted,
        }
        columns = {
            name: pa.repeat(pa.scalar(values[name], COLUMNS.field(name).type), table.num_rows)
            if name in values
            else table["template" if name == "template_idx" else name].cast(COLUMNS.field(name).type)
            for name in COLUMNS.names
        }
        yield pa.table(columns, schema=COLUMNS)


def _rows(shard: Shard, count: int, seed: int) -> np.ndarray:
    """Positions of the examples to export, ascending."""
    epochs, rest = divmod(count, shard.examples)
    rng = np.random.default_rng(int(digest([seed, shard.path])[:16], 16))
    drawn = rng.choice(shard.examples, size=rest, replace=False)
    return np.sort(np.concatenate([np.tile(np.arange(shard.examples), epochs), drawn]))
