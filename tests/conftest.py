"""A tiny build of a handful of the embedded collection's tasks, which the stages after it share."""

import pytest
from hypothesis import HealthCheck, settings

from flannb.build import BuildOptions, Lengths, Mini, Tokenizer, build_data, open_build
from flannb.collection import tasks

# How long an example takes says more about what else the machine does than about the code.
settings.register_profile("shared machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared machine")

LONGEST = ("notebooks", "end_to_end", "trust", "train", "examples")
"""Folders of the tests that take longest. They come first, so that none is left to one worker while the others wait."""


def pytest_collection_modifyitems(items):
    def place(item):
        folder = item.path.parent.name
        return LONGEST.index(folder) if folder in LONGEST else len(LONGEST)

    items.sort(key=place)


NAMES = ("boolq", "natural_questions", "common_gen", "ni_sense", "ni_day", "gsm8k", "strategyqa", "wiki_dialog", "mbpp")
OPTIONS = BuildOptions(Lengths(128, 48), rows_per_task=20, vocabulary_size=400, seed=0)


@pytest.fixture(scope="session")
def few_tasks():
    """Of every submixture at least one task, with and without options."""
    return tuple(task for task in tasks("mini") if task.name in NAMES)


@pytest.fixture(scope="session")
def build_options():
    return OPTIONS


@pytest.fixture(scope="session")
def build(few_tasks, tmp_path_factory):
    return open_build(build_data(Mini(), few_tasks, OPTIONS, tmp_path_factory.mktemp("build")))


@pytest.fixture(scope="session")
def tokenizer(build):
    return Tokenizer(build.tokenizer_path)
