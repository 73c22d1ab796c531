"""All artefacts at once, and what changed."""

from dataclasses import replace
from pathlib import Path

import pytest

from flannb.errors import UserError
from flannb.experiments import ARTEFACTS
from flannb.experiments.everything import MOST_LINES, all_steps, changes, papers, read_results
from flannb.experiments.registry import steps_of
from flannb.experiments.reproduce import Options, enter_project


def test_all_artefacts_share_what_they_can():
    enter_project()
    steps = all_steps(Options(), papers())
    assert len({step.folder for step in steps}) == len(steps)
    names = [artefact.name for artefact in papers()]
    assert set(ARTEFACTS) - set(names) == {"weights"}
    apart = [step for artefact in papers() for step in steps_of(artefact, Options())]
    assert {step.folder for step in steps} == {step.folder for step in apart}
    assert {step.folder: step.key for step in steps} == {step.folder: step.key for step in apart}
    folders = [step.folder for step in steps]
    for step in steps:
        assert all(need.folder in folders[: folders.index(step.folder)] for need in step.needs)
    reports = [step for step in steps if step.name.endswith("/report")]
    assert [step.name.split("/")[0] for step in reports] == names
    assert all(Path(step.notebook).is_file() for step in steps)


def test_some_artefacts_are_taken_in_the_order_of_the_paper():
    assert [artefact.name for artefact in papers("figure7, table1")] == ["table1", "figure7"]
    with pytest.raises(UserError, match="--only weights: unknown; choose one of table1, table2"):
        papers("weights")
    with pytest.raises(UserError, match="--only: names nothing"):
        papers(" ,")


def test_a_row_is_repeated_wherever_it_is():
    enter_project()
    options = Options(repeats={"": 1, "flan2022": 3, "all_equal": 2})
    steps = {step.name: step for step in all_steps(options, papers("table1,table2,figure1"))}
    trained = [name for name in steps if name.endswith("/train") and "repeat" in name]
    assert trained == ["flan2022-repeat1/train", "flan2022-repeat2/train", "all_equal-repeat1/train"]
    told = {name: step.command.rsplit(" --")[-1] for name, step in steps.items() if name.endswith("/report")}
    assert told == {
        "table1/report": "repeats flan2022=3",
        "table2/report": "repeats all_equal=2",
        "figure1/report": "repeats flan2022=3",
    }
    with pytest.raises(UserError, match=r"--repeats minus_cots: unknown; choose one of .*minus_cot"):
        all_steps(replace(options, repeats={"minus_cots": 2}), papers("table1,table2"))


def write(folder, name, text):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


CLAIMS = "id,verdict,detail,difference,ci_low,ci_high\nC1,{},{},{},1.0,2.0\nC2,undecided,,,,\n"


def test_a_file_without_lines_and_lines_that_read_alike_are_no_trouble(tmp_path):
    folder = tmp_path / "table1" / "smoke"
    write(folder, "claims.csv", "id,verdict\n")
    write(folder, "a.csv", 'row,set,score\n"x, y",z,1.5\nx,"y, z",2.5\n')
    before = read_results(tmp_path, "smoke")
    assert list(before) == [("table1/smoke", "claims.csv")] and changes(before, before) == []


def test_changes_tell_verdicts_first_and_only_what_differs(tmp_path):
    folder = tmp_path / "table1" / "smoke"
    write(folder, "a.csv", "row,score,n\nx,1.5,10\ny,2.5,10\n")
    write(folder, "claims.csv", CLAIMS.format("holds", "n = 5", 1.5))
    before = read_results(tmp_path, "smoke")
    assert changes(before, before) == []
    write(folder, "a.csv", "row,score,n\nx,1.5,11\ny,3.5,10\nz,1.0,1\n")
    write(folder, "claims.csv", CLAIMS.format("undecided", "n = 6", 1.5))
    write(tmp_path / "figure2", "figure2.csv", "name,size\nP3,1.5\n")
    write(tmp_path / "claims", "claims.csv", CLAIMS.format("undecided", "n = 6", 1.5))  # the ledger only repeats
    assert changes(before, read_results(tmp_path, "smoke")) == [
        "table1/smoke/claims.csv: C1: verdict holds -> undecided",
        "figure2/figure2.csv: new",
        "table1/smoke/a.csv: y: score 2.5 -> 3.5",
        "table1/smoke/a.csv: 1 lines are new, 0 are gone",
    ]
    assert changes(read_results(tmp_path, "smoke"), {})[-1].endswith("gone")


def test_a_line_may_have_nothing_in_a_column_that_names_it(tmp_path):
    write(tmp_path / "table1" / "smoke", "a.csv", "row,set,score\nx,b,1.5\nx,,2.5\n")
    found = read_results(tmp_path, "smoke")["table1/smoke", "a.csv"]
    assert found["score"].to_dict() == {"x, b": 1.5, "x, ": 2.5}


def test_other_scales_are_left_alone_and_many_changes_are_counted(tmp_path):
    write(tmp_path / "table1" / "micro", "a.csv", "row,score\nx,1.5\n")
    assert not read_results(tmp_path, "smoke")
    rows = range(MOST_LINES + 5)
    seen = []
    for score in ("1.5", "2.5"):
        write(tmp_path / "b" / "smoke", "a.csv", "row,score\n" + "".join(f"r{row},{score}\n" for row in rows))
        seen.append(read_results(tmp_path, "smoke"))
    told = changes(*seen)
    assert len(told) == MOST_LINES + 1 and told[-1] == "b/smoke/a.csv: 5 more values changed"


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    write(tmp_path / "table1" / "smoke", "a.csv", "")
    with pytest.raises(UserError, match=r"a\.csv: cannot be read"):
        read_results(tmp_path, "smoke")
