"""What cells of notebooks show: the files of a report, and tables whose text reads as it was written."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd
from IPython.display import Image, Markdown
from pandas.io.formats.style import Styler

from flannb.errors import UserError


class Report:
    """The files of a report; a cell that ends with it lists them.

    Args:
        paths: of the files, as a step that writes a report returns them.
    """

    def __init__(self, paths: Iterable[Path]):
        self._paths = {Path(path).name: Path(path) for path in paths}

    def __repr__(self) -> str:
        return "\n".join(path.as_posix() for path in self._paths.values())

    def __contains__(self, name: str) -> bool:
        """Whether the report has a file of a name."""
        return name in self._paths

    def picture(self, name: str, width: int) -> Image:
        """A PNG file, so many pixels wide.

        Raises:
            UserError: the report has no such file; the message lists those that it has.
        """
        return Image(self._path(name), width=width)

    def table(self, name: str) -> pd.DataFrame:
        """A CSV file. Raises as ``picture``."""
        return pd.read_csv(self._path(name))

    def text(self, name: str, after: str = "") -> Markdown:
        """A Markdown file, or what of it comes after a heading such as ``## Scores``. Raises as ``picture``."""
        whole = self._path(name).read_text(encoding="utf-8")
        return Markdown(whole.split(after, 1)[1] if after else whole)

    def _path(self, name: str) -> Path:
        if name not in self._paths:
            raise UserError(f"{name}: the report has no such file; it has {', '.join(self._paths)}")
        return self._paths[name]


def as_written(table: pd.DataFrame) -> Styler:
    """A table that keeps the line breaks of its texts, which begin at the left."""
    return table.style.set_properties(**{"white-space": "pre-wrap", "text-align": "left"})
