"""Input inversion (the paper's appendix B): tasks whose inputs and targets change places.

Dialog, Program Synthesis and Chain-of-Thought get an inverted twin for each task, rendered by the template set named
``<set>_inverted``: the conversation before a turn, the question that a program answers, and every permutation of
question, answer and explanation in which at least one of the three is the target (``PERMUTATIONS``).

All exemplars of an inverted prompt use the query's template. Where they drew their own, as those of other tasks may,
the exemplars would ask for other things than the query does, and nothing would say what is wanted.
"""

from dataclasses import dataclass, replace
from itertools import product

from flannb.collection import SUBMIXTURES, Task, Template, TemplateSet, templates
from flannb.collection.template import names_in

INVERTED_SHARE = 0.3
"""Inverted examples for each regular one: "3 inverted for every 10 regular" (appendix B)."""

SUFFIX = "_inverted"


def invert(task: Task) -> Task:
    """The inverted twin of a task: the same rows under other templates. Options do not apply to it."""
    fields = {name: field for name, field in task.fields.items() if name != "options"}
    return replace(
        task, name=task.name + SUFFIX, fields=fields, templates=task.templates + SUFFIX, inverted=True, held_in=False
    )


def regular_name(name: str, inverted: bool) -> str:
    """The name of a task, or of the one that an inverted one is the twin of."""
    return name.removesuffix(SUFFIX) if inverted else name


def with_inversions(tasks: tuple[Task, ...]) -> tuple[Task, ...]:
    """The tasks, each followed by its inverted twin where its submixture has inversions."""
    return tuple(
        made for task in tasks for made in ((task, invert(task)) if SUBMIXTURES[task.submixture].inverted else (task,))
    )


PARTS = ("question", "answer", "rationale")
"""The fields of a Chain-of-Thought record."""


@dataclass(frozen=True)
class Permutation:
    """A split of ``PARTS`` into those that a prompt gives and those that it asks for; a part may be neither."""

    given: frozenset[str]
    asked: frozenset[str]

    def __str__(self) -> str:
        given, asked = ([part for part in PARTS if part in parts] for parts in (self.given, self.asked))
        return f"{' + '.join(given)} -> {' + '.join(asked)}"


def permutation_of(template: Template) -> Permutation:
    """What a template gives and asks for of ``PARTS``; options belong to the question."""
    given = names_in(template.input) | names_in(template.instruction)
    return Permutation(given.intersection(PARTS), names_in(template.target).intersection(PARTS))


def _permutations() -> tuple[Permutation, ...]:
    splits = (dict(zip(PARTS, roles, strict=True)) for roles in product(("given", "asked", ""), repeat=len(PARTS)))
    every = (
        Permutation(*(frozenset(part for part in PARTS if split[part] == role) for role in ("given", "asked")))
        for split in splits
    )
    return tuple(sorted((p for p in every if p.given and p.asked), key=lambda p: (len(p.given), str(p))))


PERMUTATIONS = _permutations()
"""All twelve splits with something given and something asked, as Figure 7 of the paper shows them. A prompt that gives
nothing would be the same for every row, so no split does."""

REGULAR = Permutation(frozenset({"question"}), frozenset({"answer", "rationale"}))
"""The chain of thought as it is: the permutation of the set itself. Its inverted twin has the eleven others."""


def permutation_templates(name: str = "cot", few_shot: bool = False) -> dict[Permutation, Template]:
    """A template for each permutation: the first of the set ``name`` for the regular one, else of its inverted twin.

    Args:
        name: a set of Chain-of-Thought, such as ``cot`` or ``math_cot``.
        few_shot: whether templates of exemplars are wanted.

    Raises:
        KeyError: there is no such set, or it has no inverted twin.
    """

    def of(family: TemplateSet) -> tuple[Template, ...]:
        return family.few_shot if few_shot else family.zero_shot

    found: dict[Permutation, Template] = {}
    for template in (*of(templates()[name]), *of(templates()[name + SUFFIX])):
        found.setdefault(permutation_of(template), template)
    return {permutation: found[permutation] for permutation in PERMUTATIONS}
