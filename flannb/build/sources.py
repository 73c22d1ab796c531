"""Where rows come from: the Hugging Face Hub, a mirror folder, or the embedded collection, by one rule for paths.

A split is the Parquet files at ``<root>/<repo_id>/<config>/<split>/*.parquet``; a raw file is at ``<root>/<path>``.
The Hub's root is the ``refs/convert/parquet`` branch of each dataset, so no dataset script runs and no code is
downloaded.
"""

from dataclasses import dataclass, field
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from flannb.build import download
from flannb.build.download import Remote, patiently
from flannb.build.github import GitHub
from flannb.build.rows import BATCH_ROWS, Files, present, stream_files
from flannb.collection import Data, RawFile, Split
from flannb.errors import UserError
from flannb.files import SUMS, digest, inside, read_json, read_sums, sha256

MANIFEST = "MANIFEST.json"


class Source(Protocol):
    """A root of data."""

    @property
    def name(self) -> str:
        """``mini``, ``hub``, or the name of the mirror's folder; manifests and reports record it."""
        ...

    @property
    def collection(self) -> str:
        """Which tasks it holds: ``mini`` or ``flan2022``."""
        ...

    def has(self, data: Data) -> bool:
        """Whether the data are there."""
        ...

    def promises(self, data: Data | str, optional: bool = False) -> bool:
        """Whether the data ought to be there, so that it is an error if they are not.

        Args:
            optional: data that a source may lack; they ought to be there only if a manifest names them.
        """
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
        """Whether it is a split that is generated, or a file of one's own that is there."""
        if isinstance(data, RawFile):
            return bool(own_files(data))
        try:
            return self.read(data, ()) is not None
        except UserError:
            return False

    def promises(self, data: Data | str, optional: bool = False) -> bool:
        """Always, but for what is optional."""
        return not optional

    def read(self, data: Data, columns: tuple[str, ...]) -> pa.Table:
        """The generated table, or the file's. Raises as ``Source.read``."""
        from flannb.collection.mini import table

        if isinstance(data, RawFile):
            return _together(self.stream(data, columns), columns)
        whole = table(data)
        return whole.select(present(columns, whole.column_names, str(data)))

    def stream(self, data: Data, columns: tuple[str, ...]) -> Files:
        """One table in batches, or the file's rows."""
        if isinstance(data, RawFile):
            yield from stream_files(data, columns, own_files(data), Path(data.path))
        else:
            yield str(data), self.read(data, columns).to_reader(BATCH_ROWS)

    def fingerprint(self, data: Data) -> str:
        """A hash of the number of rows: what they say is code, which manifests hash."""
        if isinstance(data, RawFile):
            return digest([_sha256(path) for path in own_files(data)])
        return digest(self.read(data, ()).num_rows)


@dataclass(frozen=True)
class Mirror:
    """A local folder of the layout above.

    A ``MANIFEST.json`` in it, a list of objects with ``repo_id``, ``config`` and ``split`` (or ``path``), says what a
    partial mirror holds; without one a mirror ought to hold everything. Where its objects have a ``file`` too, as those
    of ``flannb.build.mirror`` do, a split is these files, and not there before all of them are. Where they have a
    ``sha256``, a file that has another is never read.
    """

    root: Path
    collection: str = "flan2022"

    def __post_init__(self) -> None:
        if not self.root.is_dir():
            raise UserError(f"--source {self.root}: no such folder. Name a mirror folder, 'hub' or 'mini'.")

    @property
    def name(self) -> str:
        """The name of the folder."""
        return self.root.absolute().name

    def files(self, data: Data) -> list[Path]:
        """The data's files in name order; empty where there are none, or where one that the manifest names is missing
        (a copy that was broken off).
        """
        if isinstance(data, RawFile):
            path = self.root / data.path
            return [path] if path.is_file() else []
        folder = self.root / str(data)
        listed = sorted(folder / name for name in (self._manifest or {}).get(str(data), {}) if name)
        if listed:
            return listed if all(path.is_file() for path in listed) else []
        return sorted(folder.glob("*.parquet"))

    def has(self, data: Data) -> bool:
        """Whether all of the data's files are there."""
        return bool(self.files(data))

    @cached_property
    def _manifest(self) -> dict[str, dict[str, str]] | None:
        """Data -> names of their files, empty for a raw file's own, and their hashes, as far as the manifest says."""
        if not (self.root / MANIFEST).is_file():
            return None
        named: dict[str, dict[str, str]] = {}
        for entry in read_manifest(self.root):
            data = entry.get("path") or Split(entry["repo_id"], entry["config"], entry["split"])
            files = named.setdefault(str(data), {})
            if "file" in entry or "path" in entry:
                files[entry.get("file", "")] = entry.get("sha256", "")
        return named

    def _sound(self, data: Data) -> list[Path]:
        """The data's files.

        Raises:
            UserError: one is not what the manifest says.
        """
        sums = (self._manifest or {}).get(str(data), {})
        for path in (files := self.files(data)):
            wanted = sums.get("" if isinstance(data, RawFile) else path.name)
            if wanted and wanted != _sha256(path):
                raise UserError(
                    f"{path}: is not the file that {self.root / MANIFEST} lists. Copy it again, as"
                    f" `nox -s mirror -- --to {self.root} --check` does."
                )
        return files

    def promises(self, data: Data | str, optional: bool = False) -> bool:
        """Whether the manifest names the data; without a manifest, whether they are not optional."""
        if Path(str(data)).is_absolute():  # a file of one's own is in no manifest
            return True
        return not optional if self._manifest is None else str(data) in self._manifest

    def stream(self, data: Data, columns: tuple[str, ...]) -> Files:
        """The data's files, whose hashes are checked first. Raises as ``Source.stream``."""
        return stream_files(data, columns, self._sound(data), self.root / str(data))

    def read(self, data: Data, columns: tuple[str, ...]) -> pa.Table:
        """One table of all files. Raises as ``Source.read``."""
        return _together(self.stream(data, columns), columns)

    def fingerprint(self, data: Data) -> str:
        """A hash of the files' hashes. Raises a ``UserError`` where one is not what the manifest says."""
        return digest([_sha256(path) for path in self._sound(data)])


