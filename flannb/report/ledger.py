"""The ledger: every claim of the paper, and where it stands by the reports that there are.

A report is a folder ``<reports>/<artefact>/<scale>`` with a ``claims.csv``. Where two reports of one scale test one
claim, that on the table or figure that the claim is about counts.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from flannb.errors import UserError
from flannb.files import INPUTS, read_json
from flannb.markdown import Markdown, escaped, link
from flannb.markdown import table as markdown_table
from flannb.report.claims import COLUMNS as CLAIM_COLUMNS
from flannb.report.claims import FAILS, HOLDS, RULES, UNDECIDED
from flannb.report.limits import scale_order
from flannb.report.page import shown_claims, template, write_texts
from flannb.report.published import published
from flannb.report.table import to_csv

LEDGER = "claims"
"""The folder of the ledger among the reports."""

NOT_TESTED = "not tested"
VERDICTS = (HOLDS, FAILS, UNDECIDED, NOT_TESTED)
COLUMNS = (*CLAIM_COLUMNS, "source", "report")

WHY_NOT = {
    "C12": "it compares a T5 of 3 billion parameters with reported scores of larger models; smaller scales cannot tell"
}
"""Claims that no report tests, and why."""

ABOUT = (
    f"Every claim of the paper and what was measured about it here. {RULES} Verdicts are about the scale and the data"
    " that they name, not about T5 of the paper's size."
)


def ledger(reports: Path) -> pd.DataFrame:
    """Every claim of the paper and its parts, at every scale that has a report on it.

    Args:
        reports: the folder of all reports.

    Returns:
        The columns ``COLUMNS``: those of ``flannb.report.claims``; ``source``, of the data; ``report``, the page's path
        below ``reports``, without ending. Claims without a report have the verdict ``not tested``.

    Raises:
        UserError: a report's ``claims.csv`` is not as ``flannb.report.claims`` writes it, or its inputs are damaged.
    """
    return ledger_of(_read(path) for path in sorted(reports.glob("*/*/claims.csv")))


def ledger_of(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """As ``ledger``, from the claims of reports.

    Args:
        tables: of each report, from ``located``.
    """
    none = pd.DataFrame(columns=list(COLUMNS), dtype=str)
    found = pd.concat(list(tables) or [none])
    lines: list[pd.DataFrame] = []
    for claim in published("claims").to_dict("records"):
        of_it = found[_is_of(found, claim["id"])]
        if not len(of_it):
            line = dict.fromkeys(COLUMNS) | {name: claim[name] for name in ("id", "where", "claim")}
            lines.append(pd.DataFrame([line | {"verdict": NOT_TESTED, "detail": _why_not(claim)}]))
        for _, at_scale in of_it.groupby("scale", sort=True):
            chosen = min(set(at_scale["report"]), key=lambda report: (not _is_about(claim, report), report))
            lines.append(at_scale[at_scale["report"] == chosen])
    numbers = dict.fromkeys(("difference", "ci_low", "ci_high"), "float64")
    return pd.concat(lines, ignore_index=True)[list(COLUMNS)].astype(numbers)


def read_claims(path: Path) -> pd.DataFrame:
    """The ``claims.csv`` of a report.

    Raises:
        UserError: it is not as ``flannb.report.claims`` writes it.
    """
    try:
        table = pd.read_csv(path, keep_default_na=True)
    except (ValueError, OSError) as error:
        raise UserError(f"{path}: cannot be read ({error}). Write the report again.") from None
    if missing := [column for column in CLAIM_COLUMNS if column not in table]:
        raise UserError(f"{path}: the column '{missing[0]}' is missing. Write the report again.")
    if unknown := sorted(set(table["verdict"].astype(str)) - set(VERDICTS)):
        raise UserError(f"{path}: unknown verdict '{unknown[0]}'. Write the report again.")
    try:
        return table.astype({"id": str} | dict.fromkeys(("difference", "ci_low", "ci_high"), "float64"))
    except ValueError as error:
        raise UserError(f"{path}: {error}. Write the report again.") from None


def located(table: pd.DataFrame, scale: str, source: str, report: str) -> pd.DataFrame:
    """The claims of a report, with the columns ``COLUMNS``.

    Args:
        table: from ``read_claims``.
        scale: of the report.
        source: the name of its data source.
        report: its page's path below the folder of all reports, without ending.
    """
    return table.assign(scale=scale, source=source, report=report)


def _read(path: Path) -> pd.DataFrame:
    artefact, scale = path.parts[-3:-1]
    return located(read_claims(path), scale, _source(path.parent / INPUTS), f"{artefact}/{scale}/{artefact}")


def _source(inputs: Path) -> str:
    """The name of the data source that a report was made of; empty where there is no record of its inputs.

    Raises:
        UserError: the record is damaged.
    """
    if not inputs.is_file():
        return ""
    value = read_json(inputs)
    if not isinstance(value, dict) or not isinstance(parameters := value.get("parameters"), dict):
        raise UserError(f"{inputs}: has no 'parameters'. Write the report again.")
    return Path(str(parameters.get("source", ""))).name


def _is_of(table: pd.DataFrame, claim: str) -> pd.Series:
    return (table["id"] == claim) | table["id"].str.startswith(f"{claim}.")


def _artefacts(claim: dict[str, Any]) -> list[str]:
    """The tables and figures that a claim is about, such as ``figure3``."""
    return [f"{kind}{number}".lower() for kind, number in re.findall(r"(Table|Figure) (\d)", claim["where"])]


def _is_about(claim: dict[str, Any], report: str) -> bool:
    return report.split("/")[0] in _artefacts(claim)


def _why_not(claim: dict[str, Any]) -> str:
    if claim["id"] in WHY_NOT:
        return WHY_NOT[claim["id"]]
    commands = " or ".join(f"nox -s reproduce_{name}" for name in _artefacts(claim))
    return f"there is no report yet; {commands} makes it"


def deciding(parts: pd.DataFrame, verdict: str) -> pd.Series | None:
    """The part of a claim that decided: the weakest of those that hold, the clearest of those that do not, or the first
    undecided one. None where the claim has no such part.
    """
    chosen = parts[parts["verdict"] == verdict]
    if not len(chosen):
        return None
    if verdict == UNDECIDED:
        return chosen.iloc[0]
    distance = pd.concat([chosen["ci_low"], -chosen["ci_high"]], axis=1).max(axis=1)  # of the interval from zero
    return chosen.iloc[int((distance if verdict == HOLDS else -distance).to_numpy().argmin())]


def write_ledger(reports: Path) -> list[Path]:
    """Writes ``claims/claims.csv``, ``README.md`` and ``claims.html`` into the folder of all reports.

    Returns:
        The files written.

    Raises:
        UserError: as ``ledger``, or the folder cannot be written to.
    """
    table = ledger(reports)
    entries = entries_of(table)
    texts = {
        "claims.csv": to_csv(table),
        "README.md": _markdown(entries, _scales(table)),
        "claims.html": template("ledger").render(
            about=ABOUT, claims=entries, scales=_scales(table), counts=counts_of(entries)
        ),
    }
    return write_texts(reports / LEDGER, texts)


def _scales(table: pd.DataFrame) -> list[str]:
    return sorted(set(table["scale"].dropna()), key=scale_order)


def entries_of(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Every claim with what pages show of it: at each scale its verdict, and the parts with their intervals."""
    entries = []
    for claim in published("claims").to_dict("records"):
        of_it = table[_is_of(table, claim["id"])]
        scales = {}
        by_scale = of_it.dropna(subset=["scale"]).groupby("scale")
        for scale, lines in sorted(by_scale, key=lambda group: scale_order(group[0])):
            whole, parts = lines[lines["id"] == claim["id"]], lines[lines["id"] != claim["id"]]
            verdict = whole["verdict"].iloc[0] if len(whole) else UNDECIDED
            decided = whole.iloc[0] if whole["difference"].notna().any() else deciding(parts, verdict)
            scales[scale] = {
                "verdict": verdict,
                "detail": whole["detail"].iloc[0] if len(whole) else "",
                "decided": None if decided is None else shown_claims(pd.DataFrame([decided]))[0],
                "source": lines["source"].iloc[0],
                "report": lines["report"].iloc[0],
                "parts": shown_claims(parts),
            }
        why = "" if scales else of_it["detail"].iloc[0]
        entries.append(
            {"id": claim["id"], "where": claim["where"], "claim": claim["claim"], "scales": scales, "why": why}
        )
    return entries


