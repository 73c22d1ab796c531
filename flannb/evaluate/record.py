"""The record of an evaluation: a Parquet file of predictions for each set and setting, and what went wrong in it.

A file's metadata says from which settings it was made, how many rows could not be used and why, or why the whole set is
absent; such a file has no rows. ``SHA256SUMS`` beside them has the hash of each: a file that is not as it was written
is evaluated again, and never read.
"""

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from flannb.collection import EVERY_SUITE
from flannb.errors import UserError
from flannb.files import add_sum, atomic, is_intact, read_sums

MODES = ("generation", "ranking", "ranking_per_token")
"""How an answer was found: greedy generation, read by extraction; the option of the highest log-likelihood; the option
of the highest log-likelihood per token of what the template has a model write for it."""

SCHEMA = pa.schema(
    [
        ("suite", pa.string()),
        ("task", pa.string()),
        ("setting", pa.string()),
        ("split", pa.string()),
        ("row", pa.int64()),
        ("mode", pa.string()),
        ("prompt", pa.string()),
        ("target", pa.string()),
        ("prediction", pa.string()),
        ("extraction", pa.string()),
        ("score", pa.float64()),
        ("exemplars", pa.list_(pa.int64())),
        ("dropped_exemplars", pa.int64()),
        ("options", pa.list_(pa.string())),
        ("answers", pa.list_(pa.string())),
        ("likelihoods", pa.list_(pa.float64())),
        ("problems", pa.list_(pa.string())),
    ]
)
"""``row`` is the position in the split; ``exemplars`` are rows of theirs; ``options`` are those of the row, or what
ranking chose among; ``likelihoods`` are theirs in ranking, natural logarithms, per token in ``ranking_per_token``;
``score`` is from 0 to 1; ``problems`` is empty for most rows."""

_META = b"flannb"


def set_path(folder: Path, suite: str, setting: str, task: str) -> Path:
    """Where the predictions of a set are."""
    return Path(folder) / f"{suite}.{setting}.{task}.parquet"


def write_set(path: Path, lines: Sequence[Mapping[str, Any]], meta: Mapping[str, Any]) -> None:
    """Writes the predictions of a set, whole or not at all.

    Args:
        lines: of ``SCHEMA``.
        meta: ``key`` (see ``recorded_keys``), ``suite``, ``task``, ``setting``, ``rejected`` (reason -> rows that could
            not be used), and ``absent``, why there is nothing, or empty.
    """
    schema = SCHEMA.with_metadata({_META: json.dumps(meta, sort_keys=True).encode()})
    with atomic(path) as temporary:
        pq.write_table(pa.Table.from_pylist(list(lines), schema=schema), temporary)
    add_sum(path.parent, path.name)


def recorded_keys(folder: Path) -> dict[str, str]:
    """The hash of the settings that each file of predictions was made with, by its name; of intact ones only.

    One that says that a set is absent does not count: it may have come.
    """
    sums = read_sums(folder)
    found = {name: read_meta(path) for name, sha in sums.items() if is_intact(path := Path(folder) / name, sha)}
    return {name: str(meta["key"]) for name, meta in found.items() if not meta["absent"]}


def read_meta(path: Path) -> dict[str, Any]:
    """What ``write_set`` wrote beside the predictions. Raises ``UserError`` where there is nothing."""
    try:
        return dict(json.loads((pq.read_schema(path).metadata or {})[_META]))
    except (pa.ArrowException, OSError, KeyError, ValueError, TypeError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: object) -> UserError:
    return UserError(f"{path}: not as it was written ({error}). Evaluate again; what is intact is kept.")


def _paths(folder: Path, names: Collection[str] | None) -> list[Path]:
    """The files of a run, or those of these names, suite by suite, in the order of Table 1, all of them intact."""
    suites = list(EVERY_SUITE)
    paths = [path for path in Path(folder).glob("*.*.*.parquet") if path.name.split(".")[0] in suites]
    paths = [path for path in paths if names is None or path.name in names]
    if not paths:
        raise UserError(f"{folder}: no predictions here; evaluate the model first")
    sums = read_sums(folder)
    for path in paths:
        if not is_intact(path, sums.get(path.name)):
            raise _damaged(path, "its hash is another")
    return sorted(paths, key=lambda path: (suites.index(path.name.split(".")[0]), path.name))


def read_predictions(
    folder: Path, modes: Sequence[str] = ("generation",), names: Collection[str] | None = None
) -> pd.DataFrame:
    """The predictions of a run.

    Args:
        folder: of ``evaluate``.
        modes: of ``MODES``; greedy generation by default, by which the paper scores.
        names: of the files that are read (``asked_of``); by default all.

    Raises:
        UserError: there are none, or a file is damaged.
    """
    return pa.concat_tables(_read(path, modes) for path in _paths(folder, names)).to_pandas()


def read_set(path: Path, modes: Sequence[str] = ("generation",)) -> pd.DataFrame:
    """The predictions of one file.

    Raises:
        UserError: it is missing, or is not as ``write_set`` wrote it.
    """
    if not is_recorded(path):
        raise _damaged(path, "it is missing, or its hash is another")
    return _read(path, modes).to_pandas()


def is_recorded(path: Path) -> bool:
    """Whether a file of predictions is there and as ``write_set`` wrote it."""
    return is_intact(path, read_sums(Path(path).parent).get(Path(path).name))


def _read(path: Path, modes: Sequence[str]) -> pa.Table:
    try:
        table = pq.read_table(path, schema=SCHEMA, filters=[("mode", "in", list(modes))])
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from error
    return table.replace_schema_metadata()


def read_problems(folder: Path, names: Collection[str] | None = None) -> pd.DataFrame:
    """What went wrong in a run: rows that could not be used, absent sets, dropped exemplars, unreadable predictions.

    Args:
        folder, names: as of ``read_predictions``.

    Returns:
        Columns ``suite``, ``task``, ``setting``, ``mode`` (empty for what precedes the model), ``problem``, ``rows``
        (0 for an absent set).

    Raises:
        UserError: as ``read_predictions``.
    """
    lines = []
    for path in _paths(folder, names):
        meta = read_meta(path)
        where = {name: meta[name] for name in ("suite", "task", "setting")}
        found: Counter[tuple[str, str]] = Counter({("", reason): n for reason, n in meta["rejected"].items()})
        if meta["absent"]:
            found["", f"absent: {meta['absent']}"] = 0
        table = pq.read_table(path, columns=["mode", "problems"]).to_pylist()
        found.update((line["mode"], problem) for line in table for problem in line["problems"])
        lines += [where | {"mode": mode, "problem": problem, "rows": n} for (mode, problem), n in found.items()]
    return pd.DataFrame(lines, columns=["suite", "task", "setting", "mode", "problem", "rows"])
