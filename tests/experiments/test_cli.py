"""What a user sees: messages, exit codes, no tracebacks."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flannb import experiments
from flannb.experiments import everything
from flannb.experiments.__main__ import main
from flannb.experiments.reproduce import project_root


@pytest.fixture
def run(tmp_path, capsys):
    """Runs a command with its results in a temporary folder; returns the exit code and what stderr says."""

    def call(*arguments):
        code = main(
            [*arguments, "--plain", "--workers", "1", "--runs", f"{tmp_path}/runs", "--reports", f"{tmp_path}/r"]
        )
        return code, capsys.readouterr().err

    return call


def boolq(mirror, split="train", **columns):
    """Writes BoolQ into a mirror folder."""
    columns = columns or {"question": ["is it"] * 8, "passage": ["it is"] * 8, "answer": [True, False] * 4}
    path = mirror / "google" / "boolq" / "default" / split / "0000.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.table(columns), path)
    return path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--scale", "huge"], "error: --scale huge: unknown; choose one of tiny, smoke, micro, small"),
        (["--rows", "flan2022,nope"], "error: --rows nope: unknown; choose one of flan2022"),
        (["--rows", ","], "error: --rows: names no row"),
        (["--workers", "0"], "error: --workers 0: must be at least 1"),
        (["--repeats", "0"], "error: --repeats 0: give a number from 1, or ROW=NUMBER"),
        (["--repeats", "\N{SUPERSCRIPT TWO}"], "error: --repeats \N{SUPERSCRIPT TWO}: give a number from 1"),
        (["--repeats", "2,flan2022=x"], "error: --repeats flan2022=x: give a number from 1"),
        (["--repeats", "nope=2"], "error: --repeats nope: unknown"),
        (["--source", "/no/such/folder"], "error: --source /no/such/folder: no such folder"),
    ],
)
def test_wrong_options_end_with_2(arguments, message, tmp_path, capsys):
    assert main(["table1", *arguments, "--runs", str(tmp_path)]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["figure2", "--rows", "x"], "--rows: Figure 2 has no models; 'nox -s reproduce_figure2' makes it"),
        (["figure7", "--repeats", "x=3"], "--repeats: Figure 7 has no models"),
        (["train", "--artefact", "figure2"], "train: Figure 2 has no models"),
        (["all", "--only", "table9"], "--only table9: unknown; choose one of table1"),
        (["all", "--only", "table1", "--repeats", "few_shot_5=2"], "--repeats few_shot_5: unknown"),
        (["table1", "--dry-run", "--repeats", "nonsense=3"], "--repeats nonsense: unknown"),
        (["table3", "--dry-run", "--start", "random"], "--start random: T5 was pretrained"),
        (["data", "--few-shot", "0.3"], "--few-shot: needs --mixture or --export"),
        (["data", "--submixture", "cot"], "--submixture: needs --list or --mixture"),
        (["data", "--list", "--export", "x"], "--export builds, --list and --reconcile only show"),
        (["data", "--format", "jsonl"], "--format: needs --export"),
        (["data", "--list", "--rows", "x"], "--rows: says what to build or run; --list, --mixture and --reconcile"),
        (["data", "--mixture", "flan2022", "--repeats", "abc"], "--repeats: says what to build or run"),
        (["table1", "--devices", "8xH100"], "--devices: needs --dry-run"),
        (["train", "--json", "plan.json"], "--json: needs --dry-run"),
        (["all", "--only", ""], "--only: names nothing; choose from table1"),
    ],
)
def test_options_about_nothing_are_refused(arguments, message, capsys):
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


def test_a_seed_below_0_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["table1", "--seed", "-1"])
    assert "is no whole number from 0" in capsys.readouterr().err


def test_an_unknown_option_ends_with_2(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["table1", "--speed", "9"])
    assert "unrecognized arguments: --speed" in capsys.readouterr().err


def test_a_report_of_what_was_not_run_is_refused(run):
    code, said = run("report")
    assert code == 2 and "error: data is not done; run" in said


def test_a_forced_report_keeps_what_it_reads(run, tmp_path):
    assert run("data", "--scale", "tiny")[0] == 0
    kept = tmp_path / "runs/tiny/mini-0/data/manifest.json"
    assert kept.is_file()
    code, said = run("report", "--scale", "tiny", "--force")
    assert code == 2 and "flan2022/train is not done" in said and kept.is_file()


def test_data_of_an_artefact_without_any_are_refused(run, tmp_path):
    code, said = run("data", "--artefact", "figure2")
    assert code == 2 and "--artefact figure2: builds no data" in said and not (tmp_path / "r").exists()


def test_the_timeline_and_the_ledger_need_no_models(run, tmp_path, capsys):
    assert run("figure2")[0] == 0
    assert (tmp_path / "r" / "figure2" / "figure2.html").is_file()
    assert main(["claims", "--reports", f"{tmp_path}/r"]) == 0
    shown = capsys.readouterr().out
    assert "# The paper's claims" in shown and "not tested" in shown
    assert (tmp_path / "r" / "claims" / "claims.html").is_file()


def test_all_makes_every_report_and_the_ledger(tmp_path, capsys, monkeypatch):
    """Of two artefacts only, which need no models; the others differ in nothing but time."""
    chosen = {name: everything.ARTEFACTS[name] for name in ("figure2", "figure7")}
    monkeypatch.setattr(everything, "ARTEFACTS", chosen)
    arguments = ["all", "--plain", "--workers", "1", "--runs", f"{tmp_path}/runs", "--reports", f"{tmp_path}/r"]
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert "# The paper's claims" in shown and "Nothing changed." in shown  # facts and texts hold no scores
    assert {path.parent.name for path in (tmp_path / "r").glob("**/*.html")} == {"figure2", "smoke", "claims", "r"}
    with pytest.raises(SystemExit, match="2"):  # all is all
        main(["all", "--rows", "flan2022"])


def test_a_mirror_names_everything_that_it_lacks(run, tmp_path):
    mirror = tmp_path / "mirror"
    boolq(mirror)
    promised = [("google/boolq", "default", s) for s in ("train", "validation")] + [("aps/super_glue", "rte", "train")]
    entries = [{"repo_id": r, "config": c, "split": s} for r, c, s in promised]
    (mirror / "MANIFEST.json").write_text(json.dumps(entries))
    code, said = run("data", "--source", str(mirror))
    assert code == 2 and "lacks 2 datasets" in said and "--allow-missing" in said
    assert "google/boolq/default/validation" in said and "aps/super_glue/rte/train" in said
    code, said = run("data", "--source", str(mirror), "--allow-missing")
    assert "lacks" not in said


def test_a_cut_parquet_file_is_named(run, tmp_path):
    path = boolq(tmp_path / "mirror")
    path.write_bytes(path.read_bytes()[:100])
    code, said = run("data", "--source", str(tmp_path / "mirror"), "--allow-missing")
    assert code == 2 and f"{path}: not a whole Parquet file" in said and "error: data: task " in said


def test_a_missing_column_is_named(run, tmp_path):
    path = boolq(tmp_path / "mirror", question=["is it"], answer=[True])
    code, said = run("data", "--source", str(tmp_path / "mirror"), "--allow-missing")
    assert code == 2 and f"{path}: lacks column 'passage'; it has 'question', 'answer'" in said


def test_an_empty_folder_is_no_mirror(run, tmp_path):
    (tmp_path / "mirror").mkdir()
    code, said = run("data", "--source", str(tmp_path / "mirror"), "--allow-missing")
    assert code == 2 and "is it a mirror folder?" in said


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a file that is always full")
def test_a_disk_that_fills_below_a_log_is_told(run, tmp_path, monkeypatch):
    build = experiments.build_step
    monkeypatch.setattr(experiments, "build_step", lambda *words, **named: print("said") or build(*words, **named))
    (tmp_path / "runs/tiny/mini-0").mkdir(parents=True)
    (tmp_path / "runs/tiny/mini-0/data.log").symlink_to("/dev/full")
    code, said = run("data", "--scale", "tiny")
    assert code == 2 and said.count("error: ") == 1 and "cannot be written (No space left on device)" in said


SENT = """
import gc, os, signal, sys, time
from flannb.experiments import __main__ as command

signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever started the tests may ignore Ctrl-C

def send():
    os.kill(os.getpid(), int(sys.argv[1]))
    time.sleep(0.1)

def callback(phase, info):
    gc.callbacks.remove(callback)
    send()

def cannot_raise(given):
    gc.callbacks.append(callback)
    gc.collect()
    for _ in range(6000):
        time.sleep(0.1)

def becomes_another(given):
    try:
        send()
    except KeyboardInterrupt:
        raise ImportError("KeyboardInterrupt: <EMPTY MESSAGE>") from None

command._run = {"cannot_raise": cannot_raise, "becomes_another": becomes_another}[sys.argv[2]]
sys.exit(command.main(["data"]))
"""


@pytest.mark.parametrize("where", ["cannot_raise", "becomes_another"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_is_not_lost_where_python_cannot_raise_or_a_library_makes_another_error_of_it(number, code, where):
    words = [sys.executable, "-c", SENT, str(int(number)), where]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == code and "goes on from the last checkpoint" in done.stderr


def test_a_failure_in_a_worker_is_one_message(tmp_path):
    """Through a process and papermill: no traceback, no log lines of either."""
    path = boolq(tmp_path / "mirror", question=["is it"], answer=[True])
    where = ["--source", tmp_path / "mirror", "--allow-missing", "--runs", tmp_path / "runs"]
    done = subprocess.run(
        [sys.executable, "-m", "flannb.experiments", "data", "--workers", "1", *where],
        cwd=project_root(),
        env=os.environ | {"PYTHONPATH": str(project_root())},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 2 and done.stdout == ""
    lines = done.stderr.splitlines()
    log = tmp_path / "runs/smoke/mirror-0/data.log"
    assert lines[0].startswith("error: data: task ") and f"{path}: lacks column" in lines[0]
    assert lines[1:] == [f"  Its log: {log}"] and "lacks column" in log.read_text()
