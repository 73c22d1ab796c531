"""What a page says of answers that are ranked by likelihood, beside those that a model writes."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from flannb.collection.submixtures import task_of
from flannb.report.claims import evaluate_claims
from flannb.report.figure_page import score_grid
from flannb.report.layout import SETTINGS, TITLES
from flannb.report.page import CLAIM_HEADS, claim_cells, shown_claims
from flannb.report.sections import Section, beside_majority
from flannb.report.table import Predictions, Setup, majority_baseline, one_model, score_table

SCORES, CLAIMS = "Answers ranked by likelihood", "Claims by ranked answers"
CAPTION = "The same of answers ranked by likelihood. Dotted: guessing among the options."
HOW = (
    "Here the answer to a row is the option that the model finds likeliest, whatever it would write; rows without"
    " options are left out. A model that tells the options apart but does not write one of them scores here and not"
    " above. The paper's numbers are all of written answers.",
)
SAME_CLAIMS = ("The same claims, asked of these scores; of a suite that is not ranked nothing is known here.",)


@dataclass(frozen=True)
class Ranked:
    """The results of ranked answers.

    Attributes:
        table, claims: from ``score_table`` and ``evaluate_claims``.
        chance: (suite, setting) of the layout -> what guessing scores, in percent.
    """

    table: pd.DataFrame
    claims: pd.DataFrame
    chance: Mapping[tuple[str, str], float]

    @classmethod
    def of(cls, predictions: Predictions, setup: Setup, claims: pd.DataFrame | None = None) -> "Ranked":
        """Those of predictions by ranking.

        Args:
            predictions: row -> its predictions, of ranking instead of generation.
            setup: what was measured.
            claims: on them, where they are not just those of the layout.
        """
        claims = evaluate_claims(predictions, setup) if claims is None else claims
        chance = guessing(predictions)
        shown = {cell: chance[cell] for cell in setup.layout.cells() if cell in chance}
        return cls(score_table(predictions, setup), claims, shown)

    def verdicts(self) -> list[tuple[str, ...]]:
        """The claims as cells below ``CLAIM_HEADS``, without parts about suites that are not ranked."""
        measured = self.table.dropna(subset=["score"])
        ranked = set(measured["suite"] + "." + measured["setting"])
        return [
            claim_cells(line)
            for line in shown_claims(self.claims)
            if not line["part"] or ".".join(line["id"].split(".")[1:3]) in ranked
        ]

    def beside_guessing(self) -> str:
        """A sentence on what guessing scores."""
        suites: dict[str, list[str]] = {}
        for (suite, setting), value in self.chance.items():
            suites.setdefault(suite, []).append(f"{value:.1f} {SETTINGS[setting]}")
        told = "; ".join(f"on {TITLES.get(suite, suite)} {', '.join(values)}" for suite, values in suites.items())
        return f"Guessing among the options scores {told}."


def ranking_sections(
    ranked: Ranked, predictions: Predictions, setup: Setup, titles: Mapping[str, str]
) -> list[Section]:
    """The scores where the answer is the likeliest of the options, and the claims by them, for the page of a table.

    Args:
        ranked: the results.
        predictions: that they are of.
        setup: what was measured.
        titles: row -> name.
    """
    measured = ranked.table.dropna(subset=["score"])
    grid = score_grid(measured, "Row", {row: titles.get(row, row) for row in dict.fromkeys(measured["row"])}).fillna("")
    majority = beside_majority(ranked.table, setup, majority_baseline(one_model(predictions)))
    sentences = (*HOW, ranked.beside_guessing(), *majority)
    return [
        Section(SCORES, sentences, tuple(grid), tuple(map(tuple, grid.to_numpy()))),
        Section(CLAIMS, SAME_CLAIMS, CLAIM_HEADS, tuple(ranked.verdicts())),
    ]


def ranking_tables(
    ranked: Ranked, heading: str, setup: Setup
) -> tuple[dict[str, pd.DataFrame], dict[str, tuple[str, ...]]]:
    """The same for the page of a figure: heading -> table, and heading -> sentences above it.

    Args:
        ranked: the results.
        heading: of the column of names.
        setup: what was measured.
    """
    tables = {
        SCORES: score_grid(ranked.table, heading, setup.layout.titles()),
        CLAIMS: pd.DataFrame(ranked.verdicts(), columns=list(CLAIM_HEADS)),
    }
    return tables, {SCORES: (*HOW, ranked.beside_guessing()), CLAIMS: SAME_CLAIMS}


def guessing(predictions: Predictions) -> dict[tuple[str, str], float]:
    """(Suite, setting) -> what guessing among the options scores, in percent, averaged over the suite's tasks.

    Args:
        predictions: row -> its predictions by ranking.
    """
    keys = ["suite", "setting", "task", "row"]
    rows = pd.concat([frame[[*keys, "options"]] for frame in predictions.values()]).drop_duplicates(keys)
    rows = rows.assign(chance=100 / rows["options"].map(len), whole=rows["task"].map(task_of))
    means = rows.groupby(["suite", "setting", "whole", "task"], sort=False)["chance"].mean()
    of_suites = means.groupby(level=[0, 1, 2], sort=False).mean().groupby(level=[0, 1], sort=False).mean()
    return {(str(suite), str(setting)): float(value) for (suite, setting), value in of_suites.items()}
