"""500 real prompts: flannb's likelihoods and texts are those of lm-evaluation-harness and of ``transformers``.

The prompts are of the mirror: the folder named by FLANNB_MIRROR, or ``../shared/mirror``.
"""

import os
from pathlib import Path

import numpy as np
import pytest

from flannb.build import Mirror
from flannb.collection import eval_tasks
from flannb.evaluate import make_prompts, present_tasks, tokenize
from flannb.evaluate.models import open_model

MIRROR = Path(os.environ.get("FLANNB_MIRROR") or Path(__file__).parents[2] / "../shared/mirror")
pytestmark = [
    pytest.mark.skipif(not MIRROR.is_dir(), reason=f"no mirror of the datasets at {MIRROR}"),
    pytest.mark.filterwarnings("ignore"),  # of the harness's dependencies
]
LIMIT = 512


@pytest.fixture(scope="module")
def prompts(flannb_model):
    """Zero-shot, with options, of Held-In, MMLU and BBH; the harness cuts another end of one that is too long."""
    source = Mirror(MIRROR)
    tasks, _ = present_tasks(source, eval_tasks("hub", ["held_in", "mmlu", "bbh"]))
    made = [p for task in tasks for p in make_prompts(task, "zs", source, 8, 0).prompts if p.gold in p.choices]
    fits = [prompt for prompt, own in zip(made, tokenize(made, flannb_model, LIMIT), strict=True) if not own.cut]
    chosen = fits[:500]
    assert len(chosen) == 500 and len({prompt.suite for prompt in chosen}) >= 2
    return chosen


def test_likelihoods_and_choices_are_the_harnesss(prompts, tied_folders):
    for package in ("lm_eval", "accelerate"):
        pytest.importorskip(package, reason="needs lm-evaluation-harness: pip install 'flannb[lm-eval]' accelerate")
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    flannb_folder, transformers_folder = tied_folders
    options = {"backend": "seq2seq", "dtype": "float32", "device": "cpu", "batch_size": 16, "max_length": LIMIT}
    theirs = HFLM(pretrained=str(transformers_folder), **options)
    pairs = [(prompt.text(), target) for prompt in prompts for target in prompt.targets]
    found = iter(theirs.loglikelihood([Instance("loglikelihood", {}, pair, 0) for pair in pairs], disable_tqdm=True))
    ours = open_model(str(flannb_folder), batch_size=16)
    tokens = tokenize(prompts, ours, LIMIT)
    scored = ours.score([each.ids for each in tokens], [ours.encode(prompt.targets) for prompt in prompts])
    for prompt, likelihoods in zip(prompts, scored, strict=True):
        expected = [next(found) for _ in prompt.targets]
        logs = [each.log for each in likelihoods]
        assert logs == pytest.approx([log for log, _ in expected], abs=1e-3)
        assert [each.greedy for each in likelihoods] == [greedy for _, greedy in expected]
        assert np.argmax(logs) == np.argmax([log for log, _ in expected])


def test_greedy_texts_are_those_of_transformers(prompts, flannb_model, transformers_folder):
    theirs = open_model(str(transformers_folder), batch_size=16, library="transformers")
    ids = [each.ids for each in tokenize(prompts[::5], flannb_model, LIMIT)]
    assert [each.ids for each in tokenize(prompts[::5], theirs, LIMIT)] == ids
    ours = flannb_model.generate(ids, 8)
    assert theirs.generate(ids, 8) == ours and len({tuple(tokens) for tokens in ours}) > 20
