"""Mixtures by name: the release's, its ablations, and single collections; or of rates in a file."""

from dataclasses import replace
from pathlib import Path

from flannb import extra
from flannb.errors import UserError
from flannb.files import read_json
from flannb.mixture.design import design
from flannb.mixture.weights import RELEASED_RATES, Mixture
from flannb.names import check_name

FLAN2022 = Mixture()
EQUAL = Mixture(dict.fromkeys(RELEASED_RATES, 1.0))
FLAN2021 = FLAN2022.alone("flan2021")

FEW_SHOT_SHARES = (0, 5, 10, 25, 50, 75, 90, 95, 100)
"""Percent of few-shot data in the mixtures of Figure 3."""

DESIGN: dict[str, Mixture] = {
    f"design_{number:02}": Mixture(rates) for number, rates in enumerate(design([FLAN2022.rates, EQUAL.rates]), 1)
}
"""Mixtures whose scores tell how to weight the submixtures; the same for every seed, so that runs of several add up."""

MIXTURES: dict[str, Mixture] = {
    "flan2022": FLAN2022,
    "equal": EQUAL,
    "minus_few_shot": FLAN2022.with_few_shot(0.0),
    "minus_input_inversion": replace(FLAN2022, inversion=False),
    # Table 2 takes submixtures away from the equal weights, Table 1 from the released ones.
    **{f"minus_{name}": FLAN2022.without(name) for name in RELEASED_RATES},
    **{f"equal_minus_{name}": EQUAL.without(name) for name in RELEASED_RATES},
    **{name: FLAN2022.alone(name) for name in RELEASED_RATES},
    # Figure 3 mixes zero-shot and few-shot data of Flan 2021 alone; half of each is the mixture itself
    **{f"flan2021_few_shot_{share}": FLAN2021.with_few_shot(share / 100) for share in FEW_SHOT_SHARES if share != 50},
    # the whole of P3, its tasks alike; P3 has zero-shot prompts only
    "p3pp": Mixture({"t0_sf": 1.0, "p3_flan2021": 1.0}, few_shot=0.0, by_size=True),
    **DESIGN,
}
"""Name -> mixture: released rates, equal weights, those less one submixture or method, and each submixture alone."""


def own_mixtures() -> dict[str, Mixture]:
    """Name -> mixture of one's own (``flannb.extra``), collections among them.

    Raises:
        UserError: one of a name that the package has.
    """
    made = extra.declared("MIXTURES")
    for each in extra.declared("COLLECTIONS"):
        rates = dict.fromkeys((task.submixture for task in each.tasks), 1.0)
        made[each.name] = Mixture(rates, tasks=frozenset(task.name for task in each.tasks))
    if taken := sorted(set(made) & set(MIXTURES)):
        raise UserError(
            f"--extra: flannb has a mixture '{taken[0]}'; give yours another name, and do not import MIXTURES, which"
            " would declare them all again"
        )
    return made


def mixture(name: str) -> Mixture:
    """A mixture by its name, or of the rates in a JSON file.

    Args:
        name: a key of ``MIXTURES`` or one's own, or a path that ends with ``.json`` (see ``read_mixture``).

    Raises:
        UserError: there is none of that name; the message lists them. Or as ``read_mixture``.
    """
    if name in MIXTURES:
        return MIXTURES[name]
    if name.endswith(".json"):
        return read_mixture(Path(name))
    own = own_mixtures()
    check_name("--mixture", name, [*MIXTURES, *own])
    return own[name]


def read_mixture(path: Path) -> Mixture:
    """The mixture whose rates a JSON file has, by submixture, under ``rates``.

    Raises:
        UserError: the file is missing or has no rates, or they are not as ``Mixture`` takes them.
    """
    found = read_json(path, "Correct it, or name a mixture.")
    rates = found.get("rates") if isinstance(found, dict) else None
    if not isinstance(rates, dict) or not all(isinstance(rate, int | float) for rate in rates.values()):
        raise UserError(f"{path}: 'rates' must give a number for each submixture")
    return Mixture(rates)
