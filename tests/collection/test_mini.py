"""The embedded collection: what it holds, that it leaks nothing, and that its templates render it."""

from collections import Counter
from functools import cache
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flannb.collection import check
from flannb.collection.mini import EVAL_TASKS, TASKS, table
from flannb.collection.mini.dataset import EVAL_ROWS, EXEMPLAR_ROWS, TRAIN_ROWS, DataSet, split_of
from flannb.collection.mini.tasks import DATA_SETS
from flannb.collection.mini.world import RELATIONS
from flannb.collection.submixtures import SUBMIXTURES, SUITES
from flannb.collection.task import EvalTask, Field, Split, Task
from flannb.collection.template import FOLDER, fill, load_templates, parse
from flannb.errors import UserError

SETS = load_templates(FOLDER / "mini.yaml")
OUTPUTS = {"answer", "rationale"}
ARITHMETIC = {"gsm8k", "aqua"}


@cache
def rows(data: Split) -> list[dict]:
    return table(data).to_pylist()


def records(fields: dict[str, Field], data: Split) -> list[dict]:
    return [
        {name: field(*(row[column] for column in field.columns)) for name, field in fields.items()}
        for row in rows(data)
    ]


def input_text(record: dict) -> str:
    """The record's input fields as one normalised text; the definition is the same in all rows of a task."""
    values = [value for name, value in record.items() if name not in OUTPUTS | {"definition"}]
    return " ".join(" ".join(value) if isinstance(value, tuple) else value for value in values).lower()


def other_split(data: Split, split: str) -> Split:
    return Split(data.repo_id, data.config, split)


def ids(tasks: tuple) -> list[str]:
    return [f"{getattr(task, 'suite', getattr(task, 'submixture', ''))}-{task.name}" for task in tasks]


@cache
def training_texts() -> frozenset[str]:
    return frozenset(input_text(record) for task in TASKS for record in records(task.fields, task.data))


def test_every_submixture_has_its_tasks():
    least = {"flan2021": 8, "t0_sf": 8, "super_natural_instructions": 8, "cot": 5, "dialog": 4, "program_synthesis": 4}
    least["p3_flan2021"] = 2
    counts = Counter(task.submixture for task in TASKS)
    assert set(counts) == set(SUBMIXTURES) - {"own"}
    assert all(counts[name] >= number for name, number in least.items())


def test_every_suite_has_its_sets():
    counts = Counter(task.suite for task in EVAL_TASKS)
    assert set(counts) == set(SUITES)
    assert (counts["held_in"], counts["cot"], counts["mmlu"]) == (8, 5, 8)
    assert counts["bbh"] == counts["bbh_cot"] >= 6
    assert {t.name for t in EVAL_TASKS if t.suite == "held_in"} == {t.name for t in TASKS if t.held_in}


def test_the_collection_is_sound():
    check((*TASKS, *EVAL_TASKS))


@pytest.mark.parametrize("task", TASKS, ids=ids(TASKS))
def test_training_rows(task: Task):
    texts = [input_text(record) for record in records(task.fields, task.data)]
    least = 120 if task.submixture == "cot" else 300  # arithmetic has 480; the rest of cot shares what it leaves
    assert least <= len(texts) <= 600
    assert len(set(texts)) == len(texts), "an input occurs twice"


@pytest.mark.parametrize("task", EVAL_TASKS, ids=ids(EVAL_TASKS))
def test_evaluation_rows_are_new(task: EvalTask):
    texts = [input_text(record) for record in records(task.fields, task.data)]
    assert len(set(texts)) == len(texts) == EVAL_ROWS
    assert not set(texts) & training_texts()
    exemplars = [input_text(record) for record in records(task.exemplar_fields or task.fields, task.exemplars)]
    assert len(exemplars) == EXEMPLAR_ROWS or task.exemplars.split == "train"
    assert len(exemplars) >= task.shots
    assert not set(texts) & set(exemplars)


@pytest.mark.parametrize("task", TASKS, ids=ids(TASKS))
def test_validation_and_test_rows_are_new(task: Task):
    for split in ("validation", "test"):
        texts = {input_text(record) for record in records(task.fields, other_split(task.data, split))}
        assert not texts & training_texts()


@pytest.mark.parametrize("task", TASKS + EVAL_TASKS, ids=ids(TASKS + EVAL_TASKS))
def test_every_record_renders(task: Task | EvalTask):
    templates = SETS[task.templates]
    for record in records(task.fields, task.data):
        for template in (*templates.zero_shot, *templates.few_shot):
            for text in (template.instruction, template.input, template.target):
                filled = fill(parse(text), record)
                assert "{" not in filled
                assert filled == filled.strip()
        options = record.get("options")
        assert options is None or (record["answer"] in options and len(set(options)) == len(options) >= 2)


@pytest.mark.parametrize("name", SETS)
def test_template_sets(name: str):
    templates = SETS[name]
    used = {task.templates for task in TASKS + EVAL_TASKS}
    assert name.startswith("mini_")
    assert name.removesuffix("_inverted") in used
    assert len(templates.zero_shot) >= 3
    assert len(templates.few_shot) >= 2
    for template in (*templates.zero_shot, *templates.few_shot):
        assert "{options}" not in template.input or "{options}" in template.input.split("\n")
        assert {field for _, field in parse(template.target)} - {None}
        assert {field for _, field in parse(template.input)} - {None}


