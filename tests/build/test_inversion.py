"""Input inversion: twins of tasks, and the permutations of a chain of thought as data."""

from itertools import pairwise

import pytest

from flannb.build.inversion import (
    INVERTED_SHARE,
    PARTS,
    PERMUTATIONS,
    REGULAR,
    Permutation,
    invert,
    permutation_of,
    permutation_templates,
    with_inversions,
)
from flannb.collection import SUBMIXTURES, tasks, templates
from flannb.collection.task import Column

TASKS = tasks("hub")
SETS = ("cot", "math_cot")


def test_three_inverted_for_every_ten():
    assert INVERTED_SHARE == 3 / 10


def test_twins_follow_their_tasks_in_three_submixtures():
    everything = with_inversions(TASKS)
    inverted = [task for task in everything if task.inverted]
    assert {task.submixture for task in inverted} == {"dialog", "program_synthesis", "cot"}
    assert [task for task in everything if not task.inverted] == list(TASKS)
    for task, twin in pairwise(everything):
        assert twin.inverted == (SUBMIXTURES[task.submixture].inverted and not task.inverted)
        if twin.inverted:
            assert (twin.data, twin.templates) == (task.data, f"{task.templates}_inverted")


def test_a_twin_shows_no_options_and_is_not_held_in():
    task = next(task for task in TASKS if task.held_in and task.has_options)
    twin = invert(task)
    assert not twin.has_options and not twin.held_in and twin.name == f"{task.name}_inverted"
    assert invert(next(task for task in TASKS if "passage" in task.fields)).fields["passage"] == Column("passage")


def test_permutations_are_all_splits_with_something_given_and_asked():
    """Counted another way: of the 3^3 roles of the parts, 2^3 give nothing, 2^3 ask for nothing, and one does both."""
    assert len(PERMUTATIONS) == len(set(PERMUTATIONS)) == 3**3 - 2 * 2**3 + 1
    for permutation in PERMUTATIONS:
        assert permutation.given and permutation.asked
        assert not permutation.given & permutation.asked
        assert permutation.given | permutation.asked <= set(PARTS)
    assert REGULAR in PERMUTATIONS and str(REGULAR) == "question -> answer + rationale"
    assert str(Permutation(frozenset({"rationale", "answer"}), frozenset({"question"}))) == (
        "answer + rationale -> question"
    )


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("kind", ["zero_shot", "few_shot"])
def test_every_permutation_is_worded(name, kind):
    regular, inverted = (getattr(templates()[found], kind) for found in (name, f"{name}_inverted"))
    assert {permutation_of(template) for template in regular} == {REGULAR}
    assert {permutation_of(template) for template in inverted} == set(PERMUTATIONS) - {REGULAR}


@pytest.mark.parametrize("name", [*SETS, "mini_cot", "mini_cot_options"])
def test_a_template_for_each_permutation(name):
    found = permutation_templates(name)
    assert tuple(found) == PERMUTATIONS
    assert all(permutation_of(template) == permutation for permutation, template in found.items())
    if name in SETS:
        few_shot = permutation_templates(name, few_shot=True)
        assert tuple(few_shot) == PERMUTATIONS and few_shot[REGULAR] == templates()[name].few_shot[0]
