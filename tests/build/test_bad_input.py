"""Bad input: every source row is an example or in the report; what is wrong with a data set names task and file."""

import json
from collections import Counter
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import flannb.build.data as data_module
import flannb.build.parts as parts_module
import flannb.build.records as records_module
from flannb.build import BuildOptions, Lengths, Mirror, build_data, open_build, read_shard
from flannb.build.parts import bundle
from flannb.collection import RawFile, Split, Task
from flannb.collection.task import Apply, Column, Constant, Label, Options
from flannb.errors import UserError
from flannb.files import read_json

SPLIT = Split("owner/set", "default", "train")
RAW = RawFile("github/owner/repo/rows.tsv", ("question", "answer"))
FIELDS = {"question": Column("question"), "answer": Column("answer")}
QUESTIONS = Task("questions", "flan2021", SPLIT, FIELDS, "mini_question")
LINES = replace(QUESTIONS, name="lines", data=RAW)
LABELS = replace(
    QUESTIONS,
    name="labels",
    fields={
        "question": Column("question"),
        "options": Constant(("no", "yes")),
        "answer": Label("label", ("no", "yes")),
    },
)


@pytest.fixture
def options(tokenizer):
    return BuildOptions(Lengths(64, 16), 10_000, 0, seed=0, tokenizer=str(tokenizer.path))


def parquet(root, table, name="0000"):
    path = root / "mirror" / str(SPLIT) / f"{name}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    return Mirror(root / "mirror")


def tsv(root, content):
    path = root / "mirror" / str(RAW)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return Mirror(root / "mirror")


def build(source, task, options, tmp_path):
    """The report on a task, and the rows of its examples by setting."""
    index = build_data(source, (task,), options, tmp_path / "build", count=1)
    rows = {}
    for shard in open_build(index).shards:
        rows[shard.setting] = read_shard(index.parent / shard.path)["row"].to_pylist()
    return read_json(index.parent / "report.json")[task.name], rows


def reasons(entry):
    return {item["reason"]: (item["count"], [place["row"] for place in item["first"]]) for item in entry}


def test_rows_that_cannot_be_used_are_listed_with_file_and_row(options, tmp_path):
    table = pa.table({"question": ["who?", None, "  ", "why?", "when?"], "label": [0, 1, 1, 7, None]})
    parquet(tmp_path, pa.table({"question": ["which?"], "label": [-1]}), "0001")
    source = parquet(tmp_path, table)
    report, rows = build(source, LABELS, options, tmp_path)
    assert reasons(report["unusable"]) == {"empty question": (2, [2, 3]), "label out of range": (3, [4, 5, 1])}
    files = [place["file"] for item in report["unusable"] for place in item["first"]]
    assert [file[-12:] for file in files] == ["0000.parquet"] * 4 + ["0001.parquet"]
    assert report["rows"] == 6 and report["records"] == 1 and rows["zs_opt"] == [0]
    assert "fs_opt" not in rows and reasons(report["settings"]["fs_opt"]["left_out"]) == {
        "no other row to draw an exemplar from": (1, [1])
    }


def test_broken_unicode_costs_its_row_only(options, tmp_path):
    broken = pa.array([b"who?", b"wh\xff?", b"\xf0\x9f\x98\x80?"], pa.binary())
    questions = pa.StringArray.from_buffers(3, broken.buffers()[1], broken.buffers()[2])
    source = parquet(tmp_path, pa.table({"question": questions, "answer": ["a", "b", "c"]}))
    report, rows = build(source, QUESTIONS, options, tmp_path)
    assert reasons(report["unusable"]) == {"broken Unicode in question": (1, [2])} and rows["zs_noopt"] == [0, 2]


def test_lines_of_a_table_that_cannot_be_read_cost_themselves_only(options, tmp_path):
    source = tsv(tmp_path, b"who?\tme\nwhat\nwhen?\tnow\tthen\n\nwh\xc3?\tb\nwhy?\t\r\nwhere?\there\r\n")
    report, rows = build(source, LINES, options, tmp_path)
    assert reasons(report["unusable"]) == {
        "1 columns instead of 2": (2, [2, 4]),
        "3 columns instead of 2": (1, [3]),
        "broken Unicode": (1, [5]),
        "empty answer": (1, [6]),
    }
    assert rows["zs_noopt"] == [0, 6] and report["rows"] == 7


def test_objects_of_a_list_that_cannot_be_read_cost_themselves_only(options, tmp_path):
    task = replace(QUESTIONS, data=RawFile("rows.json"))
    content = [{"question": "who?", "answer": "me"}, {"question": "a \ud800", "answer": "b"}, 7, {"question": "why?"}]
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / "rows.json").write_text(json.dumps(content))
    report, rows = build(Mirror(tmp_path / "mirror"), task, options, tmp_path)
    assert reasons(report["unusable"]) == {
        "broken Unicode": (1, [2]),
        "not an object": (1, [3]),
        "empty answer": (1, [4]),
    }
    assert rows["zs_noopt"] == [0]


def test_a_field_that_fails_on_a_value_costs_the_row(options, tmp_path):
    fields = {**FIELDS, "answer": Apply(lambda text: str(int(text) + 1), ("answer",))}
    source = parquet(tmp_path, pa.table({"question": ["a", "b", "c"], "answer": ["1", "x", None]}))
    report, rows = build(source, replace(QUESTIONS, fields=fields), options, tmp_path)
    assert reasons(report["unusable"]) == {
        "answer cannot be read from answer (TypeError)": (1, [3]),
        "answer cannot be read from answer (ValueError)": (1, [2]),
    }
    assert rows["zs_noopt"] == [0]


def test_a_row_longer_than_any_limit_is_reported_and_a_long_one_cut(options, tmp_path, monkeypatch):
    monkeypatch.setattr(records_module, "LONGEST_TEXT", 1000)
    table = pa.table({"question": ["why " * 300, "why " * 200, "why?"], "answer": ["a", "b", "c"]})
    report, rows = build(parquet(tmp_path, table), QUESTIONS, options, tmp_path)
    assert reasons(report["unusable"]) == {"question longer than 1,000 characters": (1, [1])}
    assert rows["zs_noopt"] == [1, 2] and report["settings"]["zs_noopt"]["truncated"] == 1


def test_options_longer_than_any_limit_together_are_reported(options, tmp_path, monkeypatch):
    monkeypatch.setattr(records_module, "LONGEST_TEXT", 1000)
    fields = {"question": Column("question"), "options": Options("options"), "answer": Constant("a")}
    table = pa.table({"question": ["why?", "who?"], "options": [["a", "b " * 600], ["a", "b"]]})
    report, rows = build(parquet(tmp_path, table), replace(LABELS, fields=fields), options, tmp_path)
    assert reasons(report["unusable"]) == {"options longer than 1,000 characters": (1, [1])}
    assert rows["zs_opt"] == [1]


def test_a_template_s_own_placeholders_are_text(options, tmp_path):
    marks = ["{question}", "{answer} {0} {}", "%s %(answer)s %%", "{options}"]
    source = parquet(tmp_path, pa.table({"question": marks, "answer": ["{question}", "%d", "{", "}"]}))
    index = build_data(source, (QUESTIONS,), options, tmp_path / "build", count=1)
    table = read_shard(index.parent / "flan2021" / "questions.zs_noopt.arrow").to_pylist()
    assert [line["targets"] for line in table] == ["{question}", "%d", "{", "}"]
    assert all(mark in line["inputs"] for mark, line in zip(marks, table, strict=True))


def test_changed_columns_name_task_file_and_columns(options, tmp_path):
    source = parquet(tmp_path, pa.table({"query": ["a"], "answer": ["b"]}))
    message = r"task questions: .*0000\.parquet: lacks column 'question'; it has 'query', 'answer'"
    with pytest.raises(UserError, match=message):
        build_data(source, (QUESTIONS,), options, tmp_path / "build", count=1)


def test_an_empty_split_names_task_and_file(options, tmp_path):
    empty = pa.table({"question": pa.array([], pa.string()), "answer": pa.array([], pa.string())})
    with pytest.raises(UserError, match=r"task questions: .*the split is empty.*0000\.parquet"):
        build_data(parquet(tmp_path, empty), (QUESTIONS,), options, tmp_path / "build", count=1)


def test_a_task_without_a_usable_row_names_task_reasons_file_and_row(options, tmp_path):
    source = parquet(tmp_path, pa.table({"question": ["", ""], "answer": ["b", "c"]}))
    with pytest.raises(UserError, match=r"task questions: .*2 rows: empty question.*row 1 of .*0000\.parquet"):
        build_data(source, (QUESTIONS,), options, tmp_path / "build", count=1)


