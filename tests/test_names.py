"""Names in lists, and what is said where there is none."""

import pytest

from flannb.errors import UserError
from flannb.names import check_name, known_names, split_names


def test_names_are_split_at_commas_each_once():
    assert split_names(" b, a,,b ,") == ("b", "a")
    assert split_names(" , ") == ()


def test_an_unknown_name_is_told_with_those_that_there_are():
    check_name("--scale", "smoke", {"smoke": 1, "micro": 2})
    with pytest.raises(UserError, match=r"^--scale huge: unknown; choose one of smoke, micro$"):
        check_name("--scale", "huge", {"smoke": 1, "micro": 2})


def test_a_list_of_known_names():
    assert known_names("--suites", "mmlu, bbh,mmlu", ("bbh", "mmlu")) == ("mmlu", "bbh")
    with pytest.raises(UserError, match=r"^--suites tests: unknown; choose one of bbh, mmlu$"):
        known_names("--suites", "mmlu,tests", iter(("bbh", "mmlu")))
    with pytest.raises(UserError, match=r"^--suites: names nothing; choose from bbh, mmlu$"):
        known_names("--suites", " ,", ("bbh", "mmlu"))
