"""The paper's tables and figures as rows of models: which mixture each is trained on, and of which size."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from flannb import extra
from flannb.collection import Task, finetuning_tasks
from flannb.experiments.scales import Scale
from flannb.mixture import DESIGN, FEW_SHOT_SHARES, mixture
from flannb.names import check_name


@dataclass(frozen=True)
class Row:
    """A model of a table, or a point of a figure.

    Attributes:
        name: the key of the row in the report.
        title: how tables write it.
        mixture: the name of what it is trained on (``flannb.mixture.MIXTURES``).
        size: a key of ``flannb.model.SIZES``; the scale's where it is empty.
        tasks: how many tasks of the mixture take part, drawn by the seed; 0 for all.
    """

    name: str
    title: str
    mixture: str
    size: str = ""
    tasks: int = 0

    @property
    def model(self) -> str:
        """The folder of its model: rows of several artefacts with equal models share one."""
        parts = [self.mixture, f"{self.tasks}_tasks" if self.tasks else "", self.size]
        return "-".join(part for part in parts if part)


@dataclass(frozen=True)
class Artefact:
    """A table or figure that is reproduced as a whole.

    Attributes:
        name: its key, such as ``table1``.
        title: how people call it.
        notebook: makes its report.
        rows: its models, in order; none where they depend on scale and data (``rows_at``).
        rows_at: makes the rows from a scale and the training tasks that a source has.
        beyond: whether it goes beyond the paper, which ``reproduce_all`` does not.
    """

    name: str
    title: str
    notebook: str
    rows: tuple[Row, ...] = ()
    rows_at: Callable[[Scale, Sequence[Task]], tuple[Row, ...]] | None = None
    beyond: bool = False

    @property
    def session(self) -> str:
        """The nox session that makes it."""
        return f"{'search' if self.beyond else 'reproduce'}_{self.name}"

    def at(self, scale: Scale, training: Sequence[Task]) -> "Artefact":
        """The artefact with its rows at a scale, of the training tasks that a source has; one's own are the last."""
        rows = self.rows_at(scale, training) if self.rows_at else self.rows
        return replace(self, rows=(*rows, *self.own_rows()), rows_at=None)

    def own_rows(self) -> tuple[Row, ...]:
        """The rows that ``flannb.extra`` adds.

        Raises:
            UserError: it adds rows to what has none.
        """
        for name in extra.declared("ROWS"):
            check_name("--extra: ROWS of", name, [each.name for each in (TABLE1, TABLE2, FIGURE1, FIGURE3)])
        collections = extra.declared("COLLECTIONS") if self.name == "table1" else []
        rows = extra.declared("ROWS").get(self.name, ())
        return (*rows, *(Row(each.name, each.title, each.name) for each in collections))

    def row(self, name: str) -> Row:
        """A row by its name.

        Raises:
            UserError: there is none of that name; the message lists them.
        """
        rows = {row.name: row for row in self.rows}
        check_name("--rows", name, rows)
        return rows[name]


TABLE1 = Artefact(
    "table1",
    "Table 1",
    "notebooks/10_table1.ipynb",
    (
        Row("flan2022", "Flan 2022", "flan2022"),
        Row("minus_cot", "- CoT", "minus_cot"),
        Row("minus_input_inversion", "- Input Inversion", "minus_input_inversion"),
        Row("minus_mixture_balancing", "- Mixture Balancing", "equal"),
        Row("minus_few_shot", "- Few Shot Templates", "minus_few_shot"),
        Row("flan2021", "Flan 2021", "flan2021"),
        Row("p3pp", "P3++", "p3pp"),
        Row("super_natural_instructions", "Super-Natural Inst.", "super_natural_instructions"),
    ),
)
"""Flan 2022, Flan 2022 less one of its methods, and single collections."""

TABLE2 = Artefact(
    "table2",
    "Table 2",
    "notebooks/11_table2.ipynb",
    (
        Row("all_equal", "All (Equal)", "equal"),
        Row("minus_flan2021", "All - Flan 2021", "equal_minus_flan2021"),
        Row("minus_t0_sf", "All - T0-SF", "equal_minus_t0_sf"),
        Row("minus_super_natural_instructions", "All - Super-Nat. Inst.", "equal_minus_super_natural_instructions"),
        Row("minus_cot", "All - CoT", "equal_minus_cot"),
        Row("minus_program_synthesis", "All - Prog. Synth.", "equal_minus_program_synthesis"),
        Row("minus_dialog", "All - Dialog", "equal_minus_dialog"),
        Row("all_weighted", "All (Weighted)", "flan2022"),
    ),
)
"""The six submixtures alike, less one of them, and at the rates of Flan 2022."""

