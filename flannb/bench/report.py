"""The page of a folder of figures: what each benchmark found, on which hardware, with which versions, when and how."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from flannb.errors import UserError
from flannb.files import read_json, write_text

PAGE = "README.md"
HEAD = """# Performance

What the benchmarks measured; the JSON files beside this page hold every figure. Machines are noisy: compare what stands
in one block, which one run measured on one machine, and take times as they are only where a GPU gave them.
"""
NAMED = ("benchmark", "command", "date", "machine", "versions")


def write_report(folder: Path, shows: Mapping[str, Callable[[dict[str, Any]], str]]) -> Path:
    """Writes the page of all JSON files of a folder.

    Args:
        shows: benchmark -> what makes a table of its figures.

    Returns:
        The page.

    Raises:
        UserError: the folder has no figures, or a file holds none of a benchmark.
    """
    paths = sorted(Path(folder).glob("*.json"))
    if not paths:
        raise UserError(f"{folder}: has no figures; keep some with --json {folder}/NAME.json")
    parts = [HEAD]
    for path in paths:
        figures = read_json(path)
        if missing := [name for name in NAMED if name not in figures]:
            raise UserError(f"{path}: no figures of a benchmark, it has no '{missing[0]}'; measure again")
        if figures["benchmark"] not in shows:
            raise UserError(f"{path}: of the benchmark '{figures['benchmark']}', which there is not; delete it")
        machine = figures["machine"]
        versions = ", ".join(f"{name} {number}" for name, number in sorted(figures["versions"].items()) if number)
        parts.append(
            f"## {path.stem}\n\n"
            f"`{figures['command']}`, {figures['date']}; {machine['cores']} cores of {machine['processor']}, Python"
            f" {machine['python']}; {versions}\n\n```\n{shows[figures['benchmark']](figures).strip()}\n```\n"
        )
    page = Path(folder) / PAGE
    write_text(page, "\n".join(parts))
    return page
