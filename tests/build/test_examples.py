"""Examples: few-shot prompts that never give the answer away, exemplars pruned from the far end, full provenance."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flannb.build import (
    EXEMPLAR_COUNTS,
    STYLES,
    Lengths,
    Mini,
    Records,
    Texts,
    Tokenizer,
    instruction,
    make_examples,
    read_records,
    read_shard,
    render,
    with_inversions,
    wordings,
)
from flannb.build.drawing import SHARED_TEMPLATE, UNLIKE, draw_examples
from flannb.build.examples import SCHEMA, settings_of
from flannb.build.render import wording
from flannb.collection import SETTINGS, SUBMIXTURES, Split, Task, templates
from flannb.collection.task import Column
from flannb.errors import UserError
from flannb.vocabulary import EOS_ID

LONG = Lengths(2048, 512)
STYLE = {style.name: style for style in STYLES} | {"": STYLES[0]}
QUESTIONS = Task(
    "questions",
    "flan2021",
    Split("owner/set", "default", "train"),
    {"question": Column("question"), "answer": Column("answer")},
    "mini_question",
)


def rendered(task, setting, record, template, style):
    """The zero-shot text of a record, or the query of its few-shot text."""
    family = templates()[task.templates]
    with_options = setting.endswith("_opt") and task.has_options
    words = family.few_shot if setting.startswith("fs") else family.zero_shot
    return render(wording(words[template], with_options), record, STYLE[style])


def every(few_tasks, prefix=""):
    for task in with_inversions(few_tasks):
        for setting in settings_of(task, SUBMIXTURES[task.submixture].settings):
            if setting.startswith(prefix):
                yield task, setting, read_records(Mini(), task.data, task.fields, limit=20, seed=3)


def test_tasks_without_options_skip_the_settings_that_would_repeat():
    assert settings_of(QUESTIONS, SETTINGS) == ("zs_noopt", "fs_noopt")
    assert settings_of(QUESTIONS, ("zs_opt", "fs_opt")) == ("zs_opt", "fs_opt")
    with_options = replace(QUESTIONS, fields={**QUESTIONS.fields, "options": Column("options")})
    assert settings_of(with_options, SETTINGS) == SETTINGS


def test_zero_shot_texts_follow_from_their_provenance(few_tasks, tokenizer):
    for task, setting, records in every(few_tasks, "zs"):
        table, left_out = make_examples(task, setting, records, Texts(tokenizer), LONG, 0)
        assert not left_out and table.schema == SCHEMA and table["row"].to_pylist() == records.rows
        for line, record in zip(table.to_pylist(), records.records, strict=True):
            piece = rendered(task, setting, record, line["template"], line["style"])
            assert (line["inputs"], line["targets"], line["exemplars"]) == (piece.input, piece.target, [])


def test_few_shot_texts_end_with_the_query_and_name_their_exemplars(few_tasks, tokenizer):
    for task, setting, records in every(few_tasks, "fs"):
        by_row = dict(zip(records.rows, records.records, strict=True))
        table, _ = make_examples(task, setting, records, Texts(tokenizer), LONG, 0)
        for line in table.to_pylist():
            piece = rendered(task, setting, by_row[line["row"]], line["template"], line["style"])
            assert line["inputs"].endswith(piece.input) and line["targets"] == piece.target
            assert 1 <= len(line["exemplars"]) <= max(EXEMPLAR_COUNTS)
            assert line["row"] not in line["exemplars"]
            assert len(set(line["exemplars"])) == len(line["exemplars"])
            shown = [rendered(task, setting, by_row[row], line["template"], line["style"]) for row in line["exemplars"]]
            assert piece not in shown
            assert task.inverted or piece.input not in [other.input for other in shown]


def test_numbers_of_exemplars_are_those_of_the_paper(few_tasks, tokenizer):
    task = next(task for task in few_tasks if task.name == "natural_questions")
    records = read_records(Mini(), task.data, task.fields)
    table, _ = make_examples(task, "fs_noopt", records, Texts(tokenizer), LONG, 0)
    shares = Counter(len(exemplars) for exemplars in table["exemplars"].to_pylist())
    assert set(shares) == set(EXEMPLAR_COUNTS)
    assert min(shares.values()) > 0.25 * len(table)


def test_some_exemplars_show_options_where_the_query_has_none_and_the_other_way_round(few_tasks, tokenizer):
    shown = {"fs_opt": Counter(), "fs_noopt": Counter()}
    for task, setting, records in every(few_tasks, "fs"):
        for line in make_examples(task, setting, records, Texts(tokenizer), LONG, 0)[0].to_pylist():
            by_letter = wording(templates()[task.templates].few_shot[line["template"]], True).by_letter
            shown[setting][task.has_options, by_letter, bool(line["style"]), bool(line["exemplar_style"])] += 1
            assert line["style"] in ("", line["exemplar_style"]) or not line["exemplar_style"]
    assert shown["fs_opt"][True, False, True, False] and shown["fs_noopt"][True, False, False, True]
    # no letters without the options that they stand for, and no options where the task has none
    assert not [key for found in shown.values() for key in found if key[1] and not key[3]]
    assert not [key for found in shown.values() for key in found if not key[0] and any(key[2:])]


@pytest.mark.parametrize("setting", ["fs_opt", "fs_noopt"])
def test_shares_of_what_is_drawn_are_those_stated(few_tasks, setting):
    for task in with_inversions(few_tasks):
        draws = draw_examples(task, setting, 4000, 50, 0, 0, EXEMPLAR_COUNTS)
        by_letter = np.array([word.by_letter for word in draws.words])[draws.word]
        assert not draws.unlike[by_letter].any()
        if not by_letter.all():
            assert abs(draws.unlike[~by_letter].mean() - UNLIKE * task.has_options) < 0.03
        alone = (draws.shown == draws.word[:, None]).all(1)
        assert alone.all() if task.inverted else abs(alone[~by_letter].mean() - SHARED_TEMPLATE) < 0.04
        assert all(abs((draws.counts == n).mean() - 1 / len(EXEMPLAR_COUNTS)) < 0.03 for n in EXEMPLAR_COUNTS)


# Few different words, so that rows with the same question and other answers are common.
WORDS = st.sampled_from(["why", "who", "what", "is it", "ǆ ☃", "a\u0301", "\u200b x"])
ROWS = st.lists(st.tuples(WORDS, st.sampled_from(["yes", "no", "é"])), min_size=1, max_size=12)


def test_a_question_that_comes_with_other_options_is_no_exemplar_of_itself(tokenizer):
    fields = {name: Column(name) for name in ("question", "options", "answer")}
    task = Task("made_up", "flan2021", QUESTIONS.data, fields, "multiple_choice")
    rows = [("what sinks ?", ("iron", f"wood {i}"), "iron") for i in range(6)]
    rows += [(f"what is {i} ?", ("iron", f"wood {i}"), "iron") for i in range(6)]
    records = Records(list(range(12)), [dict(zip(fields, row, strict=True)) for row in rows])
    for setting in ("fs_opt", "fs_noopt"):
        table, _ = make_examples(task, setting, records, Texts(tokenizer), LONG, 0)
        for line in table.to_pylist():
            same = [row for row in line["exemplars"] if row < 6]
            assert len(same) <= (line["row"] >= 6)


def test_exemplars_of_an_inverted_task_may_have_the_answer_of_the_query(tokenizer):
    fields = {name: Column(name) for name in ("question", "answer", "rationale")}
    task = Task("made_up_inverted", "cot", QUESTIONS.data, fields, "cot_inverted", inverted=True)
    rows = [(f"is it {i} ?", "yes" if i % 2 else "no", f"it is {i} .") for i in range(40)]
    records = Records(list(range(40)), [dict(zip(fields, row, strict=True)) for row in rows])
    table, _ = make_examples(task, "fs_noopt", records, Texts(tokenizer), LONG, 0)
    lines = table.to_pylist()
    assert {len(line["exemplars"]) for line in lines} == set(EXEMPLAR_COUNTS)
    assert any(line["row"] % 2 == row % 2 for line in lines for row in line["exemplars"])


@settings(max_examples=60)
@given(ROWS, st.integers(0, 2**32), st.integers(8, 60))
def test_whatever_the_rows_an_exemplar_never_reads_like_its_query(tokenizer, rows, seed, limit):
    records = Records(list(range(100, 100 + len(rows))), [{"question": q, "answer": a} for q, a in rows])
    table, left_out = make_examples(QUESTIONS, "fs_noopt", records, Texts(tokenizer), Lengths(limit, 4), seed)
    assert len(table) + len(left_out) == len(rows)
    for line in table.to_pylist():
        question, _ = rows[line["row"] - 100]
        assert line["exemplars"]
        assert line["row"] not in line["exemplars"]
        assert question not in {rows[row - 100][0] for row in line["exemplars"]}
        assert len(line["input_ids"]) <= limit and len(line["target_ids"]) <= 4
        assert line["input_ids"][-1] == line["target_ids"][-1] == EOS_ID


def test_token_ids_of_the_parts_are_those_of_the_joined_text(few_tasks, tokenizer):
    for task, setting, records in every(few_tasks):
        for line in make_examples(task, setting, records, Texts(tokenizer), LONG, 0)[0].to_pylist():
            assert line["input_ids"] == [*tokenizer.encode([line["inputs"]])[0], EOS_ID]
            assert line["target_ids"] == [*tokenizer.encode([line["targets"]])[0], EOS_ID]
            assert not line["truncated"]


def test_pruning_keeps_the_last_exemplars_and_the_query(few_tasks, tokenizer):
    pruned = 0
    for task, setting, records in every(few_tasks, "fs"):
        long, _ = make_examples(task, setting, records, Texts(tokenizer), LONG, 0)
        short, left_out = make_examples(task, setting, records, Texts(tokenizer), Lengths(100, 512), 0)
        whole = {line["row"]: line for line in long.to_pylist()}
        assert {reason for _, reason in left_out} <= {"no exemplar fits the length limit"}
        assert {*short["row"].to_pylist(), *(row for row, _ in left_out)} == {*long["row"].to_pylist()}
        for line in short.to_pylist():
            before = whole[line["row"]]
            kept = len(line["exemplars"])
            assert kept > 0 and line["exemplars"] == before["exemplars"][-kept:]
            assert len(line["input_ids"]) <= 100 and not line["truncated"]
            assert line["targets"] == before["targets"]
            pruned += kept < len(before["exemplars"])
    assert pruned > 20


def test_what_is_too_long_by_itself_is_cut_and_marked(few_tasks, tokenizer):
    task, setting, records = next(every(few_tasks, "zs"))
    whole, _ = make_examples(task, setting, records, Texts(tokenizer), LONG, 0)
    cut, _ = make_examples(task, setting, records, Texts(tokenizer), Lengths(10, 2), 0)
    for before, line in zip(whole.to_pylist(), cut.to_pylist(), strict=True):
        assert line["truncated"] and line["input_ids"] == [*before["input_ids"][:9], EOS_ID]
        assert len(line["target_ids"]) == 2 and line["inputs"] == before["inputs"]


def test_a_text_that_just_fits_is_not_marked(tokenizer):
    records = Records([0], [{"question": "who", "answer": "no"}])
    (line,) = make_examples(QUESTIONS, "zs_noopt", records, Texts(tokenizer), LONG, 0)[0].to_pylist()
    exact = Lengths(len(line["input_ids"]), len(line["target_ids"]))
    assert make_examples(QUESTIONS, "zs_noopt", records, Texts(tokenizer), exact, 0)[0].to_pylist() == [line]
    shorter = Lengths(exact.input - 1, exact.target)
    assert make_examples(QUESTIONS, "zs_noopt", records, Texts(tokenizer), shorter, 0)[0]["truncated"].to_pylist() == [
        True
    ]


def test_a_single_row_has_no_exemplar(tokenizer):
    records = Records([0], [{"question": "who", "answer": "me"}])
    table, left_out = make_examples(QUESTIONS, "fs_noopt", records, Texts(tokenizer), LONG, 0)
    assert len(table) == 0 and left_out == [(0, "no other row to draw an exemplar from")]


def test_draws_depend_on_seed_task_and_setting_only(few_tasks, tokenizer):
    task, setting, records = next(every(few_tasks, "fs"))
    first = make_examples(task, setting, records, Texts(tokenizer), LONG, 0)[0]
    assert first.equals(make_examples(task, setting, records, Texts(tokenizer), LONG, 0)[0])
    assert not first.equals(make_examples(task, setting, records, Texts(tokenizer), LONG, 1)[0])
    other = make_examples(replace(task, name="other"), setting, records, Texts(tokenizer), LONG, 0)[0]
    assert not first.equals(other)


def test_a_vocabulary_beyond_16_bits_is_a_user_error(tokenizer):
    class Large(Tokenizer):
        vocabulary_size = 2**16 + 128

    with pytest.raises(UserError, match="16-bit"):
        make_examples(QUESTIONS, "zs_noopt", Records([], []), Texts(Large(tokenizer.path)), LONG, 0)


def test_stored_examples_respect_the_lengths_of_the_build(build):
    for shard in build.shards:
        table = read_shard(build.home / shard.path)
        assert max(map(len, table["input_ids"].to_pylist())) <= build.lengths.input
        assert max(map(len, table["target_ids"].to_pylist())) <= build.lengths.target


# --- few-shot prompts of every template set: no target leaks, and what is recorded is what the text shows ---

SETS = {name: family for name, family in templates().items() if not name.startswith("mini_")}
FEW_WORDS = st.sampled_from(["red", "blue", "red ", "the {text}", "a\u0301 ☃"])


@st.composite
def few_shot_cases(draw):
    """A task of some template set, records whose inputs are often alike, and a few-shot setting."""
    name = draw(st.sampled_from(sorted(SETS)))
    needed = frozenset().union(*(template.fields for template in SETS[name].few_shot))
    inputs = sorted(needed - {"options", "letter", "answer"})
    with_options = "options" in needed and draw(st.booleans())
    records = []
    for i in range(draw(st.integers(1, 9))):
        record = {field: draw(FEW_WORDS) for field in inputs}
        # without options every answer is the only one of its kind, so that it can be looked for
        record["answer"] = f"answer {i} ends"
        if with_options:
            record["options"] = ("yes", "no", *(("perhaps",) if draw(st.booleans()) else ()))
            record["answer"] = draw(st.sampled_from(record["options"]))
        records.append(record)
    rows = sorted(draw(st.sets(st.integers(0, 10**6), min_size=len(records), max_size=len(records))))
    fields = {field: Column(field) for field in records[0]}
    task = Task("made_up", "flan2021", QUESTIONS.data, fields, name, inverted=name.endswith("_inverted"))
    setting = draw(st.sampled_from(["fs_opt", "fs_noopt"]))
    return task, setting, Records(rows, records), draw(st.integers(0, 2**32))


def are_alike(task, word, style, query, other):
    """Whether one record would give the answer to another away, asked by a wording."""
    pieces = [render(word, record, style) for record in (query, other)]
    if task.inverted:
        return pieces[0] == pieces[1]
    asked = wording(word.template, with_options=False).input
    again = word.with_options and asked.fill(query) == asked.fill(other) and query["answer"] == other["answer"]
    return again or pieces[0].input == pieces[1].input


@settings(max_examples=250, deadline=None)
@given(few_shot_cases())
def test_no_target_leaks_and_exemplars_are_those_on_record(tokenizer, case):
    task, setting, records, seed = case
    by_row = dict(zip(records.rows, records.records, strict=True))
    words = wordings(SETS[task.templates].few_shot, setting == "fs_opt" and task.has_options)
    word_at = {word.position: word for word in words}
    table, left_out = make_examples(task, setting, records, Texts(tokenizer), LONG, seed)
    assert {reason for _, reason in left_out} <= {"no other row to draw an exemplar from"}
    assert sorted([*table["row"].to_pylist(), *(row for row, _ in left_out)]) == records.rows
    for line in table.to_pylist():
        word, style = word_at[line["template"]], STYLE[line["style"]]
        row, exemplars = line["row"], line["exemplars"]
        query = render(word, by_row[row], style)
        alike = {other for other in by_row if are_alike(task, word, style, by_row[row], by_row[other])}
        # each row once, and none that reads like the query
        assert 1 <= len(exemplars) <= max(EXEMPLAR_COUNTS) and len(set(exemplars)) == len(exemplars)
        assert row in alike and not alike & set(exemplars) and set(exemplars) <= set(by_row)
        # no text of an answer to the query's input stands anywhere in the prompt
        if not task.has_options and not task.inverted:
            assert not [other for other in alike if by_row[other]["answer"] in line["inputs"]]
            assert by_row[row]["answer"] in line["targets"]
        # the prompt is what its provenance says, to the letter
        between = word.template.between
        family = SETS[task.templates].few_shot
        shown = []
        for exemplar, template in zip(exemplars, line["exemplar_templates"], strict=True):
            other = wording(family[template], bool(line["exemplar_style"]))
            piece = render(other, by_row[exemplar], STYLE[line["exemplar_style"]])
            assert other.by_letter == word.by_letter
            shown.append(f"{piece.input}{between}{piece.target}")
        told = [instruction(word, by_row[row])] if word.template.instruction else []
        before, after = (told, []) if word.template.place == "before" else ([], told)
        assert line["inputs"] == word.template.separator.join([*before, *shown, *after, query.input])
        assert not task.inverted or set(line["exemplar_templates"]) == {line["template"]}
        assert line["targets"] == query.target


@settings(max_examples=60, deadline=None)
@given(few_shot_cases(), st.data())
def test_pruning_keeps_the_nearest_exemplars_and_as_many_as_fit(tokenizer, case, data):
    task, setting, records, seed = case
    whole, _ = make_examples(task, setting, records, Texts(tokenizer), LONG, seed)
    if not len(whole):
        return
    line = data.draw(st.sampled_from(whole.to_pylist()))

    def exemplars(limit):
        table, _ = make_examples(task, setting, records, Texts(tokenizer), Lengths(limit, 512), seed)
        return {made["row"]: made["exemplars"] for made in table.to_pylist()}.get(line["row"], [])

    needed = len(line["input_ids"])
    assert exemplars(needed) == line["exemplars"]
    assert exemplars(needed - 1) == line["exemplars"][1:]
    shorter = exemplars(data.draw(st.integers(1, needed)))
    assert shorter == line["exemplars"][len(line["exemplars"]) - len(shorter) :]
