"""Records set apart from a finished build, to measure a loss on text that a training does not read."""

from dataclasses import dataclass

import numpy as np

from flannb.build.index import Build
from flannb.build.inversion import regular_name
from flannb.build.shards import Shard, TokenColumns, read_shard
from flannb.files import digest


@dataclass(frozen=True)
class Holdout:
    """Some records of every task, drawn by a seed: the same ones in all settings and in the inverted twin.

    They may still be exemplars of others, and other tasks may have them too, as P3 and Flan 2021 do. So the loss on
    them compares trainings with each other; it does not tell how a model does on tasks that it has never seen.

    Attributes:
        share: of a task's records, about. A shard whose records would all be held out has none held out.
        inside: whether what is held out is read, or the rest.
        seed: of the draw.
    """

    share: float
    inside: bool
    seed: int

    def positions(self, shard: Shard, records: np.ndarray) -> np.ndarray:
        """The positions in a shard that are read.

        Args:
            records: the record of each of its examples, by its row in the data.
        """
        task = regular_name(shard.task, shard.inverted)
        rng = np.random.default_rng(int(digest([self.seed, "held out", task])[:16], 16))
        apart = rng.random(int(records.max()) + 1)[records] < self.share
        return np.flatnonzero((apart & ~apart.all()) == self.inside)


@dataclass(frozen=True)
class PartOfBuild(Build):
    """A build without the records that are held out, or of them alone; its shards tell of the whole.

    Attributes:
        holdout: which part it is.
    """

    holdout: Holdout


def part_of(build: Build, holdout: Holdout) -> PartOfBuild:
    """The part of a build that a holdout names."""
    return PartOfBuild(**vars(build), holdout=holdout)


def token_columns(build: Build, shard: Shard) -> TokenColumns:
    """Token ids of a shard's examples, of those that are read where the build is a part.

    Raises:
        UserError: the shard is missing or damaged.
    """
    path = build.home / shard.path
    if not isinstance(build, PartOfBuild):
        return TokenColumns(path)
    return TokenColumns(path, build.holdout.positions(shard, read_shard(path)["row"].to_numpy()))
