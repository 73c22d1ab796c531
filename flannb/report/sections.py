"""What a page says in words beside its table: a summary of the verdicts, the data seen, what the scale cannot show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from flannb.collection import SUBMIXTURES
from flannb.report.claims import FAILS, HOLDS, UNDECIDED
from flannb.report.layout import SETTINGS, TITLES
from flannb.report.table import Setup, with_interval

TOKEN_COLUMNS = ("row", "submixture", "task", "examples", "tokens", "share", "epochs")

WORDS = {HOLDS: "Agrees with the paper", FAILS: "Does not agree", UNDECIDED: "Undecided"}
"""Verdict -> how a summary says it."""


@dataclass(frozen=True)
class Section:
    """A part of a page: sentences, then a table of texts, whose first column holds names and whose others numbers."""

    title: str
    sentences: tuple[str, ...]
    heads: tuple[str, ...] = ()
    lines: tuple[tuple[str, ...], ...] = ()


def summary(
    table: pd.DataFrame, claims: pd.DataFrame, setup: Setup, majority: Mapping[str, float] | None = None
) -> tuple[str, ...]:
    """Sentences on which claims agree with the paper at this scale, which do not, which are undecided, and which have
    no part with a result.

    Args:
        table: from ``flannb.report.table.score_table``.
        claims: from ``flannb.report.claims.evaluate_claims``.
        majority: setting -> majority baseline of Held-In in percent; says whether the full row learned to answer.
    """
    whole = claims[~claims["id"].str.contains(".", regex=False)]
    untested = _untested(claims)
    sentences = []
    for verdict, words in WORDS.items():
        lines = whole[(whole["verdict"] == verdict) & ~whole["id"].isin(list(untested))]
        named = [f"{line.id}, “{line.claim}” ({line.detail})" for line in lines.itertuples()]
        sentences.append(f"{words}: {'; '.join(named) if named else 'none'}.")
    if untested:
        sentences.append(f"Not tested: {'; '.join(f'{claim} ({why})' for claim, why in untested.items())}.")
    return (*sentences, *beside_majority(table, setup, majority or {}))


def beside_majority(
    table: pd.DataFrame, setup: Setup, majority: Mapping[str, float], suite: str = "held_in"
) -> tuple[str, ...]:
    """A sentence for each setting on whether the full row is above the majority baseline of a suite."""
    title = setup.layout.titles().get(setup.layout.full, "")
    sentences = []
    for key, baseline in majority.items():
        line = table[(table["row"] == setup.layout.full) & (table["suite"] == suite) & (table["setting"] == key)]
        if line["score"].notna().any():
            score, low, high = line.iloc[0][["score", "ci_low", "ci_high"]]
            sentences.append(
                f"{TITLES[suite]}, {SETTINGS[key]}: {title} has {with_interval(score, low, high)}, "
                f"{_beside(low, high, baseline)} the {baseline:.1f} of always giving the most frequent answer."
            )
    return tuple(sentences)


def _untested(claims: pd.DataFrame) -> dict[str, str]:
    """Claims without a part that has a result -> why the first of their parts has none."""
    parts = claims[claims["id"].str.contains(".", regex=False)]
    groups = parts.groupby(parts["id"].str.partition(".")[0], sort=False)
    return {str(claim): group["detail"].iloc[0] for claim, group in groups if group["difference"].isna().all()}


def _beside(low: float, high: float, baseline: float) -> str:
    return "above" if low > baseline else "below" if high < baseline else "not clearly apart from"


def token_table(tokens: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """What each row was trained on, task by task, with the columns ``TOKEN_COLUMNS``.

    Args:
        tokens: row -> what its first model has read (``flannb.mixture.seen``).
    """
    tables = [table.assign(row=row) for row, table in tokens.items()]
    return pd.concat(tables, ignore_index=True)[list(TOKEN_COLUMNS)]


def seen_section(tokens: Mapping[str, pd.DataFrame], titles: Mapping[str, str], positions: int | None) -> Section:
    """The tokens that each row was trained on, and how they are spread over the submixtures.

    Args:
        tokens: as in ``token_table``.
        titles: row -> name.
        positions: of tokens that every training goes through, padding included.
    """
    sentences = [
        "What the first model of each row has read, inputs and targets: millions of tokens, and percent of them by"
        " submixture. tokens_per_task.csv has every task, with the times that each of its records was read (epochs).",
    ]
    if positions:
        count = f"{positions:,}" if positions < 1e6 else f"{positions / 1e6:,.0f} million"
        sentences.append(
            f"All rows have the same budget: {count} positions of packed sequences. What of them is no token is"
            " padding, where examples do not fill a sequence."
        )
    present = [name for name in SUBMIXTURES if any((table["submixture"] == name).any() for table in tokens.values())]
    lines = []
    for row, table in tokens.items():
        total, by = table["tokens"].sum(), table.groupby("submixture")["tokens"].sum()
        shares = [f"{100 * by[name] / total:.1f}" if by.get(name) else "" for name in present]
        most = table["epochs"].max()
        lines.append((titles.get(row, row), f"{total / 1e6:,.1f}", *shares, f"{most:.1f}"))
    names = [SUBMIXTURES[name].title for name in present]
    heads = ("Row", "Tokens, millions", *(f"{name}, %" for name in names), "Most epochs of a task")
    return Section("Data seen", tuple(sentences), heads, tuple(lines))


def limits_section(limits: Sequence[str]) -> Section:
    """What the scale cannot show."""
    return Section("What this scale cannot show", tuple(limits))
