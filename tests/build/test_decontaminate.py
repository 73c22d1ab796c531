"""Decontamination: what is flagged, what is not, and that a build leaves it out."""

import json
import os
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flannb.build import Mini, Mirror, build_data, open_build, open_source, read_records, read_shard
from flannb.build.contamination import find_overlap, write_overlap
from flannb.build.data import build_key
from flannb.build.decontaminate import MOST_ROWS, NGRAM, EvaluationText, question_of
from flannb.build.ngrams import normalised
from flannb.build.records import Records
from flannb.collection import EvalTask, Split, Task, eval_tasks, tasks
from flannb.collection.cot import FIELDS, cot_file
from flannb.collection.task import Column
from flannb.errors import UserError
from flannb.files import read_json

MIRROR = Path(os.environ.get("FLANNB_MIRROR") or Path(__file__).parents[2] / "../shared/mirror")
LONG = "a b c d e f g h i j k l m"  # 13 words
SHORT = "Where do white mice live?"


def evaluation(*texts, name="cot/test"):
    return EvaluationText([(name, Records(list(range(len(texts))), [{"question": text} for text in texts]))])


def flagged(index, *texts):
    return index.matches([{"question": text} for text in texts])


def test_thirteen_words_in_common_flag_a_row():
    found = flagged(evaluation("x " + LONG), f"So: {LONG.upper()}, and more", LONG[:-2], "something else")
    assert list(found) == [0]
    assert found[0].words == LONG and not found[0].whole and found[0].sets == ("cot/test",)


def test_twelve_words_in_common_do_not():
    assert not flagged(evaluation(f"{LONG} n"), "a b c d e f g h i j k l and m")


def test_an_ngram_does_not_reach_over_two_fields():
    words = LONG.split()
    record = {"question": " ".join(words[:6]), "answer": " ".join(words[6:])}
    assert not evaluation(LONG).matches([record])
    assert evaluation(LONG).matches([{"question": "?", "options": ("no", LONG)}])


def test_a_short_question_is_found_as_a_whole_line():
    index = evaluation(f"{SHORT}\nOptions:\n- bell\n- cat")
    found = flagged(
        index, "where do white mice live", f"Q:\n{SHORT}\nOptions:\n- a", f"Tell me: {SHORT}", "where do mice live"
    )
    assert list(found) == [0, 1] and found[0].whole and found[0].words == "where do white mice live"


def test_a_question_of_eight_words_is_found_inside_a_text():
    question = "why do the white mice live in cages"
    assert flagged(evaluation(question), f"Tell me, {question}, please")


def test_questions_of_two_words_are_not_looked_for():
    assert not flagged(evaluation("Why not?"), "Why not?")


def test_what_many_rows_share_is_boilerplate():
    question = "Which of these is true?"
    common = [f"{LONG} {i} {j}" for i in range(MOST_ROWS) for j in "x"]
    assert flagged(evaluation(*common, *[question] * MOST_ROWS), LONG, question).keys() == {0, 1}
    common.append(f"{LONG} more")
    assert not flagged(evaluation(*common, *[question] * (MOST_ROWS + 1)), LONG, question)


def test_a_row_names_all_sets_whose_text_it_holds():
    sets = [(name, Records([7], [{"question": f"{LONG} {name}"}])) for name in ("mmlu/a", "bbh/b")]
    match = flagged(EvaluationText(sets), LONG)[0]
    assert set(match.sets) == {"mmlu/a", "bbh/b"} and match.row == 7
    assert match.reason == f"shares a 13-gram with {match.sets[0]}"


def test_nothing_to_compare_with_flags_nothing():
    assert EvaluationText([]).matches([{"question": LONG}]) == {}
    assert evaluation(LONG).matches([]) == {}


def test_the_question_of_a_row_without_one_is_its_texts():
    assert question_of({"premise": "a", "hypothesis": "b", "answer": "no", "options": ("no",)}) == "a\nb"


some_text = st.lists(st.sampled_from(["a", "B", "c,"]), max_size=18).map(" ".join)


