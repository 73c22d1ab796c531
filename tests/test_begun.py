"""What a folder says was begun in it."""

import pytest

from flannb.begun import begin
from flannb.errors import UserError

ABOUT = {"data": "a", "options": {"steps": 3, "shape": (1, 2)}}


def test_the_same_goes_on(tmp_path):
    begin(tmp_path / "run", "training", ABOUT)
    written = (tmp_path / "run" / "begun.json").read_bytes()
    begin(tmp_path / "run", "training", ABOUT)
    assert (tmp_path / "run" / "begun.json").read_bytes() == written


def test_something_else_is_refused_by_what_differs(tmp_path):
    begin(tmp_path, "training", ABOUT)
    other = ABOUT | {"options": {"steps": 4, "shape": (1, 2)}, "start": "b"}
    with pytest.raises(
        UserError, match=r"holds a training with other options \(steps\), start\. To keep it, name"
    ) as told:
        begin(tmp_path, "training", other, "--to")
    assert "another folder with --to; else delete this one" in str(told.value)
    begin(tmp_path, "training", ABOUT)


def test_a_record_that_says_nothing_is_refused(tmp_path):
    (tmp_path / "begun.json").write_text("[]")
    with pytest.raises(UserError, match=r"begun\.json: says of no training what it is; delete"):
        begin(tmp_path, "training", ABOUT)
