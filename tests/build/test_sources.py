"""Sources: one rule for paths, and errors that name the file and the column."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flannb.build import Mini, Mirror, Records, first_records, open_source, read_records
from flannb.build.sources import Hub
from flannb.collection import RawFile, Split
from flannb.collection.task import Column, Constant, Label
from flannb.errors import UserError

DATA = Split("owner/set", "default", "train")
RAW = RawFile("github/owner/repo/cot.tsv", ("question", "answer"))


@pytest.fixture
def mirror(tmp_path):
    folder = tmp_path / str(DATA)
    folder.mkdir(parents=True)
    pq.write_table(pa.table({"text": ["c"], "label": [0]}), folder / "0001.parquet")
    pq.write_table(pa.table({"text": ["a", "b"], "label": [1, 2]}), folder / "0000.parquet")
    return Mirror(tmp_path)


def test_a_split_is_its_files_in_name_order(mirror):
    assert mirror.has(DATA)
    assert mirror.read(DATA, ("text",)).to_pydict() == {"text": ["a", "b", "c"]}
    assert not mirror.has(Split("owner/set", "default", "test"))


def test_the_first_records_are_read_without_what_comes_after_them(mirror):
    (mirror.root / str(DATA) / "0001.parquet").write_bytes(b"not Parquet")
    fields = {"text": Column("text"), "answer": Label("label", ("no", "yes"))}
    found = first_records(mirror, DATA, fields, 1)
    assert found == Records([0], [{"text": "a", "answer": "yes"}], [(1, "label out of range")])
    with pytest.raises(UserError, match=r"0001\.parquet"):
        first_records(mirror, DATA, fields, 2)


def test_a_truncated_file_is_named(mirror):
    path = mirror.root / str(DATA) / "0001.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"0001\.parquet: not a whole Parquet file"):
        mirror.read(DATA, ("text",))


def test_a_missing_column_is_named_with_its_file_and_those_there_are(mirror):
    with pytest.raises(UserError, match=r"0000\.parquet: lacks column 'question'; it has 'text', 'label'"):
        mirror.read(DATA, ("text", "question"))


def test_a_missing_split_is_named(mirror):
    with pytest.raises(UserError, match=r"owner/set/default/test: no such data"):
        mirror.read(Split("owner/set", "default", "test"), ())


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(UserError, match="nowhere: no such folder"):
        open_source(str(tmp_path / "nowhere"))


def test_names_of_sources(tmp_path):
    assert isinstance(open_source("mini"), Mini) and isinstance(open_source("hub"), Hub)
    assert open_source(str(tmp_path)) == Mirror(tmp_path)
    assert (Mini().collection, Mirror(tmp_path).collection, Hub.collection) == ("mini", "flan2022", "flan2022")


def test_the_folder_where_one_is_has_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert open_source(".").name == tmp_path.name


@pytest.mark.parametrize("path", ["/nowhere.json", "/no/such/folder/rows.json"])
@pytest.mark.parametrize("source", ["mini", "hub", "."])
def test_a_file_of_one_s_own_that_is_gone_is_missing_from_every_source(source, path):
    opened = open_source(source)
    assert not opened.has(RawFile(path))
    with pytest.raises(UserError, match=f"{path}: no such data"):
        opened.read(RawFile(path), ("a",))


def test_a_raw_file_of_no_repository_is_named():
    with pytest.raises(UserError, match=r"rows\.json: a raw file's path must read"):
        Hub().has(RawFile("rows.json"))


def test_a_mirror_without_a_manifest_promises_everything(mirror):
    assert mirror.promises(DATA) and mirror.promises(RAW) and mirror.promises("anything/at/all")


def test_a_manifest_says_what_a_partial_mirror_promises(mirror):
    listed = [{"repo_id": "owner/gone", "config": "default", "split": "train"}, {"path": RAW.path, "bytes": 1}]
    (mirror.root / "MANIFEST.json").write_text(json.dumps(listed))
    fresh = Mirror(mirror.root)
    assert fresh.promises(Split("owner/gone", "default", "train")) and fresh.promises("owner/gone/default/train")
    assert fresh.promises(RAW)
    assert fresh.has(DATA) and not fresh.promises(DATA)  # there, though the manifest does not say so


@pytest.mark.parametrize("content", ['{"repo_id": 1}', '[{"repo_id": "a"}]', "[1]"])
def test_a_bad_manifest_is_a_user_error(mirror, content):
    (mirror.root / "MANIFEST.json").write_text(content)
    with pytest.raises(UserError, match=r"MANIFEST\.json"):
        Mirror(mirror.root).promises(DATA)


def test_raw_files_are_read_by_their_ending(tmp_path):
    folder = tmp_path / "github/owner/repo"
    folder.mkdir(parents=True)
    (folder / "cot.tsv").write_text('who "is" it?\t01\nwhere?\t2\n', encoding="utf-8")
    (folder / "rows.json").write_text('[{"a": "1"}, {"a": "2"}]', encoding="utf-8")
    (folder / "prompt.txt").write_text("Q: é\n", encoding="utf-8")
    source = Mirror(tmp_path)
    assert source.read(RAW, ("question", "answer")).to_pylist() == [
        {"question": 'who "is" it?', "answer": "01"},
        {"question": "where?", "answer": "2"},
    ]
    assert source.read(RawFile("github/owner/repo/rows.json"), ("a",))["a"].to_pylist() == ["1", "2"]
    assert source.read(RawFile("github/owner/repo/prompt.txt"), ("text",))["text"].to_pylist() == ["Q: é\n"]


@pytest.mark.parametrize("content", ["[{", "[" * 100_000, '[{"a": 36893488147419103232}]'], ids=["cut", "deep", "big"])
def test_a_raw_file_that_cannot_be_read_is_named(tmp_path, content):
    (tmp_path / "rows.json").write_text(content)
    with pytest.raises(UserError, match=r"rows\.json: cannot be read"):
        Mirror(tmp_path).read(RawFile("rows.json"), ("a",))


def test_columns_of_several_types_are_named_and_no_trouble_where_nobody_reads_them(tmp_path):
    (tmp_path / "rows.json").write_text('[{"id": 1, "t": "a"}, {"id": "x2", "t": "b"}]')
    assert Mirror(tmp_path).read(RawFile("rows.json"), ("t",))["t"].to_pylist() == ["a", "b"]
    with pytest.raises(UserError, match=r"rows\.json: cannot be read \(column 'id': .*x2"):
        Mirror(tmp_path).read(RawFile("rows.json"), ("id",))


def test_the_fingerprint_follows_the_bytes(mirror):
    before = mirror.fingerprint(DATA)
    assert mirror.fingerprint(DATA) == before
    pq.write_table(pa.table({"text": ["d"], "label": [0]}), mirror.root / str(DATA) / "0001.parquet")
    assert mirror.fingerprint(DATA) != before


def test_records_keep_their_rows_and_reasons(mirror):
    fields = {"text": Column("text"), "options": Constant(("no", "yes")), "answer": Label("label", ("no", "yes"))}
    records = read_records(mirror, DATA, fields)
    assert records.rows == [0, 2]  # label 2 of row 1 is no label
    assert records.rejected == {"label out of range": 1}
    assert records.records[0] == {"text": "a", "options": ("no", "yes"), "answer": "yes"}


def test_a_split_without_a_usable_row_is_a_user_error_with_the_reasons(mirror):
    with pytest.raises(UserError, match="3 rows: answer is not among the options"):
        read_records(mirror, DATA, {"options": Constant(("x", "y")), "answer": Column("text")})


def test_a_limit_draws_rows_by_seed_and_keeps_their_order():
    data = Split("mini/boolq", "default", "train")
    fields = {"question": Column("question")}
    drawn = read_records(Mini(), data, fields, limit=30, seed=1)
    assert len(drawn) == 30 and drawn.rows == sorted(drawn.rows)
    assert drawn.rows == read_records(Mini(), data, fields, limit=30, seed=1).rows
    assert drawn.rows != read_records(Mini(), data, fields, limit=30, seed=2).rows
