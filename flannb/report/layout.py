"""What a table or figure of the paper has in its rows and columns, and the numbers that the paper prints there."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np
import pandas as pd

from flannb.collection.submixtures import MORE_SUITES, SUITES
from flannb.mixture.named import DESIGN, FEW_SHOT_SHARES
from flannb.names import check_name
from flannb.report.published import published

SETTINGS = {"zs": "zero-shot", "fs": "few-shot"}
"""Settings of evaluation: key -> title, in the order of the paper's tables."""

REPORTED = "reported"
"""The kind of rows that the paper takes from other publications, which cannot be measured."""

OWN = "own"
"""The kind of rows that are not the paper's."""

TITLES = SUITES | MORE_SUITES
"""Suite -> its name."""


@dataclass(frozen=True)
class Layout:
    """A table with a row for each model and a cell for each suite and setting; the points of a figure are rows too.

    Attributes:
        name: its key, such as ``table1``.
        title: how people call it.
        suites: its suites, in order.
        kinds: kind of rows -> the heading of their group, in order; rows of other kinds are left out.
        full: the row that the loss curves show in black.
        claims: ids of the paper's claims about it.
        note: what the paper's numbers in it are.
        table: the paper's table that has its numbers, of its own name where it is empty.
        rows: row -> its name, of a figure whose numbers the paper does not print.
        own: row -> its name, of rows that are not the paper's.
    """

    name: str
    title: str
    suites: tuple[str, ...]
    kinds: Mapping[str, str]
    full: str
    claims: tuple[str, ...]
    note: str
    table: str = ""
    rows: Mapping[str, str] = field(default_factory=dict)
    own: Mapping[str, str] = field(default_factory=dict)

    def extended(self, rows: Mapping[str, str], suites: Sequence[str]) -> "Layout":
        """The same with rows (name of each by its key) and suites that are not the paper's."""
        suites = (*self.suites, *suites)
        if self.rows:
            return replace(self, rows={**self.rows, **rows}, suites=suites)
        kinds = {**self.kinds, OWN: "Not in the paper"} if rows else self.kinds
        return replace(self, own=dict(rows), kinds=kinds, suites=suites)

    def cells(self) -> Iterator[tuple[str, str]]:
        """The suites and settings of a row, in order."""
        return ((suite, setting) for suite in self.suites for setting in SETTINGS)

    def printed(self) -> pd.DataFrame:
        """Its rows, with the columns ``row``, ``title``, ``kind`` and ``<suite>_<setting>`` for each cell, which holds
        the paper's number, if any.
        """
        if self.rows:
            cells = dict.fromkeys((f"{suite}_{setting}" for suite, setting in self.cells()), np.nan)
            return pd.DataFrame({"row": list(self.rows), "title": list(self.rows.values()), "kind": "", **cells})
        table = _printed(self.table or self.name)
        own = pd.DataFrame({"row": list(self.own), "title": list(self.own.values()), "kind": OWN})
        table = pd.concat([table, own], ignore_index=True) if self.own else table
        more = [name for suite, setting in self.cells() if (name := f"{suite}_{setting}") not in table]
        return table[table["kind"].isin(self.kinds)].assign(**dict.fromkeys(more, np.nan))

    def titles(self) -> dict[str, str]:
        """Row -> its name."""
        table = self.printed()
        return dict(zip(table["row"], table["title"], strict=True))

    def measurable(self) -> list[str]:
        """The rows that can be measured."""
        table = self.printed()
        return table.loc[table["kind"] != REPORTED, "row"].tolist()


LAYOUTS: dict[str, Layout] = {
    "table1": Layout(
        "table1",
        "Table 1",
        tuple(SUITES),
        {
            "full": "The full collection",
            "method ablation": "Without one method",
            "collection": "Other collections, equal size",
            REPORTED: "As reported by others",
        },
        "flan2022",
        ("C1", "C2", "C3", "C4", "C5"),
        "The paper's numbers beside are those of T5-XL (3B) or of the model named: compare directions, not values.",
    ),
    "table2": Layout(
        "table2",
        "Table 2",
        ("held_in", "cot", "mmlu"),
        {"equal": "All submixtures alike", "left out": "Without one of them", "weighted": "At the rates of Flan 2022"},
        "all_equal",
        ("C8", "C9"),
        "The paper's numbers beside are those of T5-XL (3B); it prints one for each suite without naming the setting, "
        "and here that one stands in both.",
    ),
}

LAYOUTS["figure1"] = replace(
    LAYOUTS["table1"],
    name="figure1",
    title="Figure 1",
    kinds={kind: LAYOUTS["table1"].kinds[kind] for kind in ("full", "collection")},
    claims=("C5",),
    table="table1",
)
LAYOUTS["figure3"] = Layout(
    "figure3",
    "Figure 3",
    ("held_in", "mmlu"),
    {"": "Share of few-shot data"},
    "",
    ("C6a", "C6b", "C6c"),
    "The paper prints no numbers of it; it trained on Flan 2021 alone, as is done here.",
    rows={f"few_shot_{share}": f"{share}%" for share in FEW_SHOT_SHARES},
)
LAYOUTS["weights"] = Layout(
    "weights",
    "Weight search",
    tuple(SUITES),
    {"": "Mixtures"},
    "",
    (),
    "The paper leaves the choice of weights open and prints no numbers of it.",
    rows={
        "proposal": "Proposed",
        "flan2022": "Flan 2022",
        "equal": "All alike",
        **{name: f"Design {name.removeprefix('design_')}" for name in DESIGN},
    },
)


def layout(name: str) -> Layout:
    """A table or figure by its key; Figure 4 has rows that depend on scale and data (``flannb.report.figure4``).

    Raises:
        UserError: there is none of that name; the message lists them.
    """
    check_name("layout", name, LAYOUTS)
    return LAYOUTS[name]


@cache
def _printed(name: str) -> pd.DataFrame:
    table = published(name)
    if name == "table1":  # a measured row may be of another size than the paper's
        return table.assign(title=table["model"].str.removeprefix("T5-XL "))
    kinds = [{"all_equal": "equal", "all_weighted": "weighted"}.get(row, "left out") for row in table["row"]]
    cells = {f"{suite}_{setting}": table[suite] for suite in LAYOUTS[name].suites for setting in SETTINGS}
    return pd.DataFrame({"row": table["row"], "title": table["mixture"], "kind": kinds, **cells})
