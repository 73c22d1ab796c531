"""What lies in the folder of reports: every report with where its numbers come from, and whatever is wrong with it.

Only this folder is read, never that of the runs. Nothing that is in it stops the reading: what is missing, damaged or
unknown is told as a problem.
"""

import re
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from flannb.errors import UserError
from flannb.files import INPUTS, MANIFEST, inside, is_intact, read_sealed
from flannb.report.ledger import LEDGER, read_claims
from flannb.report.limits import scale_order

SITE = ("index.html", "README.md")
"""What is made of all the rest."""

PREDICTIONS = "predictions"

SINCE = "-from-"
"""In the name of a report's folder, between the scale and what trainings started from."""


class Kind(NamedTuple):
    """A report that can be made: its title, what it shows, the nox session that makes it, its table and figure."""

    title: str
    about: str
    session: str
    table: str
    figure: str
    traced: bool = True  # whether it must say from which runs it is, by a manifest


KINDS: dict[str, Kind] = {
    "table1": Kind(
        "Table 1",
        "Flan 2022, the same without each of its methods, and other collections",
        "reproduce_table1",
        "table1",
        "figure1",
    ),
    "table2": Kind(
        "Table 2", "all submixtures alike, and each left out in turn", "reproduce_table2", "table2", "differences"
    ),
    "table3": Kind("Table 3", "T5 and Flan-T5 finetuned on single tasks", "reproduce_table3", "table3", "figure5"),
    "figure1": Kind("Figure 1", "public collections in every suite", "reproduce_figure1", "figure1", "figure1"),
    "figure2": Kind("Figure 2", "a timeline of public collections", "reproduce_figure2", "figure2", "figure2"),
    "figure3": Kind(
        "Figure 3", "scores over the share of few-shot data in training", "reproduce_figure3", "figure3", "figure3"
    ),
    "figure4": Kind(
        "Figure 4", "scores over the number of tasks, for several sizes", "reproduce_figure4", "figure4", "figure4"
    ),
    "figure5": Kind("Figure 5", "Table 3 as bars", "reproduce_figure5", "figure5", "figure5"),
    "figure6": Kind("Figure 6", "learning curves of single tasks", "reproduce_figure6", "figure6", "figure6"),
    "figure7": Kind(
        "Figure 7", "permutations of question, answer and explanation", "reproduce_figure7", "figure7", "figure7"
    ),
    "weights": Kind(
        "Weight search",
        "beyond the paper: mixture weights that a regression over runs proposes, against the paper's",
        "search_weights",
        "weights",
        "weights",
    ),
    "pretrain": Kind("Pretraining", "the starting model and its held-out loss", "pretrain", "held_out", "loss"),
    "sweep": Kind("Sweep", "settings by their loss on held-out records", "sweep", "sweep", "sweep", traced=False),
}
"""Folder of a report -> what it is, in the order of the page."""

PAGES: dict[str, tuple[str, str]] = {
    LEDGER: ("The paper's claims, part by part", "README.md"),
    "collection": ("The tasks, reconciled with the paper's 1,836", "README.md"),
    "contamination": ("Training rows that hold evaluation text", "contamination.md"),
    "performance": ("Measured speed", "README.md"),
    "trust": ("Faults that were injected, and survived", "README.md"),
}
"""Folder -> title and file of a page that is about no table or figure."""


class Place(NamedTuple):
    """A folder of a run: what it holds, its address below the project, and the run's key, if it is on record."""

    what: str
    address: str
    key: str


@dataclass(frozen=True)
class Report:
    """A report that was found.

    Attributes:
        artefact: a key of ``KINDS``.
        scale: empty where it has none.
        start: what its trainings started from, where the folder's name says so (``SINCE``).
        folder: below the folder of reports, such as ``table1/smoke``.
        files: the names of its files.
        table: its numbers, as its CSV file has them; None where that cannot be read.
        claims: as ``flannb.report.claims`` writes them; None where it has none, or they cannot be read.
        parameters: of the run that made it.
        manifest: of that run; empty where there is none.
        runs: row of the table -> where its models and predictions are.
        problems: what is missing or damaged.
    """

    artefact: str
    scale: str
    start: str
    folder: str
    files: tuple[str, ...]
    table: pd.DataFrame | None
    claims: pd.DataFrame | None
    parameters: Mapping[str, Any]
    manifest: Mapping[str, Any]
    runs: Mapping[str, tuple[Place, ...]]
    problems: tuple[str, ...]

    @property
    def kind(self) -> Kind:
        """What its artefact is."""
        return KINDS[self.artefact]

    @property
    def source(self) -> str:
        """The name of the data source."""
        return Path(str(self.parameters.get("source", ""))).name

    @property
    def anchor(self) -> str:
        """Its place on a page."""
        return re.sub(r"[^A-Za-z0-9-]", "-", self.folder)


@dataclass
class Catalogue:
    """All that was found: reports in the order of ``KINDS`` and of scales, other pages, what is wrong."""

    reports: list[Report] = field(default_factory=list)
    pages: list[tuple[str, str]] = field(default_factory=list)  # title, path below the folder of reports
    problems: list[str] = field(default_factory=list)

    def of(self, artefact: str) -> list[Report]:
        """The reports on an artefact."""
        return [report for report in self.reports if report.artefact == artefact]

    def scales(self) -> list[str]:
        """The scales that have a report, in order."""
        return list(dict.fromkeys(sorted((r.scale for r in self.reports if r.scale), key=scale_order)))


