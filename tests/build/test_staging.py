"""Staging: any rows of a source at hand, in their order, with their file."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import flannb.build.rows as rows_module
import flannb.build.staging as staging_module
from flannb.build import Mirror
from flannb.build.staging import Staging, stage
from flannb.collection import Split
from flannb.errors import UserError

DATA = Split("owner/set", "default", "train")


@pytest.fixture
def staging(tmp_path, monkeypatch):
    monkeypatch.setattr(rows_module, "BATCH_ROWS", 1)
    monkeypatch.setattr(staging_module, "BATCH_BYTES", 50)  # that of three rows
    folder = tmp_path / "mirror" / str(DATA)
    folder.mkdir(parents=True)
    first = {"text": [f"a{i}" for i in range(7)], "task": list("xyxyxyx"), "number": [7] * 7}
    second = {"text": [f"b{i}" for i in range(4)], "task": ["y", None, "z", "x"], "number": [7, 8, None, 8]}
    for name, columns in (("0000", first), ("0001", second)):
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")
    return Staging(
        Mirror(tmp_path / "mirror"),
        DATA,
        ("text", "task", "number"),
        ("task", "number"),
        ("one", "two"),
        tmp_path / "staged",
    )


def test_rows_are_taken_in_order_from_all_files(staging):
    staged, _ = stage(staging)
    everything = [f"a{i}" for i in range(7)] + [f"b{i}" for i in range(4)]
    assert staged.rows == 11 and [file.batches for file in staged.files] == [(3, 3, 1), (3, 1)]
    for rows in ([], [0], [10], [2, 3, 6, 7], list(range(11))):
        assert staged.take(np.array(rows, np.int64))["text"].to_pylist() == [everything[row] for row in rows]
    assert [(name[-12:], row) for name, row in map(staged.place, (0, 6, 7, 10))] == [
        ("0000.parquet", 0),
        ("0000.parquet", 6),
        ("0001.parquet", 0),
        ("0001.parquet", 3),
    ]


def test_rows_are_found_by_the_values_of_columns(staging):
    _, chosen = stage(staging)
    assert {where: rows.tolist() for where, rows in chosen.items()} == {
        ("task", "x"): [0, 2, 4, 6, 10],
        ("task", "y"): [1, 3, 5, 7],
        ("task", "z"): [9],
        ("number", "7"): list(range(8)),
        ("number", "8"): [8, 10],
    }


def test_what_an_earlier_try_staged_is_not_believed(staging):
    first, _ = stage(staging)
    whole = [file.path.read_bytes() for file in first.files]
    for file, content in zip(first.files, whole, strict=True):
        file.path.write_bytes(content[:-300] + bytes(300))
    again, chosen = stage(staging)
    assert again == first and [file.path.read_bytes() for file in again.files] == whole
    assert chosen["task", "z"].tolist() == [9]


def test_a_missing_column_names_the_tasks_and_the_file(staging):
    from dataclasses import replace

    with pytest.raises(UserError, match=r"task one and 1 more: .*0000\.parquet: lacks column 'label'"):
        stage(replace(staging, columns=("label",)))
