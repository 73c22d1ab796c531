"""Builds: a pure function of what goes in, resumable, with an index that tells everything."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

import flannb
from flannb.build import (
    INVERTED_SHARE,
    Mini,
    Mirror,
    build_data,
    invert,
    missing_tasks,
    open_build,
    read_records,
    read_shard,
    with_inversions,
)
from flannb.build.data import ABOUT_EVALUATION, APART, build_key
from flannb.collection import SUBMIXTURES, RawFile, Split, Task, templates
from flannb.collection.task import Column, Constant
from flannb.collection.template import parse
from flannb.errors import UserError
from flannb.files import read_json, sha256

FEW = ("natural_questions", "ni_sense", "mbpp")


@pytest.fixture
def three(few_tasks):
    return tuple(task for task in few_tasks if task.name in FEW)


def contents(index):
    return {str(p.relative_to(index.parent)): p.read_bytes() for p in index.parent.rglob("*") if p.is_file()}


def test_the_same_inputs_give_the_same_bytes(three, build_options, tmp_path):
    first = build_data(Mini(), three, build_options, tmp_path / "a")
    second = build_data(Mini(), three, build_options, tmp_path / "b")
    assert first.parent.name == second.parent.name
    assert contents(first) == contents(second)


def test_another_seed_gives_another_build(three, build_options, tmp_path):
    first = build_data(Mini(), three, build_options, tmp_path)
    second = build_data(Mini(), three, replace(build_options, seed=1), tmp_path)
    assert first.parent.name != second.parent.name
    one, other = contents(first), contents(second)
    shards = [name for name in one if name.endswith(".arrow")]
    assert shards and all(one[name] != other[name] for name in shards)


def test_the_modules_that_do_not_name_a_build_are_there():
    """A wrong name here would bring back new names for builds whose bytes are the same."""
    for module in (*APART, *ABOUT_EVALUATION):
        assert (Path(flannb.__file__).parent / module).is_file(), module


def test_a_killed_build_goes_on_to_the_same_bytes(three, build_options, tmp_path):
    index = build_data(Mini(), three, build_options, tmp_path)
    before = contents(index)
    shards = sorted(index.parent.rglob("*.arrow"))
    index.unlink()
    shards[0].unlink()
    shards[1].write_bytes(b"half")
    kept = shards[-1].stat().st_mtime_ns
    done = []
    again = build_data(Mini(), three, build_options, tmp_path, lambda task, i, n: done.append((task, i, n)))
    assert contents(again) == before
    assert shards[-1].stat().st_mtime_ns == kept  # what was whole is not made again
    assert [i for _, i, _ in done] == list(range(len(done))) and done[-1][0] == ""


def test_a_finished_build_is_not_touched(three, build_options, tmp_path):
    index = build_data(Mini(), three, build_options, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in index.parent.rglob("*")}
    called = []
    assert build_data(Mini(), three, build_options, tmp_path, lambda *state: called.append(state)) == index
    assert {path: path.stat().st_mtime_ns for path in index.parent.rglob("*")} == before and not called


@pytest.mark.parametrize("damage", ["gone", "cut", "longer"])
def test_a_shard_that_is_not_as_the_index_says_is_built_again(damage, three, build_options, tmp_path):
    index = build_data(Mini(), three, build_options, tmp_path)
    before = contents(index)
    shard = sorted(index.parent.rglob("*.arrow"))[0]
    if damage == "gone":
        shard.unlink()
    else:
        shard.write_bytes(shard.read_bytes()[:-100] if damage == "cut" else shard.read_bytes() + b"more")
    build_data(Mini(), three, build_options, tmp_path)
    assert contents(index) == before


def test_the_index_tells_the_truth(build, few_tasks, build_options):
    assert build.source == build.collection == "mini"
    assert build.lengths == build_options.lengths and build.vocabulary_size % 128 == 0
    assert {shard.task for shard in build.shards} == {task.name for task in with_inversions(few_tasks)}
    for shard in build.shards:
        table = read_shard(build.home / shard.path)
        assert sha256(build.home / shard.path) == shard.sha256
        assert shard.examples == len(table) and shard.records <= build_options.rows_per_task
        assert shard.tokens == sum(len(line["input_ids"]) + len(line["target_ids"]) for line in table.to_pylist())
    for task in with_inversions(few_tasks):
        found = {shard.setting for shard in build.shards if shard.task == task.name}
        assert found <= set(SUBMIXTURES[task.submixture].settings)


def test_rows_left_out_are_counted(build):
    report = read_json(build.home / "report.json")
    for shard in build.shards:
        entry = report[shard.task]
        setting = entry["settings"][shard.setting]
        assert setting["examples"] == shard.examples and entry["records"] == shard.records
        assert shard.examples + sum(item["count"] for item in setting["left_out"]) == shard.records
        assert entry["records"] + sum(item["count"] for item in entry["unusable"]) + entry["not_drawn"] == entry["rows"]


def test_a_given_tokenizer_is_used_instead_of_a_trained_one(three, build_options, tokenizer, tmp_path):
    index = build_data(Mini(), three, replace(build_options, tokenizer=str(tokenizer.path)), tmp_path)
    opened = open_build(index)
    assert opened.tokenizer_path.parent == index.parent and opened.vocabulary_size == tokenizer.vocabulary_size
    assert opened.tokenizer_path.read_bytes() == tokenizer.path.read_bytes()


def test_a_given_tokenizer_that_is_damaged_in_the_build_is_put_there_again(three, build_options, tokenizer, tmp_path):
    options = replace(build_options, tokenizer=str(tokenizer.path))
    copy = open_build(build_data(Mini(), three, options, tmp_path)).tokenizer_path
    copy.write_bytes(tokenizer.path.read_bytes().replace(b"the", b"thx", 1))
    build_data(Mini(), three, options, tmp_path)
    assert copy.read_bytes() == tokenizer.path.read_bytes()


def test_a_key_follows_whatever_a_task_reads_and_shows(three, build_options):
    task = three[0]
    others = [
        replace(task, fields={name: Constant("x") for name in task.fields}),
        replace(task, where=("kind", "a")),
        replace(task, where=("kind", "b")),
        replace(task, templates="other"),
        replace(task, submixture="own"),
    ]
    keys = [build_key(Mini(), (each,), build_options) for each in (task, *others)]
    assert len(set(keys)) == len(keys)
    assert keys[0] == build_key(Mini(), (replace(task),), build_options)


def test_where_a_given_tokenizer_lies_does_not_matter(three, build_options, tokenizer, tmp_path):
    copy = tmp_path / "copy.model"
    copy.write_bytes(tokenizer.path.read_bytes())
    keys = {
        build_key(Mini(), three, replace(build_options, tokenizer=str(path)))
        for path in (tokenizer.path, copy, Path(os.path.relpath(copy)))
    }
    assert len(keys) == 1 and build_key(Mini(), three, build_options) not in keys


def test_tasks_may_choose_their_rows_of_a_file_by_different_columns_of_any_type(build_options, tmp_path):
    rows = [{"q": f"who {i}?", "a": str(i), "language": "ab"[i % 2], "label": i % 3} for i in range(12)]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    fields = {"question": Column("q"), "answer": Column("a")}
    first, second = (
        Task(name, "own", RawFile("rows.json"), fields, "mini_question", where=where)
        for name, where in (("first", ("language", "b")), ("second", ("label", "2")))
    )
    source = Mirror(tmp_path)
    assert not missing_tasks(source, (first, second))
    made = open_build(build_data(source, (first, second), build_options, tmp_path / "out"))
    read = {shard.task: read_shard(made.home / shard.path)["row"].to_pylist() for shard in made.shards}
    assert read == {"first": [1, 3, 5, 7, 9, 11], "second": [2, 5, 8, 11]}
    for task in (first, second):
        assert read_records(source, task.data, fields, task.where).rows == read[task.name]


def test_no_tasks_is_a_user_error(build_options, tmp_path):
    with pytest.raises(UserError, match="holds none"):
        build_data(Mirror(tmp_path), (), build_options, tmp_path / "out")


def test_unreadable_data_names_the_task(three, build_options, tmp_path):
    gone = replace(three[0], data=Split("mini/none", "default", "train"))
    assert missing_tasks(Mini(), [*three, gone]) == [gone]
    folder = tmp_path / str(gone.data)
    folder.mkdir(parents=True)
    (folder / "0000.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match=rf"task {gone.name}: .*0000\.parquet"):
        build_data(Mirror(tmp_path), (gone,), build_options, tmp_path / "out")


@pytest.mark.parametrize("damage", ["missing", "not json", "not an index"])
def test_a_damaged_index_is_a_user_error_that_names_it(damage, tmp_path):
    index = tmp_path / "index.json"
    if damage != "missing":
        index.write_text("{" if damage == "not json" else '{"key": 1}')
    with pytest.raises(UserError, match=r"index\.json"):
        open_build(index)


def test_only_the_submixtures_of_the_paper_are_inverted(few_tasks):
    twins = [task for task in with_inversions(few_tasks) if task.inverted]
    assert {task.submixture for task in twins} == {"cot", "dialog", "program_synthesis"}
    assert len(twins) == sum(SUBMIXTURES[task.submixture].inverted for task in few_tasks)
    assert INVERTED_SHARE == 3 / 10


def test_a_twin_has_the_same_rows_and_asks_for_what_was_given(few_tasks):
    for task in few_tasks:
        if not SUBMIXTURES[task.submixture].inverted:
            continue
        twin = invert(task)
        assert twin.data == task.data and twin.inverted and not twin.held_in and not twin.has_options
        given = {name for t in templates()[task.templates].zero_shot for _, name in parse(t.input) if name} - {
            "options"
        }
        asked = {name for t in templates()[twin.templates].zero_shot for _, name in parse(t.target) if name}
        assert given & asked
