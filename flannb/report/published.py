"""The numbers and claims that the paper prints (arXiv 2301.13688), as they stand in ``paper/*.csv``."""

from functools import cache
from pathlib import Path

import pandas as pd

FOLDER = Path(__file__).parent / "paper"


@cache
def published(name: str) -> pd.DataFrame:
    """A table of the paper: ``table1``, ``table2``, ``table3``, ``figure2``, ``collection`` or ``claims``.

    Everybody gets the same one: do not change it in place.

    Raises:
        KeyError: there is no such table.
    """
    path = FOLDER / f"{name}.csv"
    if not path.is_file():
        raise KeyError(
            f"no table '{name}' of the paper; there are {', '.join(sorted(p.stem for p in FOLDER.glob('*.csv')))}"
        )
    return pd.read_csv(path)
