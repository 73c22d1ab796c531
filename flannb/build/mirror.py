"""A mirror: what tasks need of the Hub and of GitHub, copied to a folder that ``Mirror`` reads.

``MANIFEST.json`` in it lists every file with its revision, size and hash. It is written before the first byte is
fetched, so that a copy that was broken off is seen to lack what it promises, and the revisions in it are used again by
the next call: a mirror stays what it is until it is told to update.
"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from flannb.build.download import Remote, download
from flannb.build.sources import MANIFEST, Hub, read_manifest
from flannb.collection import Data, EvalTask, FinetuningTask, RawFile, Split, Task
from flannb.files import SUMS, sha256, write_json, write_sums

Entry = dict[str, Any]
"""An object of the manifest: ``repo_id``; ``config``, ``split`` and ``file`` of a Parquet file, or ``path`` of a raw
one; ``revision``; ``bytes``; and ``sha256``, empty before a file was fetched whose server does not say it."""


@dataclass(frozen=True)
class Item:
    """A file to copy.

    Attributes:
        path: below the mirror's folder.
        entry: what the manifest says of it.
        whole: it is there already, as the manifest of an earlier call says.
    """

    path: str
    remote: Remote
    entry: Entry
    whole: bool = False


@dataclass(frozen=True)
class Plan:
    """What a mirror will hold.

    Attributes:
        items: the files, in order.
        missing: data that the servers lack -> why.
    """

    items: tuple[Item, ...]
    missing: dict[str, str]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(item.remote.size for item in self.items)


def needed_data(
    tasks: Iterable[Task], suites: Iterable[EvalTask], single_tasks: Iterable[FinetuningTask] = ()
) -> tuple[Data, ...]:
    """The data that training tasks, evaluation sets and tasks to finetune on read, in order, each once; what nobody
    serves is left out.
    """
    trained = [data for task in tasks if not task.unavailable for data in (task.data, task.positives)]
    scored = [data for task in suites for data in (task.data, task.exemplars, task.prompt)]
    finetuned = [data for task in single_tasks for data in task.data]
    served = [
        data for data in (*trained, *scored, *finetuned) if data is not None and not Path(str(data)).is_absolute()
    ]
    return tuple(dict.fromkeys(served))


def plan_mirror(
    hub: Hub,
    data: Sequence[Data],
    folder: Path,
    update: bool = False,
    progress: Callable[[str], object] = lambda name: None,
) -> Plan:
    """Looks up where the data are, at the revisions that the folder's manifest has, else at the newest.

    Args:
        update: take the newest revisions of all.
        progress: called with each of the data before it is looked up.

    Raises:
        UserError: a server does not answer.
    """
    before = {entry_path(entry): entry for entry in _manifest(Path(folder))}
    pinned = {} if update else _pinned(before)
    items: list[Item] = []
    missing: dict[str, str] = {}
    for one in data:
        progress(str(one))
        found = _raw(hub, one, pinned) if isinstance(one, RawFile) else _split(hub, one, pinned)
        if not found:
            missing[str(one)] = _why(hub, one, pinned)
        for path, remote, entry in found:
            known = before.get(path, {})
            same = (
                known.get("revision") == entry["revision"]
                and known.get("bytes") == remote.size
                and remote.sha256 in ("", known.get("sha256"))
            )
            there = Path(folder) / path
            items.append(
                Item(
                    path,
                    remote,
                    entry | ({"sha256": known.get("sha256", "")} if same else {}),
                    whole=same
                    and bool(known.get("sha256"))
                    and there.is_file()
                    and there.stat().st_size == remote.size,
                )
            )
    return Plan(tuple(items), missing)


def copy_mirror(
    plan: Plan,
    folder: Path,
    jobs: int = 4,
    check: bool = False,
    advance: Callable[[int], object] = lambda size: None,
) -> Path:
    """Copies the files of a plan; what is there already stays. Files of other calls stay in the manifest.

    Args:
        jobs: files fetched at once.
        check: read again, and compare with their hashes, files that are there already.
        advance: called with bytes gained, from one thread at a time.

    Returns:
        The path of the manifest.

    Raises:
        UserError: a file cannot be fetched or written. All that came is kept.
    """
    folder = Path(folder)
    before = {entry_path(entry): entry for entry in _manifest(folder)}
    planned = {item.path: item.entry for item in plan.items}
    # Files of a split that its new revision no longer has would be read along with it.
    splits = {path.rpartition("/")[0] for path, entry in planned.items() if "file" in entry}
    gone = {path for path in before if path.rpartition("/")[0] in splits and path not in planned}
    entries = {path: entry for path, entry in before.items() if path not in gone} | planned
    _write_manifest(folder, entries)
    for path in gone:
        (folder / path).unlink(missing_ok=True)
    lock, stop = threading.Lock(), threading.Event()

    def gained(size: int) -> None:
        if stop.is_set():
            raise KeyboardInterrupt  # no download retries after it, as after the errors of a network
        with lock:
            advance(size)

    def fetch(item: Item) -> None:
        if item.whole and not check:
            gained(item.remote.size)
            return
        # What an earlier call found out about a file is held against what is there now.
        remote = replace(item.remote, sha256=item.entry["sha256"])
        entries[item.path] = item.entry | {"sha256": download(remote, folder / item.path, gained)}

    try:
        with ThreadPoolExecutor(jobs) as pool:
            try:
                for _ in pool.map(fetch, plan.items):
                    pass
            except BaseException:
                stop.set()
                pool.shutdown(cancel_futures=True)
                raise
    finally:
        _write_manifest(folder, entries)
    return folder / MANIFEST


def entry_path(entry: Entry) -> str:
    """Where the file of a manifest's object is, below the mirror's folder."""
    if entry.get("path"):
        return str(entry["path"])
    return "/".join([entry["repo_id"], entry["config"], entry["split"], entry.get("file", "0000.parquet")])


def _pinned(entries: Mapping[str, Entry]) -> dict[str, str]:
    """The revisions of a manifest, by repository and by what was taken from it, which may be of several."""
    pinned: dict[str, str] = {}
    for path, entry in entries.items():
        # a manifest that was written by hand may name neither
        if entry.get("repo_id") and entry.get("revision"):
            pinned[entry["repo_id"]] = entry["revision"]
            pinned[path if entry.get("path") else path.rpartition("/")[0]] = entry["revision"]
    return pinned


def _split(hub: Hub, data: Split, pinned: dict[str, str]) -> list[tuple[str, Remote, Entry]]:
    commit = pinned.get(str(data)) or pinned.get(data.repo_id) or hub.commit(data.repo_id)
    return [
        (
            f"{data}/{name}",
            remote,
            {
                "repo_id": data.repo_id,
                "config": data.config,
                "split": data.split,
                "file": name,
                "revision": commit,
                "bytes": remote.size,
                "sha256": remote.sha256,
            },
        )
        for name, remote in hub.remotes(data, commit).items()
    ]


def _raw(hub: Hub, data: RawFile, pinned: dict[str, str]) -> list[tuple[str, Remote, Entry]]:
    repo = "/".join(data.path.split("/")[:3])
    found = hub.github.remote(data, pinned.get(data.path) or pinned.get(repo, ""))
    if found is None:
        return []
    commit, remote = found
    entry = {"repo_id": repo, "path": data.path, "revision": commit, "bytes": remote.size, "sha256": remote.sha256}
    return [(data.path, remote, entry)]


def _why(hub: Hub, data: Data, pinned: dict[str, str]) -> str:
    if isinstance(data, RawFile):
        if not hub.github.commit(data):
            return "no commit of its repository is pinned in flannb/build/github.py"
        return f"no such file at commit {hub.github.commit(data)}"
    if not hub.commit(data.repo_id):
        return f"no such dataset, or no branch {hub.branch} (gated datasets need HF_TOKEN and their terms accepted)"
    revision = pinned.get(str(data)) or pinned.get(data.repo_id)
    if revision and not hub.commit(data.repo_id, revision):
        return f"revision {revision} of {MANIFEST} is no longer there; --update takes the newest"
    return f"no files {data.config}/{data.split}/*.parquet on {hub.branch}"


def _manifest(folder: Path) -> list[Entry]:
    return read_manifest(folder) if (folder / MANIFEST).is_file() else []


def _write_manifest(folder: Path, entries: dict[str, Entry]) -> None:
    (folder / SUMS).unlink(missing_ok=True)  # a kill between the two leaves a manifest without a sum, not a wrong one
    write_json(folder / MANIFEST, [entries[path] for path in sorted(entries)])
    write_sums(folder, {MANIFEST: sha256(folder / MANIFEST)})
