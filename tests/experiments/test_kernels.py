"""Notebooks with widgets come to an end: with papermill's own engine, this one waits for ever nearly every time."""

import os
import subprocess
import sys

import nbformat

from flannb.experiments.reproduce import project_root

CELLS = 60

RUN = """
import sys
import papermill
from flannb.experiments.kernels import register
options = {"kernel_name": "python3", "progress_bar": False, "engine_name": register()}
papermill.execute_notebook(sys.argv[1], sys.argv[2], **options)
"""


def test_cells_with_widgets_end_and_what_they_print_is_the_cells_output(tmp_path):
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
    cells = [f"@interact(x=[1, 2], y=(0, 5))\ndef show(x, y):\n    print('shown', x, {n})" for n in range(CELLS)]
    notebook.cells = [nbformat.v4.new_code_cell(text) for text in ("from ipywidgets import interact", *cells)]
    path, done = tmp_path / "widgets.ipynb", tmp_path / "done.ipynb"
    nbformat.write(notebook, path)
    words = [sys.executable, "-c", RUN, str(path), str(done)]
    subprocess.run(words, env=os.environ | {"PYTHONPATH": str(project_root())}, check=True, timeout=180)
    _, *shown = nbformat.read(done, 4).cells
    printed = ["".join(out["text"] for out in cell["outputs"] if out["output_type"] == "stream") for cell in shown]
    assert printed == [f"shown 1 {n}\n" for n in range(CELLS)]
    assert all(any("widget-view" in kind for out in cell["outputs"] for kind in out.get("data", {})) for cell in shown)
