"""The report: a page with counts and figures, and all cases as CSV."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from flannb.files import write_text
from flannb.trust.case import Bench, Case, Figure

CASES, FIGURES, PAGE = "faults.csv", "load.csv", "README.md"

ABOUT = {
    "kill": "A reproduction, or pretraining, is killed (SIGKILL to its process group) or asked to stop at a random"
    " moment of a stage; the same command then ends with the bytes of an undisturbed run.",
    "damage": "A bit is flipped in, or the end cut off, a file that a stage reads. It is named, and made or fetched"
    " again, or the run refuses it.",
    "together": "Processes that want the same things at once.",
    "scarce": "Full disks, read-only folders, little memory, no network, servers that fail.",
    "input": "Mutated template files and manifests: each is read, or refused with a message for people.",
    "hostile": "Rows that try to run scripts, reach out, or steer a terminal, wherever their text is shown.",
    "load": "Sizes far beyond the paper's.",
    "distributed": "Processes that train together and Dask workers are killed.",
}


def summary(cases: Sequence[Case]) -> str:
    """The sentence that counts."""
    tried = [case for case in cases if case.survived is not None]
    said = f"{len(tried)} faults injected, {sum(bool(case.survived) for case in tried)} survived"
    left = len(cases) - len(tried)
    return said + (f"; {left} could not be tried on this machine" if left else "")


def write_report(bench: Bench, folder: Path, areas: Sequence[str]) -> Path:
    """Writes the page and the tables; what an earlier run found in other areas stays.

    Args:
        areas: those that were run now.

    Returns:
        The path of the page.
    """
    new = {(case.area, case.fault) for case in bench.cases}
    before = read_cases(folder)
    kept = [c for c in before if (c.area, c.fault) not in new and (c.area not in areas or bench.only is not None)]
    cases = [*kept, *bench.cases]
    measured = {figure.what for figure in bench.figures}
    stay = "load" not in areas or bench.only is not None
    figures = [*(f for f in _read_figures(folder) if stay and f.what not in measured), *bench.figures]
    order = list(ABOUT)
    cases.sort(key=lambda case: order.index(case.area))
    table = pd.DataFrame([vars(case) for case in cases], columns=list(Case.__annotations__))
    write_text(
        folder / CASES,
        table.assign(seconds=pd.to_numeric(table["seconds"], errors="coerce").round(1)).to_csv(index=False),
    )
    if figures:
        numbers = pd.DataFrame([vars(figure) for figure in figures]).round({"seconds": 2, "memory": 0})
        write_text(folder / FIGURES, numbers.to_csv(index=False))
    write_text(folder / PAGE, _page(cases, figures, bench.seed))
    return folder / PAGE


def read_cases(folder: Path) -> list[Case]:
    """The cases of an earlier report; none where there is none."""
    if not (folder / CASES).is_file():
        return []
    lines = pd.read_csv(folder / CASES, keep_default_na=False).to_dict("records")
    verdicts = {"True": True, "False": False}
    return [Case(**{**line, "survived": verdicts.get(str(line["survived"]))}) for line in lines]


def _read_figures(folder: Path) -> list[Figure]:
    if not (folder / FIGURES).is_file():
        return []
    return [Figure(**line) for line in pd.read_csv(folder / FIGURES).to_dict("records")]


def _page(cases: Sequence[Case], figures: Sequence[Figure], seed: int) -> str:
    lines = ["# Trust", "", f"{summary(cases)} (seed {seed}). `nox -s trust` makes this page anew.", ""]
    lines += ["| area | injected | survived | not tried | what |", "|---|---:|---:|---:|---|"]
    for area, about in ABOUT.items():
        some = [case for case in cases if case.area == area]
        if some:
            tried = [case for case in some if case.survived is not None]
            counts = (len(tried), sum(bool(case.survived) for case in tried), len(some) - len(tried))
            lines.append(f"| {area} | {' | '.join(map(str, counts))} | {about} |")
    lines += ["", f"Every case is in [{CASES}]({CASES}), with what was seen.", ""]
    lines += _listed("Not survived", [case for case in cases if case.survived is False])
    lines += _listed("Not tried on this machine", [case for case in cases if case.survived is None])
    if figures:
        lines += ["## Load", "", "| what | size | processor seconds | memory, MB |", "|---|---:|---:|---:|"]
        lines += [f"| {f.what} | {f.size:,} | {f.seconds:.2f} | {f.memory:,.0f} |" for f in figures]
    return "\n".join(lines).rstrip() + "\n"


def _listed(title: str, cases: Iterable[Case]) -> list[str]:
    lines = [f"- {case.area}: {case.fault}: {' '.join(case.detail.split())[:300]}" for case in cases]
    return [f"## {title}", "", *lines, ""] if lines else []
