"""Processes of steps: order, hardware, failures, and that none is left over."""

import importlib
import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

from flannb.errors import UserError
from flannb.experiments.devices import GPUS
from flannb.experiments.reproduce import project_root
from flannb.experiments.side_by_side import _start, side_by_side
from flannb.experiments.step import Step

# What the processes run lies in a module of its own, which they can import.
WORK = """
import os, sys, time
from pathlib import Path
from flannb.errors import UserError

def work(step):
    home = Path(step.folder)
    home.mkdir(parents=True)
    (home / "started").write_text(str(time.monotonic()))
    (home / "pid").write_text(str(os.getpid()))
    (home / "gpus").write_text(os.environ.get("CUDA_VISIBLE_DEVICES", "all"))
    (home / "cores").write_text(str(len(os.sched_getaffinity(0))))
    print("said", file=sys.stderr)
    what = step.parameters.get("do", "")
    if what == "fail":
        raise UserError("the text is bad; choose another")
    if what == "break":
        raise ZeroDivisionError("a defect")
    if what == "die":
        os.kill(os.getpid(), 9)
    time.sleep(step.parameters.get("seconds", 0))
    (home / "ended").write_text(str(time.monotonic()))
    return 1.5
"""


@pytest.fixture
def work(tmp_path, monkeypatch):
    (tmp_path / "steps_of_a_test.py").write_text(WORK)
    monkeypatch.syspath_prepend(tmp_path)  # processes have this one's path
    return importlib.import_module("steps_of_a_test").work


@pytest.fixture
def make(tmp_path):
    def step(name, *needs, threads=0, cache="", **parameters):
        return Step(name, str(tmp_path / name), "", "", parameters, (), needs=needs, threads=threads, cache=cache)

    return step


def read(step, name):
    return (Path(step.folder) / name).read_text()


def test_steps_run_in_the_order_of_their_needs_and_the_others_at_once(work, make):
    data = make("data")
    rows = [make(f"row{i}/train", data, seconds=3) for i in range(2)]
    report = make("report", *rows)
    told = {}
    side_by_side([data, *rows, report], 2, work, lambda step, seconds: told.update({step.name: seconds}))
    assert told == dict.fromkeys(("data", "row0/train", "row1/train", "report"), 1.5)
    start, end = ({s.name: float(read(s, name)) for s in (data, *rows, report)} for name in ("started", "ended"))
    assert end["data"] < min(start["row0/train"], start["row1/train"])
    assert max(start["row0/train"], start["row1/train"]) < min(end["row0/train"], end["row1/train"])
    assert start["report"] > max(end["row0/train"], end["row1/train"])
    assert "said" in Path(f"{data.folder}.log").read_text()


def test_each_sees_its_own_gpus_and_threads_their_core(work, make, monkeypatch, tmp_path):
    monkeypatch.setenv(GPUS, "4,7")
    monkeypatch.setattr("flannb.experiments.side_by_side.gpus", lambda: ("4", "7"))
    steps = [make(f"row{i}", seconds=2, threads=i) for i in range(2)]
    side_by_side(steps, 2, work, lambda step, seconds: None)
    assert [read(step, "gpus") for step in steps] == ["4", "7"]
    assert [int(read(step, "cores")) for step in steps] == [len(os.sched_getaffinity(0)), 1]
    assert os.environ[GPUS] == "4,7"


def test_steps_that_compile_on_the_same_gpu_start_one_after_the_other(work, make, monkeypatch):
    monkeypatch.setattr("flannb.experiments.side_by_side.gpus", lambda: ("4", "7"))
    monkeypatch.setattr("flannb.experiments.side_by_side.APART", 3.0)
    monkeypatch.setattr("flannb.experiments.side_by_side._start", remembering := Remembering(_start))
    steps = [make(f"row{i}", cache="programs", seconds=1) for i in range(5)]
    side_by_side(steps, 4, work, lambda step, seconds: None)
    seen = {gpu: [when for when, at in remembering.starts if at == gpu] for gpu in ("4", "7")}
    assert {len(times) for times in seen.values()} == {2, 3}
    assert abs(seen["4"][0] - seen["7"][0]) < 1.5
    assert all(later - before >= 3.0 for times in seen.values() for before, later in pairwise(times))


def test_a_report_waits_for_no_step_that_compiles(work, make, monkeypatch):
    monkeypatch.setattr("flannb.experiments.side_by_side.gpus", lambda: ("4",))
    monkeypatch.setattr("flannb.experiments.side_by_side.APART", 10.0)
    rows = [make(f"row{i}", cache="programs") for i in range(2)]
    report = make("report")
    side_by_side([*rows, report], 3, work, lambda step, seconds: None)
    first, second, told = (float(read(step, "started")) for step in (*rows, report))
    assert told < first + 5.0 < second


class Remembering:
    """Starts a process and remembers when, and on which GPU."""

    def __init__(self, start):
        self.start, self.starts = start, []

    def __call__(self, step, run, slot):
        self.starts.append((time.monotonic(), os.environ[GPUS]))
        return self.start(step, run, slot)


@pytest.mark.parametrize(
    ("do", "message"),
    [
        ("fail", r"^the text is bad; choose another$"),
        ("break", r"^bad: failed in a way that it should not. The traceback is in .*bad\.log"),
        ("die", r"^bad: its process was killed; if memory ran out, pass a smaller --workers"),
    ],
)
def test_a_failure_is_told_and_stops_the_others(do, message, work, make):
    other, never = make("other", seconds=600), make("bad", do=do)
    later = make("later", never)
    with pytest.raises(UserError, match=message):
        side_by_side([other, never, later], 2, work, lambda step, seconds: None)
    assert not Path(later.folder).exists() and not Path(other.folder, "ended").exists()
    if Path(other.folder, "pid").exists():
        with pytest.raises(ProcessLookupError):
            os.kill(int(read(other, "pid")), 0)
    if do == "break":
        assert "ZeroDivisionError: a defect" in Path(f"{never.folder}.log").read_text()


def test_processes_end_with_the_one_that_started_them(make, tmp_path):
    (tmp_path / "steps_of_a_test.py").write_text(WORK)
    program = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
from steps_of_a_test import work
from flannb.experiments.step import Step
from flannb.experiments.side_by_side import side_by_side
side_by_side([Step("long", {str(tmp_path / "long")!r}, "", "", {{"seconds": 600}}, ())], 1, work, print)
"""
    parent = subprocess.Popen([sys.executable, "-c", program], env=os.environ | {"PYTHONPATH": str(project_root())})
    started = tmp_path / "long" / "cores"
    deadline = time.monotonic() + 60
    while not started.exists():
        assert parent.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    child = int((tmp_path / "long" / "pid").read_text())
    while Path(f"/proc/{child}").exists() and "Z" not in Path(f"/proc/{child}/stat").read_text().split()[2]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
