"""The paper's claims about its tables, tested on measured results.

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
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from flannb.collection.submixtures import SUITES
from flannb.evaluate.intervals import Interval, Scores, Statistic, highest_lead, lowest_lead, share_best, statistic
from flannb.mixture.named import FEW_SHOT_SHARES
from flannb.report.layout import LAYOUTS, SETTINGS
from flannb.report.published import published
from flannb.report.table import Cell, Predictions, Setup, cells

COLUMNS = ("id", "where", "claim", "verdict", "detail", "difference", "ci_low", "ci_high", "scale")
HOLDS, FAILS, UNDECIDED = "holds", "does not hold", "undecided"
SHARES = ("C5", "C10")
"""Claims whose difference is a share, of cells or of tasks, and not one of scores."""

RULES = (
    "A part of a claim holds if its 95% interval lies wholly on the side that the claim says, does not hold if it lies"
    " wholly on the other, and is undecided otherwise; where something is said not to help, it holds unless the"
    " interval lies wholly above 0. A claim holds if all its parts do, does not hold if one does not, and is undecided"
    " otherwise; C5 alone goes by the share of cells that are won."
)
"""How verdicts come about, for pages."""

MIN_ROWS = 30
"""A bootstrap interval of fewer rows is too narrow to decide anything: of one row it has no width at all."""


@dataclass(frozen=True)
class Part:
    """A comparison of models in one cell that comes out positive, or, unless ``helps``, does not.

    Attributes:
        text: says it in words, without the cell.
        above, below: the rows compared.
        suite, setting: the cell.
        helps: whether the claim is that it is positive.
        of: what is compared, from the scores of ``above`` and then ``below``; that each of ``above`` scores higher than
            each of ``below`` where it is None.
        key: sets parts of one claim and cell apart.
        unit: of what is compared, if not percentage points.
        lacking: why it cannot be tested on what was measured, if so.
    """

    text: str
    above: tuple[str, ...]
    below: tuple[str, ...]
    suite: str
    setting: str
    helps: bool = True
    of: Statistic | None = None
    key: str = ""
    unit: str = ""
    lacking: str = ""

    def id(self, claim: str) -> str:
        """The part's id, such as ``C1.cot.zs``."""
        return ".".join([claim, self.suite, self.setting, *([self.key] if self.key else [])])

    @property
    def title(self) -> str:
        """The cell in words."""
        return f"{SUITES[self.suite]}, {SETTINGS[self.setting]}"


def _ablation(table: str, row: str, cells: Iterable[tuple[str, str]], no_help: str = "") -> tuple[Part, ...]:
    """The full row against another in each cell; in the suite ``no_help`` it should not be better."""
    full, titles = LAYOUTS[table].full, LAYOUTS[table].titles()
    return tuple(
        Part(
            f"{titles[full]} {'does not beat' if suite == no_help else 'beats'} '{titles[row]}'",
            (full,),
            (row,),
            suite,
            setting,
            suite != no_help,
        )
        for suite, setting in cells
    )


def _left_out(rows: tuple[str, ...], suite: str) -> tuple[Part, ...]:
    """Leaving any of these out of the equal mixture costs more than leaving out any other submixture."""
    titles = LAYOUTS["table2"].titles()
    others = tuple(row for row in titles if row.startswith("minus_") and row not in rows)
    names = " or ".join(titles[row].removeprefix("All - ") for row in rows)
    text = f"leaving out {names} costs more than leaving out any other"
    return tuple(Part(text, others, rows, suite, setting) for setting in SETTINGS)


def _cells(*suites: str) -> tuple[tuple[str, str], ...]:
    return tuple((suite, setting) for suite in suites for setting in SETTINGS)


def _shares(shares: Iterable[int]) -> tuple[str, ...]:
    """The rows of Figure 3 with these shares of few-shot data."""
    return tuple(f"few_shot_{share}" for share in shares)


BEST_SHARES = (10, 90)
"""Percent of few-shot data between which the paper finds the best mix."""

