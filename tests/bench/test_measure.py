"""Measuring programs: how long they take, how much memory, and what is told where they fail."""

import subprocess
import time

import pytest

from flannb.bench.measure import _watch, measure
from flannb.errors import UserError


def test_a_program_that_ends_at_once_is_no_error():
    process = subprocess.Popen(["true"])
    time.sleep(0.5)
    assert _watch(process, None) >= 0 and process.returncode == 0


def test_a_program_that_fails_is_told_in_its_own_words():
    with pytest.raises(UserError, match="No module named"):
        measure("flannb.bench.nothing")
