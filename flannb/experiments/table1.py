"""Table 1: eight models, trained on Flan 2022, on it less one of its methods, and on single collections."""

from dataclasses import dataclass

from flannb.errors import UserError
from flannb.mixture import MIXTURES, Mixture


@dataclass(frozen=True)
class Row:
    """A model of a table.

    Attributes:
        name: the key of the row in the paper's CSV.
        title: how tables write it.
        mixture: what it is trained on.
    """

    name: str
    title: str
    mixture: Mixture


ROWS: tuple[Row, ...] = (
    Row("flan2022", "Flan 2022", MIXTURES["flan2022"]),
    Row("minus_cot", "- CoT", MIXTURES["minus_cot"]),
    Row("minus_input_inversion", "- Input Inversion", MIXTURES["minus_input_inversion"]),
    Row("minus_mixture_balancing", "- Mixture Balancing", MIXTURES["equal"]),
    Row("minus_few_shot", "- Few Shot Templates", MIXTURES["minus_few_shot"]),
    Row("flan2021", "Flan 2021", MIXTURES["flan2021"]),
    Row("p3pp", "P3++", MIXTURES["p3pp"]),
    Row("super_natural_instructions", "Super-Natural Inst.", MIXTURES["super_natural_instructions"]),
)


def row(name: str) -> Row:
    """A row of Table 1 by its name.

    Raises:
        UserError: there is none of that name; the message lists them.
    """
    for candidate in ROWS:
        if candidate.name == name:
            return candidate
    raise UserError(f"--rows {name}: unknown; choose from {', '.join(r.name for r in ROWS)}")
