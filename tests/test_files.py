"""Files are whole or absent; hashes are the same everywhere."""

import os
import signal
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flannb.errors import UserError, printable
from flannb.files import (
    SUMS,
    add_sum,
    atomic,
    code_digest,
    digest,
    exhausted,
    inside,
    is_intact,
    read_json,
    read_sealed,
    read_sums,
    sha256,
    write_json,
    write_sealed,
    write_sums,
    write_text,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def fail_halfway(path):
    with atomic(path) as temporary:
        temporary.write_text("half")
        raise KeyError("halfway")


def test_a_failing_block_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(KeyError):
        fail_halfway(path)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_failing_block_leaves_no_new_file(tmp_path):
    with pytest.raises(KeyError):
        fail_halfway(tmp_path / "a.txt")
    assert not list(tmp_path.iterdir())


def test_a_killed_writer_leaves_no_file_of_the_name(tmp_path):
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from flannb.files import atomic\n"
        "with atomic(Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    path = tmp_path / "a.txt"
    ended = subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert not path.exists()
    assert all(left.suffix == ".tmp" for left in tmp_path.iterdir())


def test_results_are_readable_by_others_and_folders_are_made(tmp_path):
    path = tmp_path / "new" / "folder" / "a.json"
    write_json(path, {"b": 1, "a": "ü"})
    assert path.read_text(encoding="utf-8") == '{\n  "a": "ü",\n  "b": 1\n}\n'
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_folder_that_cannot_be_made_is_a_user_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        write_text(tmp_path / "file" / "a.txt", "text")


@pytest.mark.parametrize("content", [None, "{", "\x00", "[" * 100_000], ids=["none", "half", "null", "deep"])
def test_json_that_cannot_be_read_is_a_user_error_that_names_the_file(tmp_path, content):
    path = tmp_path / "a.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match=r"a\.json"):
        read_json(path)


def test_json_that_is_not_there_waits_for_the_step_that_writes_it(tmp_path):
    with pytest.raises(UserError, match=r"a\.json: is not there\. The step that writes it has to run first") as told:
        read_json(tmp_path / "a.json")
    assert "Delete" not in str(told.value)
    with pytest.raises(UserError, match=r"a\.json: is not there\. Copy it again"):
        read_json(tmp_path / "a.json", "Copy it again.")


@given(JSON)
def test_json_comes_back_as_it_was(tmp_path_factory, value):
    path = tmp_path_factory.getbasetemp() / "round.json"
    write_json(path, value)
    assert read_json(path) == value


@given(st.dictionaries(st.text(), JSON, min_size=1))
def test_equal_values_have_equal_digests_whatever_their_order(value):
    assert digest(value) == digest(dict(reversed(value.items())))
    assert digest(value) != digest([value])


def test_digest_is_the_same_in_another_process():
    program = "from flannb.files import digest; print(digest({'b': [1, 'é'], 'a': None}))"
    environment = os.environ | {"PYTHONHASHSEED": "123"}
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    assert other.stdout.strip() == digest({"a": None, "b": [1, "é"]})


def test_sha256_is_that_of_the_bytes(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_code_digest_covers_the_named_parts_only():
    assert code_digest("files.py") == code_digest("files.py")
    assert code_digest("build") != code_digest("mixture")
    assert code_digest("build", "files.py") == code_digest("files.py", "build")
    assert code_digest("build", without=("build/mirror.py",)) != code_digest("build")
    assert code_digest("files.py", without=("build/mirror.py",)) == code_digest("files.py")


@given(st.dictionaries(st.text(max_size=5).filter(lambda name: name != "digest"), JSON, max_size=4), st.data())
def test_a_sealed_object_reads_back_and_no_changed_byte_goes_unseen(tmp_path_factory, value, data):
    path = tmp_path_factory.mktemp("sealed") / "a.json"
    write_sealed(path, value)
    assert read_sealed(path) == value
    whole = path.read_bytes()
    i, bit = data.draw(st.integers(0, len(whole) - 1)), data.draw(st.integers(0, 7))
    path.write_bytes(whole[:i] + bytes([whole[i] ^ 1 << bit]) + whole[i + 1 :])
    with pytest.raises(UserError, match=r"a\.json"):
        read_sealed(path)


def test_a_changed_byte_that_leaves_the_value_is_seen_too(tmp_path):
    path = tmp_path / "a.json"
    write_sealed(path, {"a": 1e30})
    path.write_text(path.read_text().replace("1e+30", "1E+30"))
    with pytest.raises(UserError, match=r"a\.json: is not as it was written"):
        read_sealed(path)


def test_sums_are_those_of_sha256sum_and_survive_a_torn_line(tmp_path):
    for name in ("a b", "c"):
        (tmp_path / name).write_text(name)
        add_sum(tmp_path, name)
    subprocess.run(["sha256sum", "--check", "--strict", SUMS], cwd=tmp_path, check=True, capture_output=True)
    with (tmp_path / SUMS).open("a") as file:
        file.write("0" * 30)
    add_sum(tmp_path, "c")
    assert read_sums(tmp_path) == {name: sha256(tmp_path / name) for name in ("a b", "c")}
    write_sums(tmp_path, read_sums(tmp_path))
    assert (tmp_path / SUMS).read_text().count("\n") == 2
    (tmp_path / "c").write_text("d")
    assert is_intact(tmp_path / "a b", read_sums(tmp_path)["a b"])
    assert not is_intact(tmp_path / "c", read_sums(tmp_path)["c"]) and not is_intact(tmp_path / "a b", None)
    assert read_sums(tmp_path / "none") == {}


@pytest.mark.parametrize("name", ["../a", "/etc/passwd", "a/../../b", "", "a\0b", ".."])
def test_names_that_lead_out_of_a_folder_are_refused(tmp_path, name):
    with pytest.raises(UserError, match="leads out of"):
        inside(tmp_path, name)


@given(st.text())
def test_printed_text_cannot_steer_a_terminal(text):
    shown = printable(text)
    assert not set(shown) & {chr(c) for c in [*range(9), *range(11, 32), *range(127, 160), 0x202E, 0x2066]}
    assert printable(shown) == shown and (not text.isalnum() or not text.isascii() or shown == text)


def test_what_ran_out_is_said_in_words():
    full = OSError(28, "No space left on device", "a.bin")
    later = ValueError("of another library")
    later.__cause__ = full
    for error in (full, later):
        assert "a.bin: cannot be written (No space left on device)" in str(exhausted(error))
    store = ValueError(
        'RESOURCE_EXHAUSTED: Failed writing: "/c/d/17": Failed to write 3 bytes: No space left on device'
    )
    assert str(exhausted(store)).startswith("/c/d/17: cannot be written (No space left on device)")
    store = ValueError('Error writing "0.1/0" in OCDBT database at local file "/c/d/": No space left on device')
    assert str(exhausted(store)).startswith("/c/d/: cannot be written (No space left on device)")
    assert "memory ran out" in str(exhausted(MemoryError()))
    assert "memory ran out" in str(exhausted(RuntimeError("can't start new thread")))
    assert exhausted(KeyError("x")) is None and exhausted(FileNotFoundError(2, "No such file")) is None
