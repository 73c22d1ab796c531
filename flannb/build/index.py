"""The index of a build: what it holds, with size and hash of every file, as later stages read it."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from flannb.build.examples import Lengths
from flannb.build.shards import Shard, shard_files
from flannb.build.workers import default_workers
from flannb.errors import UserError
from flannb.files import digest, inside, is_intact, read_sealed, sha256

INDEX = "index.json"


@dataclass(frozen=True)
class Build:
    """A finished build, as later stages read it.

    Attributes:
        sha256: hashes of the files that are no shards, by their names.
    """

    home: Path
    key: str
    source: str
    collection: str
    lengths: Lengths
    tokenizer_path: Path
    vocabulary_size: int
    shards: tuple[Shard, ...]
    sha256: Mapping[str, str]


def open_build(index: Path) -> Build:
    """Reads a build's index.

    Raises:
        UserError: the index is missing or damaged.
    """
    content = read_sealed(index)
    home = Path(index).parent
    try:
        shards = tuple(Shard(**entry) for entry in content["shards"])
        for shard in shards:
            inside(home, shard.path)
        return Build(
            home=home,
            key=content["key"],
            source=content["source"],
            collection=content["collection"],
            lengths=Lengths(**content["options"]["lengths"]),
            tokenizer_path=home / content["tokenizer"],
            vocabulary_size=content["vocabulary_size"],
            shards=shards,
            sha256=dict(content["sha256"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{index}: not an index of shards ({error!r}). Delete the folder and build again.") from error


def damaged_files(build: Build) -> list[Path]:
    """The files of a build that are missing, or not as its index says; reads them all, on all cores."""

    def is_sound(shard: Shard) -> bool:
        files = shard_files(build.home / shard.path)
        if not all(file.is_file() for file in files) or sum(file.stat().st_size for file in files) != shard.bytes:
            return False
        sums = [sha256(file) for file in files]
        return shard.sha256 == (sums[0] if sums and files[0] == build.home / shard.path else digest(sums))

    with ThreadPoolExecutor(default_workers()) as pool:
        sound = pool.map(is_sound, build.shards)
        found = [build.home / shard.path for shard, good in zip(build.shards, sound, strict=True) if not good]
    return found + [build.home / name for name, sha in build.sha256.items() if not is_intact(build.home / name, sha)]
