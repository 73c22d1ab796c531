"""The report of a build: which rows gave no example, and why; no row is lost without a word."""

from collections.abc import Iterable, Mapping
from typing import Any

from flannb.build.records import LeftOut
from flannb.build.staging import Staged

FIRST = 10
"""Rows that are listed for each reason; the others are counted."""

Tally = dict[str, dict[str, Any]]
"""Reason -> ``{"count": rows, "first": [the first of them]}``."""


def tally(left_out: LeftOut) -> Tally:
    """Counts rows by reason."""
    found: dict[str, list[int]] = {}
    for row, reason in left_out:
        found.setdefault(reason, []).append(row)
    return {reason: {"count": len(rows), "first": sorted(rows)[:FIRST]} for reason, rows in sorted(found.items())}


def together(tallies: Iterable[Tally]) -> Tally:
    """One tally of several parts."""
    made: Tally = {}
    for part in tallies:
        for reason, entry in part.items():
            known = made.setdefault(reason, {"count": 0, "first": []})
            known["count"] += entry["count"]
            known["first"] = sorted([*known["first"], *entry["first"]])[:FIRST]
    return dict(sorted(made.items()))


def located(found: Tally, staged: Staged) -> list[dict[str, Any]]:
    """A tally for people: each row by its file and its place there, from 1 as editors count lines."""
    entries = []
    for reason, entry in found.items():
        places = [staged.place(row) for row in entry["first"]]
        rows = [{"file": name, "row": row + 1} for name, row in places]
        entries.append({"reason": reason, "count": entry["count"], "first": rows})
    return entries


def counts(found: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """Reason -> number of rows."""
    return {reason: int(entry["count"]) for reason, entry in found.items()}
