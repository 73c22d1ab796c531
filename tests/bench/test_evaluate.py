"""The benchmark of evaluation, with few questions."""

import argparse
import warnings
from importlib.util import find_spec

import pytest

from flannb.bench import evaluate
from flannb.bench.__main__ import main
from flannb.bench.evaluate_contenders import NEEDS, questions
from flannb.bench.synthetic import write_exam
from flannb.build import Mirror


def options(*words):
    parser = argparse.ArgumentParser()
    evaluate.add_options(parser)
    return parser.parse_args([*words])


def test_a_synthetic_exam_has_mmlus_shape(tmp_path):
    write_exam(tmp_path / "a", 114)
    write_exam(tmp_path / "b", 114)
    prompts = questions(Mirror(tmp_path / "a"), 114)
    assert len(prompts) == 114 and len({prompt.task for prompt in prompts}) == 57
    assert all(len(prompt.exemplars) == 5 and len(prompt.options) == 4 for prompt in prompts)
    lengths = [len(prompt.text().split()) for prompt in prompts]
    assert min(lengths) < 200 and max(lengths) > 700
    assert [p.text() for p in questions(Mirror(tmp_path / "b"), 114)] == [p.text() for p in prompts]


def test_both_contenders_give_the_same_likelihoods(here):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of other packages
        figures = evaluate.bench(options("--questions", "57", "--batches", "16"), here)
    ours = figures["flannb"]
    assert ours["questions"] == 57 and ours["questions_per_second"] > 0 and ours["batch_size"] == 16
    shown = evaluate.show(figures)
    if all(map(find_spec, NEEDS["harness"])):
        assert figures["compared"] and figures["largest_difference"] < evaluate.CLOSE
        assert figures["same_choice"] == 1.0
        assert "times the harness" in shown
    else:
        assert "not installed" in figures["harness"]["absent"] and "absent" in shown


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--questions", "0"], "must be at least 1"),
        (["--batches", "8,x"], "--batches 8,x: give whole numbers above 0"),
        (["--batches", "8²"], "--batches 8²: give whole numbers above 0"),
        (["--source", "."], "has no MMLU"),
    ],
)
def test_wrong_options_are_user_errors(words, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", *words]) == 2 and message in capsys.readouterr().err


def test_how_far_two_programs_are_apart():
    ours, theirs = [[-1.0, -2.0], [-3.0, -1.0], [0.0, -9.0]], [[-1.5, -2.0], [-1.0, -3.0], [-9.0, 0.0]]
    found = evaluate.compare(ours, theirs, uncut=[True, True, False])
    assert found == {"compared": 2, "largest_difference": 2.0, "same_choice": 0.5}
    assert evaluate.compare(ours, theirs, uncut=[False] * 3) == {"compared": 0}
