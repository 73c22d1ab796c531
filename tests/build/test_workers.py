"""Workers: the same bytes whatever their number, and a killed one costs a retry."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

import flannb
import flannb.build.parts as parts_module
from flannb.build import Mini, build_data, default_workers, workers
from flannb.errors import UserError


def contents(index):
    return {str(p.relative_to(index.parent)): p.read_bytes() for p in index.parent.rglob("*") if p.is_file()}


def dies_once(path):
    """Kills its own process the first time it is called with a path."""
    path = Path(path)
    if not path.exists():
        path.write_text(str(os.getpid()))
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()


def refuses(text):
    raise UserError(text)


def worker_processes():
    found = [p for p in psutil.Process().children(recursive=True) if "spawn_main" in " ".join(p.cmdline())]
    return [p for p in found if not any(child in found for child in p.children())]


@pytest.fixture(scope="module")
def two():
    with workers(2) as run:
        yield run


def test_one_worker_is_this_process():
    with workers(1) as run:
        assert list(run(abs, [-1, 2])) == [(-1, 1), (2, 2)]
    assert default_workers() >= 1


def test_a_process_can_have_workers_more_than_once(tmp_path):
    """In a fresh process: what Dask's first import within the first block sets up has to outlive it."""
    program = tmp_path / "twice.py"
    program.write_text(
        "from flannb.build import workers\n"
        "if __name__ == '__main__':\n"
        "    for _ in range(2):\n"
        "        with workers(2) as run:\n"
        "            print(sorted(run(abs, [-1, 2])))\n"
    )
    path = {"PYTHONPATH": str(Path(flannb.__file__).parents[1])}
    made = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, env=os.environ | path)
    assert made.stdout.split("\n")[:2] == ["[(-1, 1), (2, 2)]"] * 2, made.stderr


def test_results_come_with_their_items(two):
    assert sorted(two(abs, [-3, 1, -2])) == [(-3, 3), (-2, 2), (1, 1)]


def test_errors_of_the_work_are_raised_here(two):
    with pytest.raises(UserError, match="no such row"):
        list(two(refuses, ["no such row"]))


def test_the_bytes_depend_neither_on_workers_nor_on_parts_lost_with_one(
    two, few_tasks, build_options, tmp_path, monkeypatch
):
    monkeypatch.setattr(parts_module, "JOB_ROWS", 1)  # a job for each part
    alone = build_data(Mini(), few_tasks[:4], build_options, tmp_path / "alone", count=1)
    before = {process.pid for process in worker_processes()}
    assert len(before) == 2
    killed = []

    def kill(task, done, total):
        if done and not killed:  # in the middle: some tasks are built, others are not
            assert done < total
            killed.append(worker_processes()[0])
            killed[0].send_signal(signal.SIGKILL)

    together = build_data(Mini(), few_tasks[:4], build_options, tmp_path / "together", kill, run=two)
    assert killed and contents(together) == contents(alone)
    deadline = time.monotonic() + 20
    while len({process.pid for process in worker_processes()} - before) < 1 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert {process.pid for process in worker_processes()} - before, "no new worker in place of the killed one"


def test_work_that_loses_its_worker_is_done_by_another(two, tmp_path):
    ((_, survivor),) = two(dies_once, [str(tmp_path / "pid")])
    assert survivor != int((tmp_path / "pid").read_text())


def test_an_address_without_a_scheduler_is_a_user_error():
    import dask

    with (
        dask.config.set({"distributed.comm.timeouts.connect": "1s"}),
        pytest.raises(UserError, match="no scheduler answers"),
        workers(1, "tcp://127.0.0.1:9"),
    ):
        pass


def test_a_cluster_elsewhere_builds_the_same_bytes(few_tasks, build_options, tmp_path):
    from dask.distributed import LocalCluster

    three = few_tasks[:3]
    alone = build_data(Mini(), three, build_options, tmp_path / "alone", count=1)
    with LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0") as cluster:
        there = build_data(Mini(), three, build_options, tmp_path / "there", cluster=cluster.scheduler_address)
    assert contents(there) == contents(alone)


def test_a_script_that_its_workers_run_again_is_told_so(tmp_path):
    program = tmp_path / "unguarded.py"
    program.write_text(
        "from pathlib import Path\n"
        "from flannb.build import BuildOptions, Lengths, Mini, build_data\n"
        "from flannb.collection import tasks\n"
        "options = BuildOptions(Lengths(80, 32), 8, 400, 0)\n"
        f"build_data(Mini(), tasks('mini')[:2], options, Path({str(tmp_path)!r}), count=2)\n"
    )
    ended = subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=120)
    assert ended.returncode and 'put what starts the build below `if __name__ == "__main__":`' in ended.stderr
