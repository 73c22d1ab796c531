"""Public collections, from Parquet files with the columns of the Hub's."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flannb import extra
from flannb.build import BuildOptions, Lengths, Mirror, build_data, open_build, read_shard
from flannb.build.records import first_records
from flannb.collection import check
from flannb.collection.public import COLLECTIONS
from flannb.experiments.artefacts import TABLE1
from flannb.experiments.reproduce import Options, artefact_steps

_INSTANCE = [("instruction_with_input", pa.string()), ("input", pa.string()), ("constraints", pa.string())]
INSTANCES = pa.list_(pa.struct([*_INSTANCE, ("output", pa.string())]))


def instance(i, output):
    return {"instruction_with_input": f"Name a colour. {i}", "input": str(i), "constraints": "None.", "output": output}


TABLES = {
    "yizhongw/self_instruct/self_instruct/train": pa.table(
        {
            "prompt": [f"List {i} ways to rest.\n\nOutput:" for i in range(8)],
            "completion": [f" Sleep {i} times.<|endoftext|>" for i in range(8)],
        }
    ),
    "mrm8488/unnatural-instructions-full/default/train": pa.table(
        {
            "instruction": [f"Name a colour {i}." for i in range(8)],
            "instances": pa.array(
                [[instance(i, f"red {i}"), instance(i, "never")] for i in range(7)] + [[]], type=INSTANCES
            ),
            "reformulations": pa.nulls(8),
        }
    ),
    "bigscience/xP3all/en/train": pa.table(
        {"inputs": [f"Translate {i}" for i in range(8)], "targets": [f"Traduis {i}" for i in range(8)]}
    ),
}


@pytest.fixture
def mirror(tmp_path):
    def mirror(*names):
        for name in names:
            (tmp_path / name).mkdir(parents=True)
            pq.write_table(TABLES[name], tmp_path / name / "0000.parquet")
        return Mirror(tmp_path)

    return mirror


@pytest.fixture(autouse=True)
def _public(monkeypatch):
    monkeypatch.delenv(extra.EXTRA, raising=False)
    extra.use("public")
    yield
    extra.use()


def test_each_is_read_from_its_columns(mirror):
    source, found = mirror(*TABLES), {}
    for each in COLLECTIONS:
        check(each.tasks)
        for task in each.tasks:
            found[each.name] = first_records(source, task.data, task.fields, 8)
    assert found["self_instruct"].records[0] == {
        "inputs": "List 0 ways to rest.\n\nOutput:",
        "answer": "Sleep 0 times.",
    }
    assert found["unnatural_instructions"].records[0] == {"inputs": "Name a colour. 0", "answer": "red 0"}
    assert len(found["unnatural_instructions"].records) == 7
    assert found["xp3"].records[0] == {"inputs": "Translate 0", "answer": "Traduis 0"}


def test_they_build_and_are_rows_of_table_1_where_the_source_has_them(mirror, tmp_path):
    source = mirror("bigscience/xP3all/en/train")
    (task,) = COLLECTIONS[2].tasks
    build = open_build(build_data(source, (task,), BuildOptions(Lengths(64, 16), 8, 150, 0), tmp_path / "builds"))
    shards = {shard.setting: shard for shard in build.shards}
    first = read_shard(build.home / shards["zs_noopt"].path).slice(0, 1).to_pylist()[0]
    assert (first["inputs"], first["targets"]) == ("Translate 0", "Traduis 0")
    made = artefact_steps(TABLE1, Options(scale="tiny", source=str(source.root), allow_missing=True))
    names = {step.name.split("/")[0] for step in made}
    assert "xp3" in names and not {"self_instruct", "unnatural_instructions"} & names
