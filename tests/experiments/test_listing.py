"""`nox -s data -- --list`, `--mixture` and `--reconcile`."""

import json
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flannb.collection import SUBMIXTURES, tasks
from flannb.experiments.__main__ import main


@pytest.fixture
def mirror(tmp_path):
    columns = {"question": ["is it"] * 8, "passage": ["it is"] * 8, "answer": [True, False] * 4}
    for place, table in (
        ("google/boolq/default/train", columns),
        ("Muennighoff/natural-instructions/default/train", {"task_name": ["task001_quoref_question_generation"] * 5}),
    ):
        path = tmp_path / "mirror" / place / "0000.parquet"
        path.parent.mkdir(parents=True)
        pq.write_table(pa.table(table), path)
    return tmp_path / "mirror"


def call(*arguments):
    return main(["data", *map(str, arguments)])


def test_a_list_as_json(mirror, tmp_path, capsys):
    assert call("--list", "--source", mirror, "--json", tmp_path / "list.json") == 0
    entries = json.loads((tmp_path / "list.json").read_text())
    assert [entry["name"] for entry in entries] == [task.name for task in tasks("hub")]
    by_name = {entry["name"]: entry for entry in entries}
    assert [name for name, entry in by_name.items() if entry["available"]] == [
        "boolq",
        "ni_task001_quoref_question_generation",
    ]
    boolq = {"repo_id": "google/boolq", "config": "default", "rows": 8, "cap": 30_000, "submixture": "flan2021"}
    assert boolq.items() <= by_name["boolq"].items()
    assert by_name["ni_task001_quoref_question_generation"]["rows"] == 5
    assert by_name["cot_gsm8k"]["repo_id"] == "github/google-research/FLAN"
    assert by_name["newsroom"]["rows"] is None and "on request" in by_name["newsroom"]["reason"]
    assert all(entry["available"] == (not entry["reason"]) for entry in entries)
    printed = capsys.readouterr().out.splitlines()
    assert any(line.split()[:4] == ["boolq", "flan2021", "8", "30,000"] for line in printed)
    assert f"all {len(entries):,} tasks, 2 available from mirror, 13 rows counted" in " ".join(printed[-1].split())


@pytest.mark.parametrize("submixture", SUBMIXTURES)
def test_a_list_of_one_submixture(mirror, tmp_path, submixture):
    assert call("--list", "--source", mirror, "--submixture", submixture, "--json", tmp_path / "list.json") == 0
    entries = json.loads((tmp_path / "list.json").read_text())
    assert [entry["name"] for entry in entries] == [t.name for t in tasks("hub") if t.submixture == submixture]


def test_without_a_source_the_real_collection_is_listed(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    assert call("--list", "--json", tmp_path / "list.json") == 0
    entries = json.loads((tmp_path / "list.json").read_text())
    assert len(entries) == len(tasks("hub")) and not any(entry["available"] for entry in entries)
    assert "warning: the Hub did not answer" in capsys.readouterr().err


def test_a_mixture(tmp_path, capsys):
    arguments = ["--source", "mini", "--few-shot", "0.25", "--draw-tasks", "20", "--examples", "5000"]
    assert call("--mixture", "flan2022", *arguments, "--json", tmp_path / "m.json") == 0
    rows = json.loads((tmp_path / "m.json").read_text())
    regular = {row["task"] for row in rows if not row["inverted"]}
    assert len(regular) == 20 and {task.name for task in tasks("mini") if task.held_in} <= regular
    assert sum(row["examples"] for row in rows) == pytest.approx(5000)
    assert "share 1.0000, of it few-shot 0.2500" in capsys.readouterr().out
    drawn = {seed: _drawn(tmp_path, seed, arguments) for seed in (0, 1)}
    assert drawn[0] == regular != drawn[1]


def _drawn(folder, seed, arguments):
    assert call("--mixture", "flan2022", *arguments, "--seed", seed, "--json", folder / "m.json") == 0
    return {row["task"] for row in json.loads((folder / "m.json").read_text()) if not row["inverted"]}


def test_the_page(tmp_path, capsys):
    assert call("--reconcile", "--reports", tmp_path) == 0
    assert "1,836" in (tmp_path / "collection" / "README.md").read_text()
    assert str(tmp_path / "collection" / "differences.csv") in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--list", "--submixture", "flan2020", "--source", "mini"], "--submixture flan2020: unknown; choose one of"),
        (["--list", "--mixture", "flan2022"], "--list, --mixture and --reconcile: ask for one of them"),
        (["--mixture", "flan2023"], "--mixture flan2023: unknown; choose one of flan2022"),
        (["--mixture", "flan2022", "--few-shot", "2"], "--few-shot 2: must be from 0 to 1"),
        (["--mixture", "flan2022", "--draw-tasks", "0"], "--draw-tasks 0: must be at least 1"),
        (["--mixture", "flan2022", "--draw-tasks", "1"], "--draw-tasks: 1 tasks cannot be drawn"),
        (["--mixture", "flan2022", "--submixture", "p3_flan2021"], "has no data in this build"),
        (["--list", "--source", "/no/such/folder"], "no such folder"),
    ],
)
def test_wrong_options_end_with_2(arguments, said, capsys):
    assert call(*arguments) == 2
    assert said in capsys.readouterr().err


def test_only_data_lists(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["train", "--list"])
    assert "unrecognized arguments: --list" in capsys.readouterr().err


def test_a_list_waits_for_no_model():
    """Nothing that brings JAX is imported, and a reader that stops early is no error."""
    code = (
        "import sys; from flannb.experiments.__main__ import main; code = main(['data', '--list', '--source', 'mini']);"
        "assert not {'jax', 'keras', 'grain', 'dask'} & set(sys.modules), 'slow imports'; sys.exit(code)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as listed:
        listed.stdout.readline()
        listed.stdout.close()
        said = listed.stderr.read().decode()
    assert listed.returncode == 0 and "Error" not in said
