"""A table to read: as Markdown, and as one HTML file that needs nothing else."""

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import jinja2
import pandas as pd

from flannb.files import write_text
from flannb.html import templates_in
from flannb.markdown import Markdown, escaped
from flannb.markdown import table as markdown_table
from flannb.report.claims import RULES, SHARES
from flannb.report.layout import SETTINGS, TITLES
from flannb.report.sections import Section
from flannb.report.table import Setup, with_interval

ABSENT = "–"

NUMBER = re.compile(rf"[-+]?[0-9][0-9,.]*(e-?[0-9]+)?%?|{ABSENT}|")
"""What stands to the right in a table: a number, or nothing."""


def caption(
    table: pd.DataFrame,
    setup: Setup,
    majority: Mapping[str, float] | None = None,
    repeats: Mapping[str, int] | None = None,
) -> list[str]:
    """The sentences that say what the numbers of the table are.

    Args:
        table: from ``flannb.report.table.score_table``.
        setup: what was measured.
        majority: setting -> majority baseline of Held-In in percent.
        repeats: row -> how many models were trained, where some were trained several times.
    """
    counts = []
    for suite, title in TITLES.items():
        if spread := count_range(table.loc[table["suite"] == suite, "n"]):
            counts.append(f"{title} {spread}")
    sentences = [
        f"Scores in percent at the scale {setup.scale}, data source {setup.source}, seed {setup.seed}.",
        "In brackets the 95% bootstrap interval over evaluation rows.",
        setup.layout.note,
    ]
    titles = setup.layout.titles()
    run = " that was run" if repeats and set(setup.layout.measurable()) - repeats.keys() else ""
    one = "to whose intervals another training would add"
    if repeats and max(repeats.values()) > 1:
        several = ", ".join(f"{titles[row]} {n}" for row, n in repeats.items() if n > 1)
        sentences.append(
            f"Models trained of a row, each with a seed of its own: {several}. Their scores are means over these, and"
            " their intervals are over these too, as far as so few tell."
        )
        if min(repeats.values()) == 1:
            sentences.append(f"Of every other row{run} one model was trained, {one}.")
    elif repeats:
        sentences.append(f"One model was trained of each row{run}, {one}.")
    else:
        sentences.append("Another training would add to the intervals.")
    if counts:
        sentences.append(f"Evaluation rows per setting: {', '.join(counts)}.")
    if splits := _splits(table):
        sentences.append(f"Scored splits: {splits}.")
    if majority:
        baselines = ", ".join(f"{majority[key]:.1f} {title}" for key, title in SETTINGS.items() if key in majority)
        sentences.append(f"Always giving the most frequent answer scores {baselines} on Held-In.")
    if table["source"].str.contains(" sets)", regex=False).any():
        sentences.append(
            "Where some evaluation sets are absent from the source, the cell says how many of how many it has."
        )
    return sentences


def count_range(counts: pd.Series) -> str:
    """Numbers of evaluation rows as ``60`` or ``60 to 1,480``; empty where there are none."""
    known = counts.dropna()
    if not len(known):
        return ""
    return f"{known.min():,}" + (f" to {known.max():,}" if known.max() > known.min() else "")


def _splits(table: pd.DataFrame) -> str:
    named = {title: sorted(set(table.loc[table["suite"] == suite, "split"]) - {""}) for suite, title in TITLES.items()}
    return ", ".join(f"{title} {' or '.join(splits)}" for title, splits in named.items() if splits)


def markdown(
    table: pd.DataFrame,
    claims: pd.DataFrame,
    setup: Setup,
    titles: Mapping[str, str] | None = None,
    majority: Mapping[str, float] | None = None,
    repeats: Mapping[str, int] | None = None,
    summary: Sequence[str] = (),
    sections: Sequence[Section] = (),
) -> str:
    """The table and the verdicts on its claims as Markdown. For the arguments see ``html``."""
    heads = [f"{TITLES[suite]}, {SETTINGS[setting]}" for suite, setting in setup.layout.cells()]
    lines = [f"# {setup.layout.title}", ""]
    if summary:
        lines += [*(f"- {escaped(sentence)}" for sentence in summary), ""]
    lines += [" ".join(map(escaped, caption(table, setup, majority, repeats))), ""]
    rows = [row for group in _groups(table, setup, titles or {}) for row in group["rows"]]
    cells = ([row["title"], *map(_markdown_cell, row["cells"])] for row in rows)
    lines += markdown_table(["Row", *heads], cells, right=range(1, len(heads) + 1))
    lines += ["", *claims_markdown(claims)]
    for section in sections:
        lines += ["", *_section_markdown(section)]
    return "\n".join(lines) + "\n"


CLAIM_HEADS = ("Claim", "Verdict", "Difference", "Detail")


def claim_cells(claim: Mapping[str, str]) -> tuple[str, ...]:
    """One of ``shown_claims`` as the texts below ``CLAIM_HEADS``."""
    return f"{claim['id']}: {claim['claim']}", claim["verdict"], claim["difference"], claim["detail"]


def claims_markdown(claims: pd.DataFrame) -> list[str]:
    """The lines of a section on the verdicts."""
    return ["## Claims", "", *markdown_table(CLAIM_HEADS, map(claim_cells, shown_claims(claims)), right=[2])]


