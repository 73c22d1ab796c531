"""Security: text of data stays text, wherever it is shown, and names in files stay inside their folders."""

import ast
import json
import re
import shutil
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from flannb.build import Mirror
from flannb.build.mirror import copy_mirror, plan_mirror
from flannb.build.sources import Hub
from flannb.collection import Split
from flannb.collection.cot import cot_file
from flannb.errors import UserError
from flannb.experiments.kernels import register
from flannb.experiments.reproduce import project_root
from flannb.trust.browser import document
from flannb.trust.case import Bench, demand
from flannb.trust.reproduction import Reproduction, ended

AREA = "hostile"
MARK = "data-hostile"
"""An attribute of every element that the rows try to make: there must be none in a page."""

BOOLQ = ("google/boolq", "default")
NOTEBOOKS = {"data": "01_build", "train": "02_train", "evaluate": "03_evaluate", "report": "10_table1"}


def payloads(canary: str) -> list[str]:
    """Texts that run or reach out where they are taken for markup; ``canary`` is an address that notes who asks."""
    run = "document.documentElement.dataset.pwned=1"
    return [
        f"<script {MARK}>{run}</script>",
        f"<img {MARK} src=x onerror={run}>",
        f"<svg {MARK} onload={run}>",
        f"<img {MARK} src={canary}/img>",
        f"<link {MARK} rel=stylesheet href={canary}/css>",
        f"<iframe {MARK} src={canary}/frame></iframe>",
        f"<a {MARK} href=javascript:{run}>x</a>",
        f"<details {MARK} open ontoggle={run}>",
        f"</pre></style><script {MARK}>{run}</script>",
        f"--><img {MARK} src=x onerror={run}>",
        f"\"'><svg {MARK} onload={run}>",
        f"![x]({canary}/markdown) [y](javascript:{run})",
        rf"$\href{{javascript:{run}}}{{x}}$",
        rf"\(\unicode{{<img {MARK} src=x onerror={run}>}}\)",
        "{{ 7 * 7 }} {% include '/etc/passwd' %} ${jndi}",
        "\x1b]0;pwned\x07\x1b[2J\x1b]8;;http://x\x07y",
    ]


def run(bench: Bench) -> None:
    """Injects the faults of this area."""
    home = bench.folder / AREA
    bench.inject(AREA, "the browser sees what runs and reaches out", partial(_control, home / "control"))
    bench.inject(AREA, "code that unpickles, evaluates or starts a shell", _dangerous_calls)
    bench.inject(AREA, "a locked dependency without a hash", _unhashed)
    for name in ("../../escape", "/etc/passwd", "a/../../../b"):
        bench.inject(AREA, f"a manifest with the path {name}", partial(_escapes, home / "manifest", name))
    bench.inject(AREA, "a folder whose name steers the terminal", partial(_terminal, home))
    if bench.share == 1:
        _pages(bench, home)


def _pages(bench: Bench, home: Path) -> None:
    """Reproduces with hostile rows, through notebooks, and opens all that came of it in a browser."""
    with _canary() as (address, asked):
        source = _hostile_mirror(home / "mirror", payloads(address))
        reproduction = Reproduction(home / "run")
        options = ("--source", str(source), "--allow-missing")
        pages: dict[str, Path] = {}

        def reproduce() -> str:
            reproduction.finish(*options)
            runs = reproduction.home / f"runs/tiny/{source.name}-0"
            folders = {
                "data": runs / "data",
                "train": runs / "flan2022/train",
                "evaluate": runs / "flan2022/evaluate",
                "report": reproduction.home / "reports/table1/tiny",
            }
            for stage, name in NOTEBOOKS.items():
                pages[name] = _as_page(folders[stage] / f"{name}.ipynb", home)
            pages["table1.html"] = folders["report"] / "table1.html"
            pages["00_tour"] = _as_page(_tour(home, source), home)
            return "built, trained, evaluated and reported"

        bench.inject(AREA, "hostile rows in every stage", reproduce)
        for name in (*NOTEBOOKS.values(), "00_tour", "table1.html"):
            bench.inject(AREA, f"hostile rows shown in {name}", partial(_opened, pages, name, asked))


def _hostile_mirror(folder: Path, texts: list[str]) -> Path:
    for split in ("train", "validation"):
        path = folder / "/".join([*BOOLQ, split]) / "0000.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = [
            {"question": f"is it {n} {text}", "passage": f"{text} it is {n}", "answer": bool(n % 2)}
            for n, text in enumerate(texts * 3)
        ]
        pq.write_table(pa.Table.from_pylist(rows), path)
    path = folder / str(cot_file("aqua"))
    path.parent.mkdir(parents=True)
    lines = [f"how many {n} {text}\t{n}\t{text} so it is {n}\n" for n, text in enumerate(texts * 3)]
    path.write_text("".join(lines), encoding="utf-8")
    return folder


def _tour(home: Path, source: Path) -> Path:
    import papermill

    path = home / "00_tour.ipynb"
    notebook = project_root() / "notebooks/00_tour.ipynb"
    parameters = {"source": str(source), "task_name": "boolq"}
    options = {"kernel_name": "python3", "progress_bar": False, "cwd": str(project_root()), "engine_name": register()}
    papermill.execute_notebook(str(notebook), str(path), parameters, **options)
    return path


