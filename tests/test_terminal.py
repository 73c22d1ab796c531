"""How commands end: what a user can mend is shown, and they are as quiet as the options say."""

import argparse

import pytest

from flannb.errors import UserError
from flannb.progress import add_options, is_quiet, is_verbose, remark
from flannb.terminal import run_command, show_markdown
from flannb.trust.case import Case, tell


def options(*words):
    parser = argparse.ArgumentParser()
    add_options(parser)
    return parser.parse_args(words)


@pytest.mark.parametrize(
    ("words", "expected"), [((), (False, False)), (("-q",), (True, False)), (("-v",), (False, True))]
)
def test_a_command_is_as_quiet_or_verbose_as_asked(words, expected):
    seen = []
    assert run_command(options(*words), lambda given: seen.append((is_quiet(), is_verbose()))) == 0
    assert seen == [expected] and not is_quiet() and not is_verbose()


def test_the_exit_code_is_that_of_the_command_or_tells_of_an_error(capsys):
    def fail(given):
        remark("at work")
        raise UserError("nothing is here; look elsewhere")

    assert run_command(options(), lambda given: 1) == 1
    assert run_command(options("-q"), fail) == 2
    assert capsys.readouterr().err == "error: nothing is here; look elsewhere\n"


@pytest.mark.parametrize("module", ["bench", "model", "share", "trust"])
def test_commands_say_that_they_can_be_quiet(module, capsys):
    main = __import__(f"flannb.{module}.__main__", fromlist=["main"]).main
    words = {"bench": ["data"], "model": ["convert"]}.get(module, [])
    with pytest.raises(SystemExit, match="0"):
        main([*words, "--help"])
    assert "--quiet" in capsys.readouterr().out


def test_quiet_faults_are_told_only_where_they_were_not_survived(capsys):
    cases = [Case("kill", f"case {survived}", survived, "seen", 3.0) for survived in (True, False, None)]
    told = {}
    for words in ((), ("-q",), ("-v",)):
        run_command(options(*words), lambda given: [tell(case) for case in cases] and None)
        told[words] = capsys.readouterr().err
    assert all(f"case {survived}" in told[()] for survived in (True, False, None)) and "3 s" not in told[()]
    assert told[("-q",)] == "kill: case False: NOT SURVIVED (seen)\n"
    assert told[("-v",)].count("in 3 s") == 3


def test_markdown_is_printed_and_in_a_notebook_displayed(capsys, monkeypatch):
    show_markdown("# Table 1")
    assert capsys.readouterr().out == "# Table 1\n"
    monkeypatch.setattr("flannb.progress.IN_NOTEBOOK", True)
    show_markdown("# Table 1")
    assert "Markdown object" in capsys.readouterr().out  # how IPython shows it where there is no notebook
