"""The tasks and suites of the real collection: against each other, against their templates, and against real rows.

Tests that need rows read a mirror of the datasets: the folder named by FLANNB_MIRROR, or ``../shared/mirror``.
"""

import json
import os
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flannb.build.data import missing_tasks
from flannb.build.inversion import with_inversions
from flannb.build.records import read_records
from flannb.build.sources import Mirror
from flannb.collection import (
    SUBMIXTURES,
    SUITES,
    EvalTask,
    RawFile,
    RowError,
    Split,
    Task,
    check,
    cot,
    dialog,
    eval_tasks,
    flan2021,
    flan2021_more,
    program_synthesis,
    suites,
    super_natural_instructions,
    t0_sf,
    tasks,
    templates,
)
from flannb.collection.task import Column, Constant, described
from flannb.collection.template import Template, TemplateSet, fill, parse
from flannb.errors import UserError

TASKS = tasks("hub")
EVAL_TASKS = eval_tasks("hub")
MIRROR = Path(os.environ.get("FLANNB_MIRROR") or Path(__file__).parents[2] / "../shared/mirror")

needs_mirror = pytest.mark.skipif(
    not MIRROR.is_dir(), reason=f"no mirror of the datasets at {MIRROR}; name one in FLANNB_MIRROR"
)


class CachedMirror(Mirror):
    """Tasks that share a split read it once."""

    @cache  # noqa: B019  (one instance, as long as the tests run)
    def read(self, data, columns):
        return super().read(data, columns)


@pytest.fixture(scope="module")
def mirror():
    return CachedMirror(MIRROR)


# --- the tables of tasks ---


def test_tasks_and_suites_fit_their_templates():
    check(TASKS)
    check(EVAL_TASKS)
    check(with_inversions(TASKS))


def test_whatever_a_task_is_made_of_tells_it_from_others():
    texts = [json.dumps(described(task)) for task in with_inversions(TASKS)]
    assert len(set(texts)) == len(texts) and not any(" at 0x" in text for text in texts)
    assert described(TASKS[0]) == described(replace(TASKS[0]))


def test_every_submixture_and_suite_has_its_sets():
    assert {task.submixture for task in TASKS} == set(SUBMIXTURES) - {"own"}
    assert all(task.name.isidentifier() and task.name.isascii() for task in TASKS)
    sizes = {suite: sum(task.suite == suite for task in EVAL_TASKS) for suite in SUITES}
    assert sizes == {"held_in": 8, "cot": 5, "mmlu": 57, "bbh": 27, "bbh_cot": 27}


def test_t0_sf_has_the_193_templates_of_the_paper():
    in_t0_sf = [task for task in t0_sf.P3 if task.submixture == "t0_sf" and "commonsense_qa" not in task.name]
    assert len(in_t0_sf) == 193


def test_super_natural_instructions_has_the_public_list():
    """1,556 names, 5 numbers of which two tasks share; 119 are the benchmark's test tasks, and none is MMLU's."""
    names = super_natural_instructions.SPLITS
    assert len(names) == len(super_natural_instructions.TASKS) == 1556
    assert len({name.split("_")[0] for name in names}) == 1551
    assert sum(split == "test" for split in names.values()) == 119 and set(names.values()) == {"train", "test"}


def test_every_set_of_the_paper_is_there_even_if_nobody_serves_it():
    by_name = {task.name: task for task in TASKS}
    unavailable = {name for name, task in by_name.items() if task.unavailable}
    assert {
        "newsroom",
        "story_cloze",
        "opinion_abstracts_idebate",
        "para_crawl_enes",
        "dr_repair_plain_code",
    } <= unavailable
    assert all(len(by_name[name].unavailable) > 20 for name in unavailable)
    for name in (
        "sentiment140",
        "web_nlg_en",
        "dart",
        "wiki_lingua_english_en",
        "math_dataset",
        "coqa",
        "quac",
        "lambada",
    ):
        assert not by_name[name].unavailable
    assert not any(task.held_in for task in TASKS if task.unavailable)


