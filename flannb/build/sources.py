"""Where rows come from: the Hugging Face Hub, a mirror folder, or the embedded collection, by one rule for paths.

A split is the Parquet files at ``<root>/<repo_id>/<config>/<split>/*.parquet``; a raw file is at ``<root>/<path>``.
The Hub's root is the ``refs/convert/parquet`` branch of each dataset, so no dataset script runs and no code is
downloaded.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from flannb.collection import Data, RawFile, Split
from flannb.errors import UserError
from flannb.files import digest, read_json, sha256

UNREADABLE = "__unreadable__"
"""Name of the column in which a raw file says why it has no values for a row; null for all other rows."""

BROKEN_UNICODE = "broken Unicode"

BATCH_ROWS = 4096
"""Rows that are read at a time; a source of any size streams through this many."""

Files = Iterator[tuple[str, pa.RecordBatchReader]]
"""The name of each file of some data and its rows, batch by batch."""


class Source(Protocol):
    """A root of data.

    Attributes:
        name: ``mini``, ``hub``, or the folder's path; recorded in manifests and reports.
        collection: which tasks it holds, ``mini`` or ``flan2022``.
    """

    @property
    def name(self) -> str: ...

    @property
    def collection(self) -> str: ...

    def has(self, data: Data) -> bool:
        """Whether the data are there."""
        ...

    def promises(self, data: Data | str) -> bool:
        """Whether the data ought to be there, so that their absence is an error."""
        ...

    def stream(self, data: Data, columns: tuple[str, ...]) -> Files:
        """The named columns of the data, file by file in the order of their names, and ``UNREADABLE`` of raw files.

        Raises:
            UserError: missing data, an unreadable file, or a missing column; the message names file and column.
        """
        ...

    def read(self, data: Data, columns: tuple[str, ...]) -> pa.Table:
        """The named columns of the data as one table. Raises as ``stream``."""
        ...

    def fingerprint(self, data: Data) -> str:
        """A hash that changes whenever the bytes of the data do."""
        ...


@dataclass(frozen=True)
class Mini:
    """The embedded collection: generated, not stored."""

    name: str = "mini"
    collection: str = "mini"

    def has(self, data: Data) -> bool:
        try:
            return self.read(data, ()) is not None
        except UserError:
            return False

    def promises(self, data: Data | str) -> bool:
        return True

    def read(self, data: Data, columns: tuple[str, ...]) -> pa.Table:
        from flannb.collection.mini import table

        if not isinstance(data, Split):
            raise UserError(f"{data}: the embedded collection has no raw files")
        whole = table(data)
        return whole.select(_present(columns, whole.column_names, str(data)))

    def stream(self, data: Data, columns: tuple[str, ...]) -> Files:
        yield str(data), self.read(data, columns).to_reader(BATCH_ROWS)

    def fingerprint(self, data: Data) -> str:
        return digest(self.read(data, ()).num_rows)  # its content is code, which manifests hash


@dataclass(frozen=True)
class Mirror:
    """A local folder of the layout above.

    A ``MANIFEST.json`` in it, a list of objects with ``repo_id``, ``config`` and ``split`` (or ``path``), says what a
    partial mirror holds; without one a mirror ought to hold everything.
    """

    root: Path
    collection: str = "flan2022"

    def __post_init__(self) -> None:
        if not self.root.is_dir():
            raise UserError(f"--source {self.root}: no such folder. Name a mirror folder, 'hub' or 'mini'.")

    @property
    def name(self) -> str:
        return self.root.name

    def files(self, data: Data) -> list[Path]:
        """The data's files in name order; empty where there are none."""
        if isinstance(data, RawFile):
            path = self.root / data.path
            return [path] if path.is_file() else []
        return sorted((self.root / str(data)).glob("*.parquet"))

    def has(self, data: Data) -> bool:
        return bool(self.files(data))

    @cached_property
    def _manifest(self) -> frozenset[str] | None:
        path = self.root / "MANIFEST.json"
        if not path.is_file():
            return None
        try:
            return frozenset(
                str(entry.get("path") or Split(entry["repo_id"], entry["config"], entry["split"]))
                for entry in read_json(path)
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{path}: not a list of objects with repo_id, config and split ({error!r})") from error

    def promises(self, data: Data | str) -> bool:
        return self._manifest is None or str(data) in self._manifest

    def stream(self, data: Data, columns: tuple[str, ...]) -> Files:
        return _stream(data, columns, self.files(data), self.root / str(data))

    def read(self, data: Data, columns: tuple[str, ...]) -> pa.Table:
        return _together(self.stream(data, columns), columns)

    def fingerprint(self, data: Data) -> str:
        return digest([sha256(path) for path in self.files(data)])


class Hub:
    """The Hugging Face Hub, cached by ``huggingface_hub`` (``HF_HOME``, ``HF_HUB_OFFLINE``, ``HF_TOKEN`` apply).

    The branch of each dataset is resolved to a commit once a run, which ``fingerprint`` records.
    """

    name = "hub"
    collection = "flan2022"
    branch = "refs/convert/parquet"

    @cached_property
    def _listings(self) -> dict[str, tuple[str, list[str]]]:
        return {}

    def _listing(self, repo_id: str) -> tuple[str, list[str]]:
        """Commit and file names of a dataset's converted branch; empty where there is no such dataset or branch."""
        if repo_id not in self._listings:
            from huggingface_hub import HfApi
            from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

            try:
                info = HfApi().dataset_info(repo_id, revision=self.branch)
            except (RepositoryNotFoundError, RevisionNotFoundError):
                return "", []
            except Exception as error:  # the client's network errors have no base class of their own
                raise _unanswered(repo_id, error) from error
            names = sorted(sibling.rfilename for sibling in info.siblings or ())
            self._listings[repo_id] = (info.sha or "", names)
        return self._listings[repo_id]

    def _names(self, data: Data) -> list[str]:
        if isinstance(data, RawFile):
            return []
        prefix = f"{data.config}/{data.split}/"
        return [n for n in self._listing(data.repo_id)[1] if n.startswith(prefix) and n.endswith(".parquet")]

    def has(self, data: Data) -> bool:
        return bool(self._names(data))

    def promises(self, data: Data | str) -> bool:
        return True

    def stream(self, data: Data, columns: tuple[str, ...]) -> Files:
        from huggingface_hub import hf_hub_download

        paths = []
        if isinstance(data, Split):
            commit = self._listing(data.repo_id)[0]
            try:
                paths = [
                    Path(hf_hub_download(data.repo_id, name, repo_type="dataset", revision=commit))
                    for name in self._names(data)
                ]
            except Exception as error:
                raise _unanswered(data.repo_id, error) from error
        return _stream(data, columns, paths, Path("hub") / str(data))

    def read(self, data: Data, columns: tuple[str, ...]) -> pa.Table:
        return _together(self.stream(data, columns), columns)

    def fingerprint(self, data: Data) -> str:
        return digest([self._listing(data.repo_id)[0], self._names(data)]) if isinstance(data, Split) else digest("")


def _unanswered(repo_id: str, error: Exception) -> UserError:
    return UserError(f"{repo_id}: the Hub did not answer ({error}). Try again, or name a mirror folder with --source.")


def open_source(name: str) -> Source:
    """The source of a ``--source`` option: ``mini``, ``hub``, or a mirror folder.

    Raises:
        UserError: a folder that does not exist.
    """
    if name == "mini":
        return Mini()
    return Hub() if name == "hub" else Mirror(Path(name))


def _together(files: Files, columns: tuple[str, ...]) -> pa.Table:
    tables = [reader.read_all().select(columns) for _, reader in files]
    return pa.concat_tables(tables, promote_options="permissive")


def _stream(data: Data, columns: tuple[str, ...], paths: list[Path], where: Path) -> Files:
    if not paths:
        raise UserError(f"{where}: no such data. Mirror it, choose another --source, or pass --allow-missing.")
    for path in paths:
        yield str(path), _raw_rows(data, path, columns) if isinstance(data, RawFile) else _parquet_rows(path, columns)


def _parquet_rows(path: Path, columns: tuple[str, ...]) -> pa.RecordBatchReader:
    def damaged(error: Exception) -> UserError:
        return UserError(f"{path}: not a whole Parquet file ({error}). Copy or download it again.")

    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise damaged(error) from error
    names = _present(columns, file.schema_arrow.names, str(path))
    schema = pa.schema([file.schema_arrow.field(name) for name in names])

    def batches() -> Iterator[pa.RecordBatch]:
        with file:
            try:
                for batch in file.iter_batches(BATCH_ROWS, columns=names):
                    yield batch.select(names)
            except (pa.ArrowException, OSError) as error:
                raise damaged(error) from error

    return pa.RecordBatchReader.from_batches(schema, batches())


def _present(columns: Iterable[str], names: Iterable[str], where: str) -> list[str]:
    """The columns, all checked to be there."""
    names = list(names)
    missing = [column for column in columns if column not in names]
    if missing:
        raise UserError(f"{where}: lacks column {', '.join(map(repr, missing))}; it has {', '.join(map(repr, names))}")
    return list(columns)


def _raw_rows(data: RawFile, path: Path, columns: tuple[str, ...]) -> pa.RecordBatchReader:
    try:
        if path.suffix == ".tsv":
            _present(columns, data.columns, str(path))
            schema = pa.schema([(name, pa.string()) for name in (*columns, UNREADABLE)])
            return pa.RecordBatchReader.from_batches(schema, _tsv_rows(path, data.columns, schema))
        if path.suffix == ".json":
            table = _json_rows(path)
        else:
            table = pa.table({"text": [path.read_text(encoding="utf-8")], UNREADABLE: pa.nulls(1, pa.string())})
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({error}). Copy or download it again.") from error
    return table.select([*_present(columns, table.column_names, str(path)), UNREADABLE]).to_reader(BATCH_ROWS)


def _tsv_rows(path: Path, names: tuple[str, ...], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Rows of a file without quotes and header, a line each."""
    with path.open("rb") as file:
        while lines := list(islice(file, BATCH_ROWS)):
            columns = dict(zip((*names, UNREADABLE), zip(*_cells(lines, len(names)), strict=True), strict=True))
            yield pa.record_batch([pa.array(columns[name], pa.string()) for name in schema.names], schema=schema)


def _cells(lines: list[bytes], width: int) -> Iterator[tuple[str | None, ...]]:
    """The cells of each line, and why it has none."""
    nothing = (None,) * width
    for line in lines:
        try:
            cells = line.rstrip(b"\r\n").decode().split("\t")
        except UnicodeDecodeError:
            yield *nothing, BROKEN_UNICODE
            continue
        if len(cells) == width:
            yield *cells, None
        else:
            yield *nothing, f"{len(cells)} columns instead of {width}"


def _json_rows(path: Path) -> pa.Table:
    """Rows of a list of objects.

    Raises:
        ValueError: it is no such list.
    """
    rows = json.loads(path.read_text(encoding="utf-8", errors="surrogateescape"))
    if not isinstance(rows, list):
        raise ValueError("not a list of objects")
    reasons = [_why_unreadable(row) for row in rows]
    rows = [{} if reason else row for row, reason in zip(rows, reasons, strict=True)]
    columns = {
        name: pa.array([row.get(name) for row in rows]) for name in dict.fromkeys(n for row in rows for n in row)
    }
    return pa.table({**columns, UNREADABLE: pa.array(reasons, pa.string())})


def _why_unreadable(row: Any) -> str | None:
    if not isinstance(row, dict):
        return "not an object"
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # a surrogate without its other half, or a byte that is no UTF-8
        return BROKEN_UNICODE
    return None
