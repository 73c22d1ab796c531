"""Tables of scores: of sets, of suites, and of one model against another, each with n and a 95% interval."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from flannb.collection import EvalTask, task_of
from flannb.evaluate.intervals import Interval, difference, suite_score
from flannb.evaluate.metrics import METRICS, metric_score

KEYS = ["suite", "setting", "mode"]


def suite_scores(predictions: pd.DataFrame, tasks: Iterable[EvalTask], seed: int = 0) -> pd.DataFrame:
    """The mean accuracy of every suite, setting and mode; intervals are over tasks and rows.

    Args:
        predictions: of one model (see ``flannb.evaluate.record``).
        tasks: all sets of the suites, those without predictions too.

    Returns:
        Columns ``KEYS``, ``score``, ``low``, ``high`` (percent), ``n`` (rows), ``tasks`` and ``of`` (over how many of
        the suite's tasks the mean is), ``split``.
    """
    whole: dict[str, set[str]] = {}
    for task in tasks:
        whole.setdefault(task.suite, set()).add(task_of(task.name))
    lines = []
    for (suite, setting, mode), frame in predictions.groupby(KEYS, sort=False):
        scores = _by_set(frame)
        lines.append(
            {"suite": suite, "setting": setting, "mode": mode}
            | _cells(suite_score(scores, seed, over_tasks=True))
            | {"tasks": len({task_of(name) for name in scores}), "of": len(whole.get(suite, ()))}
            | {"split": "+".join(sorted(set(frame["split"])))}
        )
    return pd.DataFrame(lines)


def set_scores(predictions: pd.DataFrame, tasks: Iterable[EvalTask], seed: int = 0) -> pd.DataFrame:
    """The accuracy of every set, setting and mode, and its metric of Table 3 where that is another one and defined.

    Returns:
        Columns ``suite``, ``task``, ``setting``, ``mode``, ``metric``, ``score``, ``low``, ``high`` (percent; not a
        number where the metric is undefined for these rows), ``n``, ``split``.
    """
    metrics = {(task.suite, task.name): task.metric for task in tasks}
    lines = []
    for (suite, task, setting, mode), frame in predictions.groupby(["suite", "task", "setting", "mode"], sort=False):
        own = metrics.get((suite, task), "accuracy")
        for metric in dict.fromkeys(["accuracy" if own != "squad_f1" else own, own]):
            if mode in METRICS[metric][1]:
                lines.append(
                    {"suite": suite, "task": task, "setting": setting, "mode": mode, "metric": metric}
                    | _cells(metric_score(frame, metric, seed))
                    | {"split": frame["split"].iloc[0]}
                )
    return pd.DataFrame(lines)


def side_by_side(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """The predictions of two models for the rows that both have, row by row.

    Returns:
        Columns ``suite``, ``task``, ``setting``, ``mode``, ``row``, ``prompt``, ``target``, ``prediction_a``,
        ``prediction_b``, ``extraction_a``, ``extraction_b``, ``score_a``, ``score_b``, and ``outcome``: ``both right``,
        ``only A``, ``only B`` or ``both wrong``, where a score of at least a half is right.
    """
    shared = ["suite", "task", "setting", "mode", "row"]
    own = ["prediction", "extraction", "score"]
    pairs = first[[*shared, "prompt", "target", *own]].merge(
        second[[*shared, *own]], on=shared, suffixes=("_a", "_b"), validate="one_to_one"
    )
    right = [pairs[f"score_{model}"] >= 0.5 for model in "ab"]
    cases = {"both right": right[0] & right[1], "only A": right[0] & ~right[1], "only B": ~right[0] & right[1]}
    return pairs.assign(outcome=np.select(list(cases.values()), list(cases), "both wrong"))


def suite_differences(first: pd.DataFrame, second: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Score of the first model minus that of the second on the rows that both have, paired.

    Returns:
        Columns ``KEYS``, ``score``, ``low``, ``high`` (percentage points), ``n``, ``tasks``.
    """
    lines = []
    for (suite, setting, mode), frame in side_by_side(first, second).groupby(KEYS, sort=False):
        a, b = (_by_set(frame, f"score_{model}") for model in "ab")
        lines.append(
            {"suite": suite, "setting": setting, "mode": mode}
            | _cells(difference(a, b, seed, over_tasks=True))
            | {"tasks": len({task_of(name) for name in a})}
        )
    return pd.DataFrame(lines)


def _by_set(frame: pd.DataFrame, column: str = "score") -> Mapping[str, np.ndarray]:
    return {name: part[column].to_numpy(np.float64) for name, part in frame.groupby("task")}


def _cells(interval: Interval) -> dict[str, Any]:
    return {"score": interval.score, "low": interval.low, "high": interval.high, "n": interval.n}
