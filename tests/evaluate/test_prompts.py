"""Prompts: exemplars from where they may come from, dropped from the far end, and BBH's public prompts."""

from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flannb.build import Mini, Mirror
from flannb.collection import eval_tasks
from flannb.errors import UserError
from flannb.evaluate import KINDS, FlannbModel, NoExemplars, make_prompts, missing_data, tokenize
from flannb.vocabulary import EOS_ID

MINI = eval_tasks("mini")
NAVIGATE = {task.suite: task for task in eval_tasks("flan2022") if task.name == "navigate"}

PUBLIC = """A note that is no part of the prompt.
-----
Decide where somebody ends up.

Q: If you turn left, are you back?
Options:
- Yes
- No
A: Let's think step by step.
(1) Turn left: at the start.

So the answer is Yes.

Q: If you take 2 steps, are you back?
Options:
- Yes
- No
A: Let's think step by step.
(1) Take 2 steps: away. So the answer is No.
"""


@pytest.fixture
def mirror(tmp_path):
    for task in NAVIGATE.values():
        path = tmp_path / task.prompt.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(PUBLIC)
        folder = tmp_path / str(task.data)
        folder.mkdir(parents=True, exist_ok=True)
        rows = {"input": ["Are you back?", "Are you there?"], "target": ["Yes", "No"]}
        pq.write_table(pa.table(rows), folder / "0000.parquet")
    return Mirror(tmp_path)


def named(suite, name):
    return next(task for task in MINI if (task.suite, task.name) == (suite, name))


def test_mmlus_exemplars_are_the_first_rows_of_dev_in_order():
    for task in (task for task in MINI if task.suite == "mmlu"):
        assert task.exemplars.split == "dev"
        for seed in (0, 1):
            assert make_prompts(task, "fs", Mini(), 3, seed).prompts[0].exemplar_rows == tuple(range(task.shots))


def test_other_exemplars_are_drawn_by_the_seed_and_stay_the_same_for_a_set():
    task = named("held_in", "boolq")
    drawn = [make_prompts(task, "fs", Mini(), 5, seed).prompts for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] and drawn[0] != drawn[2]
    assert len({prompt.exemplars for prompt in drawn[0]}) == 1
    assert drawn[0][0].exemplar_rows != drawn[2][0].exemplar_rows
    assert len(set(drawn[0][0].exemplars)) == task.shots


def test_exemplars_never_come_from_the_scored_rows():
    for task in MINI:
        assert task.exemplars is not None and task.exemplars != task.data
        prompts = make_prompts(task, "fs", Mini(), 96, 0).prompts
        assert len(prompts[0].exemplars) == task.shots
        for prompt in prompts:
            question = prompt.query.split(prompt.separator)[-1]
            assert not any(exemplar.startswith(question) for exemplar in prompt.exemplars)


def test_zero_shot_prompts_are_the_query_alone():
    for task in MINI:
        for prompt in make_prompts(task, "zs", Mini(), 2, 0).prompts:
            assert prompt.exemplars == prompt.exemplar_rows == () and prompt.text() == prompt.query


def test_options_are_shown_and_the_gold_answer_is_one_of_them():
    for task in (task for task in MINI if "options" in task.fields):
        for prompt in make_prompts(task, "zs", Mini(), 5, 0).prompts:
            assert prompt.gold in prompt.options and all(option in prompt.text() for option in prompt.options)


def test_a_limit_below_the_marks_leaves_the_marks(tokenizer):
    encoder = FlannbModel(None, tokenizer)
    encoder.prefix, encoder.suffix = (7, 8), (EOS_ID,)
    [prompt] = make_prompts(named("cot", "gsm8k"), "zs", Mini(), 1, 0).prompts
    assert tokenize([prompt], encoder, 1)[0].ids == [7, 8, EOS_ID]


