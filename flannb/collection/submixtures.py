"""The submixtures of Flan 2022 and the settings in which their tasks are rendered; the evaluation suites."""

import re
from dataclasses import dataclass

SETTINGS = ("zs_opt", "zs_noopt", "fs_opt", "fs_noopt")
"""Zero-shot and few-shot, each with and without the answer options in the prompt."""

ALWAYS_OPTIONS = ("zs_opt", "fs_opt")


def is_few_shot(setting: str) -> bool:
    """Whether prompts of a setting show exemplars."""
    return setting.startswith("fs_")


def shows_options(setting: str) -> bool:
    """Whether prompts of a setting show answer options, of tasks that have some."""
    return setting.endswith("_opt")


@dataclass(frozen=True)
class Submixture:
    """A source of tasks.

    Attributes:
        title: as the paper writes it.
        cap: a task's weight inside the submixture is min(cap, number of its rows).
        rate: share of the submixture in Flan 2022, before normalisation; 0 where it belongs to other mixtures only.
        settings: the settings that exist for it. Tasks without answer options use only the ``noopt`` ones where both
            exist.
        inverted: whether input inversion adds tasks (the paper's appendix B).
    """

    title: str
    cap: int
    rate: float
    settings: tuple[str, ...] = SETTINGS
    inverted: bool = False


# Caps and rates are those of the released mixture (github.com/google-research/FLAN, flan/v2). It leaves program
# synthesis out, whose rate the paper does not state; it gets the rate of dialog, the submixture nearest in size.
SUBMIXTURES: dict[str, Submixture] = {
    "flan2021": Submixture("Flan 2021", 30_000, 0.40),
    "t0_sf": Submixture("T0-SF", 20_000, 0.32),
    "super_natural_instructions": Submixture("Super-Natural Instructions", 5_000, 0.20, ALWAYS_OPTIONS),
    "cot": Submixture("Chain-of-Thought", 100_000, 0.05, ALWAYS_OPTIONS, inverted=True),
    "dialog": Submixture("Dialog", 200_000, 0.03, ALWAYS_OPTIONS, inverted=True),
    "program_synthesis": Submixture("Program Synthesis", 100_000, 0.03, ALWAYS_OPTIONS, inverted=True),
    # P3 tasks whose datasets Flan 2021 already has: no part of Flan 2022, but of P3++.
    "p3_flan2021": Submixture("P3 on datasets of Flan 2021", 20_000, 0.0),
    # What ``flannb.extra`` adds: no part of a mixture that does not name it.
    "own": Submixture("Own", 100_000, 0.0),
}

SUITES: dict[str, str] = {
    "held_in": "Held-In",
    "cot": "Chain-of-Thought",
    "mmlu": "MMLU",
    "bbh": "BBH",
    "bbh_cot": "BBH-CoT",
}
"""Evaluation suites: key -> title, in the order of Table 1."""

MORE_SUITES: dict[str, str] = {
    "mmlu_validation": "MMLU (validation)",
    "single_task": "Single-task sets of Table 3",
    "own": "Own sets",
}
"""Suites that are no columns of the paper's Table 1: key -> title. ``own`` has what ``flannb.extra`` adds."""

_ONE_OF_THREE_FILES = re.compile(r"_(?:three|five|seven)_objects$")


def task_of(evaluation_set: str) -> str:
    """The task that an evaluation set belongs to: itself, but for BBH's two tasks of three files each.

    So BBH's 27 files are 23 tasks. Files of one task are averaged first, and a suite's score is the mean over tasks.
    """
    return _ONE_OF_THREE_FILES.sub("", evaluation_set)
