"""Input inversion (the paper's appendix B): tasks whose inputs and targets change places.

Dialog, Program Synthesis and Chain-of-Thought get an inverted twin for each task, rendered by the template set named
``<set>_inverted``: the conversation before a turn, the question that a program answers, and every permutation of
question, answer and explanation in which at least one of the three is the target.
"""

from dataclasses import replace

from flannb.collection import SUBMIXTURES, Task

INVERTED_SHARE = 0.3
"""Inverted examples for each regular one: "3 inverted for every 10 regular" (appendix B)."""

SUFFIX = "_inverted"


def invert(task: Task) -> Task:
    """The inverted twin of a task: the same rows under other templates. Options do not apply to it."""
    fields = {name: field for name, field in task.fields.items() if name != "options"}
    return replace(
        task, name=task.name + SUFFIX, fields=fields, templates=task.templates + SUFFIX, inverted=True, held_in=False
    )


def with_inversions(tasks: tuple[Task, ...]) -> tuple[Task, ...]:
    """The tasks, each followed by its inverted twin where its submixture has inversions."""
    return tuple(
        made for task in tasks for made in ((task, invert(task)) if SUBMIXTURES[task.submixture].inverted else (task,))
    )
