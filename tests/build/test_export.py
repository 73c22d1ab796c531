"""Exports: the columns that other trainers expect, drawn and resumed, read by pandas and datasets."""

import json
from collections import Counter
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml

from flannb.build import read_shard
from flannb.build.export import COLUMNS, export, quotas
from flannb.errors import UserError
from flannb.mixture import Mixture, shard_weights

PUBLIC = ["inputs", "targets", "task_source", "task_name", "template_type", "template_idx"]


@pytest.fixture
def everything(build):
    return {shard: shard.examples for shard in build.shards}


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_all_examples_are_there_once_with_their_provenance(build, everything, tmp_path):
    export(build, tmp_path / "x", "parquet", everything, "flan2022", 0)
    table = pd.concat(pd.read_parquet(path) for path in sorted((tmp_path / "x").glob("*/*.parquet")))
    assert list(table.columns) == COLUMNS.names and list(table.columns)[:6] == PUBLIC
    assert len(table) == sum(shard.examples for shard in build.shards)
    assert {path.parent.name for path in (tmp_path / "x").glob("*/*.parquet")} == {s.submixture for s in build.shards}
    for shard in build.shards:
        mine = table[(table["task_name"] == shard.task) & (table["setting"] == shard.setting)]
        kept = read_shard(build.home / shard.path).to_pandas()
        assert mine["inputs"].tolist() == kept["inputs"].tolist()
        assert mine["targets"].tolist() == kept["targets"].tolist()
        assert (
            mine["template_idx"].tolist() == kept["template"].tolist() and mine["row"].tolist() == kept["row"].tolist()
        )
        for column in ("exemplars", "exemplar_templates"):
            assert [list(e) for e in mine[column]] == [list(e) for e in kept[column]]
        assert mine["exemplar_style"].tolist() == kept["exemplar_style"].tolist()
        assert set(mine["template_type"]) == {shard.setting} and set(mine["inverted"]) == {shard.inverted}
        assert set(mine["submixture"]) == {shard.submixture}


def test_json_lines_hold_the_same(build, everything, tmp_path):
    export(build, tmp_path / "p", "parquet", everything, "flan2022", 0)
    export(build, tmp_path / "j", "jsonl", everything, "flan2022", 0)
    for path in (tmp_path / "j").glob("*/*.jsonl"):
        rows = pq.read_table(tmp_path / "p" / path.parent.name / f"{path.stem}.parquet").to_pylist()
        assert [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]] == rows
        assert len(pd.read_json(path, lines=True)) == len(rows)


