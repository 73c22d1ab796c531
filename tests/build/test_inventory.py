"""What sources hold: counted from metadata, and asked of a Hub that may not answer."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flannb.build import Hub, Mini, Mirror, missing_tasks
from flannb.build.inventory import UNANSWERED, inventory, row_count, rows_by_value
from flannb.collection import RawFile, Split, Task, tasks
from flannb.errors import UserError

SHARED = Split("a/shared", "default", "train")
ALONE = Split("b/alone", "default", "train")
LINES = RawFile("github/c/d/lines.tsv", ("question", "answer"))


def task(name, data, **more):
    return Task(name, "flan2021", data, {}, "", **more)


HAVE = (
    task("first", SHARED, where=("task_name", "one")),
    task("second", SHARED, where=("task_name", "two")),
    task("third", SHARED, where=("task_name", "three")),
    task("alone", ALONE),
    task("lines", LINES),
    task("absent", Split("b/alone", "default", "test")),
    task("asleep", ALONE, unavailable="its authors hand it out on request"),
)


@pytest.fixture
def mirror(tmp_path):
    for data, names in ((SHARED, ["one", "two", "one", None]), (ALONE, ["x"] * 7)):
        for part in range(2):
            path = tmp_path / str(data) / f"{part:04}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.table({"task_name": names}), path)
    path = tmp_path / LINES.path
    path.parent.mkdir(parents=True)
    path.write_text("q\ta\nr\tb\n")
    return Mirror(tmp_path)


def test_a_mirror_is_counted(mirror):
    held = {holding.task.name: holding for holding in inventory(mirror, HAVE)}
    rows = {name: holding.rows for name, holding in held.items()}
    assert rows == {"first": 4, "second": 2, "third": None, "alone": 14, "lines": 2, "absent": None, "asleep": None}
    assert [name for name, holding in held.items() if holding.available] == ["first", "second", "alone", "lines"]
    assert "task_name is three" in held["third"].reason and "lacks b/alone/default/test" in held["absent"].reason
    assert held["asleep"].reason == "its authors hand it out on request"


def test_what_is_missing_is_what_is_not_available(mirror):
    lacking = [holding.task for holding in inventory(mirror, HAVE) if not holding.available]
    assert missing_tasks(mirror, HAVE) == lacking
    assert missing_tasks(mirror, HAVE[::-1]) == lacking[::-1]  # nor does an unavailable task hide one of its data


def test_counts(mirror):
    assert rows_by_value(mirror, SHARED, "task_name") == {"one": 4, "two": 2, None: 2}
    assert row_count(mirror, ALONE) == 14
    (mirror.root / str(ALONE) / "0001.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match="b/alone/default/train: not a whole Parquet file"):
        inventory(mirror, HAVE)


def test_mini_has_all_its_tasks():
    held = inventory(Mini(), tasks("mini"))
    assert all(holding.available and holding.rows > 100 for holding in held)


class Answers(BaseHTTPRequestHandler):
    """The Hub's listing of b/alone; no other dataset exists."""

    asked: list[str]

    def do_GET(self):
        self.asked.append(unquote(self.path))
        found = "/datasets/b/alone/" in unquote(self.path)
        said = {"id": "b/alone", "sha": "0" * 40, "siblings": [{"rfilename": "default/train/0000.parquet"}]}
        body = json.dumps(said if found else {"error": "Repository not found"}).encode()
        self.send_response(200 if found else 404)
        if not found:
            self.send_header("X-Error-Code", "RepoNotFound")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


def test_a_hub_is_asked_once_for_each_dataset(monkeypatch):
    Answers.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        held = {holding.task.name: holding for holding in inventory(Hub(), HAVE)}
        server.shutdown()
    assert [name for name, holding in held.items() if holding.available] == ["alone"]
    assert held["alone"].rows is None and "no Parquet form of a/shared" in held["first"].reason
    assert sum("b/alone" in path for path in Answers.asked) == 1


def test_a_hub_out_of_reach_is_met_once(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    held = inventory(Hub(), [*HAVE, *tasks("hub")])
    assert not any(holding.available for holding in held)
    assert {h.reason for h in held if isinstance(h.task.data, Split) and not h.task.unavailable} == {UNANSWERED}


def test_a_file_of_one_s_own_is_not_asked_of_a_server(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    (held,) = inventory(Hub(), [task("gone", RawFile("/nowhere/rows.json"))])
    assert held.reason == "there is no file /nowhere/rows.json"
