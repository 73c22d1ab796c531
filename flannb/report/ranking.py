"""What a page says of answers that are ranked by likelihood, beside those that a model writes."""

from collections.abc import Mapping

import pandas as pd

from flannb.report.figure_page import score_grid
from flannb.report.page import CLAIM_HEADS, claim_cells, shown_claims
from flannb.report.sections import Section, beside_majority
from flannb.report.table import Predictions, Setup, one_model

CLAIMS_TITLE = "Claims by ranked answers"
HOW = (
    "Here the answer to a row is the option that the model finds likeliest, whatever it would write; rows without"
    " options are left out."
)


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
    grid = score_grid(measured, "Row", {row: titles.get(row, row) for row in dict.fromkeys(measured["row"])}).fillna("")
    sentences = [
        HOW,
        "A model that tells the options apart but does not write one of them scores here and not above. The paper's"
        " numbers are all of written answers.",
    ]
    for suite, baselines in majority.items():
        sentences += beside_majority(table, setup, baselines, suite)
    ranked = set(measured["suite"] + "." + measured["setting"])
    verdicts = tuple(
        claim_cells(line) for line in shown_claims(claims) if not line["part"] or line["id"].partition(".")[2] in ranked
    )
    return [
        Section("Answers ranked by likelihood", tuple(sentences), tuple(grid), tuple(map(tuple, grid.to_numpy()))),
        Section(
            CLAIMS_TITLE,
            ("The same claims, asked of these scores; of a suite that is not ranked nothing is known here.",),
            CLAIM_HEADS,
            verdicts,
        ),
    ]


def ranked_tables(table: pd.DataFrame, claims: pd.DataFrame, heading: str, setup: Setup) -> dict[str, pd.DataFrame]:
    """The same for a page on a figure whose suites are all ranked: heading -> table.

    Args:
        table, claims: as in ``ranking_sections``.
        heading: of the column of names.
        setup: what was measured.
    """
    return {
        "Scores of ranked answers": score_grid(table, heading, setup.layout.titles()),
        CLAIMS_TITLE: pd.DataFrame(map(claim_cells, shown_claims(claims)), columns=CLAIM_HEADS),
    }


def guessing(ranked: Predictions) -> dict[tuple[str, str], float]:
    """(Suite, setting) -> what guessing among the options scores, in percent, averaged over the suite's sets.

    Args:
        ranked: row -> its predictions by ranking.
    """
    model = one_model(ranked)
    chances = 100 / model["options"].map(len)
    sets = chances.groupby([model["suite"], model["setting"], model["task"]]).mean()
    return {
        (str(suite), str(setting)): float(value)
        for (suite, setting), value in sets.groupby(level=[0, 1]).mean().items()
    }