def counts_of(entries: list[dict[str, Any]]) -> dict[str, str]:
    """Scale and its data -> which claims hold, which do not, are undecided, were not tested."""
    texts = {}
    for scale in sorted({scale for entry in entries for scale in entry["scales"]}, key=scale_order):
        claims: dict[str, list[str]] = {verdict: [] for verdict in VERDICTS}
        for entry in entries:
            claims[entry["scales"].get(scale, {"verdict": NOT_TESTED})["verdict"]].append(entry["id"])
        sources = {entry["scales"][scale]["source"] for entry in entries if scale in entry["scales"]} - {""}
        where = f"{scale}, source {' and '.join(sorted(sources))}" if sources else scale
        texts[where] = "; ".join(f"{verdict}: {', '.join(ids)}" for verdict, ids in claims.items() if ids)
    return texts


def _markdown(entries: list[dict[str, Any]], scales: list[str]) -> str:
    lines = ["# The paper's claims", "", ABOUT, ""]
    lines += [f"- {escaped(scale)}: {escaped(counts)}" for scale, counts in counts_of(entries).items()]
    names = [f"{entry['id']}: {entry['claim']} ({entry['where']})" for entry in entries]
    if scales:
        cells = ([_cell(entry["scales"].get(scale), entry["why"]) for scale in scales] for entry in entries)
        rows = ([name, *row] for name, row in zip(names, cells, strict=True))
        lines += ["", *markdown_table(["Claim", *scales], rows)]
    else:
        lines += [
            f"- {escaped(name)}: {NOT_TESTED}; {entry['why']}" for name, entry in zip(names, entries, strict=True)
        ]
    for entry in entries:
        for scale, found in entry["scales"].items():
            if not found["parts"]:
                continue
            parts = ((p["claim"], p["verdict"], p["difference"], p["detail"]) for p in found["parts"])
            lines += ["", f"## {entry['id']} at {escaped(scale)}", ""]
            lines += markdown_table(("Part", "Verdict", "Difference", "Detail"), parts, right=[2])
    return "\n".join(lines) + "\n"


def _cell(found: dict[str, Any] | None, why: str) -> str:
    if found is None:
        return f"{NOT_TESTED}: {why}" if why else NOT_TESTED
    verdict = link(Markdown(f"**{found['verdict']}**"), f"../{found['report']}.md")
    texts = [f"{verdict}, {escaped(found['detail'])}"]
    if decided := found["decided"]:
        told = escaped(decided["difference"] or decided["detail"])
        texts.append(f"{escaped(decided['claim'])}: {told}" if decided["part"] else told)
    return Markdown("<br>".join(texts))
