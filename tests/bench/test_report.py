"""What benchmarks kept, as a page; and programs that take too long."""

import json

import pytest

from flannb.bench.__main__ import main
from flannb.bench.measure import measure
from flannb.errors import UserError


def test_the_page_shows_each_record_with_its_command_date_and_hardware(tmp_path, capsys):
    path = tmp_path / "train_smoke.json"
    tiny = ["--size", "smoke", "--batch", "2", "--input", "16", "--target", "8", "--steps", "1", "--rounds", "1"]
    assert main(["train", *tiny, "--contenders", "flannb", "--json", str(path)]) == 0
    figures, table = json.loads(path.read_text()), capsys.readouterr().out
    assert main(["report", str(tmp_path)]) == 0
    page = (tmp_path / "README.md").read_text()
    assert "## train_smoke" in page and f"`nox -s bench -- train {' '.join(tiny)}" in page and figures["date"] in page
    assert table.strip() in page and f"jax {figures['versions']['jax']}" in page and "Python 3." in page


def test_a_folder_without_figures_and_a_file_of_something_else_are_user_errors(tmp_path, capsys):
    assert main(["report", str(tmp_path)]) == 2 and "keep some with --json" in capsys.readouterr().err
    (tmp_path / "a.json").write_text("{}")
    assert main(["report", str(tmp_path)]) == 2 and "a.json: no figures of a benchmark" in capsys.readouterr().err
    record = {"benchmark": "sleep", "command": "", "date": "", "machine": {}, "versions": {}}
    (tmp_path / "a.json").write_text(json.dumps(record))
    assert main(["report", str(tmp_path)]) == 2 and "the benchmark 'sleep'" in capsys.readouterr().err


def test_what_takes_longer_than_its_limit_is_killed(tmp_path, monkeypatch):
    (tmp_path / "sleeper.py").write_text("import time\ntime.sleep(600)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(UserError, match=r"took longer than 0.3 s"):
        measure("sleeper", limit=0.3)
