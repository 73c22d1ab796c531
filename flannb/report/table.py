"""A table: the score of every row in every suite and setting, with intervals and the paper's numbers beside them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from flannb.collection.submixtures import task_of
from flannb.errors import UserError
from flannb.evaluate import REPEAT
from flannb.evaluate.intervals import suite_score
from flannb.report.layout import LAYOUTS, REPORTED, SETTINGS, Layout

COLUMNS = ("row", "suite", "setting", "score", "ci_low", "ci_high", "n", "paper", "split", "source")
PREDICTION_COLUMNS = ("suite", "setting", "task", "row", "score", "split")

Predictions = Mapping[str, pd.DataFrame]
"""Row of the table -> its predictions, one line each, with at least ``PREDICTION_COLUMNS``: ``setting`` is ``zs`` or
``fs``, ``row`` identifies the evaluation row within its task, ``score`` is right or wrong (or from 0 to 1). Those of a
row that was trained several times also have the column ``repeat``, which numbers its models from 0."""


@dataclass(frozen=True)
class Setup:
    """What was measured.

    Attributes:
        scale: name of the scale, such as ``smoke``.
        source: name of the data source, such as ``mini``.
        seed: of the runs, and of the bootstrap.
        sets: suite -> the names of all its evaluation sets, including those whose data are absent.
        layout: the table that it is for.
        positions: of tokens that the training of each row goes through, padding included; None where it is unknown.
        limits: sentences on what the scale cannot show.
    """

    scale: str
    source: str
    seed: int
    sets: Mapping[str, Sequence[str]]
    layout: Layout = LAYOUTS["table1"]
    positions: int | None = None
    limits: tuple[str, ...] = ()


def check(predictions: Predictions, setup: Setup) -> None:
    """Checks the predictions of all rows.

    Raises:
        UserError: the table has no such row, a column is missing, a suite, set or setting is unknown, a score is
            missing or not from 0 to 1, or an evaluation row was scored twice. The message names row, column and value.
    """
    measurable = setup.layout.measurable()
    for row, frame in predictions.items():
        where = f"predictions of row '{row}'"
        if row not in measurable:
            raise UserError(f"{where}: {setup.layout.title} has no such row to measure; it has {', '.join(measurable)}")
        if missing := [column for column in PREDICTION_COLUMNS if column not in frame]:
            raise UserError(f"{where}: the column '{missing[0]}' is missing. Evaluate the row again.")
        known = {"suite": set(setup.sets), "setting": set(SETTINGS)}
        for column, values in known.items():
            if unknown := sorted(set(frame[column].astype(str)) - values):
                raise UserError(
                    f"{where}: unknown {column} '{unknown[0]}'; it must be one of {', '.join(sorted(values))}"
                )
        for suite, task in frame[["suite", "task"]].drop_duplicates().itertuples(index=False):
            if task not in setup.sets.get(suite, ()):
                raise UserError(f"{where}: the suite '{suite}' has no set '{task}'. Evaluate the row again.")
        scores = pd.to_numeric(frame["score"], errors="coerce")
        if not scores.between(0, 1).all():
            first = frame.loc[~scores.between(0, 1)].iloc[0]
            raise UserError(
                f"{where}: the score of {first['suite']}/{first['task']} row {first['row']} is {first['score']}; "
                "it must be from 0 to 1. Evaluate the row again."
            )
        keys = ["suite", "setting", "task", "row", *([REPEAT] if REPEAT in frame else [])]
        if frame.duplicated(keys).any():
            first = frame.loc[frame.duplicated(keys)].iloc[0]
            raise UserError(
                f"{where}: {first['suite']}/{first['setting']}/{first['task']} row {first['row']} was scored twice. "
                "Delete the row's predictions and evaluate it again."
            )


@dataclass(frozen=True)
class Cell:
    """The predictions of one row of the table in one suite and setting.

    Attributes:
        scores: set -> the scores of its evaluation rows, shape (rows, repeats), for ``flannb.evaluate.intervals``.
        rows: set -> which evaluation rows these are, in the same order.
        splits: the scored splits.
    """

    scores: dict[str, np.ndarray] = field(default_factory=dict)
    rows: dict[str, np.ndarray] = field(default_factory=dict)
    splits: set[str] = field(default_factory=set)

    def same_rows(self, other: "Cell") -> bool:
        """Whether the scores of the two can be paired."""
        return self.rows.keys() == other.rows.keys() and all(
            np.array_equal(rows, other.rows[task]) for task, rows in self.rows.items()
        )


def cells(predictions: Predictions, setup: Setup) -> dict[tuple[str, str, str], Cell]:
    """(row, suite, setting) -> its predictions; cells without predictions are not in it.

    Raises:
        UserError: as ``check``, or the repeats of a row were scored on different evaluation rows.
    """
    check(predictions, setup)
    result: dict[tuple[str, str, str], Cell] = {}
    for name, frame in predictions.items():
        if REPEAT not in frame:
            frame = frame.assign(**{REPEAT: 0})
        frame = frame[frame["suite"].isin(setup.layout.suites)]
        # One order for all rows of the table, whatever order they were evaluated in.
        frame = frame[[*PREDICTION_COLUMNS, REPEAT]].sort_values([REPEAT, "row"], kind="stable")
        repeats = frame[REPEAT].nunique()
        scores, rows, splits = (frame[column].to_numpy() for column in ("score", "row", "split"))
        for (suite, setting, task), where in frame.groupby(["suite", "setting", "task"], sort=True).indices.items():
            cell = result.setdefault((name, suite, setting), Cell())
            which = rows[where].reshape(repeats, -1) if len(where) % repeats == 0 else rows[where][:, None]
            if len(which) != repeats or (which != which[0]).any():
                raise UserError(
                    f"predictions of row '{name}': its {repeats} models were scored on different rows of "
                    f"{suite}/{setting}/{task}. Evaluate the row again."
                )
            cell.scores[task], cell.rows[task] = scores[where].astype(float).reshape(repeats, -1).T, which[0]
            cell.splits.update(map(str, set(splits[where])))
    return result


def score_table(predictions: Predictions, setup: Setup) -> pd.DataFrame:
    """The table in long form: one line per row, suite and setting, with the columns ``COLUMNS``.

    ``score`` and its interval are in percent and empty where nothing was measured. ``source`` is the data source,
    followed by ``(6 of 8 sets)`` where sets are absent; ``not run`` for a row without predictions; ``paper`` for the
    rows that the paper itself takes from other publications.

    Raises:
        UserError: as ``cells``.
    """
    measured = cells(predictions, setup)
    lines = []
    for paper in setup.layout.printed().to_dict("records"):
        for suite, setting in setup.layout.cells():
            line = dict.fromkeys(COLUMNS) | {"row": paper["row"], "suite": suite, "setting": setting, "split": ""}
            line["paper"] = paper[f"{suite}_{setting}"]
            if paper["row"] in predictions:
                line |= _measured(measured.get((paper["row"], suite, setting), Cell()), suite, setup)
            else:
                line["source"] = "paper" if paper["kind"] == REPORTED else "not run"
            lines.append(line)
    numbers = dict.fromkeys(("score", "ci_low", "ci_high", "paper"), "float64")
    return pd.DataFrame(lines, columns=list(COLUMNS)).astype(numbers | {"n": "Int64"})


def repeat_counts(predictions: Predictions) -> dict[str, int]:
    """Row -> how many models were trained and scored."""
    return {row: frame[REPEAT].nunique() if REPEAT in frame else 1 for row, frame in predictions.items()}


def repeat_table(predictions: Predictions, setup: Setup) -> pd.DataFrame:
    """The score in percent of each model of each row: ``row, suite, setting, repeat, score``."""
    lines = []
    for (row, suite, setting), cell in cells(predictions, setup).items():
        for repeat in range(next(iter(cell.scores.values())).shape[1]):
            score = suite_score({task: scores[:, repeat] for task, scores in cell.scores.items()}, setup.seed).score
            lines.append({"row": row, "suite": suite, "setting": setting, REPEAT: repeat, "score": score})
    return pd.DataFrame(lines, columns=["row", "suite", "setting", REPEAT, "score"])


def _measured(cell: Cell, suite: str, setup: Setup) -> dict[str, Any]:
    present, total = (len({task_of(name) for name in names}) for names in (cell.scores, setup.sets.get(suite, ())))
    whole = len(cell.scores) == len(setup.sets.get(suite, ()))
    source = setup.source if whole else f"{setup.source} ({present} of {total} sets)"
    if not present:
        return {"source": source}
    interval = suite_score(cell.scores, setup.seed)
    measured = {"score": interval.score, "ci_low": interval.low, "ci_high": interval.high, "n": interval.n}
    return measured | {"split": "+".join(sorted(cell.splits)), "source": source}


def to_csv(table: pd.DataFrame, decimals: str = "%.4f") -> str:
    """Any table of this package as CSV, numbers with four decimals unless told otherwise, what is missing empty.

    Pages round to one decimal: of numbers that were rounded to two before, one in twenty would come out otherwise.
    """
    return table.to_csv(index=False, float_format=decimals, lineterminator="\n")


def with_interval(number: float, low: float, high: float, form: str = ".1f") -> str:
    """A number and its interval, such as ``73.8 [71.2, 76.0]``.

    Args:
        form: of all three, such as ``+.1f`` for differences.
    """
    return f"{number:{form}} [{low:{form}}, {high:{form}}]"


def or_undefined(number: float, low: float, high: float, form: str = ".1f") -> str:
    """As ``with_interval``; in words where there is no such number, as of equal scores."""
    return "undefined" if np.isnan(number) else with_interval(number, low, high, form)


def one_model(predictions: Predictions) -> pd.DataFrame:
    """The predictions of one model of the first row; questions and gold answers are the same for all."""
    first = next(iter(predictions.values()))
    return first[first[REPEAT] == 0] if REPEAT in first else first


def majority_baseline(predictions: pd.DataFrame, suite: str = "held_in") -> dict[str, float]:
    """Setting -> the score in percent of always giving the same answer, averaged over the suite's sets.

    Args:
        predictions, suite: as in ``majority_shares``.
    """
    shares: dict[str, list[float]] = {}
    for (setting, _), share in majority_shares(predictions, suite).items():
        shares.setdefault(setting, []).append(share)
    return {setting: 100 * float(np.mean(shares[setting])) for setting in SETTINGS if setting in shares}


def majority_shares(predictions: pd.DataFrame, suite: str = "held_in") -> dict[tuple[str, str], float]:
    """(Setting, set) -> the share of rows in which the same answer is right.

    The answer is a set's most frequent gold text or, where that is better, the most frequent position of the gold
    option: where every row has options of its own, hardly a text occurs twice.

    Args:
        predictions: those of any one row, since the gold answers are the same for all, with the columns ``suite``,
            ``setting``, ``task``, ``target`` (the gold text) and ``options`` (the texts of the options, or none).
        suite: the suite.
    """
    shares = {}
    for (setting, task), frame in predictions[predictions["suite"] == suite].groupby(["setting", "task"]):
        positions = [list(o).index(t) for t, o in zip(frame["target"], frame["options"], strict=True) if t in list(o)]
        best = max(count for labels in (frame["target"], positions) for count in (0, *Counter(labels).values()))
        shares[str(setting), str(task)] = best / len(frame)
    return shares
