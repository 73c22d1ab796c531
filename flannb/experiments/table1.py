"""Table 1: eight models, trained on Flan 2022, on it less one of its methods, and on single collections."""

from dataclasses import dataclass, replace

from flannb.errors import UserError
from flannb.mixture import RELEASED_RATES, Mixture

FLAN2022 = Mixture()


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
    Row("flan2022", "Flan 2022", FLAN2022),
    Row("minus_cot", "- CoT", FLAN2022.without("cot")),
    Row("minus_input_inversion", "- Input Inversion", replace(FLAN2022, inversion=False)),
    Row("minus_mixture_balancing", "- Mixture Balancing", Mixture(dict.fromkeys(RELEASED_RATES, 1.0))),
    Row("minus_few_shot", "- Few Shot Templates", replace(FLAN2022, few_shot=0.0)),
    Row("flan2021", "Flan 2021", Mixture({"flan2021": 1.0})),
    # P3 has zero-shot prompts only.
    Row("p3pp", "P3++", Mixture({"t0_sf": 1.0, "p3_flan2021": 1.0}, few_shot=0.0, by_size=True)),
    Row("super_natural_instructions", "Super-Natural Inst.", Mixture({"super_natural_instructions": 1.0})),
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