def test_two_tasks_of_one_name_are_refused(options, tmp_path):
    source = parquet(tmp_path, pa.table({"question": ["a"], "answer": ["b"]}))
    with pytest.raises(UserError, match="task 'questions' is defined twice"):
        build_data(source, (QUESTIONS, QUESTIONS), options, tmp_path / "build", count=1)


CELLS = st.one_of(st.none(), st.sampled_from(["", " ", "who?", "{question}", "%s"]), st.text(max_size=12))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=25), st.integers(3, 30), st.integers(1, 30))
def test_every_row_is_an_example_or_in_the_report(
    options, tmp_path_factory, monkeypatch, rows, part_rows, rows_per_task
):
    monkeypatch.setattr(parts_module, "PART_ROWS", part_rows)
    tmp_path = tmp_path_factory.mktemp("rows")
    source = parquet(tmp_path, pa.table({"question": [q for q, _ in rows], "answer": [a for _, a in rows]}))
    chosen = replace(options, rows_per_task=rows_per_task, lengths=Lengths(24, 8))
    try:
        report, examples = build(source, QUESTIONS, chosen, tmp_path)
    except UserError as error:
        if "no usable row" in str(error):
            return
        raise
    unusable = sum(item["count"] for item in report["unusable"])
    assert report["rows"] == len(rows) == report["records"] + unusable + report["not_drawn"]
    assert report["not_drawn"] == max(0, len(rows) - rows_per_task)
    for setting, entry in report["settings"].items():
        made = examples.get(setting, [])
        left_out = [(item["count"], [place["row"] - 1 for place in item["first"]]) for item in entry["left_out"]]
        assert len(made) == entry["examples"] and len(made) + sum(n for n, _ in left_out) == report["records"]
        listed = Counter([*made, *(row for _, first in left_out for row in first)])
        assert max(listed.values(), default=0) <= 1  # no row is told of twice


def test_a_task_in_parts_is_a_folder_of_the_same_rows(options, tmp_path, monkeypatch):
    table = pa.table({"question": [f"who is {i}?" for i in range(100)], "answer": [str(i) for i in range(100)]})
    source = parquet(tmp_path, table)
    _, whole = build(source, QUESTIONS, options, tmp_path / "whole")
    monkeypatch.setattr(parts_module, "PART_ROWS", 30)
    monkeypatch.setattr(parts_module, "POOL_ROWS", 20)
    _, parts = build(source, QUESTIONS, options, tmp_path / "parts")
    assert parts == whole == {setting: list(range(100)) for setting in ("zs_noopt", "fs_noopt")}
    (folder,) = (tmp_path / "parts").rglob("questions.fs_noopt")
    assert [path.name for path in sorted(folder.iterdir())] == [f"0000{i}.arrow" for i in range(4)]
    for line in read_shard(folder).to_pylist():
        assert line["exemplars"] and line["row"] not in line["exemplars"]
        assert line["targets"] == str(line["row"])
    of_first = {row for line in read_shard(folder).to_pylist()[:30] for row in line["exemplars"]}
    assert min(of_first) < 30 <= 90 <= max(of_first)  # exemplars come from the whole task


def test_the_bytes_do_not_depend_on_how_many_parts_are_handed_out_together(options, tmp_path, monkeypatch):
    table = pa.table({"question": [f"who is {i}?" for i in range(100)], "answer": [str(i) for i in range(100)]})
    source = parquet(tmp_path, table)
    monkeypatch.setattr(parts_module, "PART_ROWS", 15)
    monkeypatch.setattr(parts_module, "POOL_ROWS", 8)
    monkeypatch.setattr(parts_module, "JOB_ROWS", 1)
    made, handed_out = {}, {}
    for jobs in (300, 2):
        monkeypatch.setattr(parts_module, "JOBS", jobs)
        monkeypatch.setattr(data_module, "bundle", lambda parts, jobs=jobs: handed_out.setdefault(jobs, bundle(parts)))
        index = build_data(source, (QUESTIONS,), options, tmp_path / str(jobs), count=1)
        made[jobs] = {path.relative_to(index.parent): path.read_bytes() for path in index.parent.rglob("*.arrow")}
    assert made[2] == made[300] and len(made[2]) == 14
    assert [[len(job) for job in handed_out[jobs]] for jobs in (300, 2)] == [[1] * 7, [3, 3, 1]]
