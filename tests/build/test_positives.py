"""Positive examples of Super-Natural Instructions: read where a source has them, shown as the prompt's record says."""

import json
from collections import Counter
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flannb.build import (
    BuildOptions,
    Lengths,
    Mirror,
    Records,
    Texts,
    build_data,
    make_examples,
    open_build,
    read_shard,
)
from flannb.build.contamination import find_overlap
from flannb.build.drawing import EXPLAINED, POSITIVE
from flannb.build.mirror import needed_data
from flannb.build.render import instruction, render, wording
from flannb.collection import EvalTask, RawFile, Split, templates
from flannb.collection.super_natural_instructions import make_task
from flannb.collection.task import Column
from flannb.errors import UserError
from flannb.experiments.steps import available
from flannb.files import read_json

TASK = make_task("task9001_capitals")
DEFINITION = "Write the capital of the country."
LONG = Lengths(2048, 512)
QUESTION = {"question": Column("question"), "answer": Column("answer")}
POSITIVES = (
    {"input": "France", "output": "Paris", "explanation": "The government of France sits in Paris."},
    {"input": "Country 3 ", "output": "City 3", "explanation": "It has the same number."},
    {"input": "Japan", "output": "Tokyo", "explanation": ""},
)
ROWS = [(f"Country {i}", f"City {i}") for i in range(300)]
FEW_SHOT = templates()[TASK.templates].few_shot


def task_file(positives=POSITIVES):
    """A file as the benchmark has them."""
    return {
        "Contributors": ["Someone"],
        "Definition": [DEFINITION],
        "Positive Examples": list(positives),
        "Negative Examples": [{"input": "Spain", "output": "Seville", "explanation": "Seville is no capital."}],
        "Instances": [{"id": f"task9001-{i}", "input": a, "output": [b]} for i, (a, b) in enumerate(ROWS)],
    }


def mirror(folder, positives=POSITIVES, **changes):
    path = folder / str(TASK.data) / "0000.parquet"
    path.parent.mkdir(parents=True)
    rows = [
        {"task_name": TASK.where[1], "id": str(i), "definition": DEFINITION, "inputs": a, "targets": b}
        for i, (a, b) in enumerate(ROWS)
    ]
    pq.write_table(pa.Table.from_pylist(rows), path)
    if positives is not None:
        path = folder / TASK.positives.path
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(task_file(positives) | changes, indent=4), encoding="utf-8")
    return Mirror(folder)


def build(source, folder, seed=0, task=TASK):
    made = open_build(build_data(source, (task,), BuildOptions(LONG, 1000, 300, seed), folder))
    return {shard.setting: read_shard(made.home / shard.path) for shard in made.shards}


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    home = tmp_path_factory.mktemp("positives")
    return build(mirror(home / "mirror"), home / "builds")


def test_positive_examples_with_evaluation_text_are_left_out_and_counted(tmp_path, monkeypatch):
    asked = "which city is the capital of the country that has the highest tower and the best bread"
    scored = EvalTask("e", "mmlu_validation", Split("o/eval", "default", "test"), QUESTION, "cot", "text")
    source = mirror(tmp_path / "mirror", ({"input": asked, "output": "Paris", "explanation": "so"}, *POSITIVES))
    path = tmp_path / "mirror" / str(scored.data) / "0000.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.table({"question": [asked], "answer": ["Paris"]}), path)
    monkeypatch.setattr("flannb.collection.suites.MORE_EVAL_TASKS", (scored,))
    monkeypatch.setattr("flannb.collection.suites.EVAL_TASKS", ())
    made = {}
    for drop in (False, True):
        options = BuildOptions(LONG, 1000, 300, 0, drop_contaminated=drop)
        made[drop] = open_build(build_data(source, (TASK,), options, tmp_path / "builds"))
    texts = {
        d: [t for s in b.shards for t in read_shard(b.home / s.path)["inputs"].to_pylist()] for d, b in made.items()
    }
    assert any(asked in text for text in texts[False]) and not any(asked in text for text in texts[True])
    [entry] = [read_json(made[True].home / "report.json")[TASK.name]]
    assert entry["contaminated_positives"] == {"shares a 13-gram with mmlu_validation/e": 1}
    [found] = find_overlap(source, (TASK,), (scored,)).tasks
    assert list(found.positives) == [0] and not found.flagged


def test_zero_shot_examples_show_none(shards):
    assert set(shards["zs_opt"]["exemplar_kind"].to_pylist()) == {""}


def test_every_prompt_is_what_its_record_says(shards):
    for line in shards["fs_opt"].to_pylist():
        query = {"definition": DEFINITION, "inputs": ROWS[line["row"]][0], "answer": ROWS[line["row"]][1]}
        word, shown = wording(FEW_SHOT[line["template"]], True), []
        for row, template in zip(line["exemplars"], line["exemplar_templates"], strict=True):
            assert (row < 0) == (line["exemplar_kind"] != "drawn")
            given = POSITIVES[-1 - row] if row < 0 else dict(zip(("input", "output"), ROWS[row], strict=True))
            record = {"definition": DEFINITION, "inputs": given["input"].strip(), "answer": given["output"]}
            assert record["inputs"] != query["inputs"]
            piece, target = render(wording(FEW_SHOT[template], True), record), FEW_SHOT[template].explained
            if line["exemplar_kind"] == "explained" and given["explanation"]:
                piece = replace(piece, target=target.format(**record, explanation=given["explanation"]))
            shown.append(f"{piece.input}{word.template.between}{piece.target}")
        told = [instruction(word, query)]
        before, after = (told, []) if word.template.place == "before" else ([], told)
        asked = render(word, query)
        assert line["inputs"] == word.template.separator.join([*before, *shown, *after, asked.input])
        assert line["targets"] == asked.target == query["answer"]


