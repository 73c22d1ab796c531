"""The paper's claims about single-task finetuning, C10 and C11, tested on measured results.

C10, a Pareto improvement: a part for each task, the finetuned Flan-T5 minus the finetuned T5 on the same test rows. A
part holds if its interval has nothing below 0, does not hold if it lies wholly below 0, and is undecided otherwise.
The claim's own number is the share of tasks in which Flan-T5 scores at least as well.

C11, faster and higher: two parts for each held-out task, from the learning curves on the validation rows: how many
steps T5 takes to 95% of its own best score beyond those that Flan-T5 takes there, and how much higher Flan-T5's best
score is. A part holds if its interval lies wholly above 0, and is undecided where there is no such number.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from flannb.evaluate import REPEAT, Interval, convergence, metric_difference, share_not_worse
from flannb.finetune import Finetuned
from flannb.report.claims import FAILS, HOLDS, MIN_ROWS, UNDECIDED, all_of, difference_columns, tally, verdict_on

Pairs = Mapping[str, tuple[Finetuned, Finetuned]]
"""Task -> finetuned from Flan-T5, and from T5."""

Line = dict[str, Any]
"""The columns of ``flannb.report.claims`` that a claim or part has, but for ``where`` and ``scale``."""


def pareto_claims(pairs: Pairs, seed: int) -> list[Line]:
    """C10 and its parts, whose ids are like ``C10.boolq``; differences are in percentage points."""
    parts, compared = [], []
    for name, (flan, t5) in pairs.items():
        part: Line = {"id": f"C10.{name}", "claim": f"{flan.about['title']}: finetuned Flan-T5 is at least as good"}
        found = metric_difference(flan.tested, t5.tested, flan.metric, seed)
        if found.score != found.score:
            parts.append(part | {"verdict": UNDECIDED, "detail": f"the {flan.metric} of equal answers is undefined"})
            continue
        compared.append((flan.tested, t5.tested, flan.metric))
        verdict = HOLDS if found.low >= 0 else FAILS if found.high < 0 else UNDECIDED
        verdict = verdict if found.n >= MIN_ROWS else UNDECIDED
        parts.append(part | _measured(found, verdict, f"n = {found.n}, {_trainings(flan, t5)}"))
    verdicts = [part["verdict"] for part in parts]
    whole: Line = {"id": "C10", "verdict": all_of(verdicts), "detail": tally(verdicts)}
    if compared:
        share = share_not_worse(compared, seed)
        won = round(share.score * len(compared) / 100)
        detail = f"at least as good in {won} of {len(compared)} tasks ({share.score:.0f}%); {tally(verdicts)}"
        whole |= {"detail": detail} | difference_columns(share)
    return [whole, *parts]


def convergence_claims(pairs: Pairs, seed: int) -> list[Line]:
    """C11 and its parts, whose ids are like ``C11.wanli.steps`` and ``C11.wanli.peak``; the differences are in steps,
    and in percentage points.
    """
    parts: list[Line] = []
    for name, (flan, t5) in pairs.items():
        steps = flan.steps
        this, other = (_curve(tuned, steps) for tuned in (flan, t5))
        found = convergence(this, other, steps, flan.metric, seed)
        title, note = flan.about["title"], f"n = {found.steps.n}, {_trainings(flan, t5)}"
        for what, interval, text in (
            ("steps", found.steps, "steps that Flan-T5 comes earlier to 95% of T5's best score"),
            ("peak", found.peak, "points by which Flan-T5's best score is higher"),
        ):
            part = {"id": f"C11.{name}.{what}", "claim": f"{title}: {text}"}
            if interval.score != interval.score:
                reason = f"T5 has no {flan.metric} above 0" if what == "steps" else f"the {flan.metric} is undefined"
                parts.append(part | {"verdict": UNDECIDED, "detail": reason})
                continue
            verdict = verdict_on(interval) if interval.n >= MIN_ROWS else UNDECIDED
            parts.append(part | _measured(interval, verdict, note))
    verdicts = [part["verdict"] for part in parts]
    return [{"id": "C11", "verdict": all_of(verdicts), "detail": tally(verdicts)}, *parts]


def _curve(tuned: Finetuned, steps: Sequence[int]) -> list[list[pd.DataFrame]]:
    """The predictions of each training at each step."""
    frames = [tuned.validated(step) for step in steps]
    return [[frame[frame[REPEAT] == repeat] for frame in frames] for repeat in range(len(tuned.homes))]


def _trainings(flan: Finetuned, t5: Finetuned) -> str:
    counts = sorted({len(flan.homes), len(t5.homes)})
    many = " and ".join(map(str, counts))
    return f"{many} training{'s' if counts[-1] > 1 else ''} each"


def _measured(interval: Interval, verdict: str, detail: str) -> Line:
    return {"verdict": verdict, "detail": detail} | difference_columns(interval)