def test_held_in_tasks_are_those_of_the_suite():
    assert {task.name for task in TASKS if task.held_in} == {task.name for task in suites.HELD_IN}


def test_added_sets_are_tasks():
    assert set(flan2021.ADDED) <= {task.name for task in flan2021.TASKS}


def test_no_scored_split_is_trained_on_or_gives_exemplars():
    scored = {str(task.data) for task in EVAL_TASKS}
    assert not scored & {str(task.data) for task in TASKS}
    assert not scored & {str(task.exemplars) for task in EVAL_TASKS if task.exemplars}


def test_few_shot_evaluation_has_exemplars_or_a_prompt():
    for task in EVAL_TASKS:
        assert (task.exemplars is None) != (task.prompt is None)
        assert task.chain_of_thought == (task.suite in ("cot", "bbh_cot"))
        assert task.answer in ("option", "number", "yes_no", "text")
        assert ("options" in task.fields) == (task.answer == "option")
    assert all(task.shots == 5 and task.exemplars.split == "dev" and task.split == "test" for task in suites.MMLU)


@given(st.integers(0, 2000))
def test_mmlu_tasks_are_excluded_by_number(number):
    assert super_natural_instructions.made_from_mmlu(f"task{number:03}_mmmlu_answer") == (
        number in range(664, 668) or number in range(685, 738)
    )


def test_excluded_are_57_and_none_is_a_task():
    made = super_natural_instructions.made_from_mmlu
    assert sum(made(f"task{number}_x") for number in range(2000)) == 57
    assert not any(made(task.where[1]) for task in super_natural_instructions.TASKS)
    with pytest.raises(ValueError, match="mmlu"):
        made("mmlu")


# --- check ---


A_TASK = Task("colours", "flan2021", Split("a/b", "default", "train"), {"question": Column("q")}, "colours")
ONLY_QUESTION = TemplateSet("colours", (Template("{question}", "red"),), (Template("{question}", "red"),))


def test_check_accepts():
    check([A_TASK], {"colours": ONLY_QUESTION})


@pytest.mark.parametrize(
    ("some", "said"),
    [
        ([A_TASK, A_TASK], ["colours", "twice"]),
        (
            [A_TASK, replace(A_TASK, submixture="t0_sf", data=Split("c/d", "default", "train"))],
            ["colours", "twice", "'flan2021', from a/b/default/train", "'t0_sf', from c/d/default/train"],
        ),
        ([replace(A_TASK, templates="shapes")], ["colours", "shapes"]),
        ([replace(A_TASK, submixture="flan2020")], ["colours", "flan2020", "flan2021"]),
        ([replace(A_TASK, fields={"text": Column("q")})], ["colours", "zero_shot 0", "question", "text"]),
        (
            [replace(A_TASK, fields={**A_TASK.fields, "options": Constant(("a", "b"))})],
            ["colours", "no field 'answer'"],
        ),
    ],
)
def test_check_names_what_is_wrong(some, said):
    with pytest.raises(UserError) as raised:
        check(some, {"colours": ONLY_QUESTION})
    assert all(part in str(raised.value) for part in said)


def test_check_leaves_options_to_rendering():
    """Without options the line vanishes, and a template that asks for a letter is not used."""
    wordings = (Template("{question}\n{options}", "{letter}"), Template("{question}\n{options}", "red"))
    check([A_TASK], {"colours": TemplateSet("colours", wordings, wordings)})


def test_check_wants_the_target_only_of_exemplars():
    gsm8k = next(task for task in EVAL_TASKS if task.suite == "cot" and task.name == "gsm8k")
    check([gsm8k])
    with pytest.raises(UserError, match="rationale"):
        check([replace(gsm8k, exemplar_fields=gsm8k.fields)])


def test_check_looks_at_an_evaluation_set_s_own_wordings():
    def asked(text):
        wording = (Template(text, "{answer}"),)
        family = TemplateSet("own", wording, wording)
        return EvalTask("colours", "own", A_TASK.data, A_TASK.fields, "", "text", wordings=family)

    check([asked("{question}")], {})
    for text, said in (("{colour}", "names the field 'colour', which the task lacks"), ("{", "input: .*braces")):
        with pytest.raises(UserError, match=rf"evaluation set 'own/colours': template .*zero_shot 0.*{said}"):
            check([asked(text)], {})


