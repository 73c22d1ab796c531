"""Files over HTTP: resumed where they stopped, verified, and never under their name before they are whole."""

import errno
import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar

from filelock import FileLock

from flannb.errors import UserError
from flannb.files import unwritable

RETRIES = 6
"""Attempts in a row that bring no byte before a download is given up."""

FIRST_WAIT, LONGEST_WAIT = 1.0, 30.0
"""Seconds before the second attempt, doubled each time up to the longest."""

TIMEOUT = 30.0
"""Seconds without an answer or a byte after which an attempt has failed."""

FINAL = {
    400: "a bad request",
    401: "not allowed: log in with `hf auth login` or set HF_TOKEN, and accept the dataset's terms on its page",
    403: "forbidden: accept the dataset's terms on its page, or wait where a limit of requests is reached",
    404: "no such file",
    410: "the file is gone",
}
"""Status codes that asking again does not change."""

T = TypeVar("T")


@dataclass(frozen=True)
class Remote:
    """A file on a server.

    Attributes:
        url: where it is.
        size: in bytes.
        sha256: of its content, as the Hub says of files in LFS; empty where unknown.
        blob: its id in git (SHA-1 of ``blob <size>``, a null byte, and the content), which git hosts say of all others.
        hub: whether it is the Hub's, which gets the user's token if there is one.
    """

    url: str
    size: int
    sha256: str = ""
    blob: str = ""
    hub: bool = False


def verify(path: Path, remote: Remote) -> str:
    """The SHA-256 of a file that is what ``remote`` says; empty where it is not, in size or in content."""
    if path.stat().st_size != remote.size:
        return ""
    sha256, blob = hashlib.sha256(), hashlib.sha1(f"blob {remote.size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            sha256.update(block)
            blob.update(block)
    same = (not remote.sha256 or remote.sha256 == sha256.hexdigest()) and (
        not remote.blob or remote.blob == blob.hexdigest()
    )
    return sha256.hexdigest() if same else ""


def download(remote: Remote, path: Path, advance: Callable[[int], object] = lambda size: None) -> str:
    """Brings a file to ``path``; what an earlier call has brought of it is kept and only the rest asked for.

    The bytes go to ``.<name>.part`` beside ``path``, which gets its name when size and hash are right. A file that is
    there already is verified and kept; of several processes that want it, one fetches and the others wait. After a
    failure it waits, ever longer, and goes on from where the connection broke; content that does not match its hash is
    thrown away and fetched once more.

    Args:
        advance: called with the number of bytes gained; negative where bytes are thrown away.

    Returns:
        The file's SHA-256.

    Raises:
        UserError: the server refuses, does not answer, or sends something else; the message names file and address.
    """
    if path.is_file() and (found := verify(path, remote)):
        advance(remote.size)
        return found
    lock = path.with_name(f".{path.name}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(lock):
            found = _fetch(remote, path, advance)
            lock.unlink(missing_ok=True)  # whoever comes now finds the file whole
            return found
    except OSError as error:
        raise unwritable(path, error) from error


def _fetch(remote: Remote, path: Path, advance: Callable[[int], object]) -> str:
    """As ``download``, for the one process that does it."""
    if path.is_file() and (found := verify(path, remote)):
        advance(remote.size)
        return found
    part = path.with_name(f".{path.name}.part")
    if part.exists() and part.stat().st_size > remote.size:
        part.unlink()
    advance(part.stat().st_size if part.exists() else 0)
    for _ in range(2):
        _complete(remote, part, advance)
        if found := verify(part, remote):
            with part.open("rb+") as file:
                os.fsync(file.fileno())
            part.replace(path)
            return found
        advance(-part.stat().st_size)
        part.unlink()
    raise UserError(f"{path}: {remote.url} sends something else than its hash says, twice. Try again later.")


def _complete(remote: Remote, part: Path, advance: Callable[[int], object]) -> None:
    """Fetches the missing end of a partial file."""
    failures, wait = 0, FIRST_WAIT
    part.touch()
    while (have := part.stat().st_size) < remote.size:
        problem = _attempt(remote, part, have, advance)
        gained = part.stat().st_size > have
        failures, wait = (0, FIRST_WAIT) if gained else (failures + 1, wait)
        if failures == RETRIES:
            whole = part.with_name(part.name[1:].removesuffix(".part"))
            raise UserError(
                f"{whole}: {remote.url} did not answer {RETRIES} times in a row ({problem}). "
                "What came is kept; give the same command again to go on."
            )
        if problem:
            time.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT)


def _attempt(remote: Remote, part: Path, have: int, advance: Callable[[int], object]) -> str:
    """Asks once for the bytes from ``have`` on and appends what comes; returns what went wrong."""
    from huggingface_hub import get_session
    from huggingface_hub.utils import build_hf_headers

    # Compressed answers have other lengths and cannot be resumed.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    if remote.hub:
        headers = build_hf_headers() | headers
    try:
        with (
            part.open("r+b", buffering=0) as file,
            get_session().stream("GET", remote.url, headers=headers, timeout=TIMEOUT) as answer,
        ):
            code = answer.status_code
            if code in FINAL:
                raise UserError(f"{remote.url}: the server says {code}, {FINAL[code]}.")
            if code not in (200, 206):
                return f"status {code}"
            if code == 200 and have:  # a server that knows no ranges sends everything from the start
                advance(-have)
                have = 0
            file.truncate(have)
            file.seek(have)
            for block in answer.iter_raw():  # as they come: nothing is lost where the connection breaks
                kept = block[: remote.size - have]
                _write(file, part, kept)
                have += len(kept)
                advance(len(kept))
    except UserError:
        raise
    except Exception as error:  # the client's errors have no base class that is its own in all its releases
        return f"{type(error).__name__}: {error}"
    return "" if have == remote.size else f"the answer ended at byte {have:,} of {remote.size:,}"


def _write(file: BinaryIO, part: Path, block: bytes) -> None:
    """Writes a block; a full disk is not taken for a bad network."""
    try:
        if file.write(block) < len(block):
            raise OSError(errno.ENOSPC, "the disk is full")
    except OSError as error:
        raise unwritable(part, error) from error


def patiently(ask: Callable[[], T], what: str, final: tuple[type[Exception], ...] = (), attempts: int = RETRIES) -> T:
    """The answer of a call to a server, asked again after failures like a download.

    Args:
        final: errors that asking again does not change; they are raised as they are.

    Raises:
        UserError: no answer after all attempts.
    """
    wait = FIRST_WAIT
    problem: Exception | None = None
    for attempt in range(attempts):
        try:
            return ask()
        except UserError:
            raise
        except final:
            raise
        except Exception as error:  # as above
            problem = error
            if type(error).__name__ == "OfflineModeIsEnabled":
                raise UserError(f"{what}: HF_HUB_OFFLINE is set. Unset it, or name a mirror with --source.") from error
        if attempt < attempts - 1:
            time.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT)
    raise UserError(
        f"{what}: did not answer ({problem}). Try again, or name a mirror folder with --source."
    ) from problem
