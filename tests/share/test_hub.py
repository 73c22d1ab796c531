"""Sending folders: to a small Hub on a local socket, which takes them or refuses."""

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml

from flannb.build.export import export
from flannb.errors import UserError
from flannb.share import plan_upload, upload
from flannb.share.__main__ import main
from flannb.share.hub import kind_of


class Handler(BaseHTTPRequestHandler):
    """What the client of the Hub asks when it makes a repository and sends small files."""

    def do_POST(self):
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append(self.path)
        if self.server.status != 200:
            return self.answer({"error": "no"}, self.server.status)
        kind = "datasets" if "/datasets/" in self.path else "models"
        if self.path == "/api/repos/create":
            self.server.made = json.loads(content)
            return self.answer({"url": f"{self.server.address}/me/x"})
        if self.path == "/api/validate-yaml":
            return self.answer({"errors": self.server.errors, "warnings": []}, 400 if self.server.errors else 200)
        if "/preupload/" in self.path:
            names = [file["path"] for file in json.loads(content)["files"]]
            return self.answer({"files": [{"path": n, "uploadMode": "regular", "shouldIgnore": False} for n in names]})
        assert self.path == f"/api/{kind}/me/x/commit/main"
        for line in map(json.loads, content.splitlines()):
            if line["key"] == "file":
                self.server.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
        self.answer({"success": True, "commitUrl": f"{self.server.address}/me/x/commit/1", "commitOid": "1"})

    def do_GET(self):
        self.server.asked.append(self.path)
        if self.server.status != 200:
            return self.answer({"error": "no"}, self.server.status)
        self.answer({"id": "me/x", "sha": "0" * 40, "siblings": [], "private": True})

    def answer(self, value, status=200):
        text = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def hub(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.address = f"http://127.0.0.1:{server.server_port}"
    server.files, server.asked, server.made, server.status, server.errors = {}, [], None, 200, []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def dataset(build, tmp_path):
    """An exported mixture."""
    export(build, tmp_path / "data", "jsonl", dict.fromkeys(build.shards, 2), "flan2022", 0)
    (tmp_path / "data" / ".left.tmp").write_text("of a kill")
    return tmp_path / "data"


def test_a_dataset_goes_to_a_private_repository_file_by_file(hub, dataset):
    planned = plan_upload(dataset, "me/x", hub.address)
    assert planned.kind == "dataset" and planned.address == f"{hub.address}/datasets/me/x"
    assert not hub.asked
    assert upload(planned) == f"{hub.address}/me/x/commit/1"
    assert hub.made["visibility"] == "private" and hub.made["type"] == "dataset"
    names = [name for name, _ in planned.files]
    assert "README.md" in names and not {"export.json", ".left.tmp"} & set(names)
    assert hub.files == {name: (dataset / name).read_bytes() for name in names}


def test_a_repository_is_public_where_that_is_asked_for(hub, dataset):
    upload(plan_upload(dataset, "me/x", hub.address), private=False)
    assert hub.made["visibility"] == "public"


REFUSALS = [(401, "token is not taken"), (403, "may not write there"), (400, "the Hub says")]


@pytest.mark.parametrize(("status", "message"), REFUSALS)
def test_refusals_say_what_to_do(hub, dataset, status, message):
    hub.status = status
    with pytest.raises(UserError, match=message):
        upload(plan_upload(dataset, "me/x", hub.address))
    assert not hub.files


def test_a_card_that_the_hub_does_not_take_is_said(hub, dataset):
    hub.errors = [{"message": "license is bad"}]
    with pytest.raises(UserError, match=r"does not take the card(.|\n)*license is bad"):
        upload(plan_upload(dataset, "me/x", hub.address))
    assert not hub.files


def test_no_token_and_no_answer_are_said(hub, dataset, monkeypatch):
    with pytest.raises(UserError, match="did not answer"):
        upload(plan_upload(dataset, "me/x", "http://127.0.0.1:1"))
    monkeypatch.setattr("flannb.share.hub.get_token", lambda: None)
    with pytest.raises(UserError, match="hf auth login"):
        upload(plan_upload(dataset, "me/x", hub.address))
    assert not hub.asked


def test_the_command_sends_a_dataset_as_it_is(hub, dataset, capsys, monkeypatch):
    monkeypatch.setattr("flannb.share.hub.constants.ENDPOINT", hub.address)
    assert main([str(dataset), "--push", "me/x", "--dry-run"]) == 0
    assert f"{hub.address}/datasets/me/x (a dataset; private" in capsys.readouterr().out and not hub.asked
    assert main([str(dataset), "--push", "me/x"]) == 0
    assert "sent: " in capsys.readouterr().out and "README.md" in hub.files
    head = yaml.safe_load(hub.files["README.md"].decode().split("---\n")[1])
    assert head["license"] == "apache-2.0" and head["configs"][0]["config_name"] == "default"
    assert main([str(dataset), "--to", "elsewhere"]) == 2


@pytest.mark.parametrize(
    ("folder", "options", "message"),
    [
        ("row", ["--public"], "--public: needs --push"),
        ("nosuch", [], "nosuch: no such folder"),
        ("row", ["--push", "alone"], "--push alone: name it OWNER/NAME"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_exported(folder, options, message, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("flannb.share.__main__.read_run", lambda folder: pytest.fail("the run is read"))
    (tmp_path / "row" / "train").mkdir(parents=True)
    assert main([str(tmp_path / folder), *options]) == 2
    assert message in capsys.readouterr().err


def test_what_is_no_export_is_refused(dataset, tmp_path):
    with pytest.raises(UserError, match="neither an exported model nor a dataset"):
        kind_of(tmp_path)
    (dataset / "README.md").unlink()
    with pytest.raises(UserError, match="broken off"):
        plan_upload(dataset, "me/x")
