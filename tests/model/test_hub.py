"""Checkpoints by their address, from a small Hub on a local socket."""

import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
from huggingface_hub import constants

from flannb.errors import UserError
from flannb.model import hub, load_checkpoint, open_checkpoint, save_huggingface

COMMITS = {"main": "a" * 40, "v1": "b" * 40}


class Server(ThreadingHTTPServer):
    """Serves models.

    Attributes:
        models: repository -> path -> content.
        gated: repositories whose owner asks for consent.
        requests: paths asked for.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.models, self.gated, self.requests = {}, set(), []


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path = unquote(urlsplit(self.path).path)
        self.server.requests.append(path)
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/(revision|tree)/([^/]+))?", path):
            repository, kind, revision = found.groups()
            files = self.server.models.get(repository)
            if files is None:
                return self.answer(404, error="RepoNotFound")
            if (revision or "main") not in {*COMMITS, *COMMITS.values()}:
                return self.answer(404, error="RevisionNotFound")
            if kind == "tree":
                tree = [{"type": "file", "path": p, "size": len(c), "oid": _hash(c)[:40]} for p, c in files.items()]
                return self.answer(200, json.dumps(tree).encode())
            siblings = [{"rfilename": name} for name in files]
            commit = COMMITS.get(revision or "main", revision)
            return self.answer(200, json.dumps({"id": repository, "sha": commit, "siblings": siblings}).encode())
        if found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            repository, revision, name = found.groups()
            if repository in self.server.gated:
                return self.answer(403, error="GatedRepo")
            content = self.server.models[repository].get(name)
            if content is None:
                return self.answer(404, error="EntryNotFound")
            return self.answer(200, content, ETag=f'"{_hash(content)}"', X_Repo_Commit=COMMITS.get(revision, revision))
        return self.answer(404)

    def answer(self, status, content=b"{}", error="", **headers):
        self.send_response(status)
        if error:
            self.send_header("X-Error-Code", error)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _hash(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def server(monkeypatch, tmp_path):
    running = Server()
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{running.server_port}")
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", constants.ENDPOINT + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(hub, "TIMEOUT", 5.0)
    yield running
    running.shutdown()
    running.server_close()


@pytest.fixture
def files(model, tokenizer, tmp_path):
    folder = save_huggingface(model, tmp_path / "model", shard_bytes=15_000)
    content = {path.name: path.read_bytes() for path in folder.iterdir()}
    more = {"spiece.model": tokenizer.path.read_bytes(), "pytorch_model.bin": b"pickle", "README.md": b"read me"}
    return content | more | {"onnx/model.safetensors": b"other"}


def test_a_model_is_brought_here_with_nothing_but_what_is_read(server, files, model):
    server.models["owner/t5"] = files
    checkpoint = open_checkpoint("hf://owner/t5")
    assert checkpoint.tokenizer.read_bytes() == files["spiece.model"]
    assert checkpoint.config == model.config
    assert not any("safetensors" in path for path in server.requests)
    loaded = checkpoint.load()
    for mine, theirs in zip(model.trainable_variables, loaded.trainable_variables, strict=True):
        np.testing.assert_array_equal(np.asarray(mine.value), np.asarray(theirs.value))
    asked = {path.rsplit("/", 1)[1] for path in server.requests if "/resolve/" in path}
    wanted = {name for name in files if "safetensors" in name and "/" not in name}
    assert asked == wanted | {"config.json", "spiece.model"}


def test_what_is_cached_needs_no_network(server, files, monkeypatch):
    server.models["owner/t5"] = files
    load_checkpoint("hf://owner/t5")
    server.models.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert load_checkpoint("hf://owner/t5").config.vocabulary_size == 40
    with pytest.raises(UserError, match=r"hf://owner/other: not cached, and HF_HUB_OFFLINE is set"):
        open_checkpoint("hf://owner/other")


def test_a_revision_is_part_of_the_address(server, files):
    server.models["owner/t5"] = files
    open_checkpoint("hf://owner/t5@v1")
    assert any(COMMITS["v1"] in path for path in server.requests)
    with pytest.raises(UserError, match=r"hf://owner/t5@v2: the model has no revision 'v2'"):
        open_checkpoint("hf://owner/t5@v2")


def test_models_that_are_absent_or_gated_are_told_apart(server, files):
    server.models["owner/t5"] = files
    server.gated.add("owner/t5")
    with pytest.raises(UserError, match=r"hf://owner/t5: its owner asks for consent.*HF_TOKEN"):
        open_checkpoint("hf://owner/t5")
    with pytest.raises(UserError, match=r"hf://owner/none: no such model, or a private one"):
        open_checkpoint("hf://owner/none")


def test_pickled_weights_on_the_hub_are_named_with_the_way_to_convert_them(server, files):
    server.models["owner/t5"] = {name: c for name, c in files.items() if "safetensors" not in name}
    with pytest.raises(UserError, match=r"hf://owner/t5: has only pytorch_model\.bin") as raised:
        load_checkpoint("hf://owner/t5")
    assert 'from_pretrained("owner/t5").save_pretrained("DIR")' in str(raised.value)


def test_a_server_that_is_not_there_is_a_user_error(server):
    server.shutdown()
    server.server_close()
    with pytest.raises(UserError, match=r"(?s)hf://owner/t5: the Hub did not answer.*name a folder"):
        open_checkpoint("hf://owner/t5")


def test_an_address_is_a_repository_and_a_revision():
    assert hub.repository("hf://google/flan-t5-xl@main") == ("google/flan-t5-xl", "main")
    assert hub.repository("hf://google/flan-t5-xl") == ("google/flan-t5-xl", None)
    assert hub.repository("google/flan-t5-xl") == ("google/flan-t5-xl", None)