INSIDE = tuple(share for share in FEW_SHOT_SHARES if BEST_SHARES[0] <= share <= BEST_SHARES[1])
OUTSIDE = tuple(share for share in FEW_SHOT_SHARES if share not in INSIDE)

PARTS: dict[str, tuple[Part, ...]] = {
    "C1": _ablation("table1", "minus_cot", _cells("cot")),
    "C2": _ablation("table1", "minus_input_inversion", _cells("held_in", "mmlu", "bbh"), no_help="held_in"),
    "C3": _ablation("table1", "minus_few_shot", ((suite, "fs") for suite in SUITES)),
    "C4": _ablation("table1", "minus_mixture_balancing", LAYOUTS["table1"].cells()),
    "C5": tuple(
        Part(
            "Flan 2022 beats each other collection",
            ("flan2022",),
            ("flan2021", "p3pp", "super_natural_instructions"),
            suite,
            setting,
        )
        for suite, setting in LAYOUTS["table1"].cells()
    ),
    "C6a": tuple(
        Part("5% few-shot data beats none", _shares([5]), _shares([0]), suite, "zs") for suite in ("held_in", "mmlu")
    ),
    "C6b": tuple(
        Part("10% zero-shot data beats none", _shares([90]), _shares([100]), suite, "fs")
        for suite in ("held_in", "mmlu")
    ),
    "C6c": tuple(
        Part(
            "the best share of few-shot data is from 10% to 90%",
            _shares(INSIDE),
            _shares(OUTSIDE),
            suite,
            setting,
            of=highest_lead(len(INSIDE)),
        )
        for suite, setting in _cells("held_in", "mmlu")
    ),
    "C8": (*_left_out(("minus_flan2021", "minus_t0_sf"), "mmlu"), *_left_out(("minus_cot",), "cot")),
    "C9": tuple(
        Part("All (Weighted) beats All (Equal)", ("all_weighted",), ("all_equal",), suite, setting)
        for suite, setting in _cells("held_in", "mmlu")
    ),
}


Cells = Mapping[tuple[str, str, str], Cell]
"""(row, suite, setting) -> its predictions, from ``flannb.report.table.cells``."""


class _NotComputable(Exception):
    """Why a part has no result."""


def evaluate_claims(
    predictions: Predictions, setup: Setup, parts_of: Mapping[str, Sequence[Part]] = PARTS
) -> pd.DataFrame:
    """The verdict on the claims about a table or figure and on each of their parts, whose ids are like ``C1.cot.zs``.

    Args:
        parts_of: claim -> its parts.

    Returns:
        A table with the columns ``COLUMNS``; ``difference`` is in percentage points (of ``SHARES``: percent of cells or
        tasks) or in the unit that ``detail`` names.

    Raises:
        UserError: as ``flannb.report.table.cells``.
    """
    measured = cells(predictions, setup)
    lines: list[dict[str, Any]] = []
    for claim in published("claims").to_dict("records"):
        if claim["id"] not in setup.layout.claims:
            continue
        parts = parts_of[claim["id"]]
        tested = [_test_part(claim["id"], part, measured, setup) for part in parts]
        verdicts = [line["verdict"] for line in tested]
        whole = {"id": claim["id"], "claim": claim["claim"], "verdict": all_of(verdicts), "detail": tally(verdicts)}
        if claim["id"] == "C5":
            whole |= _test_share(parts, measured, setup)
        lines += [line | {"where": claim["where"], "scale": setup.scale} for line in (whole, *tested)]
    numbers = dict.fromkeys(("difference", "ci_low", "ci_high"), "float64")
    return pd.DataFrame(lines, columns=list(COLUMNS)).astype(numbers)


def all_of(verdicts: list[str]) -> str:
    """The verdict on a claim by those on its parts."""
    if not verdicts:
        return UNDECIDED
    if FAILS in verdicts:
        return FAILS
    return HOLDS if set(verdicts) == {HOLDS} else UNDECIDED


