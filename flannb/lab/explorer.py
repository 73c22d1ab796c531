"""The explorer: controls for one example of a collection, and views of it that follow them."""

import tempfile
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import ipywidgets as widgets
from IPython.display import display

from flannb.build import STYLES, Hub, Lengths, Tokenizer, invert, open_source, open_tokenizer
from flannb.build.drawing import KINDS
from flannb.build.inventory import Holding
from flannb.collection import SUBMIXTURES, Task, tasks
from flannb.errors import UserError
from flannb.experiments import scale
from flannb.experiments.steps import tokenizer_file
from flannb.lab import view
from flannb.lab.controls import NARROW, TITLES, WIDE, WIDER, WIDEST, View, choice, offer, together
from flannb.lab.examples import (
    Example,
    Picks,
    draw_example,
    is_few_shot,
    settings,
    shows_options,
    title,
    words,
)
from flannb.lab.packed import packed
from flannb.lab.rows import Sample, holdings, read_sample, vocabulary

DRAWN = ("drawn", "")
"""The option that leaves something to the draw; ``None`` would stand for a list in which nothing is picked."""

MOST_EXEMPLARS = 8
BATCH_ROWS = 6

T5_VOCABULARY = "hf://google/t5-v1_1-small"
"""Whose vocabulary is taken where rows come from the Hub, since training one would fetch many datasets."""


