"""A small Hub and GitHub on a local socket, which can be slow, break off, cut short, garble and refuse."""

import hashlib
import json
import re
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

COMMIT = "c" * 40
"""The commit of every dataset's converted branch, and of every repository on GitHub."""

BRANCH = "refs/convert/parquet"


class HubServer(ThreadingHTTPServer):
    """Serves files of datasets and repositories.

    Attributes:
        datasets: repo id -> path -> content, on the converted branch.
        commits: of the converted branch, the newest last; all hold the same files.
        repositories: ``owner/repo`` -> path -> content, on GitHub.
        faults: path of a request -> what goes wrong at its next requests, in order: ``("drop", n)`` closes the
            connection after n bytes of an answer that promised all; ``("cut", n)`` answers well with n bytes only;
            ``("slow", s)`` waits s seconds before each kilobyte; ``("status", code)``; ``("garble",)`` sends other
            bytes; ``("no ranges",)`` sends everything with 200; ``("huge",)`` appends bytes that do not belong.
        requests: method, path and ``Range`` header of each request.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.datasets, self.repositories = {}, {}
        self.commits = [COMMIT]
        self.faults = defaultdict(list)
        self.requests = []

    @property
    def commit(self):
        """That of the converted branch."""
        return self.commits[-1]

    @property
    def url(self):
        """The address, without a slash at its end."""
        return f"http://127.0.0.1:{self.server_port}"

    def ranges(self, name):
        """The ``Range`` headers of requests for the content of files that end so, empty where a request had none."""
        return [r for method, path, r in self.requests if method == "GET" and path.endswith(name)]

    def handle_error(self, request, client_address):
        """A client that hangs up is no news."""


@contextmanager
def serving() -> Iterator[HubServer]:
    """A running server for the duration of the block."""
    server = HubServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def git_id(content: bytes) -> str:
    """Git's id of a file."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: HubServer

    def log_message(self, *args):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path = unquote(urlsplit(self.path).path)
        self.server.requests.append((self.command, path, self.headers.get("Range", "")))
        fault = self.server.faults[path].pop(0) if self.server.faults[path] else ()
        if fault and fault[0] == "status":
            return self._send(b"{}", fault[1])
        for pattern, answer in _ROUTES:
            if found := re.fullmatch(pattern, path):
                return answer(self, fault, *found.groups())
        return self._send(b"{}", 404)

    def revision(self, fault, repo, revision):
        files = self.server.datasets.get(repo)
        if files is None:
            return self._send(b"{}", 404, {"X-Error-Code": "RepoNotFound"})
        if revision != BRANCH and revision not in self.server.commits:
            return self._send(b"{}", 404, {"X-Error-Code": "RevisionNotFound"})
        siblings = []
        for path, content in files.items():
            entry = {"rfilename": path, "size": len(content), "blobId": git_id(content)}
            if len(content) > 2000:  # the Hub keeps large files in LFS, small ones in git
                entry["blobId"] = git_id(b"pointer" + content)
                entry["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 100}
            siblings.append(entry)
        commit = self.server.commit if revision == BRANCH else revision
        return self._json({"id": repo, "sha": commit, "siblings": siblings}, fault)

    def dataset_file(self, fault, repo, revision, path):
        content = self.server.datasets.get(repo, {}).get(path)
        return self._send(b"", 404) if content is None else self._file(content, fault)

    def commit(self, fault, repo, revision):
        return self._json({"sha": COMMIT}, fault) if repo in self.server.repositories else self._send(b"{}", 404)

    def repository_tree(self, fault, repo, revision):
        files = self.server.repositories.get(repo, {})
        tree = [{"type": "blob", "path": p, "size": len(c), "sha": git_id(c)} for p, c in files.items()]
        return self._json({"tree": [{"type": "tree", "path": "flan", "sha": "0" * 40}, *tree]}, fault)

    def repository_file(self, fault, repo, revision, path):
        content = self.server.repositories.get(repo, {}).get(path)
        return self._send(b"", 404) if content is None else self._file(content, fault)

    def _file(self, content, fault):
        headers = {
            "ETag": f'"{hashlib.sha256(content).hexdigest()}"',
            "X-Repo-Commit": COMMIT,
            "Accept-Ranges": "bytes",
        }
        kind, *value = fault or ("",)
        if kind == "garble":
            content = bytes(255 - byte for byte in content)
        status, start = 200, 0
        if self.headers.get("Range") and kind != "no ranges":
            start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
            status = 206
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        body = content[start:] + (b"#" * 10 if kind == "huge" else b"")
        if kind == "cut":
            body = body[: value[0]]
        return self._send(body, status, headers, *fault)

    def _json(self, value, fault):
        return self._send(json.dumps(value).encode(), 200, {"Content-Type": "application/json"}, *fault)

    def _send(self, body, status, headers=None, kind="", value=0):
        self.send_response(status)
        for name, text in (headers or {}).items():
            self.send_header(name, text)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if kind == "drop":
            self.wfile.write(body[:value])
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
        elif kind == "slow":
            for at in range(0, len(body), 1024):
                time.sleep(value)
                self.wfile.write(body[at : at + 1024])
                self.wfile.flush()
        else:
            self.wfile.write(body)


_ROUTES = (
    (r"/api/datasets/([^/]+/[^/]+)/revision/(.+)", _Handler.revision),
    (r"/datasets/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", _Handler.dataset_file),
    (r"/repos/([^/]+/[^/]+)/commits/([^/]+)", _Handler.commit),
    (r"/repos/([^/]+/[^/]+)/git/trees/([^/]+)", _Handler.repository_tree),
    (r"/raw/([^/]+/[^/]+)/([^/]+)/(.+)", _Handler.repository_file),
)