@settings(deadline=None)
@given(st.lists(some_text, max_size=4), st.lists(some_text, min_size=1, max_size=4))
def test_ngrams_agree_with_the_plain_definition(scored, training):
    def grams(text):
        words = normalised(text).split()
        return {tuple(words[i : i + NGRAM]) for i in range(len(words) - NGRAM + 1)}

    rows = Counter(gram for text in scored for gram in grams(text))
    assert all(n <= MOST_ROWS for n in rows.values())
    found = flagged(evaluation(*scored), *training) if scored else {}
    assert [i for i, m in found.items() if not m.whole] == [i for i, t in enumerate(training) if grams(t) & set(rows)]


# --- builds and reports -----------------------------------------------------------------------------------------------


@pytest.fixture
def small(tmp_path):
    """A mirror folder with one training and one evaluation set, two of whose questions are training questions."""
    folder = tmp_path / "mirror"
    data, scored = Split("o/train", "default", "train"), Split("o/eval", "default", "test")
    questions = [f"{LONG} {i}" if i in (3, 5) else f"what is {i} plus {i}" for i in range(12)]
    for split, column in ((data, questions), (scored, [f"{LONG} said", "who is she"])):
        path = folder / str(split) / "0000.parquet"
        path.parent.mkdir(parents=True)
        pq.write_table(pa.table({"question": column, "answer": ["one"] * len(column)}), path)
    fields = {"question": Column("question"), "answer": Column("answer")}
    task = Task("t", "cot", data, fields | {"rationale": Column("answer")}, "cot")
    return Mirror(folder), task, EvalTask("e", "cot", scored, fields, "cot", "text")


@pytest.fixture
def one_set(small, monkeypatch):
    for module in ("data", "plan"):
        monkeypatch.setattr(f"flannb.build.{module}.eval_tasks", lambda collection, suites: (small[2],))
    return small[:2]


def test_a_build_leaves_contaminated_rows_out_and_counts_them(one_set, build_options, tmp_path):
    source, task = one_set
    clean = open_build(build_data(source, (task,), replace(build_options, drop_contaminated=True), tmp_path / "b"))
    whole = open_build(build_data(source, (task,), build_options, tmp_path / "b"))
    assert clean.key != whole.key and clean.home != whole.home
    rows = {row for s in clean.shards for row in read_shard(clean.home / s.path)["row"].to_pylist()}
    exemplars = {
        row for s in clean.shards for some in read_shard(clean.home / s.path)["exemplars"].to_pylist() for row in some
    }
    assert rows == set(range(12)) - {3, 5} and exemplars <= rows
    [entry] = read_json(clean.home / "report.json")["t"]["unusable"]
    assert (entry["reason"], entry["count"]) == ("shares a 13-gram with cot/e", 2)
    assert [place["row"] for place in entry["first"]] == [4, 6]
    assert {s.records for s in whole.shards} == {12} and {s.records for s in clean.shards} == {10}


def test_a_task_of_contaminated_rows_alone_has_no_shards(one_set, build_options, tmp_path):
    source, task = one_set
    other = replace(task, name="other", where=("question", f"{LONG} 3"))
    options = replace(build_options, drop_contaminated=True)
    build = open_build(build_data(source, (task, other), options, tmp_path / "b"))
    assert {s.task for s in build.shards} == {"t", "t_inverted"}
    [entry] = read_json(build.home / "report.json")["other"]["unusable"]
    assert (entry["reason"], entry["count"]) == ("shares a 13-gram with cot/e", 1)


def test_the_key_of_a_clean_build_follows_the_evaluation_rows(one_set, build_options):
    source, task = one_set
    options = replace(build_options, drop_contaminated=True)
    clean, whole = build_key(source, (task,), options), build_key(source, (task,), build_options)
    pq.write_table(pa.table({"question": ["new"], "answer": ["1"]}), source.root / "o/eval/default/test/0000.parquet")
    assert build_key(source, (task,), options) != clean and build_key(source, (task,), build_options) == whole


