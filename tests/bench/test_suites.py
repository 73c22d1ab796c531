"""The benchmark of a full evaluation, with few questions."""

import argparse

import pytest

from flannb.bench import suites
from flannb.bench.__main__ import main


def test_every_suite_that_there_is_is_counted_with_its_time(here):
    parser = argparse.ArgumentParser()
    suites.add_options(parser)
    figures = suites.bench(parser.parse_args(["--questions", "57", "--batch", "16"]), here)
    found = {(each["suite"], each["setting"]): each for each in figures["suites"]}
    assert {*found} == {("mmlu", "zs"), ("mmlu", "fs")}
    assert all(each["questions"] == each["ranked"] == 57 for each in found.values())
    assert 0 < found["mmlu", "zs"]["done_after"] <= found["mmlu", "fs"]["done_after"]
    shown = suites.show(figures)
    assert "mmlu" in shown and "from start to end" in shown
    assert "MISSES" in suites.show(figures | {"backend": "gpu", "size": "base", "seconds": 361.0})


@pytest.mark.parametrize(
    ("words", "message"), [(["--batch", "0"], "--batch must be at least 1"), (["--source", "."], "has no MMLU")]
)
def test_wrong_options_are_user_errors(words, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["suites", *words]) == 2 and message in capsys.readouterr().err
