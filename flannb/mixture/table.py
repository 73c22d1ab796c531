"""A mixture as a table: the expected share and the epochs of every task."""

from collections.abc import Iterable

import pandas as pd

from flannb.build import Shard, with_inversions
from flannb.build.examples import settings_of
from flannb.build.inventory import Holding
from flannb.collection import SUBMIXTURES
from flannb.collection.submixtures import is_few_shot
from flannb.errors import UserError
from flannb.mixture.weights import Mixture, shard_weights, task_weight


def planned_shards(holdings: Iterable[Holding]) -> list[Shard]:
    """The shards that a build of all available rows would make, without making it.

    A task of unknown size counts as one of its cap. Paths are empty, and nothing is read.
    """
    shards = []
    for holding in holdings:
        if not holding.available:
            continue
        for task in with_inversions((holding.task,)):
            rows = SUBMIXTURES[task.submixture].cap if holding.rows is None else holding.rows
            shards += [
                Shard(task.name, task.submixture, setting, task.inverted, "", rows, rows, 0, "")
                for setting in settings_of(task, SUBMIXTURES[task.submixture].settings)
            ]
    return shards


def expected(shards: Iterable[Shard], mixture: Mixture, examples: int) -> pd.DataFrame:
    """What a mixture draws of each task when it draws ``examples`` examples, all settings together.

    Args:
        shards: of a build (``Build.shards``), or planned ones.
        examples: drawn in all: steps times examples a step, which packing makes more than the sequences of a batch.

    Returns:
        A row for each task that takes part, inverted twins apart, ordered by submixture and then by share:
        ``task, submixture, inverted, rows, cap``; ``weight``, min(cap, rows), times 0.3 for twins; ``share`` of the
        mixture; ``few_shot``, the part of the task's share that is few-shot; ``examples``; and ``epochs``, the number
        of times that each row is drawn on average.

    Raises:
        UserError: as ``shard_weights``, or a negative number of examples.
    """
    if examples < 0:
        raise UserError(f"{examples} examples: must be at least 0")
    rows: dict[tuple[str, str], dict[str, object]] = {}
    shares: dict[tuple[str, str], float] = {}
    few_shot: dict[tuple[str, str], float] = {}
    for shard, share in shard_weights(shards, mixture).items():
        key = (shard.submixture, shard.task)
        rows[key] = {
            "task": shard.task,
            "submixture": shard.submixture,
            "inverted": shard.inverted,
            "rows": shard.records,
            "cap": SUBMIXTURES[shard.submixture].cap,
            "weight": task_weight(shard),
        }
        shares[key] = shares.get(key, 0.0) + share
        few_shot[key] = few_shot.get(key, 0.0) + share * is_few_shot(shard.setting)
    table = pd.DataFrame(list(rows.values()))
    table["share"] = list(shares.values())
    table["few_shot"] = [few_shot[key] / share for key, share in shares.items()]
    table["examples"] = table["share"] * examples
    table["epochs"] = table["examples"] / table["rows"]
    return by_submixture(table, "share")


def by_submixture(table: pd.DataFrame, largest: str) -> pd.DataFrame:
    """A table of tasks ordered by submixture, as ``SUBMIXTURES`` has them, and the column ``largest``, falling."""
    places = table["submixture"].map({name: place for place, name in enumerate(SUBMIXTURES)})
    ordered = table.assign(place=places).sort_values(["place", largest, "task"], ascending=[True, False, True])
    return ordered.drop(columns="place").reset_index(drop=True)
