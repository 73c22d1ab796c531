"""JupyterLab as `nox -s lab` starts it, used in a browser: its kernel, its start page, and the tour's widgets."""

import json
import os
import shutil
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import nbformat
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from jupyter_client.kernelspec import KernelSpecManager

from flannb.experiments import project_root
from flannb.lab.server import put_first, write_kernel, write_settings
from flannb.trust.browser import browser_page, find_browser
from flannb.trust.case import NotHere, until
from flannb.trust.hostile import MARK, payloads

NOTEBOOK = "[...window.jupyterapp.shell.widgets('main')].find(w => w.context?.path.endsWith('00_tour.ipynb'))"
CODE = f"{NOTEBOOK}.content.widgets.filter(w => w.model.type == 'code')"


def views(cell):
    """What a cell shows, by its id; ``innerText`` would leave out what is scrolled away."""
    return f"{CODE}.find(w => w.model.id == '{cell}').node.querySelector('.flannb-lab').textContent"


def pick(cell, title, text):
    """Picks an option of a list, as a person does: by the text of both."""
    return f"""(() => {{
        const lists = [...{CODE}.find(w => w.model.id == '{cell}').node.querySelectorAll('.widget-dropdown')];
        const list = lists.find(l => l.querySelector('label').textContent == '{title}').querySelector('select');
        list.value = [...list.options].find(o => o.text.replaceAll('\u00a0', ' ') == '{text}').value;
        list.dispatchEvent(new Event('change', {{bubbles: true}}));
    }})()"""


@contextmanager
def served(home, root):
    """The address of a JupyterLab on a folder, amid other kernels of the user's that cannot start."""
    for folder in ("data", "path"):
        decoy = home / folder / "kernels/python3/kernel.json"
        decoy.parent.mkdir(parents=True)
        decoy.write_text(json.dumps({"argv": ["/bin/false"], "display_name": "decoy", "language": "python"}))
    config = home / "config"
    config.mkdir()
    other = {"ServerApp": {"kernel_spec_manager_class": "no.such.manager"}}
    (config / "jupyter_server_config.json").write_text(json.dumps(other))
    names = {"DATA_DIR": "data", "PATH": "path", "CONFIG_DIR": "config", "RUNTIME_DIR": "runtime"}
    environment = {
        **os.environ,
        **{f"JUPYTER_{name}": str(home / folder) for name, folder in names.items()},
        **{"IPYTHONDIR": str(home / "ipython"), "PYTHONPATH": str(project_root()), "JAX_PLATFORMS": "cpu"},
    }
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--no-browser", f"--port={port}", "--allow-root", "--IdentityProvider.token=", "--expose-app-in-browser"]
    command = [sys.executable, "-m", "flannb.lab", *options, f"--ServerApp.root_dir={root}"]
    address = f"http://127.0.0.1:{port}"

    def answers():
        try:
            with urlopen(f"{address}/api") as answer:
                return answer.status == 200
        except OSError:
            return False

    with (home / "log").open("wb") as log, subprocess.Popen(command, env=environment, stdout=log, stderr=log) as server:
        try:
            until(lambda: answers() or server.poll() is not None, 60, "the server's start")
            assert server.poll() is None, (home / "log").read_text()
            yield address
        finally:
            server.terminate()


@pytest.fixture(scope="module")
def page():
    try:
        find_browser()
    except NotHere as why:
        pytest.skip(str(why))
    with browser_page(1400, 1000) as page:
        yield page


def copied(folder, parameters):
    """A root with the notebooks, the tour with these parameters."""
    shutil.copytree(project_root() / "notebooks", folder / "notebooks")
    path = folder / "notebooks/00_tour.ipynb"
    notebook = nbformat.read(path, as_version=4)
    cell = next(cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ()))
    cell.source += "\n" + "\n".join(f"{name} = {value!r}" for name, value in parameters.items())
    nbformat.write(notebook, path)
    return folder