def _as_page(notebook: Path, home: Path) -> Path:
    """The notebook as HTML, with its outputs as they are."""
    from nbconvert import HTMLExporter  # JupyterLab brings it

    page = home / f"{notebook.stem}.html"
    page.write_text(HTMLExporter().from_filename(str(notebook))[0], encoding="utf-8")
    return page


def _opened(pages: dict[str, Path], name: str, asked: list[str]) -> str:
    demand(name in pages, "it was not made")
    dom = document(pages[name])
    demand("data-pwned" not in re.search(r"<html[^>]*>", dom)[0], "a script ran")  # type: ignore[index]
    demand(not asked, f"it reached out: {asked}")
    # The state of widgets lies in a script that is none, as JSON.
    made = re.search(rf"<[^>&]*\s{MARK}[^>]*>", re.sub(r"<script.*?</script>", "", dom, flags=re.DOTALL))
    demand(not made, f"an element came of a row: {made[0] if made else ''}")
    loose = [
        table for table in re.findall(r"<table[^>]*>", dom) if "dataframe" in table and "tex2jax_ignore" not in table
    ]
    demand(not loose, "formulas in a table would be set")
    shown = dom.count(MARK)
    demand(shown or name in ("10_table1", "table1.html", "01_build"), "no hostile row is to be seen")
    return f"{shown} hostile texts shown as text"


@contextmanager
def _canary() -> Iterator[tuple[str, list[str]]]:
    """A server, and the paths that it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *words: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()


def _control(home: Path) -> str:
    home.mkdir(parents=True, exist_ok=True)
    with _canary() as (address, asked):
        (home / "page.html").write_text(f"<!DOCTYPE html><html><body>{''.join(payloads(address)[:6])}</body></html>")
        dom = document(home / "page.html")
        demand('data-pwned="1"' in dom and asked and MARK in dom, "it sees nothing, so it would prove nothing")
    return f"a script ran, and {', '.join(sorted(set(asked)))} were asked for"


DANGEROUS = {
    *("eval", "exec", "compile", "__import__", "os.system", "os.popen", "pickle.load", "pickle.loads", "marshal.loads"),
    *("yaml.unsafe_load", "torch.load", "np.load", "joblib.load", "shelve.open"),
}
"""Calls by which data could become code."""


def _dangerous_calls() -> str:
    package = project_root() / "flannb"
    found, files = [], sorted(package.rglob("*.py"))
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            shell = any(word.arg == "shell" and getattr(word.value, "value", True) for word in node.keywords)
            if shell or ast.unparse(node.func) in DANGEROUS:
                found.append(f"{path.relative_to(package)}:{node.lineno} {ast.unparse(node.func)}")
    demand(not found, ", ".join(found))
    return f"none in {len(files)} modules"


def _unhashed() -> str:
    locks = sorted(project_root().glob("requirements*.lock"))
    demand(locks, "there is no lock file")
    for lock in locks:
        blocks = re.split(
            r"\n(?=[A-Za-z0-9])",
            "\n"
            + "\n".join(line for line in lock.read_text(encoding="utf-8").splitlines() if not line.startswith("#")),
        )[1:]
        bare = [block.split()[0] for block in blocks if "--hash=sha256:" not in block]
        demand(blocks and not bare, f"{lock.name}: {', '.join(bare)}")
    return f"every package of {', '.join(lock.name for lock in locks)} has its hashes"


def _escapes(home: Path, name: str) -> str:
    shutil.rmtree(home, ignore_errors=True)
    (home / "mirror").mkdir(parents=True)
    outside = home / "escape"
    outside.write_text("keep me")
    entries = [
        {"path": name, "sha256": "", "revision": "", "bytes": 1},
        {"repo_id": name, "config": "c", "split": "s", "file": "f.parquet"},
        {"repo_id": "o/d", "config": "c", "split": "s", "file": name},
    ]
    for entry in entries:
        (home / "mirror/MANIFEST.json").write_text(json.dumps([entry]))
        for use in (
            lambda: Mirror(home / "mirror").has(Split("o/d", "c", "s")),
            lambda: copy_mirror(plan_mirror(Hub(), (), home / "mirror"), home / "mirror"),
        ):
            try:
                use()
            except UserError as error:
                demand("leads out of" in str(error), str(error))
            else:
                demand(False, f"{entry} was believed")
    demand(outside.read_text() == "keep me", "a file outside was changed")
    return "refused, and named"


def _terminal(home: Path) -> str:
    folder = home / "a\x1b]0;pwned\x07\u202eb"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "MANIFEST.json").write_text("[")
    code, said = ended(Reproduction(home / "terminal").start("--plain", "--source", str(folder)))
    demand(code == 2 and "\\x1b" in said, f"ended with {code}: {said[-300:]!r}")
    steering = [c for c in said if unicodedata.category(c) in ("Cc", "Cf") and c not in "\n\t\r"]
    demand(not steering, f"printed {steering!r}")
    return "written as \\x1b and the like"
