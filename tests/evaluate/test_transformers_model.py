"""Checkpoints of ``transformers`` on our suites, against ``transformers`` itself and against flannb's own model."""

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from flannb.build import Mini
from flannb.collection import eval_tasks
from flannb.errors import UserError
from flannb.evaluate import KINDS, evaluate, make_prompts, tokenize
from flannb.evaluate.models import open_model

TASKS = [task for task in eval_tasks("mini") if task.suite in ("held_in", "mmlu")]
NAMES = ("boolq", "nutrition", "miscellaneous")


@pytest.fixture(scope="module")
def theirs(transformers_folder):
    return open_model(str(transformers_folder), batch_size=8, library="transformers")


@pytest.fixture(scope="module")
def prompts():
    chosen = [task for task in TASKS if task.name in NAMES]
    return [prompt for task in chosen for kind in KINDS for prompt in make_prompts(task, kind, Mini(), 4, 0).prompts]


def test_both_read_prompts_alike(theirs, flannb_model, prompts):
    assert (list(theirs.prefix), list(theirs.suffix), theirs.joins) == ([], [1], True)
    assert tokenize(prompts, theirs, 96) == tokenize(prompts, flannb_model, 96)


def test_the_same_weights_choose_the_same_and_score_the_same(theirs, flannb_model, prompts):
    ids = [each.ids for each in tokenize(prompts, flannb_model, 96)]
    options = [flannb_model.encode(prompt.targets) for prompt in prompts]
    assert theirs.generate(ids, 5) == flannb_model.generate(ids, 5)
    for a, b in zip(theirs.score(ids, options), flannb_model.score(ids, options), strict=True):
        assert [each.log for each in a] == pytest.approx([each.log for each in b], abs=1e-3)
        assert [each.greedy for each in a] == [each.greedy for each in b]
        assert np.argmax([each.log for each in a]) == np.argmax([each.log for each in b])


def test_suites_run_on_a_checkpoint_of_transformers(theirs, tmp_path):
    limits = {"prompt_limit": 96, "answer_limit": 4, "explanation_limit": 6}
    tasks = [task for task in TASKS if task.name in NAMES]
    table = evaluate(theirs, Mini(), tasks, tmp_path, rows=12, seed=0, quiet=True, **limits)
    assert set(table["task"]) == set(NAMES) and table["score"].between(0, 1).all()


def test_predictions_of_other_weights_or_another_type_are_not_taken_for_its_own(theirs, transformers_folder, tmp_path):
    assert theirs.name == open_model(str(transformers_folder), library="transformers").name
    narrow = open_model(str(transformers_folder), dtype="bfloat16", library="transformers")
    for path in transformers_folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    tensors = load_file(tmp_path / "model.safetensors")
    tensors["shared.weight"][0] += 1
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    other = open_model(str(tmp_path), library="transformers")
    assert len({name.rpartition("@")[2] for name in (theirs.name, narrow.name, other.name)}) == 3


def test_pickled_weights_are_not_read(transformers_folder, tmp_path):
    torch = pytest.importorskip("torch")
    for path in transformers_folder.iterdir():
        if path.suffix != ".safetensors":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    torch.save({}, tmp_path / "pytorch_model.bin")
    with pytest.raises(UserError, match="not a sequence-to-sequence checkpoint in safetensors"):
        open_model(str(tmp_path), library="transformers")
