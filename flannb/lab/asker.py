"""The asker: an instruction, and what one model or two make of it."""

from collections.abc import Sequence
from pathlib import Path

import ipywidgets as widgets
from IPython.display import display

from flannb.errors import UserError
from flannb.lab import view
from flannb.lab.controls import NARROW, TITLES, WIDE, WIDEST, View, choice, offer, together
from flannb.lab.explorer import Explorer
from flannb.lab.models import NO_MODEL, Answer, answer, find_models, input_limit, opened

MOST_TOKENS = 1024

ELSEWHERE = "or a folder, or hf://owner/name"


class Asker:
    """Lets models answer a typed instruction, at first that of an example.

    Args:
        explorer: whose example is taken.
        models: a folder or address for each model that is asked; empty for one that is found.
        root: models are looked for below it.
    """

    def __init__(self, explorer: Explorer, models: Sequence[str] = ("",), root: str = "runs"):
        self._explorer, self._root = explorer, Path(root)
        self._view: View | None = None
        self._taken = ("", "")
        self.instruction = widgets.Textarea(description="Instruction", rows=6, layout=WIDEST, style=TITLES)
        self.found = [choice(f"Model {letter}" if len(models) > 1 else "Model") for letter in "ABCDEFGH"[: len(models)]]
        self.elsewhere = [widgets.Text(name, placeholder=ELSEWHERE, layout=WIDE) for name in models]
        self.most = widgets.BoundedIntText(
            32, min=1, max=MOST_TOKENS, description="Most tokens", layout=NARROW, style=TITLES
        )
        self.ask = widgets.Button(description="Answer", button_style="primary")
        self.take = widgets.Button(description="Take the example", tooltip="The input of the example shown above")
        self.ask.on_click(self._asked)
        self.take.on_click(lambda button: self.take_example())
        self.look()
        self.take_example()

    def look(self) -> None:
        """Lists the models that are there, each list with another one first."""
        here = find_models(self._root)
        for i, found in enumerate(self.found):
            first = i % max(1, len(here))
            offer(found, [(model.label, model.path) for model in [*here[first:], *here[:first]]])

    def take_example(self) -> None:
        """Makes the input of the explorer's example the instruction."""
        shown = self._explorer.example
        if shown is not None:
            self._taken = (shown.inputs, shown.targets)
            self.instruction.value = shown.inputs

    def show(self) -> None:
        """Shows the controls and the answers."""
        rows = [[found, other] for found, other in zip(self.found, self.elsewhere, strict=True)]
        display(together([self.instruction], *rows, [self.most, self.ask, self.take]))
        self._view = View(self.html())

    def html(self) -> str:
        """The answers, or a message in their place."""
        models = [other.value.strip() or found.value for found, other in zip(self.found, self.elsewhere, strict=True)]
        if not all(models):
            return view.problem(NO_MODEL)
        asked = self.instruction.value
        if not asked.strip():
            return view.problem("Type an instruction, or take the example.")
        inputs, gold = self._taken
        return view.answers(asked, [self._answer(model) for model in models], gold if asked == inputs else "")

    def _answer(self, model: str) -> tuple[str, Answer | None, str]:
        """Name of a model, and its answer or why there is none."""
        label = next((text for found in self.found for text, path in found.options if path == model), model)
        try:
            return label, answer(opened(model), self.instruction.value, input_limit(model), self.most.value), ""
        except UserError as error:
            return label, None, str(error)
        except Exception as error:  # whatever a checkpoint from elsewhere brings about, the other one can still answer
            return label, None, f"It failed: {type(error).__name__}: {error}"

    def _asked(self, button: widgets.Button) -> None:
        button.disabled, button.description = True, "Answering …"
        try:
            if self._view is not None:
                self._view.update(self.html())
        finally:
            button.disabled, button.description = False, "Answer"