def test_exemplars_are_dropped_from_the_far_end_until_the_prompt_fits(tokenizer):
    prompts = make_prompts(named("cot", "gsm8k"), "fs", Mini(), 4, 0).prompts
    encoder = FlannbModel(None, tokenizer)
    whole = tokenize(prompts, encoder, 10_000)
    assert [(each.dropped, each.cut) for each in whole] == [(0, False)] * 4
    for limit in (200, 120, 70, 20, 5):
        for prompt, (ids, dropped, cut) in zip(prompts, tokenize(prompts, encoder, limit), strict=True):
            assert len(ids) <= limit and ids[-1] == EOS_ID
            full = [*tokenizer.encode([prompt.text(dropped)])[0], EOS_ID]
            if dropped < len(prompt.exemplars):
                assert ids == full
            else:
                assert ids == [*full[:-1][: limit - 1], EOS_ID]
            assert cut == (len(full) > limit)
            if dropped:  # one more would not have fitted
                assert len(tokenizer.encode([prompt.text(dropped - 1)])[0]) + 1 > limit
    assert prompts[0].text(1).count(prompts[0].exemplars[0]) == 0
    assert prompts[0].exemplars[-1] in prompts[0].text(1)


def test_bbhs_public_prompt_is_used_with_its_chains_of_thought(mirror):
    first, second = make_prompts(NAVIGATE["bbh_cot"], "fs", mirror, 10, 0).prompts
    assert first.text() == (PUBLIC.split("-----\n")[1].strip() + "\n\nQ: Are you back?\nA: Let's think step by step.")
    assert first.exemplar_rows == (0, 1) and first.head == "Decide where somebody ends up."
    assert (first.gold, second.gold) == ("Yes", "No")


def test_without_chains_of_thought_bbhs_exemplars_answer_directly(mirror):
    prompt = make_prompts(NAVIGATE["bbh"], "fs", mirror, 10, 0).prompts[0]
    assert prompt.text() == (
        "Decide where somebody ends up.\n\n"
        "Q: If you turn left, are you back?\nOptions:\n- Yes\n- No\nA: Yes\n\n"
        "Q: If you take 2 steps, are you back?\nOptions:\n- Yes\n- No\nA: No\n\n"
        "Q: Are you back?\nA:"
    )


def test_a_public_prompt_of_another_layout_is_a_user_error(mirror):
    task = NAVIGATE["bbh"]
    (mirror.root / task.prompt.path).write_text("-----\nDecide.\n\nQ: Where?\nHere.\n")
    with pytest.raises(UserError, match=r"navigate\.txt: an exemplar has no line that starts with 'A:'"):
        make_prompts(task, "fs", mirror, 10, 0)


def test_a_few_shot_set_without_exemplars_is_a_user_error():
    task = replace(named("held_in", "boolq"), exemplars=None)
    with pytest.raises(NoExemplars, match="held_in/boolq: has no split"):
        make_prompts(task, "fs", Mini(), 2, 0)


def test_missing_data_are_all_that_a_set_needs(mirror):
    task = NAVIGATE["bbh"]
    assert missing_data(mirror, task) == []
    (mirror.root / task.prompt.path).unlink()
    assert missing_data(mirror, task) == [task.prompt]
    assert missing_data(mirror, task, "zs") == []


def test_ranking_compares_what_the_template_has_a_model_write_for_each_option():
    task = named("mmlu", "nutrition")
    for setting in KINDS:
        for prompt in make_prompts(task, setting, Mini(), 3, 0).prompts:
            assert prompt.choices == prompt.options
            gold = prompt.targets[prompt.choices.index(prompt.gold)]
            assert gold.endswith(prompt.gold) and len(set(prompt.targets)) == len(prompt.options)


def test_ranking_chooses_among_the_few_answers_of_a_set_without_options(mirror):
    direct, explained = (make_prompts(NAVIGATE[suite], "fs", mirror, 10, 0).prompts[0] for suite in ("bbh", "bbh_cot"))
    assert direct.choices == direct.targets == ("Yes", "No") and direct.options == ()
    assert explained.choices == explained.targets == ()


class Spelling:
    """An encoder whose tokens cross white space: characters, with marks at both ends."""

    prefix, suffix, joins = (1, 2), (3,), False

    def encode(self, texts):
        return [[ord(character) for character in text] for text in texts]


def test_prompts_are_tokenised_whole_where_tokens_cross_white_space():
    prompts = make_prompts(named("cot", "gsm8k"), "fs", Mini(), 2, 0).prompts
    for limit in (5000, 400, 200, 30):
        for prompt, (ids, dropped, cut) in zip(prompts, tokenize(prompts, Spelling(), limit), strict=True):
            text = prompt.text(dropped)
            assert ids == [1, 2, *map(ord, text[: limit - 3]), 3]
            assert cut == (len(text) > limit - 3) and (not cut or dropped == len(prompt.exemplars))
