"""Mirrors: what is copied, pinned, verified, gone on with, and what ``Mirror`` then reads. Real sockets throughout."""

import hashlib
import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flannb.build import Hub, Mirror
from flannb.build.github import COMMITS, GitHub
from flannb.build.mirror import copy_mirror, needed_data, plan_mirror
from flannb.collection import RawFile, Split, eval_tasks, tasks
from flannb.errors import UserError
from flannb.experiments.__main__ import main
from flannb.files import read_json, sha256

TRAIN, TEST = Split("o/d", "default", "train"), Split("o/d", "default", "test")
RAW = RawFile("github/google-research/FLAN/flan/v2/cot_data/creak_train.tsv", ("question", "answer", "rationale"))
LINES = "is it?\tyes\tit is\nwas it?\tno\tit was not\n"


def parquet(rows, **columns):
    sink = io.BytesIO()
    noise = np.random.default_rng(rows).integers(2**31, size=rows)
    pq.write_table(pa.table(columns or {"text": [f"row {i} {n}" for i, n in enumerate(noise)]}), sink)
    return sink.getvalue()


@pytest.fixture
def files(server):
    """A dataset with a split of two files and one of one, and a repository on GitHub."""
    server.datasets["o/d"] = {
        "default/train/0000.parquet": parquet(3000),
        "default/train/0001.parquet": parquet(10),
        "default/test/0000.parquet": parquet(5),
        "other/train/0000.parquet": parquet(5),
        "README.md": b"a card",
    }
    server.repositories["google-research/FLAN"] = {"flan/v2/cot_data/creak_train.tsv": LINES.encode()}
    return server.datasets["o/d"]


@pytest.fixture
def hub(server, tmp_path):
    return Hub(server.url, GitHub(f"{server.url}/raw", server.url, cache=tmp_path / "cache"))


def mirrored(hub, data, folder, **options):
    plan = plan_mirror(hub, data, folder, options.pop("update", False))
    copy_mirror(plan, folder, **options)
    return plan


