"""Files that are whole or absent, and known by their hashes: atomic writes, JSON, lists of sums."""

import errno
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from flannb.errors import UserError

SUMS = "SHA256SUMS"
"""A list of files with their hashes, in the format of ``sha256sum --check``; each stage keeps one beside what it wrote
and the next believes no file that is not as the list says."""

MANIFEST, INPUTS = "manifest.json", "inputs.json"
"""In the folder of a step, such as a training or a report: what it made, written last; and what it was to be made of,
written first."""

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG, errno.EIO}

_SUM = re.compile(r"([0-9a-f]{64})  (.+)\n")
_SEAL = "digest"
_REBUILD = "Delete it and run again to rebuild it."


@contextmanager
def atomic(path: Path, durable: bool = True) -> Iterator[Path]:
    """Yields a temporary path beside ``path`` and renames it to ``path`` when the block ends well.

    A reader therefore sees the old file, no file, or the whole new one; a killed writer leaves only a ``.tmp`` file,
    which nothing reads.

    Args:
        durable: wait until the bytes are on the disk, so that a power failure leaves no empty file under the name.
            Without it, whoever reads must be able to tell a whole file (by a footer, a size, a hash).

    Raises:
        UserError: the folder cannot be written to, or the disk is full.
    """
    path = Path(path)
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        temporary.chmod(0o644)  # mkstemp makes private files; results are as readable as any other
        yield temporary
        if durable:
            with temporary.open("rb+") as written:
                os.fsync(written.fileno())
        temporary.replace(path)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def exhausted(error: BaseException) -> UserError | None:
    """What to tell people where an error, or one that it came of, says that disk or memory ran out; else ``None``."""
    cause: BaseException | None = error
    while cause is not None:
        words = str(cause)
        if isinstance(cause, MemoryError) or "Cannot allocate memory" in words or "can't start new thread" in words:
            return UserError(
                "memory ran out. Pass a smaller --workers, or use a machine with more; the same command goes on."
            )
        if isinstance(cause, OSError) and cause.errno in _NO_ROOM:
            return unwritable(cause.filename, cause)
        if (full := os.strerror(errno.ENOSPC)) in words:  # of TensorStore, which has no errors of its own kind
            named = re.search(r'(?:[Ww]riting:|local file) "([^"]+)"', words)
            return unwritable(named and named[1], OSError(errno.ENOSPC, full))
        cause = cause.__cause__ or cause.__context__
    return None


def unwritable(path: Path | str | None, error: OSError) -> UserError:
    """What to tell people where a file, of a name that may be unknown, cannot be written."""
    why = error.strerror or error
    return UserError(f"{path or 'a file'}: cannot be written ({why}). Free space or choose another folder.")


def write_text(path: Path, text: str) -> None:
    """Writes ``text`` as UTF-8, whole or not at all."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: Any) -> None:
    """Writes ``value`` as indented JSON with sorted keys, whole or not at all."""
    write_text(path, _as_json(value))


def _as_json(value: Any) -> str:
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def read_json(path: Path, remedy: str = "") -> Any:
    """The value of a JSON file.

    Args:
        remedy: what to do about a file that is none or not there; empty for one that a run writes.

    Raises:
        UserError: the file is missing or is not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path}: is not there. {remedy or 'The step that writes it has to run first.'}") from error
    except (OSError, ValueError, RecursionError) as error:  # the last of brackets without end
        raise UserError(f"{path}: not readable as JSON ({error}). {remedy or _REBUILD}") from error


def write_sealed(path: Path, value: Mapping[str, Any]) -> None:
    """As ``write_json``, with a digest of the object in it, so that ``read_sealed`` sees any change."""
    write_json(path, {**value, _SEAL: digest(value)})


def read_sealed(path: Path) -> dict[str, Any]:
    """The object that ``write_sealed`` wrote.

    Raises:
        UserError: the file is missing, or is not as it was written.
    """
    value = read_json(path)
    # Other letters can be read as the same value: 1E+30 is 1e+30.
    as_written = Path(path).read_text(encoding="utf-8") == _as_json(value)
    seal = value.pop(_SEAL, None) if isinstance(value, dict) else None
    if seal is None or seal != digest(value) or not as_written:
        raise UserError(f"{path}: is not as it was written. {_REBUILD}")
    return value


def add_sum(folder: Path, name: str, sha: str = "") -> None:
    """Adds a file to the list of its folder; several processes may do so at once.

    Args:
        name: of the file, relative to the folder.
        sha: its hash, where it is known already.

    Raises:
        UserError: the list cannot be written.
    """
    line = f"{sha or sha256(Path(folder) / name)}  {name}\n".encode()
    path = Path(folder) / SUMS
    try:
        with path.open("ab+") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                if file.read() != b"\n":  # what a kill left of a line ends here
                    line = b"\n" + line
            file.write(line)
    except OSError as error:
        raise unwritable(path, error) from error


def write_sums(folder: Path, sums: Mapping[str, str]) -> None:
    """Writes the list of a folder anew, in order: name of each file -> its hash."""
    text = "".join(f"{sums[name]}  {name}\n" for name in sorted(sums))
    if not (Path(folder) / SUMS).is_file() or (Path(folder) / SUMS).read_bytes() != text.encode():
        write_text(Path(folder) / SUMS, text)


def read_sums(folder: Path) -> dict[str, str]:
    """Name of each file on the list of a folder -> its hash; the last one counts, and lines that are none do not."""
    try:
        lines = (Path(folder) / SUMS).read_bytes().decode(errors="replace").splitlines(keepends=True)
    except OSError:
        return {}
    return {found[2]: found[1] for line in lines if (found := _SUM.fullmatch(line))}


def is_intact(path: Path, sha: str | None) -> bool:
    """Whether a file is there and has this hash."""
    return sha is not None and Path(path).is_file() and sha256(path) == sha


def inside(folder: Path, name: str) -> Path:
    """The path of a name that a file gives, below the folder.

    Raises:
        UserError: it leads out of the folder, or is none.
    """
    path = Path(name)
    if not name or "\0" in name or path.is_absolute() or ".." in path.parts:
        raise UserError(f"{name!r} leads out of {folder}; correct the file that names it")
    return Path(folder) / path


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def digest(value: Any) -> str:
    """A hash of any JSON-like value: equal values have equal digests, in every process and on every machine."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def checkpoint_digest(start: str) -> str:
    """Hash of a checkpoint's files, where it is a folder; what an address holds is its owner's to change."""
    if not start or not Path(start).is_dir():
        return ""
    files = (path for path in Path(start).iterdir() if path.suffix in (".json", ".safetensors", ".h5"))
    return digest({path.name: sha256(path) for path in sorted(files)})


def code_digest(*folders: str, without: Collection[str] = ()) -> str:
    """A hash of the source and data files of these subpackages of flannb: the "code version" in manifests.

    It is that of when it was first asked for: what a process runs does not change with the files.

    Args:
        folders: names below the package, such as ``"collection"`` or ``"build"``; a single module is ``"files.py"``.
        without: files of these that do not count, such as ``"build/mirror.py"``.
    """
    return _code_digest(folders, tuple(without))


@cache
def _code_digest(folders: tuple[str, ...], without: tuple[str, ...]) -> str:
    root = Path(__file__).parent
    files = sorted(
        path
        for folder in folders
        for path in ([root / folder] if folder.endswith(".py") else (root / folder).rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts and path.relative_to(root).as_posix() not in without
    )
    return digest({str(path.relative_to(root)): sha256(path) for path in files})
