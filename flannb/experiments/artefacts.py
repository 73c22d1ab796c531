"""The paper's artefacts as tables of models: which mixture each row is trained on."""

from dataclasses import dataclass

from flannb.collection import finetuning_tasks
from flannb.errors import UserError


@dataclass(frozen=True)
class Row:
    """A model of a table.

    Attributes:
        name: the key of the row in the paper's CSV.
        title: how tables write it.
        mixture: the name of what it is trained on (``flannb.mixture.MIXTURES``). Rows of several artefacts with one
            mixture share one model.
    """

    name: str
    title: str
    mixture: str


@dataclass(frozen=True)
class Artefact:
    """A table of models that is reproduced as a whole.

    Attributes:
        name: its key, such as ``table1``.
        title: how people call it.
        notebook: makes its report.
        rows: its models, in order.
    """

    name: str
    title: str
    notebook: str
    rows: tuple[Row, ...]

    def row(self, name: str) -> Row:
        """A row by its name.

        Raises:
            UserError: there is none of that name; the message lists them.
        """
        for candidate in self.rows:
            if candidate.name == name:
                return candidate
        raise UserError(f"--rows {name}: unknown; choose from {', '.join(row.name for row in self.rows)}")


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

SINGLE_TASK = {artefact.name: artefact for artefact in (TABLE3, FIGURE5, FIGURE6)}
"""Artefacts whose rows are tasks that models are finetuned on (``flannb.experiments.finetuning``)."""

ARTEFACTS = {artefact.name: artefact for artefact in (TABLE1, TABLE2)} | SINGLE_TASK


def artefact(name: str) -> Artefact:
    """An artefact by its name.

    Raises:
        UserError: there is none of that name; the message lists them.
    """
    if name not in ARTEFACTS:
        raise UserError(f"artefact '{name}': unknown; choose one of {', '.join(ARTEFACTS)}")
    return ARTEFACTS[name]
