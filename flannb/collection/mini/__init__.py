"""`mini`, the embedded collection: generated English in all submixtures and suites, learnable within minutes."""

from functools import cache

import pyarrow as pa

from flannb.collection.mini import single_task, tasks
from flannb.collection.mini.tasks import EVAL_TASKS, TASKS
from flannb.collection.task import Split
from flannb.errors import UserError

__all__ = ["EVAL_TASKS", "TASKS", "table"]

_PREFIX = "mini/"

DATA_SETS = tasks.DATA_SETS | single_task.DATA_SETS
"""Every data set by name."""


def table(data: Split) -> pa.Table:
    """The rows of a split: the same bytes on every call and machine.

    Args:
        data: ``Split("mini/<name>", "default", <split>)``.

    Raises:
        UserError: `mini` has no such data set, config or split.
    """
    name = data.repo_id.removeprefix(_PREFIX)
    if not data.repo_id.startswith(_PREFIX) or name not in DATA_SETS:
        raise UserError(f"{data}: mini has no data set '{data.repo_id}'. It has {', '.join(sorted(DATA_SETS))}.")
    if data.config != "default":
        raise UserError(f"{data}: data sets of mini have the config 'default' only.")
    if data.split not in DATA_SETS[name].rows:
        raise UserError(
            f"{data}: '{data.repo_id}' has no split '{data.split}', only {', '.join(DATA_SETS[name].rows)}."
        )
    return _table(name, data.split)


@cache
def _table(name: str, split: str) -> pa.Table:
    return DATA_SETS[name].table(split)