class Explorer:
    """Picks an example of a source and shows it; a pick that leads to none shows a message in its place.

    Args:
        source: ``mini``, ``hub`` or a mirror folder.
        task_name: the task that is picked at first.
        seed: of all draws at first.
        lengths: token limits of examples and of packed sequences; by default 512 and 128.
        vocabulary: as ``flannb.experiments.steps.tokenizer_file`` takes it; where it is empty, one is trained on a few
            rows of the source, or T5's own is taken for the Hub.

    Attributes:
        tasks: of the collection; none where there is no such source.
        example: that is shown; ``None`` where there is none.
        problem: why there is none.
    """

    def __init__(
        self, source: str, task_name: str, seed: int = 0, lengths: Lengths | None = None, vocabulary: str = ""
    ):
        self.tasks: tuple[Task, ...] = ()
        self.example: Example | None = None
        self.problem = ""
        self.lengths = lengths or Lengths(512, 128)
        self._vocabulary = vocabulary
        self._known: dict[str, list[Holding]] = {}
        self._samples: dict[str, Sample] = {}
        self._views: dict[str, View] = {}
        self._settling = True
        self._make_controls(seed)
        try:
            self._source = open_source(source)
        except UserError as error:
            self.problem = str(error)
            return
        self.tasks = tasks(self._source.collection)
        first = next((task for task in self.tasks if task.name == task_name), self.tasks[0])
        self.submixture.value = first.submixture
        with suppress(UserError):  # of a damaged file; the next line meets it again and says it
            self._offer_tasks()
            self.task.value = first.name
        self._settle()
        if first.name != task_name:
            self.example, self.problem = None, f"{source} has no task {task_name}; pick one from the list."
        self._settling = False

    def _make_controls(self, seed: int) -> None:
        self.submixture = choice("Submixture", [(s.title, name) for name, s in SUBMIXTURES.items()])
        self.task = choice("Task", layout=WIDER)
        self.setting = choice("Setting")
        self.inverted = widgets.Checkbox(description="Input inversion", indent=False, layout=NARROW)
        self.template = choice("Template", [DRAWN], WIDEST)
        self.style = choice("Options", [DRAWN])
        self.exemplars = choice("Exemplars", [DRAWN])
        self.kind = choice("Of kind", [DRAWN])
        self.row = widgets.IntSlider(description="Row", max=0, continuous_update=False, layout=WIDE, style=TITLES)
        self.seed = widgets.BoundedIntText(seed, description="Seed", max=2**31 - 1, layout=NARROW, style=TITLES)
        drawn = (self.template, self.style, self.exemplars, self.kind)
        for control in (self.submixture, self.task, self.setting, self.inverted, *drawn, self.row, self.seed):
            control.observe(self._picked, names="value")

    def text(self) -> None:
        """Shows the controls, and the row, template, input and target."""
        rows = [self.submixture, self.task], [self.setting, self.style, self.inverted], [self.template]
        self._show("text", *rows, [self.exemplars, self.kind], [self.row, self.seed])

    def tokens(self) -> None:
        """Shows the tokens."""
        self._show("tokens", [self.row, self.task])

    def batch(self) -> None:
        """Shows a packed batch of the task."""
        self._show("batch", [self.row, self.task])

    def html(self, name: str) -> str:
        """The view ``text``, ``tokens`` or ``batch``, or a message in its place."""
        shown = self.example
        if shown is None:
            return view.problem(self.problem)
        if name == "text":
            return view.example(shown)
        if name == "tokens":
            return view.tokens(shown, self._tokenizer)
        sample = self._samples[self.task.value]
        sides = packed(shown, sample, self._tokenizer, self.lengths, BATCH_ROWS, self.seed.value)
        return view.batch(sides, self._tokenizer)

    def _show(self, name: str, *rows: list[widgets.Widget]) -> None:
        display(together(*rows))
        self._views[name] = View(self.html(name))

    def _picked(self, change: Any) -> None:
        if self._settling:  # a list that follows another one, or no source
            return
        self._settling = True
        try:
            self._settle()
        finally:
            self._settling = False
        for name, shown in self._views.items():
            shown.update(self.html(name))

    def _settle(self) -> None:
        """Brings the lists in line with what is picked, and draws the example."""
        self.example, self.problem = None, ""
        try:
            self._offer_tasks()
            task = self._task()
            if task.name not in self._samples:
                self._samples[task.name] = read_sample(self._source, task)
            sample = self._samples[task.name]
            self.inverted.disabled = not SUBMIXTURES[task.submixture].inverted
            used = invert(task) if self.inverted.value and not self.inverted.disabled else task
            self._offer_wordings(used, sample)
            self.example = draw_example(used, sample, self._tokenizer, self.lengths, self._picks())
        except UserError as error:
            self.problem = str(error)

    def _task(self) -> Task:
        return next(task for task in self.tasks if task.name == self.task.value)

    def _picks(self) -> Picks:
        drawn = {"template": self.template, "style": self.style, "exemplars": self.exemplars, "kind": self.kind}
        return Picks(
            setting=self.setting.value,
            row=self.row.value,
            seed=self.seed.value,
            **{name: control.value for name, control in drawn.items() if control.value != DRAWN[1]},
        )

    def _offer_tasks(self) -> None:
        found = self._holdings(self.submixture.value)
        offer(self.task, [(h.task.name if h.available else f"{h.task.name} (not here)", h.task.name) for h in found])

    def _holdings(self, submixture: str) -> list[Holding]:
        if submixture not in self._known:
            self._known[submixture] = holdings(self._source, submixture)
        return self._known[submixture]

    def _offer_wordings(self, task: Task, sample: Sample) -> None:
        """Offers what a task can be made into: the settings, and what goes with the one that is picked."""
        offer(self.setting, [(text, name) for name, text in settings(task).items()])
        setting = self.setting.value
        few_shot, with_options = is_few_shot(setting), shows_options(task, setting)
        offer(self.template, [DRAWN, *((title(task, word), word.position) for word in words(task, setting))])
        offer(self.style, [DRAWN, *((style.name, style.name) for style in STYLES if with_options)])
        offer(self.exemplars, [DRAWN, *((str(n), n) for n in range(1, MOST_EXEMPLARS + 1) if few_shot)])
        kinds = KINDS if few_shot and sample.positives else ()
        offer(self.kind, [DRAWN, *((view.KINDS[kind], kind) for kind in kinds)])
        self.row.max = len(sample.records) - 1

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        name = self._vocabulary or (T5_VOCABULARY if isinstance(self._source, Hub) else "")
        if name:
            return open_tokenizer(Path(tokenizer_file(name)))
        with tempfile.TemporaryDirectory() as folder:
            size = scale("smoke", self._source.collection).vocabulary_size
            return vocabulary(self._source, size, Path(folder) / "spiece.model")
