"""The paper's claims about Table 1, tested on measured results.

A claim has parts, each a paired difference in one suite and setting. A part holds if its 95% interval lies wholly on
the side that the claim says, does not hold if it lies wholly on the other, and is undecided otherwise or where it
cannot be computed. A claim holds if all its parts hold, does not hold if one of them does not, and is undecided
otherwise. A part that says "does not help" holds unless its interval lies wholly above 0.

C5 speaks of "almost every setting", which we read as a share of cells above one half: its difference is in percent of
cells, its interval bootstraps the winners of all cells at once, and it holds if that lies wholly above 50. Its parts
show the lead over the best other collection, but do not decide it, except that a cell without a result leaves it
undecided.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from flannb.collection.submixtures import SUITES
from flannb.evaluate.intervals import Interval, Scores, lead, share_best
from flannb.report.published import published, row_titles
from flannb.report.table1 import SETTINGS, Cell, Predictions, Setup, cells, suites_and_settings

COLUMNS = ("id", "where", "claim", "verdict", "detail", "difference", "ci_low", "ci_high", "scale")
HOLDS, FAILS, UNDECIDED = "holds", "does not hold", "undecided"
MIN_ROWS = 30
"""A bootstrap interval of fewer rows is too narrow to decide anything: of one row it has no width at all."""

FULL = "flan2022"
COLLECTIONS = ("flan2022", "flan2021", "p3pp", "super_natural_instructions")


@dataclass(frozen=True)
class Part:
    """``flan2022`` minus the best of ``others`` in one cell; ``helps``: the claim says that it is above 0."""

    others: tuple[str, ...]
    suite: str
    setting: str
    helps: bool = True

    @property
    def title(self) -> str:
        """The cell in words."""
        return f"{SUITES[self.suite]}, {SETTINGS[self.setting]}"


PARTS: dict[str, tuple[Part, ...]] = {
    "C1": tuple(Part(("minus_cot",), "cot", setting) for setting in SETTINGS),
    "C2": tuple(
        Part(("minus_input_inversion",), suite, setting, helps=suite != "held_in")
        for suite in ("held_in", "mmlu", "bbh")
        for setting in SETTINGS
    ),
    "C3": tuple(Part(("minus_few_shot",), suite, "fs") for suite in SUITES),
    "C4": tuple(Part(("minus_mixture_balancing",), *where) for where in suites_and_settings()),
    "C5": tuple(Part(COLLECTIONS[1:], *where) for where in suites_and_settings()),
}


Cells = Mapping[tuple[str, str, str], Cell]
"""(row, suite, setting) -> its predictions, from ``flannb.report.table1.cells``."""


class _NotComputable(Exception):
    """Why a part has no result."""


def evaluate_claims(predictions: Predictions, setup: Setup) -> pd.DataFrame:
    """The verdict on C1 to C5 and on each of their parts, whose ids are like ``C1.cot.zs``.

    Returns:
        A table with the columns ``COLUMNS``; ``difference`` is in percentage points (of C5: percent of cells).

    Raises:
        UserError: as ``flannb.report.table1.cells``.
    """
    measured = cells(predictions, setup)
    lines: list[dict[str, Any]] = []
    for claim in published("claims").to_dict("records"):
        parts = PARTS.get(claim["id"])
        if parts is None:
            continue
        tested = [_test_part(claim["id"], part, measured, setup) for part in parts]
        verdicts = [line["verdict"] for line in tested]
        whole = {"id": claim["id"], "claim": claim["claim"], "verdict": _all_of(verdicts), "detail": _tally(verdicts)}
        if claim["id"] == "C5":
            whole |= _test_share(parts, measured, setup)
        lines += [line | {"where": claim["where"], "scale": setup.scale} for line in (whole, *tested)]
    numbers = dict.fromkeys(("difference", "ci_low", "ci_high"), "float64")
    return pd.DataFrame(lines, columns=list(COLUMNS)).astype(numbers)


def _all_of(verdicts: list[str]) -> str:
    if FAILS in verdicts:
        return FAILS
    return HOLDS if set(verdicts) == {HOLDS} else UNDECIDED


def _tally(verdicts: list[str]) -> str:
    counts = Counter(verdicts)
    fail = f", {counts[FAILS]} {'do' if counts[FAILS] > 1 else 'does'} not" if counts[FAILS] else ""
    open_ = f", {counts[UNDECIDED]} undecided" if counts[UNDECIDED] else ""
    return f"{counts[HOLDS]} of {len(verdicts)} parts hold{fail}{open_}"


def _test_part(claim: str, part: Part, cells: Cells, setup: Setup) -> dict[str, Any]:
    titles = row_titles()
    other = f"'{titles[part.others[0]]}'" if len(part.others) == 1 else "each other collection"
    says = "beats" if part.helps else "does not beat"
    line = {"id": f"{claim}.{part.suite}.{part.setting}", "claim": f"{part.title}: {titles[FULL]} {says} {other}"}
    try:
        full, others, note = _paired(part, cells, setup)
    except _NotComputable as reason:
        return line | {"verdict": UNDECIDED, "detail": str(reason)}
    interval = lead(full, others, setup.seed)
    return line | {"verdict": _verdict(interval, part.helps), "detail": f"n = {interval.n}{note}"} | _numbers(interval)


def _verdict(interval: Interval, helps: bool, threshold: float = 0) -> str:
    if interval.low > threshold:
        return HOLDS if helps else FAILS
    if not helps:
        return HOLDS
    return FAILS if interval.high < threshold else UNDECIDED


def _numbers(interval: Interval) -> dict[str, float]:
    return {"difference": interval.score, "ci_low": interval.low, "ci_high": interval.high}


def _test_share(parts: tuple[Part, ...], cells: Cells, setup: Setup) -> dict[str, Any]:
    pairs, reasons = [], []
    for part in parts:
        try:
            pairs.append(_paired(part, cells, setup)[:2])
        except _NotComputable as reason:
            reasons.append(f"{part.title}: {reason}")
    if not pairs:
        return {"verdict": UNDECIDED, "detail": f"no cell has a result ({reasons[0]})"}
    share = share_best(pairs, setup.seed)
    detail = f"best in {round(share.score * len(pairs) / 100)} of {len(pairs)} cells; a tie is not won"
    if reasons:
        return {"verdict": UNDECIDED, "detail": f"{detail}; {len(reasons)} without a result ({reasons[0]})"} | _numbers(
            share
        )
    return {"verdict": _verdict(share, helps=True, threshold=50), "detail": detail} | _numbers(share)


def _paired(part: Part, cells: Cells, setup: Setup) -> tuple[Scores, list[Scores], str]:
    """The scores of the full row and of the others on the same evaluation rows, and a note where sets are absent."""
    found = []
    for row in (FULL, *part.others):
        if (row, part.suite, part.setting) not in cells:
            ran = any(row == key[0] for key in cells)
            raise _NotComputable(f"row '{row}' {'has no predictions here' if ran else 'was not run'}")
        found.append(cells[row, part.suite, part.setting])
    full, *others = found
    for row, other in zip(part.others, others, strict=True):
        if not full.same_rows(other):
            raise _NotComputable(f"rows '{FULL}' and '{row}' were scored on different evaluation rows")
    if (n := sum(map(len, full.scores.values()))) < MIN_ROWS:
        raise _NotComputable(f"only {n} evaluation rows; at least {MIN_ROWS} are needed")
    present, total = len(full.scores), len(setup.sets[part.suite])
    note = "" if present == total else f", {present} of {total} sets"
    return full.scores, [other.scores for other in others], note
