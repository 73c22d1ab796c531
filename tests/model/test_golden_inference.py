"""Generation and scoring against what ``transformers`` gave, which ``golden_inference.py`` wrote down."""

import importlib.util
import json
from pathlib import Path

import pytest

from flannb.model import generate, score
from flannb.vocabulary import EOS_ID, PAD_ID

SCRIPT = Path(__file__).with_name("golden_inference.py")
spec = importlib.util.spec_from_file_location("golden_inference", SCRIPT)
golden = importlib.util.module_from_spec(spec)
spec.loader.exec_module(golden)


@pytest.mark.parametrize("name", golden.SHAPES)
def test_texts_and_likelihoods_are_those_of_transformers(name):
    expected = json.loads(golden.PATH.read_text())[name]
    model, (prompts, options) = golden.small_model(name), golden.inputs()
    texts = [[token for token in row if token not in (PAD_ID, EOS_ID)] for row in expected["texts"]]
    assert generate(model, prompts, golden.LIMIT, batch_size=4) == texts
    assert len({tuple(row) for row in texts}) > len(texts) / 2
    for found, logs in zip(score(model, prompts, options, batch_size=4), expected["logs"], strict=True):
        assert [each.log for each in found] == pytest.approx(logs, abs=1e-3)