def read_manifest(root: Path) -> list[dict[str, Any]]:
    """The objects of a mirror's manifest.

    Raises:
        UserError: it is none, names what is outside the mirror, or is not as ``flannb.build.mirror`` wrote it.
    """
    path = root / MANIFEST
    if (wanted := read_sums(root).get(MANIFEST)) and wanted != sha256(path):
        raise UserError(
            f"{path}: has changed since it was written. Mirror again with --check; or, if it was you who changed it,"
            f" delete {root / SUMS}."
        )
    entries = read_json(path, "Correct it, or delete it and mirror again.")
    try:
        for entry in entries:
            if not isinstance(entry, dict) or not all(isinstance(entry.get(name) or "", str) for name in _TEXTS):
                raise TypeError(f"{entry!r}")
            name = entry.get("path") or "/".join([entry["repo_id"], entry["config"], entry["split"]])
            inside(inside(root, name), entry.get("file", "0000.parquet"))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(
            f"{path}: not a list of objects with repo_id, config and split ({error!r}). Correct it, or delete it and"
            " mirror again."
        ) from error
    return list(entries)


_TEXTS = ("path", "repo_id", "config", "split", "file", "revision", "sha256")


def _sha256(path: Path) -> str:
    """The hash of a file, computed once for as long as it stays as it is."""
    state = path.stat()
    return _sha256_of(path, state.st_size, state.st_mtime_ns, state.st_ino)


@lru_cache(100_000)
def _sha256_of(path: Path, *state: int) -> str:
    return sha256(path)