def catalogue(reports: Path) -> Catalogue:
    """What lies in the folder of reports."""
    found = Catalogue()
    folders = {path.name: path for path in sorted(_visible(reports)) if path.is_dir()}
    for name in KINDS:
        if name in folders:
            _add_reports(found, name, folders[name])
    for name, (title, page) in PAGES.items():
        if name in folders:
            _add_pages(found, title, page, folders[name])
    for name in sorted(folders.keys() - KINDS.keys() - PAGES.keys()):
        found.problems.append(f"{name}/: unknown; no report of flannb lies there")
    found.problems += [f"{report.folder}/: {problem}" for report in found.reports for problem in report.problems]
    return found


def _visible(folder: Path) -> Iterator[Path]:
    return (path for path in folder.iterdir() if not path.name.startswith(".")) if folder.is_dir() else iter(())


def _add_reports(found: Catalogue, name: str, folder: Path) -> None:
    if any(path.is_file() and path.suffix != ".log" for path in _visible(folder)):
        found.reports.append(_read(name, folder))
    found.reports += sorted(
        (_read(name, folder, path.name) for path in _visible(folder) if path.is_dir()),
        key=lambda report: (*scale_order(report.scale), report.start),
    )
    if not any(report.artefact == name for report in found.reports):
        found.problems.append(f"{name}/: empty; nox -s {KINDS[name].session} makes it")


def _add_pages(found: Catalogue, title: str, page: str, folder: Path) -> None:
    """A page in the folder, or one in each of its folders."""
    if page == "README.md":
        paths = [folder / page]
    else:
        paths = [path / page for path in sorted(_visible(folder)) if path.is_dir()]
    for path in paths:
        place = path.relative_to(folder.parent).as_posix()
        if path.is_file():
            found.pages.append((title if len(paths) == 1 else f"{title}: {path.parent.name}", place))
        else:
            found.problems.append(f"{place}: missing")


def _read(artefact: str, home: Path, name: str = "") -> Report:
    """A report, whatever state it is in; ``name`` is that of its folder, where ``home`` has several."""
    kind, problems, folder = KINDS[artefact], [], home / name
    scale, _, start = name.partition(SINCE)
    files = tuple(sorted(path.name for path in _visible(folder) if path.is_file() and path.suffix != ".log"))
    wanted = [f"{artefact}.html", f"{artefact}.md", f"{kind.table}.csv", f"{kind.figure}.svg"]
    if missing := [name for name in [*wanted, *([MANIFEST, INPUTS] if kind.traced else [])] if name not in files]:
        problems.append(f"half there: {', '.join(missing)} missing; nox -s {kind.session} makes it whole")
    manifest = _sealed(folder / MANIFEST, problems) if MANIFEST in files else {}
    parameters = _mapping(_sealed(folder / INPUTS, problems) if INPUTS in files else {}, "parameters")
    problems += _damaged(folder, _mapping(manifest, "outputs"), missing)
    table, claims = None, None
    if f"{kind.table}.csv" in files:
        try:
            table = pd.read_csv(folder / f"{kind.table}.csv")
        except (ValueError, OSError) as error:
            problems.append(f"{kind.table}.csv cannot be read ({' '.join(str(error).split())})")
    if "claims.csv" in files:
        try:
            claims = read_claims(folder / "claims.csv")
        except UserError as error:
            problems.append(str(error).removeprefix(f"{folder}/"))
    runs = _runs(parameters, _mapping(manifest, "needs"))
    place = f"{artefact}/{name}" if name else artefact
    told = tuple(dict.fromkeys(problems))
    return Report(artefact, scale, start, place, files, table, claims, parameters, manifest, runs, told)


def _sealed(path: Path, problems: list[str]) -> Mapping[str, Any]:
    try:
        return read_sealed(path)
    except UserError:
        problems.append(f"{path.name} is not as it was written")
        return {}


def _mapping(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A mapping in a mapping; empty where there is none."""
    inner = value.get(name)
    return inner if isinstance(inner, Mapping) else {}


def _damaged(folder: Path, outputs: Mapping[str, Any], told: Container[str]) -> list[str]:
    """The files that are not as the manifest has them, but for those that are told of already."""
    names = []
    for name in outputs:
        try:
            path, sha = inside(folder, name), _mapping(outputs, name).get("sha256")
        except UserError as error:
            return [str(error)]
        if name not in told and not is_intact(path, sha if isinstance(sha, str) else None):
            names.append(name)
    return [f"{', '.join(sorted(names))} missing or not as written"] if names else []


STARTS = {"t5": "T5", "flan_t5": "Flan-T5"}


def _runs(parameters: Mapping[str, Any], needs: Mapping[str, Any]) -> dict[str, tuple[Place, ...]]:
    """Row -> the folders of its models and predictions, with the keys of the runs that made them."""

    def place(what: str, address: object, step: str, below: str = "") -> Place:
        return Place(what, f"{address}{below}", str(_mapping(needs, step).get("key", "")))

    found: dict[str, list[Place]] = {}
    for row, folder in _mapping(parameters, "models").items():
        found[row] = [place("model", folder, f"{row}/train")]
    for row, folders in _mapping(parameters, "evaluations").items():
        for number, folder in enumerate(_strings(folders)):
            step = f"{row}-repeat{number}/evaluate" if number else f"{row}/evaluate"
            found.setdefault(row, []).append(place(PREDICTIONS, folder, step, f"/{PREDICTIONS}"))
    for task, by_start in _mapping(parameters, "finetunings").items():
        for start, folder in by_start.items() if isinstance(by_start, Mapping) else ():
            found.setdefault(task, []).append(place(STARTS.get(start, str(start)), folder, f"{task}/{start}"))
    for objective, folder in _mapping(parameters, "stages").items():
        found[objective] = [place("model", folder, f"pretrain/{objective}")]
    return {row: tuple(places) for row, places in found.items()}


def _strings(value: object) -> Iterable[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []
