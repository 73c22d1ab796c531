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
        (
            "text,label\n" + "a,7\n" * 3,
            r"/rows.csv: has no usable row \(3 rows: label '7' names no option of \['negative', 'positive'\]\)",
        ),
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
        ("rows.jsonl", f'{{"text": {2**70}, "label": 1}}\n', "rows.jsonl: cannot be read .line 1, column 'text': "),
        ("rows.jsonl", '{"text": 1}\n\n{"text": 2}\n{"text": "a"}\n{}\n', "read .line 4, column 'text': .*type str"),
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
        (
            "input: '{text}'\ntarget: '{label}'\noptions: [a, [b], c]",
            "accuracy",
            "options must be a list of two or more",
        ),
        ("input: '{text}'\ntarget: '{label}'\noptions: [a, ' ']", "accuracy", "options must be a list of two or more"),
        ("input: '{text}'\ntarget: '{label}'\noptions: [1, 2]", "spearman", "spearman is of answers without options"),
        ("input: '{text}'\ntarget: '{label}'\noptions: [a, b]", "squad_f1", "squad_f1 is of answers without options"),
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


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("rows.parquet", "a,b", "rows.parquet: column 'opts' holds text, not lists; use Parquet or JSON lines"),
        ("rows.csv", "a,b", "rows.csv: column 'opts' holds text, not lists; use Parquet or JSON lines"),
        ("rows.jsonl", 3, "column 'opts' holds int64, not lists;"),
        ("rows.jsonl", [["a"], ["b"]], "column 'opts' holds list.*, not lists of texts;"),
    ],
)
def test_options_that_are_no_lists_are_refused(name, options, message, tmp_path):
    template = tmp_path / "t.yaml"
    template.write_text('input: "{text}\\n{options}"\ntarget: "{label}"\noptions: opts\n')
    file = write(tmp_path / name, [row | {"opts": options} for row in ROWS])
    with pytest.raises(UserError, match=message):
        read_splits(*own_task({"train": file}, template))


def test_lists_of_options_may_be_in_a_struct(tmp_path):
    template = tmp_path / "t.yaml"
    template.write_text('input: "{text}\\n{options}"\ntarget: "{label}"\noptions: choices.text\n')
    rows = [row | {"choices": {"text": ["a", "b"]}} for row in ROWS]
    task, source = own_task({"train": write(tmp_path / "rows.jsonl", rows)}, template)
    assert {r["options"] for r in read_splits(task, source).train[0].records.records} == {("a", "b")}
    file = write(tmp_path / "other.jsonl", [row | {"choices": {"text": "a,b"}} for row in ROWS])
    with pytest.raises(UserError, match=r"column 'choices.text' holds text, not lists"):
        read_splits(*own_task({"train": file}, template))


@pytest.mark.parametrize("column", ["text", "label"])
@pytest.mark.parametrize("value", [["a"], {"b": "a"}])
def test_nested_values_are_no_text(column, value, template, tmp_path):
    rows = [ROWS[0] | {column: None}, ROWS[1] | {column: value}]
    with pytest.raises(UserError, match=rf"rows.parquet: column '{column}' holds .*, not text \(row 2\)"):
        read_splits(*own_task({"train": write(tmp_path / "rows.parquet", rows)}, template))


def test_answers_that_are_no_numbers_have_no_ranks(tmp_path):
    template = tmp_path / "t.yaml"
    template.write_text('input: "{text}"\ntarget: "{label}"\n')
    numbers = [ROWS[i] | {"label": label} for i, label in enumerate(["1", "2.5", " 1/3 ", "-4", "1e2", None] * 3)]
    assert read_splits(*own_task({"train": write(tmp_path / "a.jsonl", numbers)}, template, "spearman"))
    texts = [*numbers, ROWS[40] | {"label": "good"}]
    with pytest.raises(
        UserError, match=r"b.jsonl: column 'label' holds 'good', no number \(row 19\); --metric spearman"
    ):
        read_splits(*own_task({"train": write(tmp_path / "b.jsonl", texts)}, template, "spearman"))


def test_two_columns_of_a_name_are_refused(template, tmp_path):
    columns = [pa.array(["a"]), pa.array(["b"]), pa.array([1])]
    pq.write_table(pa.Table.from_arrays(columns, names=["text", "text", "label"]), tmp_path / "rows.parquet")
    with pytest.raises(UserError, match=r"rows.parquet: cannot be read \(two columns have the same name\)"):
        read_splits(*own_task({"train": tmp_path / "rows.parquet"}, template))


def test_rows_that_are_left_out_are_told(template, tmp_path):
    wrong = ["Positive"] * 9 + [None] * 4 + [5, 6, 7, 7]
    rows = [row | {"label": str(row["label"])} for row in ROWS]
    rows += [{"text": f"more {i}", "label": label and str(label)} for i, label in enumerate(wrong)]
    notes = read_splits(*own_task({"train": write(tmp_path / "rows.parquet", rows)}, template)).notes
    why = "names no option of ['negative', 'positive']"
    assert notes[0] == (
        f"rows: 17 of 77 rows of the train split are left out (9 rows: label 'Positive' {why}, 4 rows: empty label,"
        f" 2 rows: label '7' {why}, 2 rows: other reasons)."
    )


@pytest.mark.parametrize("label", [float, lambda i: f"{i}.0", bool])
def test_whole_numbers_are_places_however_they_are_written(label, template, tmp_path):
    rows = [row | {"label": label(row["label"])} for row in ROWS]
    splits = read_splits(*own_task({"train": write(tmp_path / "rows.parquet", rows)}, template))
    assert {(r["text"], r["answer"]) for r in splits.train[0].records.records} <= {
        (row["text"], ("negative", "positive")[row["label"]]) for row in ROWS
    }
    assert not any("left out" in note for note in splits.notes)


def test_numbers_that_are_options_themselves_are_no_places(tmp_path):
    template = tmp_path / "t.yaml"
    template.write_text('input: "{text}\\n{options}"\ntarget: "{label}"\noptions: [1, 2, 3]\n')
    rows = [row | {"label": 1.0} for row in ROWS]
    splits = read_splits(*own_task({"train": write(tmp_path / "rows.parquet", rows)}, template))
    assert {r["answer"] for r in splits.train[0].records.records} == {"1"}


def test_too_few_usable_rows_are_told_with_the_reason(template, tmp_path):
    rows = [row | {"label": "Positive"} for row in ROWS[:55]] + ROWS[55:]
    with pytest.raises(UserError, match=r"few.csv: 5 rows are too few .* 55 of 60 rows .* label 'Positive' names no"):
        read_splits(*own_task({"train": write(tmp_path / "few.csv", rows)}, template))


def test_rows_that_are_all_alike_cannot_be_split(template, tmp_path):
    with pytest.raises(UserError, match=r"same.csv: 0 rows after 48 were left out whose prompts are .* that differ"):
        read_splits(*own_task({"train": write(tmp_path / "same.csv", ROWS[:1] * 60)}, template))


def test_the_ending_of_a_name_may_be_in_capitals(template, tmp_path):
    file = write(tmp_path / "rows.csv", ROWS).rename(tmp_path / "ROWS.CSV")
    assert read_splits(*own_task({"train": file}, template))


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
