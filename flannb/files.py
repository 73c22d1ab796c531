"""Files that are whole or absent: atomic writes, hashes, JSON."""

import hashlib
import json
import os
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flannb.errors import UserError


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
        raise UserError(
            f"{path}: cannot be written ({error.strerror or error}). Free space or choose another folder."
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Writes ``text`` as UTF-8, whole or not at all."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: Any) -> None:
    """Writes ``value`` as indented JSON with sorted keys, whole or not at all."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """The value of a JSON file.

    Raises:
        UserError: the file is missing or is not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not readable as JSON ({error}). Delete it and run again to rebuild it.") from error


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def digest(value: Any) -> str:
    """A hash of any JSON-like value: equal values have equal digests, in every process and on every machine."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def code_digest(*folders: str, without: Collection[str] = ()) -> str:
    """A hash of the source and data files of these subpackages of flannb: the "code version" in manifests.

    Args:
        folders: names below the package, such as ``"collection"`` or ``"build"``; a single module is ``"files.py"``.
        without: files of these that do not count, such as ``"build/mirror.py"``.
    """
    root = Path(__file__).parent
    files = sorted(
        path
        for folder in folders
        for path in ([root / folder] if folder.endswith(".py") else (root / folder).rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts and path.relative_to(root).as_posix() not in without
    )
    return digest({str(path.relative_to(root)): sha256(path) for path in files})
