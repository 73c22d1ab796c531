"""The page of all reports, ``index.html`` and ``README.md``: what was reproduced at which scale, every number with its
run, and what is missing or damaged. It is made of the folder of reports alone, and asks no network for anything.
"""

import base64
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from flannb.files import sha256, write_text
from flannb.markdown import Markdown, escaped, link
from flannb.markdown import table as markdown_table
from flannb.report.catalogue import KINDS, SITE, Catalogue, Report, catalogue
from flannb.report.grids import grid_of
from flannb.report.ledger import LEDGER, counts_of, entries_of, ledger_of, located
from flannb.report.limits import limits
from flannb.report.page import ABSENT, template

ABOUT = (
    "Instruction tuning of T5 on public data, after Longpre et al. (2023). Every table and figure of the paper is made"
    " anew here, at the scales that were run. A number is about the scale and the data that it stands under; scales are"
    " never mixed. Brackets hold 95% bootstrap intervals, and the paper's number stands beside where it prints one."
    " Each number leads to the run that it comes from."
)


def write_site(reports: Path) -> list[Path]:
    """Writes ``index.html`` and ``README.md`` into the folder of all reports, from what is there: equal reports give
    equal bytes. What is half there, damaged or unknown is named on the page.

    Returns:
        The files written.

    Raises:
        UserError: the folder cannot be written to.
    """
    reports = Path(reports)
    found = catalogue(reports)
    tables = [
        located(report.claims, report.scale, report.source, f"{report.folder}/{report.artefact}")
        for report in found.reports
        if report.claims is not None and report.scale
    ]
    entries = entries_of(ledger_of(tables))
    paths = [reports / name for name in SITE]
    for path, text in zip(paths, (_html(reports, found, entries), _markdown(found, entries)), strict=True):
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            write_text(path, text)
    return paths


# --- What both pages say ----------------------------------------------------------------------------------------------


def state(report: Report) -> str:
    """A report in a few words: the rows that were measured, its data, and whether something is wrong with it."""
    parts = []
    table = pd.DataFrame() if report.table is None else report.table
    if unit := next((name for name in ("row", "task") if {name, "score", "source"} <= set(table)), None):
        lines = table[table["source"] != "paper"]
        measured = lines.loc[lines["score"].notna(), unit].nunique()
        parts.append(f"{measured} of {lines[unit].nunique()} {unit}s")
    if report.source:
        parts.append(report.source)
    if "seed" in report.parameters:
        parts.append(f"seed {report.parameters['seed']}")
    if report.start:
        parts.append(f"from {report.start}")
    return ", ".join([*parts, *(["not whole"] if report.problems else [])]) or "made"


def by_scale(reports: Iterable[Report]) -> dict[str, list[Report]]:
    """The reports at each scale; those without one have an empty one."""
    found: dict[str, list[Report]] = {}
    for report in reports:
        found.setdefault(report.scale, []).append(report)
    return found


def origin(report: Report) -> str:
    """When, on what and how long a report was made; empty where that is not on record."""
    made = report.manifest
    machine, seconds = made.get("machine"), made.get("seconds")
    parts = [f"Made {str(made['finished']).replace('T', ' ').removesuffix('Z')} UTC"] if "finished" in made else []
    if isinstance(machine, dict):
        gpus = machine.get("gpus")
        where = " and ".join(map(str, gpus)) if isinstance(gpus, list) and gpus else ""
        cores = f"{machine.get('cores')} cores of {machine.get('processor') or machine.get('architecture')}"
        parts.append(f"on {where or cores}")
    recorded = made.get("needs")
    needs = [need for need in recorded.values() if isinstance(need, dict)] if isinstance(recorded, dict) else []
    times = [need.get("seconds") for need in needs]
    total = sum(each for each in [*times, seconds] if isinstance(each, int | float))
    if total:
        devices = " and ".join(dict.fromkeys(str(need["device"]) for need in needs if need.get("device")))
        on = f" on {devices}" if devices else ""
        parts.append(f"the {len(times) + 1} steps that it needs took {total / 60:,.1f} minutes in all{on}")
    return f"{', '.join(parts)}." if parts else ""