def tally(verdicts: list[str]) -> str:
    """How many parts of a claim hold, in words."""
    counts = Counter(verdicts)
    fail = f", {counts[FAILS]} {'do' if counts[FAILS] > 1 else 'does'} not" if counts[FAILS] else ""
    open_ = f", {counts[UNDECIDED]} undecided" if counts[UNDECIDED] else ""
    return f"{counts[HOLDS]} of {len(verdicts)} parts hold{fail}{open_}"


def _test_part(claim: str, part: Part, cells: Cells, setup: Setup) -> dict[str, Any]:
    line = {"id": part.id(claim), "claim": f"{part.title}: {part.text}"}
    try:
        if part.lacking:
            raise _NotComputable(part.lacking)
        above, below, note = _paired(part, cells, setup)
    except _NotComputable as reason:
        return line | {"verdict": UNDECIDED, "detail": str(reason)}
    interval = statistic([*above, *below], part.of or lowest_lead(len(above)), setup.seed)
    if interval.score != interval.score:
        return line | {"verdict": UNDECIDED, "detail": f"undefined, since scores are equal; n = {interval.n}{note}"}
    detail = f"{f'{part.unit}; ' if part.unit else ''}n = {interval.n}{note}"
    return line | {"verdict": verdict_on(interval, part.helps), "detail": detail} | difference_columns(interval)


def verdict_on(interval: Interval, helps: bool = True, threshold: float = 0) -> str:
    """Whether a number is above a threshold, or, unless ``helps``, not above it."""
    if interval.low > threshold:
        return HOLDS if helps else FAILS
    if not helps:
        return HOLDS
    return FAILS if interval.high < threshold else UNDECIDED


def difference_columns(interval: Interval) -> dict[str, float]:
    """An interval as the columns of ``COLUMNS`` that hold numbers."""
    return {"difference": interval.score, "ci_low": interval.low, "ci_high": interval.high}


def _test_share(parts: Sequence[Part], cells: Cells, setup: Setup) -> dict[str, Any]:
    pairs, reasons = [], []
    for part in parts:
        try:
            [full], others, _ = _paired(part, cells, setup)
            pairs.append((full, others))
        except _NotComputable as reason:
            reasons.append(f"{part.title}: {reason}")
    if not pairs:
        return {"verdict": UNDECIDED, "detail": f"no cell has a result ({reasons[0]})"}
    share = share_best(pairs, setup.seed)
    detail = f"best in {round(share.score * len(pairs) / 100)} of {len(pairs)} cells; a tie is not won"
    verdict = verdict_on(share, threshold=50)
    if reasons:
        verdict, detail = UNDECIDED, f"{detail}; {len(reasons)} without a result ({reasons[0]})"
    return {"verdict": verdict, "detail": detail} | difference_columns(share)


def _paired(part: Part, cells: Cells, setup: Setup) -> tuple[list[Scores], list[Scores], str]:
    """The scores of the rows above and below on the same evaluation rows, and a note where sets are absent."""
    rows, found = (*part.above, *part.below), []
    for row in rows:
        if (row, part.suite, part.setting) not in cells:
            ran = any(row == key[0] for key in cells)
            raise _NotComputable(f"row '{row}' {'has no predictions here' if ran else 'was not run'}")
        found.append(cells[row, part.suite, part.setting])
    first = found[0]
    for row, other in zip(rows, found, strict=True):
        if not first.same_rows(other):
            raise _NotComputable(f"rows '{rows[0]}' and '{row}' were scored on different evaluation rows")
    if (n := sum(map(len, first.scores.values()))) < MIN_ROWS:
        raise _NotComputable(f"only {n} evaluation rows; at least {MIN_ROWS} are needed")
    present, total = len(first.scores), len(setup.sets[part.suite])
    note = "" if present == total else f", {present} of {total} sets"
    scores: list[Scores] = [cell.scores for cell in found]
    return scores[: len(part.above)], scores[len(part.above) :], note
