"""Figure 7: every permutation of a question, its answer and its explanation, rendered from rows of the source."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flannb.build import Source
from flannb.build.inversion import PARTS, PERMUTATIONS, REGULAR, permutation_templates
from flannb.build.records import first_records
from flannb.build.render import STYLES as OPTION_STYLES
from flannb.build.render import Pattern, Wording, render, wording
from flannb.collection import Task, templates
from flannb.collection.task import Record
from flannb.errors import UserError
from flannb.report.drawing import BLUE, GREEN, ORANGE, WIDTH, new_figure, report_style
from flannb.report.figure_page import FigurePage, write_page

CAPTION = (
    "The twelve ways to split a question, its answer and its explanation into what a prompt gives and what it asks for,"
    " each with a template of the collection, of one training row. The first is the chain of thought as it is; the"
    " others are its inversions."
)
ABOUT = (
    "The paper: input inversion adds every permutation of question, answer and explanation in which at least one of"
    " the three is the output, with instructions that say what is given and what is asked for.",
    "Three inverted examples are made for every ten regular ones.",
)
NAMES = {"question": "Question", "answer": "Answer", "rationale": "Explanation"}
STYLES: dict[str, dict[str, Any]] = {
    "question": {"color": BLUE},
    "answer": {"color": ORANGE, "fontweight": "bold"},
    "rationale": {"color": GREEN, "fontstyle": "italic"},
    "": {"color": "#333333"},
}
"""How the parts of the record look within a template's own words, whose key is "". Each differs without colour, too."""

ROWS = 200
"""Rows of a task among which the shortest is chosen, so that its permutations can be read at a glance."""

ADVANCE = 14 * 72 / 300
"""Width of a letter in points: a whole number of dots of the PNG, so that no rounding adds up along a line."""

SIZE = ADVANCE / 0.60205  # of DejaVu Sans Mono
LINE = 1.28 * SIZE


class Example(NamedTuple):
    """A training row of a Chain-of-Thought task."""

    task: Task
    row: int
    record: Record

    @property
    def length(self) -> int:
        """Characters of its parts."""
        return sum(len(str(self.record[part])) for part in PARTS)


def write_figure7(folder: Path, source: Source, training: Iterable[Task]) -> list[Path]:
    """Writes the report on Figure 7; see ``flannb.report.figure_page.write_page``.

    The figure shows the shortest of all examples; the CSV has one of every task.

    Args:
        folder: of the report.
        source: has the rows.
        training: the training tasks that it has.

    Raises:
        UserError: it has no Chain-of-Thought row.
    """
    found = examples(source, training)
    if not found:
        raise UserError(f"{source.name} has no row of a Chain-of-Thought task, which Figure 7 is made of; name another")
    table = pd.DataFrame([line for example in found for line in rendered(example)])
    shown = min(found, key=lambda example: example.length)
    lines = table[(table["task"] == shown.task.name) & (table["row"] == shown.row)]
    page = FigurePage(
        "Figure 7: permutations of question, answer and explanation",
        [*ABOUT, f"Shown is row {shown.row} of the training split of {shown.task.name}, source {source.name}."],
        {"figure7": (CAPTION, figure7(shown))},
        {
            "Permutations": pd.DataFrame(
                {
                    "Given": lines["given"],
                    "Asked for": lines["asked"],
                    "Prompt": lines["prompt"],
                    "Target": lines["target"],
                }
            )
        },
    )
    return write_page(folder, "figure7", page, {"figure7": table})


def examples(source: Source, training: Iterable[Task]) -> list[Example]:
    """The shortest of the first rows of every Chain-of-Thought task whose templates have inversions."""
    found = []
    for task in training:
        if task.submixture != "cot" or f"{task.templates}_inverted" not in templates():
            continue
        records = first_records(source, task.data, task.fields, ROWS)
        whole = [
            Example(task, row, record)
            for row, record in zip(records.rows, records.records, strict=True)
            if all(record.get(part) for part in PARTS)
        ]
        if whole:
            found.append(min(whole, key=lambda example: example.length))
    return found


