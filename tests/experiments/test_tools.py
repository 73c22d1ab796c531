"""The commands about data: what they write, and what they say to wrong options."""

from dataclasses import replace

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flannb.experiments.__main__ import main
from flannb.experiments.artefacts import TABLE1
from flannb.experiments.reproduce import Options, artefact_steps, enter_project
from flannb.experiments.tools import TOOLS

ASKED = "is the white house the place where the president of the country lives and works"


@pytest.fixture
def mirror(tmp_path):
    """BoolQ with 40 training rows, one of which asks what the validation split asks."""
    for split, questions in (
        ("train", [f"is {i} less than {i + 3}" for i in range(39)] + [ASKED]),
        ("validation", [ASKED]),
    ):
        path = tmp_path / "mirror/google/boolq/default" / split / "0000.parquet"
        path.parent.mkdir(parents=True)
        rows = [f"{i} and some more words to read" for i in range(len(questions))]
        answers = [i % 2 == 0 for i in range(len(questions))]
        pq.write_table(pa.table({"question": questions, "passage": rows, "answer": answers}), path)
    return tmp_path / "mirror"


@pytest.fixture
def data(mirror, tmp_path):
    """Builds the data of the mirror with the given options and exports them."""

    def call(name, *options):
        where = ["--source", mirror, "--allow-missing", "--plain", "--workers", "1", "--runs", tmp_path / "runs"]
        return main(["data", *map(str, [*where, "--export", tmp_path / name, *options])])

    return call


def test_contamination_is_reported(mirror, tmp_path, capsys):
    assert main(["contamination", "--source", str(mirror), "--tasks", "boolq", "--to", str(tmp_path / "r")]) == 0
    assert "| boolq | 40 | 1 | 2.50% | held_in/boolq (1) |" in capsys.readouterr().out
    assert pd.read_csv(tmp_path / "r/flagged.csv")["row"].tolist() == [39]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--suites", "nope"], "--suites nope: unknown; name one of held_in, cot, mmlu, bbh, bbh_cot"),
        (["--tasks", "boolq,nope"], "--tasks nope: unknown"),
        (["--tasks", "", "--suites", "cot"], "--tasks: names nothing; name one of flan2021"),
        (["--suites", ","], "--suites: names nothing; name one of held_in"),
        (["--source", "/no/such/folder"], "/no/such/folder: no such folder"),
    ],
)
def test_wrong_options_of_contamination_end_with_2(arguments, message, tmp_path, capsys):
    assert main(["contamination", "--to", str(tmp_path), *arguments]) == 2
    assert message in capsys.readouterr().err


def test_data_are_exported_with_and_without_contaminated_rows(data, tmp_path):
    assert data("all", "--mixture", "flan2021") == 0
    assert data("clean", "--mixture", "flan2021", "--drop-contaminated", "--format", "jsonl") == 0
    everything = pd.read_parquet(tmp_path / "all/flan2021")
    clean = pd.read_json(next((tmp_path / "clean/flan2021").iterdir()), lines=True)
    assert 39 in set(everything["row"]) and 39 not in set(clean["row"])
    assert everything["inputs"].str.contains(ASKED).any() and not clean["inputs"].str.contains(ASKED).any()
    assert len([path for path in (tmp_path / "runs/data").iterdir() if path.is_dir()]) == 2


def test_examples_are_drawn(data, tmp_path):
    assert data("drawn", "--examples", "33", "--mixture", "flan2021") == 0
    assert len(pd.read_parquet(tmp_path / "drawn/flan2021")) == 33


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--examples", "0"], "--examples 0: must be at least 1"),
        (["--mixture", "nope"], "--mixture nope: unknown; choose one of flan2022"),
    ],
)
def test_wrong_options_of_an_export_end_before_anything_is_built(arguments, message, tmp_path, capsys):
    assert main(["data", "--export", "x", "--plain", "--runs", str(tmp_path / "runs"), *arguments]) == 2
    assert message in capsys.readouterr().err and not (tmp_path / "runs").exists()


@pytest.mark.parametrize("command", ["claims", "site"])
def test_a_folder_of_reports_that_is_not_there_is_not_made(command, tmp_path, capsys):
    assert main([command, "--reports", str(tmp_path / "reprots")]) == 2
    assert "reprots: no such folder" in capsys.readouterr().err and not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["mirror", "contamination"])
def test_commands_have_help(command, capsys):
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    assert TOOLS[command].about.split()[0] in capsys.readouterr().out.lower()


def test_runs_with_and_without_contaminated_rows_do_not_mix(mirror):
    enter_project()
    options = Options(source=str(mirror), allow_missing=True)
    whole, clean = (artefact_steps(TABLE1, chosen) for chosen in (options, replace(options, drop_contaminated=True)))
    assert not {s.folder for s in whole[:-1]} & {s.folder for s in clean[:-1]}
    assert all(a.key != b.key for a, b in zip(whole, clean, strict=True))