def content(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_mirror_holds_the_bytes_of_the_hub_and_says_so(hub, files, server, tmp_path):
    folder, gained = tmp_path / "m", []
    plan = mirrored(hub, (TRAIN, TEST, RAW), folder, advance=gained.append)
    assert not plan.missing and sum(gained) == plan.size
    kept = content(folder)
    manifest = read_json(folder / "MANIFEST.json")
    assert set(kept) == {
        "MANIFEST.json",
        "SHA256SUMS",
        *(f"o/d/{n}" for n in files if n.startswith("default")),
        RAW.path,
    }
    for name, data in files.items():
        if name.startswith("default"):
            assert kept[f"o/d/{name}"] == data
    assert kept[RAW.path].decode() == LINES
    for entry in manifest:
        path = entry.get("path") or "/".join(entry[k] for k in ("repo_id", "config", "split", "file"))
        assert entry["revision"] == server.commit and entry["bytes"] == len(kept[path])
        assert entry["sha256"] == hashlib.sha256(kept[path]).hexdigest()
    source = Mirror(folder)
    assert source.promises(TRAIN) and source.promises(RAW) and not source.promises(Split("o/d", "other", "train"))
    assert source.read(TRAIN, ("text",)).num_rows == 3010
    assert source.read(RAW, ("answer",))["answer"].to_pylist() == ["yes", "no"]


def test_a_second_call_fetches_nothing_and_a_checking_one_finds_damage(hub, files, server, tmp_path):
    folder = tmp_path / "m"
    mirrored(hub, (TRAIN, RAW), folder)
    before = content(folder)
    server.requests.clear()
    plan = mirrored(hub, (TRAIN, RAW), folder)
    assert all(item.whole for item in plan.items) and content(folder) == before
    assert not any(path.endswith((".parquet", ".tsv")) for _, path, _ in server.requests)
    damaged = folder / "o/d/default/train/0001.parquet"
    damaged.write_bytes(b"x" * damaged.stat().st_size)
    mirrored(hub, (TRAIN, RAW), folder, check=True)
    assert content(folder) == before


def test_a_mirror_of_one_s_own_making_is_added_to(hub, files, tmp_path):
    (tmp_path / "github/o/r").mkdir(parents=True)
    (tmp_path / "github/o/r/x.tsv").write_text("a\tb\n")
    (tmp_path / "MANIFEST.json").write_text('[{"path": "github/o/r/x.tsv"}]')
    mirrored(hub, (TEST,), tmp_path)
    assert Mirror(tmp_path).has(TEST) and Mirror(tmp_path).promises(RawFile("github/o/r/x.tsv"))


def test_calls_for_other_data_add_to_the_manifest(hub, files, tmp_path):
    folder = tmp_path / "m"
    mirrored(hub, (TEST,), folder)
    mirrored(hub, (RAW,), folder)
    assert Mirror(folder).promises(TEST) and Mirror(folder).promises(RAW) and len(content(folder)) == 4


def test_a_server_that_breaks_off_cuts_and_stalls_gives_a_whole_mirror(hub, files, server, tmp_path):
    where = f"/datasets/o/d/resolve/{server.commit}/"
    server.faults[where + "default/train/0000.parquet"] = [("drop", 5000), ("cut", 3000), ("garble",), ("slow", 0.001)]
    server.faults[where + "default/train/0001.parquet"] = [("status", 503), ("status", 429)]
    server.faults[f"/raw/google-research/FLAN/{server.commit}/flan/v2/cot_data/creak_train.tsv"] = [("drop", 7)]
    server.faults["/api/datasets/o/d/revision/refs/convert/parquet"] = [("drop", 3), ("status", 500), ("slow", 3.0)]
    mirrored(hub, (TRAIN, RAW), tmp_path / "m")
    assert content(tmp_path / "m")["o/d/default/train/0000.parquet"] == files["default/train/0000.parquet"]
    assert Mirror(tmp_path / "m").read(TRAIN, ("text",)).num_rows == 3010
    assert not list((tmp_path / "m").rglob("*.part"))


def test_half_a_split_is_no_split(hub, files, server, tmp_path):
    path = f"/datasets/o/d/resolve/{server.commit}/default/train/0001.parquet"
    server.faults[path] = [("status", 404)]
    folder = tmp_path / "m"
    with pytest.raises(UserError, match=r"0001\.parquet: the server says 404"):
        mirrored(hub, (TRAIN,), folder, jobs=1)
    assert (folder / "o/d/default/train/0000.parquet").is_file()
    assert not Mirror(folder).has(TRAIN) and Mirror(folder).promises(TRAIN)
    with pytest.raises(UserError, match="no such data"):
        Mirror(folder).read(TRAIN, ("text",))
    mirrored(hub, (TRAIN,), folder)
    assert Mirror(folder).read(TRAIN, ("text",)).num_rows == 3010
    assert len(server.ranges("0000.parquet")) == 1  # what was whole was not fetched again


def test_revisions_stay_until_an_update(hub, files, server, tmp_path):
    folder = tmp_path / "m"
    mirrored(hub, (TRAIN, RAW), folder)
    first = content(folder)
    newer = "d" * 40
    older, fresh = server.commit, Hub(hub.endpoint, hub.github)
    server.commits.append(newer)  # the branch moves on
    mirrored(fresh, (TRAIN, RAW), folder)
    assert content(folder) == first
    assert {e["revision"] for e in read_json(folder / "MANIFEST.json")} == {older}
    server.datasets["o/d"] = {"default/train/0000.parquet": parquet(7)}
    server.commits.remove(older)
    gone = plan_mirror(Hub(hub.endpoint, hub.github), (TRAIN,), folder)
    assert "--update takes the newest" in gone.missing[str(TRAIN)]
    mirrored(Hub(hub.endpoint, hub.github), (TRAIN,), folder, update=True)
    assert Mirror(folder).read(TRAIN, ("text",)).num_rows == 7  # without the file that the new revision lacks
    assert {e["revision"] for e in read_json(folder / "MANIFEST.json") if "file" in e} == {newer}


def test_an_update_of_one_split_is_not_undone(hub, files, server, tmp_path):
    folder = tmp_path / "m"
    mirrored(hub, (TRAIN, TEST), folder)
    older, newer = server.commit, "d" * 40
    server.commits.append(newer)
    for update in (True, False):
        mirrored(Hub(hub.endpoint, hub.github), (TEST,) if update else (TRAIN, TEST), folder, update=update)
        found = {(e["split"], e["revision"]) for e in read_json(folder / "MANIFEST.json")}
        assert found == {("train", older), ("test", newer)}


def test_what_the_servers_lack_is_named_with_the_reason(hub, files, tmp_path):
    lacking = {
        Split("o/none", "default", "train"): "no such dataset",
        Split("o/d", "default", "validation"): "no files default/validation",
        RawFile("github/google-research/FLAN/other.tsv"): "no such file at commit",
        RawFile("github/some/where/x.tsv"): "no commit of its repository is pinned",
    }
    plan = plan_mirror(hub, (TRAIN, *lacking), tmp_path / "m")
    assert len(plan.items) == 2 and list(plan.missing) == [str(data) for data in lacking]
    assert all(reason in plan.missing[str(data)] for data, reason in lacking.items())


def test_a_hub_that_does_not_answer_is_a_user_error(hub, files, server, tmp_path):
    server.faults["/api/datasets/o/d/revision/refs/convert/parquet"] = [("status", 500)] * 6
    with pytest.raises(UserError, match="o/d: did not answer"):
        plan_mirror(hub, (TRAIN,), tmp_path / "m")


# --- the Hub as a source ----------------------------------------------------------------------------------------------


def test_the_hub_source_reads_splits_and_raw_files_and_caches_them(hub, files, server, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hf"))
    assert hub.has(TRAIN) and hub.has(RAW) and not hub.has(Split("o/d", "default", "dev"))
    assert hub.read(TRAIN, ("text",)).num_rows == 3010
    server.faults[f"/raw/google-research/FLAN/{server.commit}/flan/v2/cot_data/creak_train.tsv"] = [("cut", 9)]
    assert hub.read(RAW, ("question",))["question"].to_pylist() == ["is it?", "was it?"]
    server.requests.clear()
    again = Hub(hub.endpoint, GitHub("http://127.0.0.1:9", "http://127.0.0.1:9", cache=hub.github.cache))
    assert again.has(RAW) and again.read(RAW, ("answer",)).num_rows == 2 and not server.requests
    assert not hub.has(RawFile("github/google-research/FLAN/none.tsv")) and not hub.has(RawFile("github/a/b/c.tsv"))
    with pytest.raises(UserError, match=r"none\.tsv: no such data"):
        hub.read(RawFile("github/google-research/FLAN/none.tsv"), ())


def test_the_fingerprint_of_the_hub_follows_commits(hub, files, server):
    before = hub.fingerprint(TRAIN)
    assert Hub(hub.endpoint, hub.github).fingerprint(TRAIN) == before
    server.commits.append("d" * 40)
    assert hub.fingerprint(TRAIN) == before != Hub(hub.endpoint, hub.github).fingerprint(TRAIN)
    assert hub.fingerprint(RAW) != hub.fingerprint(RawFile(RAW.path.replace("creak", "qed")))


def test_an_unknown_commit_names_where_to_correct_it(hub, server):
    with pytest.raises(UserError, match=r"GitHub says 404.*flannb/build/github\.py"):
        hub.github.remote(RAW)


def test_repositories_of_the_collection_are_pinned():
    used = {d.path for d in needed_data(tasks("hub"), eval_tasks("hub")) if isinstance(d, RawFile)}
    repositories = {"/".join(path.split("/")[1:3]) for path in used}
    # UnifiedQA's files are in no repository: a mirror folder has to bring them.
    assert repositories - set(COMMITS) <= {"allenai/unifiedqa"}


# --- the command ------------------------------------------------------------------------------------------------------


def boolq(server, rows=4):
    server.datasets["google/boolq"] = {
        f"default/{split}/0000.parquet": parquet(
            rows, question=["is it"] * rows, passage=["it is" * 9] * rows, answer=[True] * rows
        )
        for split in ("train", "validation")
    }


@pytest.fixture
def command(server, monkeypatch):
    monkeypatch.setattr("flannb.experiments.tools.Hub", lambda: Hub(server.url))
    return lambda *arguments: main(["mirror", *map(str, arguments)])


def test_the_command_mirrors_named_tasks_and_sets(command, server, tmp_path, capsys):
    boolq(server)
    assert command("--to", tmp_path / "m", "--tasks", "boolq", "--suites", "held_in/boolq") == 0
    names = {str(p.relative_to(tmp_path / "m")) for p in (tmp_path / "m").rglob("*.parquet")}
    assert names == {f"google/boolq/default/{split}/0000.parquet" for split in ("train", "validation")}
    assert command("--to", tmp_path / "n", "--tasks", "boolq", "--dry-run") == 0
    assert "google/boolq/default/train/0000.parquet" in capsys.readouterr().out and not (tmp_path / "n").exists()


def test_the_command_names_what_is_missing_and_wrong(command, server, tmp_path, capsys):
    boolq(server)
    to = ("--to", tmp_path / "m")
    assert command(*to, "--tasks", "boolq,rte") == 2
    assert "aps/super_glue/rte/train: no such dataset" in capsys.readouterr().err and not (tmp_path / "m").exists()
    assert command(*to, "--tasks", "boolq,rte", "--allow-missing") == 0
    assert command(*to, "--tasks", "nope") == 2 and "--tasks nope: unknown" in capsys.readouterr().err
    assert command(*to, "--jobs", "0") == 2 and "--jobs 0" in capsys.readouterr().err


def test_a_killed_copy_leaves_no_half_file_and_goes_on(server, tmp_path):
    rows = 40_000
    server.datasets["google/boolq"] = {"default/train/0000.parquet": parquet(rows)}
    size = len(server.datasets["google/boolq"]["default/train/0000.parquet"])
    path = f"/datasets/google/boolq/resolve/{server.commit}/default/train/0000.parquet"
    server.faults[path] = [("slow", 0.01)]
    folder = tmp_path / "m"
    target = folder / "google/boolq/default/train/0000.parquet"
    call = [sys.executable, "-m", "flannb.experiments", "mirror", "--to", str(folder), "--tasks", "boolq"]
    environment = os.environ | {"HF_ENDPOINT": server.url, "PYTHONPATH": str(Path(__file__).parents[2])}
    running = subprocess.Popen(call, env=environment, stderr=subprocess.DEVNULL)
    part = target.with_name(".0000.parquet.part")
    deadline = time.monotonic() + 60
    while not (part.exists() and part.stat().st_size > 20_000):
        assert running.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert not target.exists() and not Mirror(folder).has(Split("google/boolq", "default", "train"))
    have = part.stat().st_size
    assert 20_000 < have < size
    plan = plan_mirror(Hub(server.url), (Split("google/boolq", "default", "train"),), folder)
    copy_mirror(plan, folder)
    assert server.ranges("0000.parquet")[-1] == f"bytes={have}-"
    assert sha256(target) == read_json(folder / "MANIFEST.json")[0]["sha256"] and not part.exists()


def test_an_interrupted_copy_stops_soon_and_goes_on(hub, files, server, tmp_path):
    where = f"/datasets/o/d/resolve/{server.commit}/default/train/"
    server.faults[where + "0000.parquet"] = [("slow", 0.05)]
    plan = plan_mirror(hub, (TRAIN, TEST), tmp_path / "m")

    def interrupt(size):
        raise KeyboardInterrupt

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        copy_mirror(plan, tmp_path / "m", advance=interrupt)
    assert time.monotonic() - started < 2
    copy_mirror(plan, tmp_path / "m")
    assert Mirror(tmp_path / "m").read(TRAIN, ("text",)).num_rows == 3010