def test_the_report_names_tasks_rows_sets_and_what_was_not_checked(small, tmp_path):
    source, task, scored = small
    gone = replace(task, name="gone", data=Split("o/none", "default", "train"))
    lacking = replace(scored, name="f", data=Split("o/none", "default", "test"))
    write_overlap(find_overlap(source, (task, gone), (scored, lacking)), tmp_path / "r")
    table = pd.read_csv(tmp_path / "r/contamination.csv")
    assert table["flagged"].tolist() == [2, 0] and table["rows"].tolist() == [12, 0]
    assert json.loads(table["evaluation_sets"][0]) == {"cot/e": 2} and "no such data" in table["skipped"][1]
    flagged_rows = pd.read_csv(tmp_path / "r/flagged.csv")
    assert flagged_rows["row"].tolist() == [3, 5] and set(flagged_rows["words"]) == {LONG}
    report = read_json(tmp_path / "r/contamination.json")
    assert report["evaluation_rows"] == {"cot/e": 2} and len(report["tasks"][0]["examples"]) == 2
    page = (tmp_path / "r/contamination.md").read_text()
    assert "| t | 12 | 2 | 16.67% | cot/e (2) |" in page and "cot/f" in page and "1 tasks" in page


def test_tasks_that_share_a_file_are_checked_in_one_stream_through_it(tmp_path, monkeypatch):
    folder = tmp_path / "o/train/default/train"
    folder.mkdir(parents=True)
    rows = [{"kind": "ab"[i % 2], "question": f"row {i}", "answer": "x"} for i in range(10)]
    rows[3]["question"] = rows[4]["question"] = LONG
    rows[5]["question"] = None
    for i, some in enumerate((rows[:4], rows[4:])):
        pq.write_table(pa.Table.from_pylist(some), folder / f"{i:04d}.parquet")
    data, fields = Split("o/train", "default", "train"), {name: Column(name) for name in ("question", "answer")}
    a, b, c = (Task(name, "flan2021", data, fields, "mini_question", where=("kind", name)) for name in "abc")
    evaluation = tmp_path / "o/eval/default/test"
    evaluation.mkdir(parents=True)
    pq.write_table(pa.table({"question": [LONG], "answer": ["1"]}), evaluation / "0000.parquet")
    scored = EvalTask("e", "cot", Split("o/eval", "default", "test"), fields, "mini_question", "text")
    read = []
    stream = Mirror.stream
    monkeypatch.setattr("flannb.build.sources.BATCH_ROWS", 3)
    monkeypatch.setattr(Mirror, "stream", lambda *args: read.append(args[1]) or stream(*args))
    found = find_overlap(Mirror(tmp_path), (c, a, b), (scored,)).tasks
    assert read.count(data) == 1 and [entry.task.name for entry in found] == ["c", "a", "b"]
    assert "has no usable row" in found[0].skipped
    assert [(entry.rows, list(entry.flagged)) for entry in found[1:]] == [(5, [4]), (4, [3])]


def test_a_source_without_evaluation_sets_is_a_user_error(small):
    source, task, scored = small
    with pytest.raises(UserError, match="holds no evaluation set"):
        find_overlap(source, (task,), (replace(scored, data=Split("o/none", "default", "test")),))


def test_every_task_of_the_embedded_collection_can_be_checked():
    found = find_overlap(Mini(), tasks("mini"), eval_tasks("mini"))
    assert not found.absent and not any(entry.skipped for entry in found.tasks)


needs_mirror = pytest.mark.skipif(
    not MIRROR.is_dir(), reason=f"no mirror of the datasets at {MIRROR}; name one in FLANNB_MIRROR"
)


@needs_mirror
def test_ecqa_asks_validation_questions_of_commonsense_qa():
    """The fact that ``flannb.collection.cot`` states, counted here by equal strings."""
    source = open_source(str(MIRROR))
    scored = [task for task in eval_tasks("flan2022") if (task.suite, task.name) == ("cot", "commonsense_qa")]
    asked = read_records(source, scored[0].data, scored[0].fields).records
    records = read_records(source, cot_file("ecqa"), FIELDS)

    def key(record):
        return re.sub(r"[\W_]+", " ", question_of(record).lower()).strip()

    questions = {key(record) for record in asked}
    same = {i for i, record in enumerate(records.records) if key(record) in questions}
    found = EvaluationText.read(source, scored).matches(records.records)
    assert len(same) >= 723 and same <= set(found)
    short = {i for i in same if found[i].whole}
    assert short  # 13-grams alone would have missed these
