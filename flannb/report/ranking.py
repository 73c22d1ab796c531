"""What a page says of answers that are ranked by likelihood, beside those that a model writes."""

from collections.abc import Mapping

import pandas as pd

from flannb.report.layout import SETTINGS, TITLES, Layout
from flannb.report.page import shown_claims
from flannb.report.sections import Section, beside_majority
from flannb.report.table import Setup


def ranking_sections(
    table: pd.DataFrame,
    claims: pd.DataFrame,
    setup: Setup,
    titles: Mapping[str, str],
    majority: Mapping[str, Mapping[str, float]],
) -> list[Section]:
    """The scores where the answer is the likeliest of the options, and the claims by them.

    Args:
        table, claims: from ``score_table`` and ``evaluate_claims``, of predictions by ranking.
        titles: row -> name.
        majority: suite -> setting -> majority baseline in percent.
    """
    measured = table.dropna(subset=["score"])
    cells = _cells(measured, setup.layout)
    by_cell = {(line.row, line.suite, line.setting): line for line in measured.itertuples()}
    lines = []
    for row in dict.fromkeys(measured["row"]):
        found = [by_cell.get((row, *cell)) for cell in cells]
        texts = ["" if each is None else f"{each.score:.1f} [{each.ci_low:.1f}, {each.ci_high:.1f}]" for each in found]
        lines.append((titles.get(row, row), *texts))
    sentences = [
        "Here the answer to a row is the option that the model finds likeliest, whatever it would write; rows without"
        " options are left out. A model that tells the options apart but does not write one of them scores here and not"
        " above. The paper's numbers are all of written answers."
    ]
    for suite, baselines in majority.items():
        sentences += beside_majority(table, setup, baselines, suite)
    heads = ("Row", *(f"{TITLES[suite]}, {SETTINGS[setting]}" for suite, setting in cells))
    ranked = {f"{suite}.{setting}" for suite, setting in cells}
    verdicts = tuple(
        (f"{line['id']}: {line['claim']}", line["verdict"], line["difference"], line["detail"])
        for line in shown_claims(claims)
        if not line["part"] or line["id"].partition(".")[2] in ranked
    )
    return [
        Section("Answers ranked by likelihood", tuple(sentences), heads, tuple(lines)),
        Section(
            "Claims by ranked answers",
            ("The same claims, asked of these scores; of a suite that is not ranked nothing is known here.",),
            ("Claim", "Verdict", "Difference", "Detail"),
            verdicts,
        ),
    ]


def _cells(measured: pd.DataFrame, layout: Layout) -> list[tuple[str, str]]:
    """The suites and settings that have ranked answers, in order."""
    present = set(measured[["suite", "setting"]].itertuples(index=False, name=None))
    return [cell for cell in layout.cells() if cell in present]