def _section_markdown(section: Section) -> list[str]:
    lines = [f"## {section.title}", "", " ".join(map(escaped, section.sentences))]
    if section.lines:
        lines += ["", *markdown_table(section.heads, section.lines, right=range(1, len(section.heads)))]
    return lines


def html(
    table: pd.DataFrame,
    claims: pd.DataFrame,
    setup: Setup,
    titles: Mapping[str, str] | None = None,
    majority: Mapping[str, float] | None = None,
    figures: Sequence[tuple[str, Path]] = (),
    repeats: Mapping[str, int] | None = None,
    summary: Sequence[str] = (),
    sections: Sequence[Section] = (),
) -> str:
    """The table, the verdicts on its claims and the figures as one HTML page without scripts or outside resources.

    Args:
        table: from ``flannb.report.table.score_table``.
        claims: from ``flannb.report.claims.evaluate_claims``.
        setup: what was measured.
        titles: row -> name, where it should differ from the paper's.
        majority: setting -> majority baseline of Held-In in percent.
        figures: pairs of a caption and an SVG file, which is embedded.
        repeats: row -> how many models were trained.
        summary: sentences that come first.
        sections: what comes after the claims.
    """
    return template("table").render(
        setup=setup,
        caption=caption(table, setup, majority, repeats),
        suites={suite: TITLES[suite] for suite in setup.layout.suites},
        settings=SETTINGS,
        groups=_groups(table, setup, titles or {}),
        claims=shown_claims(claims),
        figures=embedded(figures),
        absent=ABSENT,
        summary=summary,
        sections=sections,
    )


SORT_SCRIPT = (Path(__file__).parent / "sort.js").read_text(encoding="utf-8")
"""What sorts tables by a click on a column's head; pages allow no other script."""


def template(name: str) -> jinja2.Template:
    """A template of this folder; what it is given is escaped."""
    environment = templates_in(Path(__file__).parent)
    environment.globals["rules"] = RULES
    environment.globals["sort_script"] = SORT_SCRIPT
    environment.globals["sort_hash"] = base64.b64encode(hashlib.sha256(SORT_SCRIPT.encode()).digest()).decode()
    return environment.get_template(f"{name}.html.jinja")


def embedded(figures: Iterable[tuple[str, Path]]) -> list[tuple[str, str]]:
    """Captions and SVG files as captions and base64."""
    return [(text, base64.b64encode(path.read_bytes()).decode()) for text, path in figures]


def write_texts(folder: Path, texts: Mapping[str, str]) -> list[Path]:
    """Writes texts by the names of their files, each whole or not at all; returns the files.

    Raises:
        UserError: the folder cannot be written to.
    """
    for name, text in texts.items():
        write_text(folder / name, text)
    return [folder / name for name in texts]


def _groups(table: pd.DataFrame, setup: Setup, titles: Mapping[str, str]) -> list[dict]:
    """The rows by kind with the texts of their cells, empty texts where there is no number."""
    names = setup.layout.titles() | dict(titles)
    kinds = setup.layout.printed().set_index("row")["kind"]
    best = table.groupby(["suite", "setting"])["score"].max()
    groups: dict[str, list[dict]] = {}
    for row, lines in table.groupby("row", sort=False):
        cells = []
        for line in lines.itertuples():
            measured = pd.notna(line.score)
            cells.append(
                {
                    "label": f"{TITLES[line.suite]}, {SETTINGS[line.setting]}",
                    "score": f"{line.score:.1f}" if measured else "",
                    "interval": f"{line.ci_low:.1f}, {line.ci_high:.1f}" if measured else "",
                    "best": measured and line.score == best[line.suite, line.setting],
                    "paper": f"{line.paper:.1f}" if pd.notna(line.paper) else "",
                    "note": _note(line.source),
                }
            )
        groups.setdefault(kinds[row], []).append({"title": names[row], "cells": cells})
    return [{"title": heading, "rows": groups[kind]} for kind, heading in setup.layout.kinds.items() if kind in groups]


def _note(source: str) -> str:
    if source.endswith(" sets)"):
        return source[source.rindex("(") + 1 : -1]
    return source if source == "not run" else ""


def _markdown_cell(cell: dict) -> Markdown:
    text = f"{cell['score']} [{cell['interval']}]" if cell["score"] else ABSENT
    if cell["best"]:
        text = f"**{cell['score']}** [{cell['interval']}]"
    small = [cell["note"], f"paper {cell['paper']}" if cell["paper"] else ""]
    return Markdown("".join([text, *(f"<br><sub>{part}</sub>" for part in small if part)]))


def shown_claims(claims: pd.DataFrame) -> list[dict]:
    """What pages show of claims and their parts, as texts."""
    lines = []
    for line in claims.itertuples():
        measured = pd.notna(line.difference)
        difference = with_interval(line.difference, line.ci_low, line.ci_high, "+.1f") if measured else ""
        if line.id in SHARES and measured:
            difference = f"{line.difference:.0f}% [{line.ci_low:.0f}, {line.ci_high:.0f}]"
        lines.append(
            {
                "id": line.id,
                "claim": line.claim,
                "verdict": line.verdict,
                "detail": line.detail,
                "difference": difference,
                "part": "." in line.id,
            }
        )
    return lines
