"""The benchmark: a tiny run of everything that it compares."""

import json

import pytest

from flannb.bench.__main__ import main
from flannb.bench.data_contenders import cot_tasks
from flannb.bench.synthetic import SHARES, write_source
from flannb.build import Mirror, read_records


def test_a_synthetic_source_has_the_shape_of_the_public_files(tmp_path):
    write_source(tmp_path / "a", 600)
    write_source(tmp_path / "b", 600)
    source = Mirror(tmp_path / "a")
    found = cot_tasks(source)
    assert [task.name for task in found] == [f"cot_{name}" for name in SHARES]
    records = [read_records(source, task.data, task.fields) for task in found]
    assert sum(map(len, records)) == 600 and not any(one.left_out for one in records)
    for path in (tmp_path / "a").rglob("*.tsv"):
        assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()


def test_all_figures_are_measured_and_told(tmp_path, capsys):
    pytest.importorskip("datasets")
    path = tmp_path / "figures.json"
    assert main(["data", "--rows", "300", "--rounds", "1", "--settings", "3_shot", "--json", str(path)]) == 0
    figures = json.loads(path.read_text())
    for name in ("flannb", "datasets", "sentencepiece"):
        found = figures["3_shot"][name]
        assert found["examples"] == 300 and found["tokens"] > 300 * 100
        assert found["examples_per_second"] > 0 and 0.01 < found["peak_gib"] < 2
    assert figures["3_shot"]["times_datasets"] > 0 and figures["3_shot"]["of_sentencepiece"] > 0
    assert figures["first_example_seconds"] > 0 and figures["source"] == "synthetic"
    shown = capsys.readouterr().out
    assert "times_datasets" in shown and "at least 12,000" in shown


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--source", "."], "has no Chain-of-Thought files"),
        (["--rounds", "0"], "must be at least 1"),
        (["--rows", "70", "--settings", "one_shot"], "one_shot: unknown; choose one of zero_shot, 3_shot"),
    ],
)
def test_wrong_options_are_user_errors(options, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["data", *options]) == 2 and message in capsys.readouterr().err
