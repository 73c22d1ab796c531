"""Tasks of one's own: every kind of file gives the same rows, and what is wrong is named."""

import csv
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flannb.errors import UserError
from flannb.finetune import own_task, read_splits
from flannb.finetune.own import READERS

ROWS = [{"text": f'film {i}, "so, so"\nsecond line', "label": i % 2} for i in range(60)]
TEMPLATE = """
input: |-
  Review: {text}
  {options}
target: "{label}"
options: [negative, positive]
"""


def write(path, rows):
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    else:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), delimiter="\t" if path.suffix == ".tsv" else ",")
            writer.writeheader()
            writer.writerows(rows)
    return path


@pytest.fixture
def template(tmp_path):
    path = tmp_path / "template.yaml"
    path.write_text(TEMPLATE)
    return path


@pytest.mark.parametrize("ending", READERS)
def test_every_kind_of_file_gives_the_same_rows(ending, template, tmp_path):
    task, source = own_task({"train": write(tmp_path / f"my data{ending}", ROWS)}, template)
    splits = read_splits(task, source)
    records = [
        record for part in (splits.train, splits.validation, splits.test) for p in part for record in p.records.records
    ]
    assert {(r["text"], r["answer"]) for r in records} == {
        (row["text"], ("negative", "positive")[row["label"]]) for row in ROWS
    }
    prompt = splits.test[0].prompts()[0]
    assert prompt.text().startswith("Review: film ") and prompt.text().endswith("positive")
    assert (prompt.gold in ("negative", "positive"), prompt.kind, task.metric) == (True, "option", "accuracy")


def test_options_may_be_named_by_their_texts_or_stand_in_a_column(tmp_path):
    template = tmp_path / "t.yaml"
    template.write_text('input: "{question}\\n{options}"\ntarget: "{answer}"\noptions: choices\n')
    rows = [{"question": f"q{i}", "choices": [f"a{i}", f"b{i}"], "answer": f"b{i}"} for i in range(20)]
    task, source = own_task({"train": write(tmp_path / "rows.parquet", rows)}, template, "macro_f1")
    record = read_splits(task, source).train[0].records.records[0]
    assert record["options"] == (record["question"].replace("q", "a"), record["answer"])


def test_splits_of_ones_own_are_used(template, tmp_path):
    files = {
        name: write(tmp_path / f"{name}.csv", [{"text": f"{name} {i}", "label": i % 2} for i in range(n)])
        for name, n in (("train", 30), ("validation", 7), ("test", 5))
    }
    splits = read_splits(*own_task(files, template))
    assert [sum(map(len, part)) for part in (splits.train, splits.validation, splits.test)] == [30, 7, 5]


def test_an_explanation_before_the_answer_is_a_chain_of_thought(tmp_path):
    template = tmp_path / "t.yaml"
    template.write_text('input: "{question}"\ntarget: "{why} So the answer is {result}."\n')
    rows = [{"question": f"q{i}", "why": "because", "result": str(i)} for i in range(20)]
    task, source = own_task({"train": write(tmp_path / "rows.jsonl", rows)}, template)
    assert task.sets[0].reads.chain_of_thought
    assert read_splits(task, source).train[0].texts()[0][1].startswith("because So the answer is ")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("text,label\n", "rows.csv: has no rows"),
        ("", "rows.csv: has no rows"),
        ("words,label\na,1\n", "rows.csv: lacks column 'text'; it has 'words', 'label'"),
        ("text,label\na\n", "rows.csv: cannot be read .line 2 has 1 cells, the header 2"),
        ("text,text,label\na,b,1\n", "two columns have the same name"),
        ("text,label\n" + "a,7\n" * 3, "has no usable row .3 rows: label names no option"),
    ],
)
def test_what_is_wrong_with_rows_is_named(rows, message, template, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text(rows)
    with pytest.raises(UserError, match=message):
        read_splits(*own_task({"train": path}, template))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("rows.txt", "a", "rows.txt: not one of .parquet, .csv, .tsv, .jsonl"),
        ("rows.jsonl", '{"a": 1}\nnonsense\n', "rows.jsonl: cannot be read .line 2: "),
        ("rows.jsonl", "[1]\n", "line 1 is no object"),
        ("rows.jsonl", "[" * 200_000, "rows.jsonl: cannot be read .line 1: "),
        ("rows.jsonl", f'{{"text": {2**70}, "label": 1}}\n', "rows.jsonl: cannot be read"),
        ("rows.parquet", "nonsense", "rows.parquet: cannot be read"),
    ],
)
def test_unreadable_files_are_named(name, content, message, template, tmp_path):
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=message):
        read_splits(*own_task({"train": tmp_path / name}, template))


@pytest.mark.parametrize(
    ("content", "metric", "message"),
    [
        ("input: '{text}'", "accuracy", "needs the keys input and target"),
        ("input: '{text}'\ntarget: '{label}'\nshots: 3", "accuracy", "needs the keys input and target"),
        ("input: 'text'\ntarget: '{label}'", "accuracy", "the input names no field"),
        ("input: '{label}'\ntarget: '{label}'", "accuracy", "the input contains the target's field 'label'"),
        ("input: \"{text}\\n{options}\"\ntarget: '{label}'", "accuracy", "its key options does not say what they are"),
        ("input: '{text}'\ntarget: '{label}'\noptions: [a]", "accuracy", "options must be a list of two or more"),
        ("input: '{text}'\ntarget: '{label}'", "macro_f1", "--metric macro_f1 needs options"),
        ("input: '{text}'\ntarget: '{label}'\noptions: [a, b, c]", "auc_roc", "needs a list of two options"),
        ("input: '{text}'\ntarget: '{label}'", "bleu", "--metric bleu: unknown; choose one of accuracy"),
        ("input: [", "accuracy", "not readable as YAML"),
    ],
)
def test_what_is_wrong_with_a_template_is_named(content, metric, message, tmp_path):
    template = tmp_path / "t.yaml"
    template.write_text(content)
    with pytest.raises(UserError, match=message):
        own_task({"train": write(tmp_path / "rows.csv", ROWS)}, template, metric)


def test_missing_files_are_named(template, tmp_path):
    with pytest.raises(UserError, match=r"nowhere\.csv: no such file"):
        own_task({"train": tmp_path / "nowhere.csv"}, template)
    with pytest.raises(UserError, match=r"nowhere\.yaml: not readable as YAML"):
        own_task({"train": write(tmp_path / "rows.csv", ROWS)}, tmp_path / "nowhere.yaml")


@settings(max_examples=30)
@given(text=st.text(st.characters(codec="utf-8", exclude_characters="\r\x00"), min_size=1).filter(str.strip))
def test_any_text_survives_a_csv_file(text, tmp_path_factory):
    folder = tmp_path_factory.mktemp("csv")
    (folder / "t.yaml").write_text(TEMPLATE)
    rows = [{"text": f"{i} {text}", "label": 1} for i in range(12)]
    splits = read_splits(*own_task({"train": write(folder / "rows.csv", rows)}, folder / "t.yaml"))
    found = {record["text"] for record in splits.train[0].records.records}
    assert found <= {row["text"].strip() for row in rows}