@dataclass
class Hub:
    """The Hugging Face Hub, cached by ``huggingface_hub`` (``HF_HOME``, ``HF_HUB_OFFLINE``, ``HF_TOKEN`` apply), and
    GitHub for the files that it does not have.

    The branch of each dataset is resolved to a commit once a run, which ``fingerprint`` records.

    Attributes:
        endpoint: address of the Hub; by default ``HF_ENDPOINT`` or the public one.
        github: where raw files come from.
        attempts: how often it is asked before it counts as not answering.
    """

    endpoint: str | None = None
    github: GitHub = field(default_factory=GitHub)
    attempts: int = download.RETRIES
    name: str = field(default="hub", init=False)
    collection: str = field(default="flan2022", init=False)
    branch: str = field(default="refs/convert/parquet", init=False)
    _listings: dict[tuple[str, str], tuple[str, dict[str, Remote]]] = field(
        default_factory=dict, init=False, repr=False
    )

    def commit(self, repo_id: str, revision: str = "") -> str:
        """The commit of a dataset's converted branch, or of another revision; empty where there is none.

        Raises:
            UserError: the Hub does not answer.
        """
        return self._listing(repo_id, revision or self.branch)[0]

    def remotes(self, data: Split, commit: str = "") -> dict[str, Remote]:
        """The files of a split: name -> where it is; empty where the Hub has none.

        Args:
            commit: of the converted branch; its newest by default.

        Raises:
            UserError: the Hub does not answer.
        """
        prefix = f"{data.config}/{data.split}/"
        files = self._listing(data.repo_id, commit or self.branch)[1]
        return {path.removeprefix(prefix): files[path] for path in sorted(files) if path.startswith(prefix)}

    def _listing(self, repo_id: str, revision: str) -> tuple[str, dict[str, Remote]]:
        """The commit of a revision, and its Parquet files: path -> where it is."""
        if (repo_id, revision) in self._listings:
            return self._listings[repo_id, revision]
        from huggingface_hub import HfApi, hf_hub_url
        from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

        absent = (RepositoryNotFoundError, RevisionNotFoundError)
        api = HfApi(endpoint=self.endpoint)
        try:
            info = patiently(
                lambda: api.dataset_info(repo_id, revision=revision, files_metadata=True, timeout=download.TIMEOUT),
                repo_id,
                absent,
                self.attempts,
            )
        except absent:
            return self._listings.setdefault((repo_id, revision), ("", {}))
        commit = info.sha or ""
        files = {
            file.rfilename: Remote(
                hf_hub_url(repo_id, file.rfilename, repo_type="dataset", revision=commit, endpoint=self.endpoint),
                file.size or 0,
                sha256=file.lfs.sha256 if file.lfs else "",
                blob="" if file.lfs else file.blob_id or "",
                hub=True,
            )
            for file in info.siblings or ()
            if file.rfilename.endswith(".parquet") and file.rfilename.count("/") == 2
        }
        return self._listings.setdefault((repo_id, revision), (commit, files))

    def has(self, data: Data) -> bool:
        """Whether the Hub, or GitHub, lists the data. Raises a ``UserError`` if it does not answer."""
        if not isinstance(data, RawFile):
            return bool(self.remotes(data))
        if is_own(data):
            return bool(own_files(data))
        return self.github.cached(data).is_file() or self.github.remote(data) is not None

    def promises(self, data: Data | str, optional: bool = False) -> bool:
        """Always, but for what is optional."""
        return not optional

    def stream(self, data: Data, columns: tuple[str, ...]) -> Files:
        """The data's files, all fetched and verified first. Raises as ``Source.stream``."""
        from huggingface_hub import hf_hub_download

        where = Path("hub") / str(data)
        if isinstance(data, RawFile):
            found = own_files(data) if is_own(data) else list(filter(None, [self.github.fetch(data)]))
            return stream_files(data, columns, found, where)
        commit, folder = self.commit(data.repo_id), f"{data.config}/{data.split}"
        try:
            paths = []
            for name, remote in self.remotes(data).items():
                fetch = partial(
                    hf_hub_download,
                    data.repo_id,
                    f"{folder}/{name}",
                    repo_type="dataset",
                    revision=commit,
                    endpoint=self.endpoint,
                )
                path = Path(fetch())
                if not download.verify(path, remote):  # damaged in the cache
                    path = Path(fetch(force_download=True))
                if not download.verify(path, remote):
                    raise UserError(f"{path}: is not what {remote.url} should be. Delete it, or try again later.")
                paths.append(path)
        except UserError:
            raise
        except Exception as error:  # the client's network errors have no base class of their own
            raise UserError(
                f"{data.repo_id}: the Hub did not answer ({error}). Try again, or name a mirror folder with --source."
            ) from error
        return stream_files(data, columns, paths, where)

    def read(self, data: Data, columns: tuple[str, ...]) -> pa.Table:
        """One table of all files. Raises as ``Source.read``."""
        return _together(self.stream(data, columns), columns)

    def fingerprint(self, data: Data) -> str:
        """A hash of commit and file names, which pin the bytes."""
        if isinstance(data, RawFile):
            if is_own(data):
                return digest([_sha256(path) for path in own_files(data)])
            return digest([self.github.commit(data), data.path])
        return digest([self.commit(data.repo_id), [f"{data.config}/{data.split}/{n}" for n in self.remotes(data)]])


def is_own(data: Data) -> bool:
    """Whether the data are a file of one's own, which an absolute path names and every source reads alike."""
    return isinstance(data, RawFile) and Path(data.path).is_absolute()


def own_files(data: RawFile) -> list[Path]:
    """The file of one's own, where the data are one that is there."""
    return [Path(data.path)] if is_own(data) and Path(data.path).is_file() else []


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