def test_kinds_have_the_stated_shares(shards):
    found = Counter(shards["fs_opt"]["exemplar_kind"].to_pylist())
    assert shards["fs_opt"].num_rows == len(ROWS)
    assert found["drawn"] / len(ROWS) == pytest.approx(1 - POSITIVE, abs=0.1)
    assert found["explained"] / len(ROWS) == pytest.approx(POSITIVE * EXPLAINED, abs=0.1)
    assert set(found) == {"drawn", "positive", "explained"}


def test_the_query_is_never_its_own_positive_example(shards):
    (line,) = [line for line in shards["fs_opt"].to_pylist() if line["row"] == 3]
    assert -2 not in line["exemplars"] and "City 3" not in line["inputs"]


def test_a_source_without_the_files_draws_all_exemplars(tmp_path):
    assert set(build(mirror(tmp_path / "m", None), tmp_path / "b")["fs_opt"]["exemplar_kind"].to_pylist()) == {"drawn"}


def test_a_single_positive_example_is_not_shown(tmp_path):
    source = mirror(tmp_path / "m", POSITIVES[:1])
    assert set(build(source, tmp_path / "b")["fs_opt"]["exemplar_kind"].to_pylist()) == {"drawn"}


def test_the_same_files_give_the_same_bytes_and_others_another_build(shards, tmp_path):
    assert build(mirror(tmp_path / "a"), tmp_path / "b")["fs_opt"].equals(shards["fs_opt"])
    build(mirror(tmp_path / "c", POSITIVES[:2]), tmp_path / "b")
    assert len(list((tmp_path / "b").glob("*/index.json"))) == 2


@pytest.mark.parametrize(
    "changes", [{"Positive Examples": 3}, {"Positive Examples": [{"input": "France"}]}, {"Positive Examples": None}]
)
def test_a_file_of_another_layout_is_named(tmp_path, changes):
    with pytest.raises(UserError, match=r"task9001_capitals\.json"):
        build(mirror(tmp_path / "m", **changes), tmp_path / "b")


def test_positive_examples_may_be_written_as_the_rows_are(tmp_path):
    task = replace(TASK, positives=RawFile("positives.json"), positive_fields={})
    source = mirror(tmp_path / "m", None)
    rows = [{"definition": DEFINITION, "inputs": p["input"], "targets": p["output"]} for p in POSITIVES]
    (source.root / "positives.json").write_text(json.dumps(rows))
    lines = build(source, tmp_path / "b", task=task)["fs_opt"].to_pylist()
    assert any("Paris" in line["inputs"] and min(line["exemplars"]) < 0 for line in lines)


def test_positive_examples_without_explanations_are_shown_without(tmp_path):
    fields = {name: field for name, field in TASK.positive_fields.items() if name != "explanation"}
    found = build(mirror(tmp_path / "m"), tmp_path / "b", task=replace(TASK, positive_fields=fields))["fs_opt"]
    assert "explained" in found["exemplar_kind"].to_pylist()
    assert not any("The government of France" in text for text in found["inputs"].to_pylist())


def test_unusable_positive_examples_are_left_out(tmp_path):
    bad = [{"input": "", "output": "x", "explanation": "y"}, {"input": "\ud800", "output": "x", "explanation": "y"}]
    shards = build(mirror(tmp_path / "m", (*bad, *POSITIVES)), tmp_path / "b")
    assert {row for rows in shards["fs_opt"]["exemplars"].to_pylist() for row in rows if row < 0} == {-1, -2, -3}


def test_a_mirror_gets_them_and_says_when_one_of_its_own_is_gone(tmp_path, monkeypatch):
    assert needed_data((TASK,), ()) == (TASK.data, TASK.positives)
    monkeypatch.setattr("flannb.experiments.steps.tasks", lambda name: (TASK,))
    monkeypatch.setattr("flannb.experiments.steps.eval_tasks", lambda name: ())
    source = mirror(tmp_path / "m")
    manifest = [{"repo_id": TASK.data.repo_id, "config": TASK.data.config, "split": TASK.data.split}]
    (source.root / TASK.positives.path).unlink()
    assert available(Mirror(source.root), False) == ((TASK,), ())
    (source.root / "MANIFEST.json").write_text(json.dumps([*manifest, {"path": TASK.positives.path}]))
    with pytest.raises(UserError, match="task9001_capitals"):
        available(Mirror(source.root), False)
    assert available(Mirror(source.root), True) == ((TASK,), ())


texts = st.sampled_from(["a", "b", "c", "d e", "F"])


@given(
    rows=st.lists(st.tuples(texts, texts), min_size=1, max_size=6),
    positives=st.lists(st.tuples(texts, texts, st.sampled_from(["", "since"])), max_size=5),
    seed=st.integers(0, 2**20),
)
def test_no_prompt_shows_an_exemplar_with_the_input_of_its_query(tokenizer, rows, positives, seed):
    records = Records(
        list(range(len(rows))), [{"definition": DEFINITION, "inputs": i, "answer": f"<{i}:{o}>"} for i, o in rows]
    )
    written = [{"inputs": i, "answer": f"<{i}:{o}>", "explanation": why} for i, o, why in positives]
    table, left_out = make_examples(TASK, "fs_opt", records, Texts(tokenizer), LONG, seed, positives=written)
    assert sorted([*table["row"].to_pylist(), *(row for row, _ in left_out)]) == records.rows
    for line in table.to_pylist():
        assert f"<{rows[line['row']][0]}:" not in line["inputs"]
        assert len(set(line["exemplars"])) == len(line["exemplars"]) > 0