def test_a_sample_has_the_mixtures_shares(build, tmp_path):
    weights = shard_weights(build.shards, Mixture())
    counts = quotas(weights, 997)
    assert sum(counts.values()) == 997
    assert all(abs(counts.get(shard, 0) - 997 * share) < 1 for shard, share in weights.items())
    export(build, tmp_path / "a", "parquet", counts, "flan2022", 0)
    export(build, tmp_path / "b", "parquet", counts, "flan2022", 1)
    tables = [pd.concat(pd.read_parquet(p) for p in sorted((tmp_path / x).glob("*/*.parquet"))) for x in "ab"]
    assert len(tables[0]) == len(tables[1]) == 997 and not tables[0]["row"].equals(tables[1]["row"])
    for shard, count in counts.items():
        drawn = tables[0][(tables[0]["task_name"] == shard.task) & (tables[0]["setting"] == shard.setting)]
        times = Counter(drawn["row"])
        assert len(drawn) == count and max(times.values()) <= -(-count // shard.examples)


def test_the_same_options_give_the_same_bytes(build, tmp_path):
    counts = quotas(shard_weights(build.shards, Mixture()), 200)
    for name in "ab":
        export(build, tmp_path / name, "parquet", counts, "flan2022", 3)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_files_are_parted_and_a_broken_off_export_goes_on(build, everything, tmp_path, monkeypatch):
    monkeypatch.setattr("flannb.build.export.PART", 30)
    monkeypatch.setattr("flannb.build.export.SLICE", 7)
    folder, done = tmp_path / "x", []

    def stop(examples):
        done.append(examples)
        if len(done) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(build, folder, "jsonl", everything, "flan2022", 0, stop)
    finished = {path: path.stat().st_mtime_ns for path in folder.glob("*/*.jsonl")}
    assert len(finished) == 3 and not (folder / "README.md").exists()
    export(build, folder, "jsonl", everything, "flan2022", 0)
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    cut, turned, *_ = finished  # damaged files are written again
    cut.write_text("cut")
    turned.write_text(turned.read_text().replace("e", "o", 1))
    export(build, folder, "jsonl", everything, "flan2022", 0)
    export(build, tmp_path / "y", "jsonl", everything, "flan2022", 0)
    assert contents(folder) == contents(tmp_path / "y")
    assert len(list(folder.glob("flan2021/flan2021-*-of-*.jsonl"))) > 1


def test_an_export_that_was_stopped_in_its_first_file_goes_on(build, everything, tmp_path, monkeypatch):
    def stop(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("flannb.build.export._write", stop)
        with pytest.raises(KeyboardInterrupt):
            export(build, tmp_path / "x", "jsonl", everything, "flan2022", 0)
    for folder in ("x", "y"):
        export(build, tmp_path / folder, "jsonl", everything, "flan2022", 0)
    assert contents(tmp_path / "x") == contents(tmp_path / "y")


def test_another_export_or_other_files_are_not_overwritten(build, everything, tmp_path):
    export(build, tmp_path / "x", "parquet", everything, "flan2022", 0)
    with pytest.raises(UserError, match="holds another export"):
        export(build, tmp_path / "x", "jsonl", everything, "flan2022", 0)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("")
    with pytest.raises(UserError, match="not empty"):
        export(build, tmp_path / "mine", "jsonl", everything, "flan2022", 0)
    (tmp_path / "x" / "export.json").write_text("[]")
    with pytest.raises(UserError, match=r"holds a export\.json that is of no export"):
        export(build, tmp_path / "x", "parquet", everything, "flan2022", 0)


def test_the_card_says_what_is_there(build, everything, tmp_path):
    card = export(build, tmp_path / "x", "parquet", everything, "flan2022", 7)
    _, head, body = card.read_text(encoding="utf-8").split("---\n", 2)
    assert "| `inputs`, `targets` | the texts |" in body
    configs = {c["config_name"]: c["data_files"] for c in yaml.safe_load(head)["configs"]}
    assert set(configs) == {"default", *(shard.submixture for shard in build.shards)}
    for name, pattern in configs.items():
        files = list((tmp_path / "x").glob(pattern))
        assert files and (name == "default" or all(path.parent.name == name for path in files))
    for shard in build.shards:
        examples = sum(s.examples for s in build.shards if s.submixture == shard.submixture)
        assert f"| `{shard.submixture}` |" in body and f"| {examples:,} |" in body
    assert build.key in body and "seed: 7" in body and "mixture: flan2022" in body
    assert "| mini | apache-2.0 |" in body and yaml.safe_load(head)["license"] == "apache-2.0"
    assert all(f"`{name}`" in body for name in COLUMNS.names)


def test_quotas_of_few_examples():
    class Shard:
        def __init__(self, path):
            self.path = path

    shards = [Shard(f"{i}") for i in range(3)]
    counts = quotas(dict.fromkeys(shards, np.float64(1 / 3)), 2)
    assert [counts.get(shard, 0) for shard in shards] == [1, 1, 0]


@pytest.mark.skipif(find_spec("datasets") is None, reason="datasets is not installed")
def test_datasets_reads_it(build, everything, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    import datasets

    export(build, tmp_path / "x", "parquet", everything, "flan2022", 0)
    cache = str(tmp_path / "cache")
    files = sorted(map(str, (tmp_path / "x").glob("cot/*.parquet")))
    loaded = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=cache)
    assert loaded.column_names == COLUMNS.names
    assert len(loaded) == sum(s.examples for s in build.shards if s.submixture == "cot")
    whole = datasets.load_dataset(str(tmp_path / "x"), split="train", cache_dir=cache)
    assert len(whole) == sum(s.examples for s in build.shards)
    assert len(datasets.load_dataset(str(tmp_path / "x"), "cot", split="train", cache_dir=cache)) == len(loaded)
