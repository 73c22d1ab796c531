"""Bars count and note whether they are shown or not; quiet and verbose; colours."""

import io
import os
import sys
import threading

import pytest

from flannb.errors import UserError
from flannb.progress import (
    PROGRESS,
    Bar,
    Progress,
    environment,
    is_quiet,
    is_verbose,
    read_progress,
    remark,
    say,
    spoken,
)
from flannb.terminal import coloured, show_error


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def noted(tmp_path, monkeypatch):
    monkeypatch.setenv(PROGRESS, str(tmp_path / "progress"))
    return lambda: read_progress(tmp_path / "progress")


def test_a_bar_notes_how_far_it_has_come(noted):
    with Bar(total=10, initial=4, desc="training", unit="step", file=io.StringIO()) as bar:
        assert (noted().done, noted().first, noted().total) == (4, 4, 10)
        bar.update(6)
    assert noted().share == 1 and str(noted()) == "training 10 of 10 steps" and noted().at >= noted().since


def test_notes_are_seldom_and_the_last_one_counts(noted, monkeypatch):
    with Bar(total=1000, desc="training", unit="step", disable=True) as bar:
        for _ in range(999):
            bar.update()
        assert noted().done == 0 and bar.n == 999
        monkeypatch.setattr("flannb.progress.INTERVAL", 0.0)
        bar.update(0)
        assert noted().done == 999


def test_a_bar_without_a_name_or_a_file_notes_nothing(noted, tmp_path):
    Bar(total=3, file=io.StringIO()).close()
    with environment({PROGRESS: ""}):
        Bar(total=3, desc="a", file=io.StringIO()).close()
    assert noted() is None and not list(tmp_path.iterdir())


def test_a_note_that_cannot_be_written_stops_nothing(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv(PROGRESS, str(tmp_path / "file" / "progress"))
    with Bar(total=2, desc="training") as bar:
        bar.update(2)


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"what": 1}'])
def test_a_torn_note_is_none(text, tmp_path):
    (tmp_path / "progress").write_text(text)
    assert read_progress(tmp_path / "progress") is None


def test_bars_are_for_terminals(monkeypatch):
    file, terminal = io.StringIO(), Terminal()
    for stream in (file, terminal):
        with Bar(total=2, desc="training", file=stream) as bar:
            bar.update(2)
    assert file.getvalue() == "" and "training" in terminal.getvalue()
    monkeypatch.setenv("FLANNB_QUIET", "1")
    quiet = Terminal()
    Bar(total=2, desc="training", file=quiet).close()
    assert quiet.getvalue() == ""


def test_quiet_leaves_out_remarks_and_not_warnings(capsys, monkeypatch):
    remark("a remark")
    monkeypatch.setenv("FLANNB_QUIET", "1")
    remark("another")
    say("a warning")
    assert is_quiet() and not is_verbose() and capsys.readouterr().err == "a remark\na warning\n"


def test_a_notebook_has_remarks_on_the_output_which_it_does_not_redden(capsys, monkeypatch):
    monkeypatch.setattr("flannb.progress.IN_NOTEBOOK", True)
    remark("a remark")
    say("a warning")
    assert capsys.readouterr() == ("a remark\n", "a warning\n")


def test_an_environment_is_put_back():
    with environment({"FLANNB_TEST": "1"}):
        assert os.environ["FLANNB_TEST"] == "1"
    assert "FLANNB_TEST" not in os.environ
    with pytest.raises(ZeroDivisionError), environment({"FLANNB_TEST": "1"}):
        raise ZeroDivisionError
    assert "FLANNB_TEST" not in os.environ


def test_an_environment_is_put_back_whatever_the_block_has_set(monkeypatch):
    monkeypatch.setenv("FLANNB_KEPT", "1")
    before = dict(os.environ)
    with environment({"FLANNB_TEST": "1"}):
        os.environ["FLANNB_OTHER"] = "1"
        os.environ["FLANNB_KEPT"] = "2"
        del os.environ["PATH"]
    assert dict(os.environ) == before


def test_other_threads_see_all_variables_while_one_is_put_back(monkeypatch):
    monkeypatch.setenv("FLANNB_KEPT", "1")
    ended, missed = threading.Event(), []

    def look():
        while not ended.is_set():
            if "FLANNB_KEPT" not in os.environ:
                missed.append(True)

    thread, before = threading.Thread(target=look), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread.start()
    for _ in range(500):
        with environment({"FLANNB_TEST": "1"}):
            pass
    ended.set()
    thread.join()
    sys.setswitchinterval(before)
    assert not missed


def test_a_bar_shows_what_it_has_reached():
    with Bar(total=3, desc="building", file=io.StringIO()) as bar:
        bar.reach("boolq", 2, 4)
        assert (bar.n, bar.total, bar.postfix) == (2, 4, "boolq")


def test_a_share_of_nothing_is_unknown():
    assert Progress("reading", 5, None, 0, "B", 0.0, 1.0).share is None
    assert str(Progress("reading", 5, None, 0, "B", 0.0, 1.0)) == "reading 5 Bs"


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0 s"), (89, "89 s"), (600, "10 min"), (9000, "2.5 h")])
def test_times_as_people_say_them(seconds, text):
    assert spoken(seconds) == text


def test_colours_are_for_terminals_that_want_them(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert coloured("a", "red", Terminal()) == "\x1b[31ma\x1b[0m" and coloured("a", "red", io.StringIO()) == "a"
    monkeypatch.setenv("TERM", "dumb")
    assert coloured("a", "red", Terminal()) == "a"
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert coloured("a", "red", Terminal()) == "a"


def test_an_error_cannot_steer_the_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys, "stderr", Terminal())
    show_error(UserError("a file named \x1b[2J"))
    assert sys.stderr.getvalue() == "\x1b[31merror:\x1b[0m a file named \\x1b[2J\n"
