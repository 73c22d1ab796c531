"""The benchmark of generation and scoring, at shapes that take no time."""

import argparse
import warnings
from importlib.util import find_spec

from flannb.bench import generate
from flannb.bench.__main__ import main


def options(*words):
    parser = argparse.ArgumentParser()
    generate.add_options(parser)
    return parser.parse_args(["--size", "tiny", "--batch", "3", "--input", "9", "--new", "5", "--rounds", "1", *words])


def test_all_contenders_are_measured_and_write_the_same(here):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of other packages
        figures = generate.bench(options(), here)
    has_torch = find_spec("torch") and find_spec("transformers")
    assert ("absent" in figures["greedy"]["transformers"]) == (not has_torch)
    for part in ("greedy", "scoring"):
        for found in figures[part].values():
            if isinstance(found, dict) and "absent" not in found:
                assert found["same"] == 1.0 and found["sequences_per_second"] > 0 and len(found["seconds"]) == 1
    assert set(figures["greedy"]) == {"flannb", "keras_hub", "transformers"}
    assert figures["dtype"] == "float32" and figures["scoring"]["options"] == 4
    shown = generate.show(figures)
    assert "3 x 9 + 5 tokens" in shown and "keras_hub" in shown and "aim on a GPU: 1.5" in shown


def test_numbers_below_one_are_user_errors(capsys):
    assert main(["generate", "--new", "0"]) == 2 and "must be at least 1" in capsys.readouterr().err