def warnings(report: Report) -> tuple[str, ...]:
    """What the report's scale cannot show, where it has one and trains models."""
    if not report.scale or not report.parameters:
        return ()
    return limits(report.scale, "mini" if report.parameters.get("source") == "mini" else "flan2022")


# --- HTML -------------------------------------------------------------------------------------------------------------


def _html(reports: Path, found: Catalogue, entries: list[dict[str, Any]]) -> str:
    warned: dict[tuple[str, str], tuple[str, ...]] = {}
    for report in found.reports:
        if said := warnings(report):
            warned.setdefault((report.scale, report.source), said)
    return template("site").render(
        about=ABOUT,
        kinds=KINDS,
        found=found,
        scales=found.scales(),
        cells={kind: by_scale(found.of(kind)) for kind in KINDS},
        state=state,
        origin=origin,
        warnings=warned,
        claims=entries,
        counts=counts_of(entries),
        ledger=f"{LEDGER}/claims.html" if (reports / LEDGER / "claims.html").is_file() else "",
        grids={report.folder: grid_of(report) for report in found.reports},
        figures=_figures(reports, found),
        verdicts=_verdicts,
        sections={report.folder: report.anchor for report in found.reports},
        absent=ABSENT,
    )


def _figures(reports: Path, found: Catalogue) -> dict[str, tuple[str, str]]:
    """Folder of a report -> its figure in base64, or empty and the anchor of an earlier report that has the same."""
    shown: dict[str, str] = {}
    figures = {}
    for report in found.reports:
        path = reports / report.folder / f"{report.kind.figure}.svg"
        if path.is_file():
            same = shown.setdefault(sha256(path), report.folder)
            first = same == report.folder
            data = base64.b64encode(path.read_bytes()).decode() if first else ""
            figures[report.folder] = (data, same)
    return figures


def _verdicts(report: Report) -> list[tuple[str, str, str]]:
    """The claims of a report: id, claim, verdict."""
    if report.claims is None:
        return []
    whole = report.claims[~report.claims["id"].str.contains(".", regex=False)]
    return [(line.id, line.claim, line.verdict) for line in whole.itertuples()]


# --- Markdown ---------------------------------------------------------------------------------------------------------


def _markdown(found: Catalogue, entries: list[dict[str, Any]]) -> str:
    scales = found.scales()
    lines = [
        "# Reports",
        "",
        escaped(ABOUT),
        "",
        "`nox -s site` writes this page and `index.html`, which has all of it",
    ]
    lines += ["with tables that sort, from what lies in this folder.", ""]
    rows = []
    for name, kind in KINDS.items():
        here = by_scale(found.of(name))
        cells = [_report_cells(here.get(scale) or here.get("")) for scale in scales or [""]]
        if not here:
            cells[0] = Markdown(f"`nox -s {kind.session}`")
        rows.append([Markdown(f"{escaped(kind.title)}: {escaped(kind.about)}"), *cells])
    lines += markdown_table(["Report", *(scales or ["made"])], rows)
    if counts := counts_of(entries):
        lines += ["", "## Claims", ""]
        lines += [f"- {escaped(scale)}: {escaped(text)}" for scale, text in counts.items()]
    if found.pages:
        lines += ["", "## Other pages", ""]
        lines += [f"- {link(title, path)}" for title, path in found.pages]
    if found.problems:
        lines += ["", "## Not whole", ""]
        lines += [f"- {escaped(problem)}" for problem in found.problems]
    return "\n".join(lines) + "\n"


def _report_cells(reports: Sequence[Report] | None) -> Markdown:
    return Markdown("; ".join(map(_report_cell, reports))) if reports else Markdown(ABSENT)


def _report_cell(report: Report) -> Markdown:
    page = f"{report.artefact}.md"
    text = escaped(state(report))
    return link(text, f"{report.folder}/{page}") if page in report.files else text