# --- fields ---


@pytest.mark.parametrize(
    ("answer", "number"), [("so 1+1=2\n#### 2", "2"), ("#### 1,450,000", "1450000"), ("#### -3", "-3")]
)
def test_gsm8k_number(answer, number):
    assert suites.gsm8k_number(answer) == number


@pytest.mark.parametrize(
    ("answer", "number"), [("9 (apples)", "9"), ("2.5 (miles)", "2.5"), ("14  (seats)", "14"), ("7", "7")]
)
def test_asdiv_number(answer, number):
    assert suites.asdiv_number(answer) == number


@pytest.mark.parametrize("answer", ["Purple", "3:30 p.m.", "5:6", "6th", "4 (red); 5 (blue)", "", "1/2 (cake)"])
def test_asdiv_answers_that_are_no_number(answer):
    with pytest.raises(RowError):
        suites.asdiv_number(answer)


@given(st.text())
def test_number_readers_raise_row_errors_only(text):
    for read in (suites.gsm8k_number, suites.asdiv_number, flan2021.unified_options):
        try:
            read(text)
        except RowError:
            continue


def test_qasc_exemplars_look_like_commonsense_qa():
    question = r"What comes from reproduction?\nOptions:\n- (A) babies\n- (B) protein"
    assert suites.qasc_question(question) == "What comes from reproduction?\nOptions:\n- babies\n- protein"
    assert suites.qasc_answer(question, "(B)") == "protein"
    with pytest.raises(RowError):
        suites.qasc_answer(question, "(C)")
    choices = {"text": ["babies", "protein"]}
    assert suites.commonsense_question("What comes from reproduction?", choices) == suites.qasc_question(question)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("1 + 1 = 2", "1 + 1 = 2."), (r"so\nit is.", "so\nit is."), ("why?", "why?"), ("40%", "40%."), ("", "")],
)
def test_rationales_end_as_sentences(text, sentence):
    assert cot.as_sentence(text) == sentence


def test_bbh_letters():
    question = "Which is right?\nOptions:\n(A) this (B)\n(B) that"
    assert suites.bbh_options(question) == ("(A)", "(B)")
    assert suites.bbh_letter(question, "(B)") == "(B)"
    with pytest.raises(RowError):
        suites.bbh_letter(question, "that")


def test_unified_qa_lines():
    text = r"Which gas do plants take in? \n (A) Oxygen (B) Carbon dioxide (C) Helium"
    assert flan2021.unified_question(text).strip() == "Which gas do plants take in?"
    assert flan2021.unified_options(text) == ("Oxygen", "Carbon dioxide", "Helium")
    assert flan2021.unified_answer(text, "carbon dioxide") == "Carbon dioxide"
    with pytest.raises(RowError):
        flan2021.unified_answer(text, "Neon")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"text": ["a", "b"]}, "a"),
        ({"text": []}, ""),
        ({"value": "Paris", "aliases": []}, "Paris"),
        (["x"], "x"),
        (None, ""),
    ],
)
def test_first_answer(value, text):
    assert flan2021.first(value) == text