def _wordings(example: Example) -> list[tuple[str, str, Wording]]:
    """Of every permutation: what is given, what is asked for, and a wording."""
    chosen = permutation_templates(example.task.templates)
    named = []
    for permutation in sorted(PERMUTATIONS, key=lambda permutation: permutation != REGULAR):
        given, asked = (
            " + ".join(NAMES[part] for part in PARTS if part in parts)
            for parts in (permutation.given, permutation.asked)
        )
        named.append((given, asked, wording(chosen[permutation], with_options=example.task.has_options)))
    return named


def rendered(example: Example) -> list[dict[str, object]]:
    """A line for every permutation: ``task, row, given, asked, prompt, target``."""
    lines = []
    for given, asked, word in _wordings(example):
        piece = render(word, example.record)
        where = {"task": example.task.name, "row": example.row, "given": given, "asked": asked}
        lines.append(where | {"prompt": piece.input, "target": piece.target})
    return lines


Letters = list[tuple[str, str]]
"""Letters, each with the key of its style in ``STYLES``."""


def _letters(pattern: Pattern, values: Mapping[str, object]) -> Letters:
    """A pattern with its values, letter by letter."""
    made: Letters = []
    for literal, name in pattern.segments:
        made += [(letter, "") for letter in literal]
        if name is not None:
            key = name if name in STYLES else "question"  # options belong to the question
            made += [(letter, key) for letter in str(values[name])]
    return made


def wrap(letters: Letters, width: int) -> list[Letters]:
    """Breaks letters into lines of at most ``width``, at spaces where there are any, and at newlines."""
    lines: list[Letters] = []
    line: Letters = []
    for letter in [*letters, ("\n", "")]:
        if letter[0] == "\n":
            lines.append(line)
            line = []
            continue
        line.append(letter)
        if len(line) > width:
            space = max((i for i, (text, _) in enumerate(line) if text == " " and i), default=width - 1)
            lines.append(line[: space + 1] if line[space][0] != " " else line[:space])
            line = line[space + 1 :]
    return lines


def figure7(example: Example) -> Figure:
    """A block for each permutation: what is given and asked for, the prompt, and the target on a grey ground."""
    inset = 0.04 * 72
    width = int((WIDTH * 72 - 2 * inset) / ADVANCE) - 1
    blocks = []
    for place, (given, asked, word) in enumerate(_wordings(example), start=1):
        values = word.values(example.record, OPTION_STYLES[0])
        prompt, target = (wrap(_letters(pattern, values), width) for pattern in (word.input, word.target))
        blocks.append((f"{place}. {given} → {asked}", prompt, target))
    total = sum(len(prompt) + len(target) + 2.3 for _, prompt, target in blocks) + 1.8
    with report_style():
        figure = new_figure(total * LINE / 72, layout=None)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_xlim(0, WIDTH * 72)
        axes.set_ylim(total * LINE, 0)
        axes.axis("off")
        y = 0.9 * LINE
        x = inset
        for name, style in [*((NAMES[part], STYLES[part]) for part in PARTS), ("words of the template", STYLES[""])]:
            axes.text(x, y, name, fontsize=SIZE + 0.6, family="DejaVu Sans", va="center", **style)
            x += (len(name) + 3) * 0.66 * SIZE
        y += 1.6 * LINE
        for heading, prompt, target in blocks:
            axes.text(inset, y, heading, fontsize=SIZE + 0.6, fontweight="bold", va="center")
            y += 1.15 * LINE
            for line in prompt:
                _write(axes, inset + ADVANCE, y, line)
                y += LINE
            axes.axhspan(y - 0.5 * LINE, y + (len(target) - 0.5) * LINE, color="#EEEEEE", linewidth=0, zorder=0)
            for line in target:
                _write(axes, inset + ADVANCE, y, line)
                y += LINE
            y += 1.15 * LINE
        return figure


def _write(axes: Axes, x: float, y: float, line: Letters) -> None:
    """Writes a line, its runs of one style one after the other."""
    start = 0
    while start < len(line):
        key = line[start][1]
        end = next((i for i in range(start, len(line)) if line[i][1] != key), len(line))
        text = "".join(letter for letter, _ in line[start:end]).replace("$", r"\$")
        place = x + start * ADVANCE
        axes.text(place, y, text, fontsize=SIZE, family="DejaVu Sans Mono", va="center_baseline", **STYLES[key])
        start = end
