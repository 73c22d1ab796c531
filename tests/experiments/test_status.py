"""What `nox -s status` tells, from the command line."""

import json
import shutil
import time
from dataclasses import replace

import pytest

from flannb.experiments.__main__ import main
from flannb.experiments.reproduce import project_root
from flannb.experiments.scales import SCALES


@pytest.fixture
def call(tmp_path, capsys):
    def run(*arguments):
        code = main([*arguments, "--scale", "tiny", "--runs", f"{tmp_path}/runs", "--reports", f"{tmp_path}/reports"])
        return code, *capsys.readouterr()

    return run


def states(out):
    found = json.loads(out)
    return {step["name"]: step["state"] for each in found["artefacts"].values() for step in each["steps"]}, found


def test_a_reproduction_from_missing_to_done(call, tmp_path):
    row = ("--artefact", "table1", "--rows", "flan2022")
    code, out, _ = call("status", *row, "--json")
    assert code == 0
    assert states(out)[0] == dict.fromkeys(("data", "flan2022/train", "flan2022/evaluate", "table1/report"), "missing")
    assert states(out)[1]["left"]["untimed"] == 4

    assert call("data", "--plain", "--workers", "1", "--rows", "flan2022")[0] == 0
    code, out, _ = call("status", *row)
    assert code == 0 and "\x1b" not in out
    (line,) = [line for line in out.splitlines() if line.startswith("Table 1 ")]
    assert line.split()[:4] == ["Table", "1", "1", "3"]
    assert any(line.split()[:2] == ["done", "data"] for line in out.splitlines())

    code, out, _ = call("status", *row, "--seed", "1", "--json", str(tmp_path / "status.json"))
    assert set(states((tmp_path / "status.json").read_text())[0].values()) == {"missing"}  # another seed, other runs
    assert "seed 1" in out

    shard = next((tmp_path / "runs/data").glob("*/*/*.arrow"))
    shard.write_bytes(b"")
    assert states(call("status", *row, "--json")[1])[0]["data"] == "done"
    assert states(call("status", *row, "--json", "--verify")[1])[0]["data"] == "damaged"


def test_a_failure_is_told_with_its_error_and_log(call, tmp_path):
    mirror = tmp_path / "mirror"
    path = mirror / "google/boolq/default/train/0000.parquet"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"PAR1")
    where = ("--source", str(mirror), "--allow-missing")
    assert call("data", "--plain", "--workers", "1", *where)[0] == 2
    code, out, _ = call("status", "--artefact", "table1", *where)
    assert code == 0 and "not a whole Parquet file" in out and "data.log" in out
    found = json.loads(call("status", "--artefact", "table1", *where, "--json")[1])
    assert found["artefacts"]["table1"]["steps"][0]["state"] == "failed"


def test_everything_of_a_fresh_clone_is_told_at_once_with_a_guess_of_the_time(capsys, tmp_path):
    began = time.monotonic()
    assert main(["status", "--runs", str(tmp_path), "--reports", str(project_root() / "reports")]) == 0
    out = capsys.readouterr().out
    assert time.monotonic() - began < 30
    assert {line.split("  ")[0].strip() for line in out.splitlines()} >= {"Table 1", "Table 3", "Figure 4", "Figure 7"}
    assert "a guess, timed elsewhere" in out.splitlines()[-1]


def test_what_cannot_be_planned_is_told_beside_the_rest(call, monkeypatch):
    monkeypatch.setitem(SCALES, "tiny", replace(SCALES["tiny"], pretraining=None))
    code, out, _ = call("status", "--artefact", "figure2,table3")
    assert code == 0 and "Table 3 cannot be planned: --scale tiny: does not pretrain" in out and "Figure 2" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--artefact", "table9"], "--artefact table9: unknown; choose one of table1"),
        (["--artefact", "table9"], "weights, pretrain"),
        (["--artefact", ","], "--artefact: names nothing; choose from table1"),
        (
            ["--artefact", "pretrain", "--repeats", "flan2022=2"],
            "--repeats flan2022: nothing that is asked for has rows",
        ),
        (["--workers", "0"], "--workers 0: must be at least 1"),
    ],
)
def test_wrong_options_end_with_2(call, arguments, message):
    code, _, err = call("status", *arguments)
    assert code == 2 and message in err


def test_a_file_is_no_folder_of_runs(call, tmp_path):
    (tmp_path / "runs").touch()
    code, _, err = call("status")
    assert code == 2 and "runs: is no folder" in err


def test_quiet_leaves_only_results_and_verbose_is_its_opposite(tmp_path, capsys):
    reports = shutil.copytree(project_root() / "reports", tmp_path / "reports")
    assert main(["claims", "--reports", str(reports), "--quiet"]) == 0
    shown = capsys.readouterr()
    assert shown.err == "" and "# The paper's claims" in shown.out
    assert main(["claims", "--reports", str(reports)]) == 0
    assert "The ledger: " in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["claims", "--quiet", "--verbose"])