FIGURE1 = Artefact(
    "figure1",
    "Figure 1",
    "notebooks/21_figure1.ipynb",
    tuple(TABLE1.row(name) for name in ("flan2022", "flan2021", "p3pp", "super_natural_instructions")),
)
"""The collections of Table 1 in every suite."""

FIGURE3 = Artefact(
    "figure3",
    "Figure 3",
    "notebooks/23_figure3.ipynb",
    tuple(
        Row(f"few_shot_{share}", f"{share}%", "flan2021" if share == 50 else f"flan2021_few_shot_{share}")
        for share in FEW_SHOT_SHARES
    ),
)
"""Flan 2021 with few-shot data in growing shares."""

TASK_COUNTS = (8, 25, 50, 100, 200, 400, 800)
"""Numbers of tasks in the paper's Figure 4, which ends with all of them."""

FEWEST_COUNTS = 5
"""Numbers of tasks that tell a trend."""


def task_counts(available: int) -> tuple[int, ...]:
    """The numbers of tasks that Figure 4 compares, the last of them all that there are.

    They are the paper's as far as there are tasks, but those that are all of them but for a tenth; where that gives
    fewer than five, five in equal ratios from 8 on; and where there are no more than 8, that number alone.
    """
    counts = (*(count for count in TASK_COUNTS if count < 0.9 * available), available)
    if len(counts) >= FEWEST_COUNTS:
        return counts
    spread = np.geomspace(min(TASK_COUNTS[0], available), available, FEWEST_COUNTS).round().astype(int)
    return tuple(dict.fromkeys(int(count) for count in spread))


def _sizes_and_counts(scale: Scale, training: Sequence[Task]) -> tuple[Row, ...]:
    available = len(mixture("flan2022").members(training))
    return tuple(
        Row(
            f"{size}_{count if count < available else 'all'}",
            f"{size}, {count:,} tasks",
            "flan2022",
            "" if size == scale.size else size,
            count if count < available else 0,
        )
        for size in scale.sizes or (scale.size,)
        for count in task_counts(available)
    )


FIGURE4 = Artefact("figure4", "Figure 4", "notebooks/24_figure4.ipynb", rows_at=_sizes_and_counts)
"""Flan 2022 of growing numbers of tasks, in several model sizes."""

FIGURE2 = Artefact("figure2", "Figure 2", "notebooks/22_figure2.ipynb")
"""A timeline of public collections; it needs no data and no models."""

FIGURE7 = Artefact("figure7", "Figure 7", "notebooks/27_figure7.ipynb")
"""The permutations of question, answer and explanation; it needs data and no models."""

_SINGLE_TASKS = tuple((task, Row(task.name, task.title, "flan2022")) for task in finetuning_tasks("flan2022"))

TABLE3 = Artefact("table3", "Table 3", "notebooks/12_table3.ipynb", tuple(row for _, row in _SINGLE_TASKS))
"""Single tasks: T5 finetuned on each, and a model of Flan 2022 as it is and finetuned on each."""

FIGURE5 = Artefact("figure5", "Figure 5", "notebooks/25_figure5.ipynb", TABLE3.rows)
"""The same as bars."""

FIGURE6 = Artefact(
    "figure6",
    "Figure 6",
    "notebooks/26_figure6.ipynb",
    tuple(row for task, row in _SINGLE_TASKS if task.held_out),
)
"""The learning curves of the tasks that Flan 2022 does not have."""

WEIGHTS = Artefact(
    "weights",
    "Weight search",
    "notebooks/41_weights.ipynb",
    (
        Row("flan2022", "Flan 2022", "flan2022"),
        Row("equal", "All alike", "equal"),
        *(Row(name, f"Design {name.removeprefix('design_')}", name) for name in DESIGN),
    ),
    beyond=True,
)
"""The runs from which mixture weights are proposed, those of the paper and equal ones among them.

All are as large and as long as the rows of Table 1: which weights are best depends on how often each example is seen,
the proposal is compared at that length, and the runs that the tables have need not be made again."""

SINGLE_TASK = {artefact.name: artefact for artefact in (TABLE3, FIGURE5, FIGURE6)}
"""Artefacts whose rows are tasks that models are finetuned on (``flannb.experiments.finetuning``)."""

ARTEFACTS = {
    artefact.name: artefact
    for artefact in (TABLE1, TABLE2, TABLE3, FIGURE1, FIGURE2, FIGURE3, FIGURE4, FIGURE5, FIGURE6, FIGURE7, WEIGHTS)
}
"""Every artefact, in the order in which all are reproduced. Those that are not rows of models and a report on them have
their steps from ``flannb.experiments.registry``."""


def artefact(name: str) -> Artefact:
    """An artefact by its name.

    Raises:
        UserError: there is none of that name; the message lists them.
    """
    check_name("--artefact", name, ARTEFACTS)
    return ARTEFACTS[name]