@pytest.mark.parametrize(
    ("read", "values", "text"),
    [
        (flan2021_more.numbered, (["Who?", " Why? "],), "1. Who?\n2. Why?"),
        (flan2021_more.numbered_answers, ({"input_text": ["she", "so"], "answer_start": [0, 9]},), "1. she\n2. so"),
        (flan2021_more.first_answer, ({"texts": ["in 1901", "CANNOTANSWER"], "answer_starts": [3, 9]},), "in 1901"),
        (flan2021_more.without_mark, ("He sang. CANNOTANSWER",), "He sang. "),
        (flan2021_more.score, (3.8,), "4"),
        (flan2021_more.score, (0.2,), "0"),
        (flan2021_more.polarity, (4,), "positive"),
        (flan2021_more.polarity, (0,), "negative"),
        (flan2021_more.all_but_last_word, ("the end is near \n",), "the end is"),
        (flan2021_more.last_word, ("the end is near \n",), "near"),
        (flan2021_more.plain_bytes, ("b'Solve 2*x = 4 for x.\\n'",), "Solve 2*x = 4 for x."),
        (flan2021_more.plain_bytes, ("Solve it.\n",), "Solve it."),
        (
            flan2021_more.triples,
            (['Aarhus_Airport | cityServed | "Aarhus, Denmark"'],),
            "Aarhus Airport, cityServed, Aarhus, Denmark",
        ),
        (
            flan2021_more.triples,
            ([["Mars Hill", "JOINED", "1973"], ["[TITLE]", "X", "Y"]],),
            "Mars Hill, JOINED, 1973; X, Y",
        ),
        (flan2021_more.sections, ({"document": ["a", None, " b "], "summary": ["c"]}, "document"), "a\nb"),
        (flan2021_more.ending, ("He left.", "He ate.", 2), "He ate."),
        (flan2021_more.story, ("A. ", "B."), "A. B."),
        (flan2021_more.spoken, ({"da": "hej", "en": " hello "}, "en"), "hello"),
    ],
)
def test_columns_of_flan_2021_are_read(read, values, text):
    assert read(*values) == text


@pytest.mark.parametrize(
    ("read", "values"),
    [
        (flan2021_more.numbered, ([],)),
        (flan2021_more.numbered, (["Who?", " "],)),
        (flan2021_more.first_answer, ({"texts": ["CANNOTANSWER"]},)),
        (flan2021_more.score, (5.1,)),
        (flan2021_more.score, (None,)),
        (flan2021_more.polarity, (2,)),
        (flan2021_more.damaged, ({"en": "no marks"}, flan2021_more.without_punctuation)),
    ],
)
def test_rows_of_flan_2021_that_cannot_be_used(read, values):
    with pytest.raises(RowError):
        read(*values)


@given(st.text())
def test_mended_text_is_the_original(text):
    """What is to be mended never equals its target, and the target is the sentence as it was."""
    for name in ("fix_punct", "true_case", "word_segment"):
        fields = next(task for task in TASKS if task.name == name).fields
        row = {"da": "x", "en": text}
        try:
            assert fields["text"](row) != fields["answer"](row) == text.strip()
        except RowError:
            continue


def said(text):
    return {"text": text}


def test_dialogues_end_with_a_reply():
    turns = [
        {"user_utterance": said("two tickets please")},
        {"system_utterance": said("for which film ?"), "user_utterance": said("dune")},
        {"system_utterance": said("done"), "user_utterance": said("thanks")},
    ]
    closing = dialog.conversation("turns", dialog.simulated_turns)
    assert closing["dialog"](turns) == "User: two tickets please\nAssistant: for which film ?\nUser: dune"
    assert closing["answer"](turns) == "done"
    opening = dialog.conversation("turns", dialog.simulated_turns, last=False)
    assert (opening["dialog"](turns), opening["answer"](turns)) == ("User: two tickets please", "for which film ?")
    with pytest.raises(RowError, match="no reply"):
        closing["answer"](turns[:1])


def test_other_dialogues():
    utterances = [{"speaker": "USER", "text": "hi"}, {"speaker": "ASSISTANT", "text": "hello"}]
    assert dialog.taskmaster_turns(utterances) == [("User", "hi"), ("Assistant", "hello")]
    assert dialog.wikidialog_turns(["Ask me.", "Why?", "So."])[1] == ("User", "Why?")
    assert dialog.asked(["who was she", "a poet"], "when did she live") == (
        "User: who was she\nAssistant: a poet\nUser: when did she live"
    )


