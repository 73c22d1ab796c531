"""The report on a figure: drawn, as a table, and what it says about the paper's claims."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from flannb.markdown import escaped
from flannb.markdown import table as markdown_table
from flannb.report.drawing import save_figures
from flannb.report.layout import SETTINGS, TITLES
from flannb.report.page import ABSENT, NUMBER, claims_markdown, embedded, shown_claims, template, write_texts
from flannb.report.table import to_csv, with_interval

_NUMBER = r"[-+]?(?:[0-9][0-9,.]*|nan|inf)"
_INTERVAL = re.compile(rf"{_NUMBER} \[{_NUMBER}, {_NUMBER}\]|not run|undefined")
"""What ``with_interval`` writes, and what stands in its place where there is no score."""


@dataclass(frozen=True)
class FigurePage:
    """What the page on a figure says.

    Attributes:
        title: its heading.
        caption: sentences: what the paper claims, what is shown, of how much.
        figures: file name without ending -> caption and figure.
        tables: heading -> table, whose texts are shown as they are and whose numbers are rounded to one decimal.
        claims: from ``flannb.report.claims.evaluate_claims``; None where the paper makes no claim about it.
        notes: heading of a table -> sentences above it.
        sortable: whether a click on a column of the HTML page sorts by it.
    """

    title: str
    caption: Sequence[str]
    figures: Mapping[str, tuple[str, Figure]]
    tables: Mapping[str, pd.DataFrame]
    claims: pd.DataFrame | None = None
    notes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    sortable: bool = False


def write_page(
    folder: Path, name: str, page: FigurePage, data: Mapping[str, pd.DataFrame], decimals: str = "%.4f"
) -> list[Path]:
    """Writes the report on a figure into a folder, each file whole or not at all: equal arguments give equal bytes.

    Args:
        folder: is made if need be; other files in it stay.
        name: of the page's files, .md and .html.
        page: what it says; each of its figures becomes a .png and a .svg, its claims become claims.csv.
        data: file name without ending -> a table that is written as .csv.
        decimals: of the numbers in it.

    Returns:
        The files written.

    Raises:
        UserError: the folder cannot be written to.
    """
    paths, drawn = save_figures(folder, page.figures)
    texts = {f"{stem}.csv": to_csv(table, decimals) for stem, table in data.items()}
    if page.claims is not None:
        texts["claims.csv"] = to_csv(page.claims)
    texts |= {f"{name}.md": markdown(page), f"{name}.html": html(page, drawn)}
    return [*paths, *write_texts(folder, texts)]


def markdown(page: FigurePage) -> str:
    """The page as Markdown, which shows the PNG files beside it."""
    lines = [f"# {escaped(page.title)}", "", " ".join(map(escaped, page.caption))]
    for stem, (text, _) in page.figures.items():
        lines += ["", f"![{escaped(text)}]({stem}.png)"]
    if page.claims is not None:
        lines += ["", *claims_markdown(page.claims)]
    for heading, table in page.tables.items():
        numbers = _numbers(table)
        right = [place for place, column in enumerate(table) if column in numbers]
        rows = _texts(table).itertuples(index=False)
        lines += ["", f"## {escaped(heading)}", ""]
        if sentences := page.notes.get(heading):
            lines += [" ".join(map(escaped, sentences)), ""]
        lines += markdown_table(list(table), rows, right)
    return "\n".join(lines) + "\n"


def html(page: FigurePage, drawn: Sequence[tuple[str, Path]]) -> str:
    """The page as one HTML file without outside resources.

    Args:
        page: what it says.
        drawn: captions and SVG files, which are embedded.
    """
    return template("figure").render(
        page=FigurePage(
            page.title,
            page.caption,
            {},
            {heading: _texts(table) for heading, table in page.tables.items()},
            notes=page.notes,
            sortable=page.sortable,
        ),
        numbers={heading: _numbers(table) for heading, table in page.tables.items()},
        claims=[] if page.claims is None else shown_claims(page.claims),
        figures=embedded(drawn),
        zip=zip,
    )


def score_grid(table: pd.DataFrame, heading: str, titles: Mapping[str, str]) -> pd.DataFrame:
    """Measured scores to read: a line for each row, a column for each cell, intervals in brackets.

    Args:
        table: from ``flannb.report.table.score_table``.
        heading: of the column of names.
        titles: row -> its name; rows without are left out.
    """
    lines = []
    for row, title in titles.items():
        cells: dict[str, str | None] = {heading: title}
        for line in table[table["row"] == row].itertuples():
            text = with_interval(line.score, line.ci_low, line.ci_high) if pd.notna(line.score) else None
            cells[f"{TITLES[line.suite]}, {SETTINGS[line.setting]}"] = text
        lines.append(cells)
    return pd.DataFrame(lines)


def _numbers(table: pd.DataFrame) -> set[str]:
    """The columns that stand to the right: numbers, and scores with their intervals."""
    return {
        column
        for column in table
        if pd.api.types.is_numeric_dtype(table[column]) or all(map(_is_number, map(_text, table[column])))
    }


def _is_number(text: str) -> bool:
    return bool(NUMBER.fullmatch(text) or _INTERVAL.fullmatch(text))


def _texts(table: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({column: [_text(value) for value in table[column]] for column in table})


def _text(value: object) -> str:
    if value is None or value is pd.NA or value != value:
        return ABSENT
    return f"{value:.1f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
