"""Rows of one task, read without the rest of the collection."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flannb.build import Mini, Mirror
from flannb.collection import SUBMIXTURES, tasks
from flannb.errors import UserError
from flannb.lab.rows import ROWS, holdings, read_sample

REAL = {task.name: task for task in tasks("flan2022")}


def write_split(root, data, rows):
    path = root / str(data) / "0000.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), path)


def natural(task, text):
    """A row as Super-Natural Instructions has them, of all its tasks in one file."""
    values = {"task_name": task.where[1], "definition": "Do it.", "inputs": text, "targets": "done", "id": text}
    return {name: values[name] for name in task.columns}


def test_every_task_of_mini_has_rows_of_its_own():
    for name in SUBMIXTURES:
        for holding in holdings(Mini(), name):
            sample = read_sample(Mini(), holding.task)
            assert 0 < len(sample.records) <= ROWS
            assert sample.records.rows == sorted(set(sample.records.rows))


def test_rows_of_a_shared_file_keep_their_places_in_it(tmp_path):
    ours, other = [task for task in REAL.values() if task.submixture == "super_natural_instructions"][:2]
    rows = [natural(task, f"text {i}") for i, task in enumerate([other, ours, other, ours, ours])]
    write_split(tmp_path, ours.data, rows)
    assert read_sample(Mirror(tmp_path), ours).records.rows == [1, 3, 4]
    assert read_sample(Mirror(tmp_path), ours, limit=2).records.rows == [1, 3]


def test_tasks_that_the_source_has_come_first_and_others_say_why_not(tmp_path):
    write_split(tmp_path, REAL["boolq"].data, [{"question": "is it", "passage": "it is", "answer": True}])
    first, *others = holdings(Mirror(tmp_path), "flan2021")
    assert first.task.name == "boolq" and first.available
    assert others and not any(holding.available for holding in others)
    with pytest.raises(UserError, match=f"{others[0].task.name} is not to be had here: .+"):
        read_sample(Mirror(tmp_path), others[0].task)


def test_a_task_without_a_usable_row_is_told(tmp_path):
    write_split(tmp_path, REAL["boolq"].data, [{"question": "", "passage": "it is", "answer": True}] * 3)
    with pytest.raises(UserError, match=r"boolq: .*3 rows: empty question"):
        read_sample(Mirror(tmp_path), REAL["boolq"])