def test_programs():
    solutions = {"language": [2, 3, 3], "solution": ["int x;", "x = 1\r\n", "x = 2"]}
    assert program_synthesis.first_python3(solutions) == "x = 1"
    with pytest.raises(RowError):
        program_synthesis.first_python3({"language": [2], "solution": ["int x;"]})
    assert program_synthesis.tests_to_pass("Add.", ["assert f(1) == 2"]).endswith("assert f(1) == 2")
    assert program_synthesis.better_intent(None, "sort a list") == "sort a list"


# --- real rows ---


def assert_usable(records):
    bad = records.rejected.total()
    assert bad < 0.2 * (bad + len(records)), f"rejected: {dict(records.rejected)}"
    for record in records.records:
        assert all(value for value in record.values())
        assert "options" not in record or record["answer"] in record["options"]


@needs_mirror
@pytest.mark.parametrize("submixture", sorted(set(SUBMIXTURES) - {"own"}))
def test_tasks_map_their_rows(mirror, submixture):
    wanted = [task for task in TASKS if task.submixture == submixture]
    lacking = {task.name for task in missing_tasks(mirror, wanted)}
    present = [task for task in wanted if task.name not in lacking]
    assert present, "the mirror has no task of this submixture"
    for task in present:
        records = read_records(mirror, task.data, task.fields, task.where, limit=50)
        assert_usable(records)
        given_by_rendering = {"options": "- yes", "letter": "A"}
        for template in templates()[task.templates].zero_shot:
            for text in (template.input, template.target):
                assert fill(parse(text), {**given_by_rendering, **records.records[0]}).strip()


@needs_mirror
@pytest.mark.parametrize("suite", SUITES)
def test_suites_map_their_rows(mirror, suite):
    for task in (task for task in EVAL_TASKS if task.suite == suite and mirror.has(task.data)):
        assert_usable(read_records(mirror, task.data, task.fields))
        if task.exemplars:
            assert_usable(read_records(mirror, task.exemplars, task.exemplar_fields or task.fields, limit=50))
        if task.prompt:
            assert mirror.has(task.prompt)


@needs_mirror
def test_the_mirror_has_no_unused_set():
    """Every split of the mirror is a task's, a suite's, or another split of a set that one of them reads."""
    known = {(data.repo_id, data.config) for task in (*TASKS, *EVAL_TASKS) if isinstance(data := task.data, Split)}
    # these are only ever single-task or test sets; ECQA, AQuA and the P3 prompts cover what could be trained on
    apart = {"qiaojin/PubMedQA", "deepmind/aqua_rat", "openai/openai_humaneval"}
    there = {tuple(path.relative_to(MIRROR).as_posix().rsplit("/", 3)[:2]) for path in MIRROR.glob("*/*/*/*/*.parquet")}
    assert {(repo, config) for repo, config in there if repo not in apart} <= known
    raw = {path.relative_to(MIRROR).as_posix() for path in MIRROR.glob("github/**/*train*") if path.is_file()}
    assert raw <= {task.data.path for task in TASKS if isinstance(task.data, RawFile)}


@needs_mirror
def test_all_tasks_of_super_natural_instructions_are_named(mirror):
    """Whatever the mirror has is a task, in the split in which the list says it is."""
    named = {(task.where[1], task.data.split) for task in super_natural_instructions.TASKS}
    for split, data in super_natural_instructions.DATA.items():
        there = set(mirror.read(data, ("task_name",))["task_name"].to_pylist())
        assert there and {(name, split) for name in there} <= named


@needs_mirror
def test_exemplars_of_commonsense_qa_are_not_scored(mirror):
    task = next(task for task in suites.CHAIN_OF_THOUGHT if task.name == "commonsense_qa")
    scored = {r["question"].split("\n")[0] for r in read_records(mirror, task.data, task.fields).records}
    shown = {r["question"].split("\n")[0] for r in read_records(mirror, task.exemplars, task.exemplar_fields).records}
    assert not scored & shown


@needs_mirror
def test_newlines_of_the_chain_of_thought_files(mirror):
    for record in read_records(mirror, cot.cot_file("ecqa"), cot.FIELDS, limit=50).records:
        assert "\nOptions:\n- " in record["question"]
