"""The short form of `nox -s trust`: some faults of each kind that needs no more than a minute, none left unsurvived."""

import subprocess
import sys
import time

import pytest

from flannb.trust import fuzz, together
from flannb.trust.__main__ import main
from flannb.trust.case import Bench, Figure, NotHere, NotSurvived, demand, until
from flannb.trust.processes import workers_of
from flannb.trust.report import CASES, PAGE, summary, write_report
from flannb.trust.reproduction import Rehearsed


def test_a_reproduction_survives_a_few_faults(tmp_path):
    areas, report = "kill,damage,input,hostile", tmp_path / "report"
    few = ["--areas", areas, "--share", "0.02", "--jobs", "2", "--to", str(report), "--work", str(tmp_path / "work")]
    ran = subprocess.run([sys.executable, "-m", "flannb.trust", *few], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert "faults injected" in ran.stdout and "NOT SURVIVED" not in ran.stderr
    lines = (report / CASES).read_text(encoding="utf-8").splitlines()
    assert {line.split(",")[0] for line in lines[1:]} == set(areas.split(",")) and len(lines) > 20


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path, seed=3)
    bench.inject("kill", "nothing", lambda: "seen")
    bench.inject("kill", "a crash", lambda: 1 // 0)
    bench.inject("input", "a wrong end", lambda: demand(False, f"it was\nwrong in {tmp_path}/a"))

    def absent():
        raise NotHere("no such thing here")

    bench.inject("hostile", "a browser", absent)
    return bench


def test_what_is_not_survived_is_counted_and_never_what_could_not_be_tried(bench, tmp_path):
    assert [case.survived for case in bench.cases] == [True, False, False, None]
    assert summary(bench.cases) == "3 faults injected, 1 survived; 1 could not be tried on this machine"
    page = write_report(bench, tmp_path / "report", ["kill", "input", "hostile"]).read_text(encoding="utf-8")
    assert "| kill | 2 | 1 | 0 |" in page and "| hostile | 0 | 0 | 1 |" in page
    assert "- kill: a crash: ZeroDivisionError" in page and "- input: a wrong end: it was wrong in a\n" in page


def test_another_run_replaces_the_areas_that_it_has(bench, tmp_path):
    write_report(bench, tmp_path / "report", ["kill", "input", "hostile"])
    again = Bench(tmp_path, seed=3)
    again.inject("kill", "nothing", lambda: "seen")
    page = write_report(again, tmp_path / "report", ["kill"]).read_text(encoding="utf-8")
    assert "| kill | 1 | 1 | 0 |" in page and "| input | 1 | 0 | 0 |" in page and "| hostile | 0 | 0 | 1 |" in page
    assert PAGE == "README.md"


def test_a_case_tried_again_leaves_the_figures_of_the_others(bench, tmp_path):
    bench.figures += [Figure("rows", 10, 1.0, 99.0), Figure("runs", 5, 2.0, 99.0)]
    write_report(bench, tmp_path / "report", ["load"])
    again = Bench(tmp_path, seed=3, only=frozenset([("load", "rows")]), figures=[Figure("rows", 10, 3.0, 99.0)])
    page = write_report(again, tmp_path / "report", ["load"]).read_text(encoding="utf-8")
    assert "| rows | 10 | 3.00 | 99 |" in page and "| runs | 5 | 2.00 | 99 |" in page and "1.00" not in page
    whole = Bench(tmp_path, seed=3, figures=[Figure("tasks", 7, 4.0, 99.0)])
    page = write_report(whole, tmp_path / "report", ["load"]).read_text(encoding="utf-8")
    assert "| tasks | 7 |" in page and "| runs |" not in page


@pytest.mark.parametrize("options", [["--areas", "nope"], ["--share", "0.0"], ["--share", "2.0"], ["--jobs", "0"]])
def test_wrong_options_end_with_2(options, tmp_path, capsys):
    assert main([*options, "--to", str(tmp_path)]) == 2
    assert f"error: {options[0]} {options[1]}" in capsys.readouterr().err


def test_ctrl_c_among_mutants_ends_the_run():
    def pressed():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fuzz._refused(pressed, b"")


class Scripts(Rehearsed):
    """Runs that are shell scripts instead of reproductions, one after the other."""

    def __init__(self, home, *scripts):
        self.home, self.environment, self.scripts, self.started = home, {}, list(scripts), []

    def back_to(self, stage, compiled=False):
        self.home.mkdir(exist_ok=True)

    def command(self, *options, command=""):
        return ["sh", "-c", self.scripts.pop(0)]

    def start(self, *options, **how):
        self.started.append(super().start(*options, **how))
        return self.started[-1]


def test_no_run_is_left_where_another_of_its_case_fails(tmp_path):
    scripts = Scripts(tmp_path, "echo it failed; exit 1", "sleep 60")
    with pytest.raises(NotSurvived, match="one ended with 1: it failed"):
        together._two(scripts, ((), ()))
    ends = [process.poll() for process in scripts.started]
    for process in scripts.started:
        process.kill()
        process.communicate()
    assert ends == [1, -9]


def test_what_is_so_already_is_not_waited_for():
    until(lambda: True, 0, "nothing")
    began = time.monotonic()
    with pytest.raises(NotSurvived, match="a miracle did not come about within 0 s"):
        until(lambda: False, 0, "a miracle")
    assert time.monotonic() - began < 5


def test_children_that_end_while_workers_are_looked_for_are_none():
    with subprocess.Popen(["sh", "-c", "while :; do /bin/true; done"]) as busy:
        try:
            assert not any(workers_of(busy.pid) for _ in range(300))
        finally:
            busy.kill()
