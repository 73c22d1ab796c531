"""Shards: whole files with a stamp, read without copies."""

import pickle

import numpy as np
import pyarrow as pa
import pytest

from flannb.build import TokenColumns, read_shard
from flannb.build.examples import SCHEMA
from flannb.build.shards import shard_stamp, write_shard
from flannb.errors import UserError
from flannb.files import sha256


def line(inputs, targets):
    return {
        "inputs": "in",
        "targets": "out",
        "input_ids": inputs,
        "target_ids": targets,
        "row": 0,
        "template": 0,
        "style": "",
        "exemplars": [],
        "exemplar_templates": [],
        "exemplar_style": "",
        "exemplar_kind": "",
        "truncated": False,
    }


LINES = [line([5, 1], [7, 8, 1]), line([6, 6, 1], [1]), line([65_535, 1], [9, 1])]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a" / "task.zs_opt.arrow"
    write_shard(path, pa.Table.from_pylist(LINES, schema=SCHEMA), {"key": "key"})
    return path


def test_a_shard_holds_its_table_and_its_stamp(path):
    assert read_shard(path).to_pylist() == LINES
    assert shard_stamp(path) == {"key": "key"}


def test_the_same_table_gives_the_same_bytes_however_it_is_chunked(path, tmp_path):
    chunks = [pa.Table.from_pylist([item], schema=SCHEMA) for item in LINES]
    write_shard(tmp_path / "b.arrow", pa.concat_tables(chunks), {"key": "key"})
    assert (tmp_path / "b.arrow").read_bytes() == path.read_bytes()


def test_token_columns_are_the_rows_ids(path):
    columns = TokenColumns(path)
    assert len(columns) == 3
    for i, item in enumerate(LINES):
        assert columns[i]["encoder"].tolist() == item["input_ids"]
        assert columns[i]["decoder"].tolist() == item["target_ids"]
        assert columns[i]["encoder"].dtype == np.int32
    again = pickle.loads(pickle.dumps(columns))  # as Grain's workers get it
    assert again[2]["encoder"].tolist() == [65_535, 1]


def test_a_damaged_or_missing_shard_has_no_stamp_and_is_named(path):
    path.write_bytes(path.read_bytes()[:-30])
    assert shard_stamp(path) == {}
    with pytest.raises(UserError, match=r"task\.zs_opt\.arrow: not a whole shard"):
        read_shard(path)
    path.unlink()
    assert shard_stamp(path) == {}
    with pytest.raises(UserError, match=r"task\.zs_opt\.arrow"):
        read_shard(path)


def test_a_folder_of_files_is_one_shard(tmp_path):
    parts = [LINES[:2], [], LINES[2:]]
    for i, lines in enumerate(parts):
        write_shard(tmp_path / "whole" / f"{i:05d}.arrow", pa.Table.from_pylist(lines, schema=SCHEMA), {"key": "key"})
    assert read_shard(tmp_path / "whole").to_pylist() == LINES
    columns = TokenColumns(tmp_path / "whole")
    assert len(columns) == 3
    assert [columns[i]["encoder"].tolist() for i in range(3)] == [item["input_ids"] for item in LINES]
    assert [columns[i]["decoder"].tolist() for i in range(3)] == [item["target_ids"] for item in LINES]
    with pytest.raises(IndexError):
        columns[3]


def test_the_hash_and_size_of_a_file_are_told(tmp_path):
    path = tmp_path / "a.arrow"
    told = write_shard(path, pa.Table.from_pylist(LINES, schema=SCHEMA), {"key": "key"})
    assert told == (sha256(path), path.stat().st_size)