def run_tour(page, address):
    """Opens the tour and runs its cells."""
    page.open(f"{address}/lab/tree/notebooks/00_tour.ipynb")
    page.wait(f"{NOTEBOOK}.sessionContext.session.kernel.status == 'idle'")
    page.run("window.jupyterapp.commands.execute('notebook:run-all-cells')")
    page.wait(f"{CODE}.every(w => w.model.executionCount)")


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # of sockets to a browser and a server that are ended
def test_the_tour_in_a_browser(page, tmp_path, runs):
    root = copied(tmp_path / "root", {"runs": str(runs)})
    with served(tmp_path, root) as address:
        with urlopen(f"{address}/api/kernelspecs") as answer:
            (kernel,) = json.load(answer)["kernelspecs"].values()
        assert kernel["spec"]["argv"][0] == sys.executable
        page.open(address)
        page.wait("document.querySelector('.jp-MarkdownViewer h1').innerText == 'flannb: the notebooks'")
        run_tour(page, address)
        assert page.run(f"{NOTEBOOK}.sessionContext.kernelDisplayName").startswith("flannb (Python")
        asked = page.wait(views("00-14"))
        assert "flan2022" in asked and "flan2021" in asked and "tokens read" in asked
        before = page.wait(views("00-06"))
        assert "boolq, row 0" in before
        tokens = page.wait(views("00-08"))
        page.run(pick("00-06", "Setting", "few-shot, with options"))
        after = page.wait(f"{views('00-06')}.includes('exemplars, rows of the task') && {views('00-06')}")
        assert "few-shot" in after and after != before
        assert page.wait(f"{views('00-08')} != {json.dumps(tokens)}")
        page.run(pick("00-06", "Submixture", "Chain-of-Thought"))
        assert "gsm8k, row 0" in page.wait(f"{views('00-06')}.includes('rationale') && {views('00-06')}")


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_hostile_rows_stay_text_in_a_browser(page, tmp_path, runs):
    text = " ".join(payloads("http://127.0.0.1:9"))
    split = tmp_path / "mirror/google/boolq/default/train/0000.parquet"
    split.parent.mkdir(parents=True)
    rows = [{"question": f"is it {n} {text}", "passage": f"{text} it is {n}", "answer": True} for n in range(5)]
    pq.write_table(pa.Table.from_pylist(rows), split)
    root = copied(tmp_path / "root", {"source": str(tmp_path / "mirror"), "runs": str(runs)})
    with served(tmp_path, root) as address:
        run_tour(page, address)
        for cell in ("00-06", "00-08", "00-14"):
            page.wait(views(cell))
        assert MARK in page.run(views("00-06"))
        assert page.run(f"document.querySelectorAll('[{MARK}]').length") == 0
        assert page.run("document.documentElement.dataset.pwned === undefined")
        assert page.run("document.querySelectorAll('.flannb-lab :is(mjx-container, .MathJax)').length") == 0


def test_the_kernel_is_this_python_and_comes_before_all_others(tmp_path, monkeypatch):
    for folder in ("ours", "theirs"):
        write_kernel(tmp_path / folder)
    theirs = tmp_path / "theirs/kernels/python3/kernel.json"
    theirs.write_text(theirs.read_text().replace(sys.executable, "/bin/false"))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "theirs"))
    put_first("JUPYTER_PATH", tmp_path / "ours")
    assert KernelSpecManager().get_kernel_spec("python3").argv[0] == sys.executable
    assert os.environ["JUPYTER_PATH"] == f"{tmp_path / 'ours'}{os.pathsep}{tmp_path / 'theirs'}"


def test_settings_name_what_this_jupyterlab_has(tmp_path):
    write_settings(tmp_path)
    settings = json.loads((tmp_path / "labconfig/default_setting_overrides.json").read_text())
    schemas = Path(sys.prefix) / "share/jupyter/lab/schemas"
    for plugin, values in settings.items():
        package, name = plugin.rsplit(":", 1)
        schema = json.loads((schemas / package / f"{name}.json").read_text(encoding="utf-8"))
        assert values.keys() <= schema["properties"].keys()
    assert (project_root() / "notebooks/README.md").is_file()


def test_the_start_page_lists_every_notebook():
    folder = project_root() / "notebooks"
    page = (folder / "README.md").read_text(encoding="utf-8")
    assert all(f"({path.name})" in page for path in folder.glob("*.ipynb"))