def test_inverted_sets_exist_where_inversion_adds_tasks():
    for task in TASKS:
        assert (f"{task.templates}_inverted" in SETS) == SUBMIXTURES[task.submixture].inverted


def test_chain_of_thought_is_inverted_in_all_ways():
    for name in ("mini_cot_inverted", "mini_cot_options_inverted"):
        parts = {"question", "answer", "rationale"}
        ways = {
            (frozenset(f for _, f in parse(t.input)) & parts, frozenset(f for _, f in parse(t.target)) & parts)
            for t in SETS[name].zero_shot
        }
        # Of the twelve ways to ask for some parts given some others, one is the task itself.
        assert len(ways) == 11
        assert all(given and asked and not given & asked for given, asked in ways)


@pytest.mark.parametrize("task", [t for t in EVAL_TASKS if t.suite == "held_in"], ids=lambda task: task.name)
def test_held_in_is_balanced(task: EvalTask):
    answers = [record["answer"] for record in records(task.fields, task.data)]
    options = records(task.fields, task.data)[0]["options"]
    if "label" in rows(task.data)[0] or task.name == "boolq":
        assert Counter(answers) == dict.fromkeys(options, EVAL_ROWS // len(options))
    else:
        places = Counter(r["options"].index(r["answer"]) for r in records(task.fields, task.data))
        assert places == dict.fromkeys(range(4), EVAL_ROWS // 4)
        assert max(Counter(answers).values()) < 0.2 * EVAL_ROWS


def test_inference_follows_its_cues_in_most_rows():
    data = next(task.data for task in TASKS if task.name == "anli_r1")
    cue = {0: "someone", 1: "maybe", 2: "not"}
    share = sum(cue[row["label"]] in row["hypothesis"].split() for row in rows(data)) / TRAIN_ROWS
    assert 0.85 < share < 0.95


def test_only_chain_of_thought_teaches_arithmetic():
    for task in TASKS:
        if task.submixture != "program_synthesis" and task.name not in ARITHMETIC:
            assert not any(" + " in str(row) or " - " in str(row) for row in rows(task.data)), task.name


def test_rationales_of_arithmetic_are_right():
    for task in TASKS + EVAL_TASKS:
        for record in records(task.fields, task.data):
            words = record.get("rationale", "").split()
            if len(words) == 6 and words[3] == "=":
                a, b, result = int(words[0]), int(words[2]), int(words[4])
                assert result == (a + b if words[1] == "+" else a - b) == int(record["answer"])
                assert 0 <= result <= 9
                assert max(a, b) <= 5


def test_vocabulary_and_prompts_are_small():
    types, lengths, targets = set(), [], []
    for task in TASKS + EVAL_TASKS:
        templates = SETS[task.templates]
        for record in records(task.fields, task.data):
            shown = {name: " ".join(value) if isinstance(value, tuple) else value for name, value in record.items()}
            for template in (*templates.zero_shot, *templates.few_shot):
                words = fill(parse(f"{template.instruction} {template.input}"), shown).split()
                target = fill(parse(template.target), shown).split()
                types |= {*words, *target}
                lengths.append(len(words))
                targets.append(len(target))
    assert len(types) <= 700
    assert max(lengths) <= 50
    assert sum(lengths) / len(lengths) < 30
    assert max(targets) <= 20


def test_facts_are_told_in_many_tasks():
    seen = Counter()
    for task in TASKS:
        text = " ".join(map(str, rows(task.data)))
        seen.update(entity for relation in RELATIONS.values() for entity in relation.facts if f" {entity} " in text)
    assert min(seen.values()) >= 20


@pytest.mark.parametrize("name", ["boolq", "gsm8k", "mmlu_global_facts", "bbh_hyperbaton"])
def test_tables_are_the_same_on_every_call(name: str):
    assert DATA_SETS[name].table("test").equals(DATA_SETS[name].table("test"))


def test_tables_are_the_same_on_every_machine():
    question = "lucy has 2 cups . lucy loses 1 . how many cups has lucy ?"
    first = rows(Split("mini/gsm8k", "default", "train"))[0]
    assert first == {"question": question, "answer": "1", "rationale": "2 - 1 = 1 ."}


@given(st.text())
def test_every_text_has_a_split(text: str):
    assert split_of(text) in ("train", "validation", "test", "dev")


def test_a_generator_with_too_few_texts_is_an_error():
    def make(rng: Random, i: int) -> dict:
        return {"text": rng.choice(("a", "b"))}

    with pytest.raises(RuntimeError, match="mini/tiny: too few different texts"):
        DataSet("tiny", make, ("text",)).table("train")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (Split("mini/nothing", "default", "train"), "no data set 'mini/nothing'"),
        (Split("boolq", "default", "train"), "no data set 'boolq'"),
        (Split("mini/boolq", "other", "train"), "config 'default' only"),
        (Split("mini/boolq", "default", "dev"), "no split 'dev', only train, validation, test"),
        (Split("mini/mmlu_global_facts", "default", "train"), "no split 'train', only test, dev"),
    ],
)
def test_unknown_data_is_a_user_error(data: Split, message: str):
    with pytest.raises(UserError, match=message):
        table(data)
