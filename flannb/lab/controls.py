"""Small things that the panels of the lab are made of: lists that keep their choice, and outputs that follow."""

from collections.abc import Iterable
from typing import Any

import ipywidgets as widgets
from IPython.display import HTML, display

WIDE = widgets.Layout(width="24rem")
WIDER = widgets.Layout(width="36rem")
WIDEST = widgets.Layout(width="100%", max_width="60.5rem")
NARROW = widgets.Layout(width="14rem")
TITLES = {"description_width": "6rem"}


def choice(title: str, options: Iterable[tuple[str, Any]] = (), layout: widgets.Layout = WIDE) -> widgets.Dropdown:
    """A list to pick from: pairs of a text and a value."""
    return widgets.Dropdown(description=title, options=list(options), layout=layout, style=TITLES)


def offer(control: widgets.Dropdown, options: Iterable[tuple[str, Any]]) -> None:
    """Gives a list other options; what was picked stays picked where it is among them, else the first is."""
    options = list(options)
    wanted = control.value
    if list(control.options) != options:
        control.options = options
        values = [value for _, value in options]
        control.value = wanted if wanted in values else next(iter(values), None)
    control.disabled = len(options) < 2


def together(*rows: Iterable[widgets.Widget]) -> widgets.Widget:
    """Rows of controls, each broken where the page is narrow."""
    flow = widgets.Layout(flex_flow="row wrap")
    return widgets.VBox([widgets.HBox(list(row), layout=flow) for row in rows])


class View:
    """The output of a cell that can be replaced later, from any other."""

    def __init__(self, html: str):
        self._handle = display(HTML(html), display_id=True)

    def update(self, html: str) -> None:
        """Shows other HTML in its place."""
        if self._handle is not None:  # there is none outside of IPython
            self._handle.update(HTML(html))
