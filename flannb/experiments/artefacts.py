"""The paper's artefacts as tables of models: which mixture each row is trained on."""

from dataclasses import dataclass

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

ARTEFACTS = {artefact.name: artefact for artefact in (TABLE1, TABLE2)}


def artefact(name: str) -> Artefact:
    """An artefact by its name.

    Raises:
        UserError: there is none of that name; the message lists them.
    """
    if name not in ARTEFACTS:
        raise UserError(f"artefact '{name}': unknown; choose one of {', '.join(ARTEFACTS)}")
    return ARTEFACTS[name]
