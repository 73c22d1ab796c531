"""Downloads against a server that is slow, breaks off, cuts short, garbles and refuses."""

import hashlib
import random

import pytest

from flannb.build.download import Remote, download, verify
from flannb.errors import UserError

CONTENT = random.Random(0).randbytes(300_000)
PATH = "/datasets/o/d/resolve/" + "c" * 40 + "/f.bin"


@pytest.fixture
def remote(server):
    server.datasets["o/d"] = {"f.bin": CONTENT}
    return Remote(server.url + PATH, len(CONTENT), sha256=hashlib.sha256(CONTENT).hexdigest(), hub=True)


@pytest.fixture
def target(tmp_path):
    return tmp_path / "folder" / "f.bin"


def whole(target):
    return target.read_bytes() == CONTENT and not list(target.parent.glob(".*.part"))


def test_a_file_arrives_and_its_hash_is_told(remote, target, server):
    gained = []
    assert download(remote, target, gained.append) == remote.sha256
    assert whole(target) and sum(gained) == len(CONTENT) and server.ranges("f.bin") == [""]


def test_a_dropped_connection_goes_on_where_it_broke(remote, target, server):
    server.faults[PATH] = [("drop", 200_000), ("drop", 50_000)]
    gained = []
    download(remote, target, gained.append)
    first, second, third = server.ranges("f.bin")
    assert whole(target) and first == "" and sum(gained) == len(CONTENT)
    # what had come was kept: each request asks for later bytes than the one before
    assert 0 < int(second[6:-1]) <= 200_000 and int(second[6:-1]) < int(third[6:-1]) <= 250_000


def test_a_short_answer_is_no_whole_file(remote, target, server):
    server.faults[PATH] = [("cut", 1000), ("cut", 0)]
    download(remote, target)
    assert whole(target) and server.ranges("f.bin") == ["", "bytes=1000-", "bytes=1000-"]


def test_bytes_beyond_the_end_are_not_kept(remote, target, server):
    server.faults[PATH] = [("huge",)]
    download(remote, target)
    assert whole(target)


def test_a_slow_server_is_waited_for_and_a_silent_one_asked_again(remote, target, server):
    server.faults[PATH] = [("slow", 0.002)]
    download(remote, target)
    assert whole(target) and len(server.ranges("f.bin")) == 1
    target.unlink()
    server.faults[PATH] = [("slow", 3.0)]  # longer than the limit of one second
    download(remote, target)
    assert whole(target) and len(server.ranges("f.bin")) == 3


def test_a_server_without_ranges_sends_everything_again(remote, target, server):
    server.faults[PATH] = [("drop", 100_000), ("no ranges",)]
    gained = []
    download(remote, target, gained.append)
    assert whole(target) and sum(gained) == len(CONTENT) and min(gained) < 0


@pytest.mark.parametrize("code", [429, 500, 503])
def test_a_busy_server_is_asked_again(code, remote, target, server):
    server.faults[PATH] = [("status", code)] * 3
    download(remote, target)
    assert whole(target)


@pytest.mark.parametrize(("code", "advice"), [(401, "HF_TOKEN"), (403, "terms"), (404, "no such file")])
def test_a_refusal_is_final_and_says_what_to_do(code, advice, remote, target, server):
    server.faults[PATH] = [("status", code)]
    with pytest.raises(UserError, match=advice) as error:
        download(remote, target)
    assert remote.url in str(error.value) and len(server.ranges("f.bin")) == 1 and not target.exists()


def test_what_came_before_giving_up_is_kept_for_the_next_call(remote, target, server):
    server.faults[PATH] = [("drop", 150_000)] + [("status", 503)] * 6
    with pytest.raises(UserError, match=r"f\.bin: .* did not answer 6 times in a row \(status 503\)"):
        download(remote, target)
    have = target.with_name(".f.bin.part").stat().st_size
    assert have > 0 and not target.exists()
    download(remote, target)
    assert whole(target) and server.ranges("f.bin")[-1] == f"bytes={have}-"


def test_garbled_content_is_fetched_once_more_and_never_gets_the_name(remote, target, server):
    server.faults[PATH] = [("garble",)]
    gained = []
    download(remote, target, gained.append)
    assert whole(target) and sum(gained) == len(CONTENT)
    target.unlink()
    server.faults[PATH] = [("garble",)] * 2
    with pytest.raises(UserError, match="something else than its hash says"):
        download(remote, target)
    assert not target.exists()


def test_a_half_file_of_other_bytes_is_not_built_upon(remote, target, server):
    target.parent.mkdir()
    target.with_name(".f.bin.part").write_bytes(b"x" * 1000)
    download(remote, target)
    assert whole(target) and server.ranges("f.bin") == ["bytes=1000-", ""]


def test_a_whole_file_is_not_fetched_and_a_damaged_one_is(remote, target, server):
    target.parent.mkdir()
    target.write_bytes(CONTENT)
    assert download(remote, target) == remote.sha256 and not server.requests
    target.write_bytes(CONTENT[:-1] + b"?")
    assert download(remote, target) == remote.sha256 and whole(target)


def test_git_ids_and_empty_files(server, target):
    server.datasets["o/d"] = {"f.bin": b""}
    empty = Remote(server.url + PATH, 0, blob="e69de29bb2d1d6434b8b29ae775ad8c2e48c5391")
    assert download(empty, target) == hashlib.sha256(b"").hexdigest()
    assert not verify(target, Remote("", 0, blob="0" * 40)) and not verify(target, Remote("", 1))


def test_a_folder_that_cannot_be_written_is_named(remote, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        download(remote, tmp_path / "file" / "f.bin")
