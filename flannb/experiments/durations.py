"""How long steps take, from what finished runs have on record, and when all will be done."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import NamedTuple

from flannb.experiments.condition import Condition
from flannb.experiments.step import Step
from flannb.files import MANIFEST
from flannb.progress import spoken

TOLERATED = 0.1
"""Part of the time left that may be guessed without the whole being called a guess."""

LEAST = 0.05
"""Part of a stage that must be done before the rest is reckoned from it."""


class Expected(NamedTuple):
    """Seconds that a step takes; ``guess`` where no step of its kind was timed in this folder of runs."""

    seconds: float
    guess: bool


@dataclass(frozen=True)
class Left:
    """The time left.

    Attributes:
        seconds: until all is done, as far as can be told.
        guess: whether much of it builds on durations of elsewhere.
        untimed: steps of kinds that nobody has timed, which count nothing.
    """

    seconds: float
    guess: bool = False
    untimed: int = 0

    def __str__(self) -> str:
        if self.untimed and not self.seconds:
            return "time left unknown: no step of this kind was timed yet"
        amount = f"{'at least' if self.untimed else 'about'} {spoken(self.seconds)} left"
        reasons = ["a guess, timed elsewhere"] if self.guess else []
        reasons += [f"{self.untimed} {'steps' if self.untimed > 1 else 'step'} not timed yet"] if self.untimed else []
        return f"{amount} ({'; '.join(reasons)})" if reasons else amount


class Durations:
    """What steps took.

    A step is expected to take what the one of its name took, else the mean of those of its kind: trainings of its size,
    evaluations, and so on.

    Args:
        here: the manifests of runs of this folder.
        reports: those of reports, which were made anywhere and have the durations of all that they needed.
    """

    def __init__(self, here: Iterable[Path] = (), reports: Iterable[Path] = ()):
        self._here, self._elsewhere = _Table(), _Table()
        for manifest in _manifests(here):
            self._here.add(manifest)
        for manifest in _manifests(reports):
            self._elsewhere.add(manifest)
            for name, need in _dict(manifest.get("needs")).items():
                self._elsewhere.add({"step": name, **_dict(need)})

    @classmethod
    def at(cls, scale: str, runs: str, reports: str) -> Durations:
        """Those of a scale, in a folder of runs and one of reports."""
        return cls(Path(runs, scale).glob(f"*/**/{MANIFEST}"), Path(reports).glob(f"*/{scale}/{MANIFEST}"))

    def add(self, step: Step, seconds: float) -> None:
        """Adds what a step of this folder of runs has just taken."""
        self._here.add({"step": step.name, "seconds": seconds, "parameters": dict(step.parameters)})

    def expected(self, step: Step) -> Expected | None:
        """The seconds that a step takes from its beginning; None where no step of its kind was timed."""
        size = str(step.parameters.get("size", ""))
        for table, guess in ((self._here, False), (self._elsewhere, True)):
            if (seconds := table.find(step.name, size)) is not None:
                return Expected(seconds, guess)
        return None


class _Table:
    """Seconds by a step's name, and by its kind and size."""

    def __init__(self) -> None:
        self._names: dict[str, float] = {}
        self._kinds: dict[tuple[str, str], list[float]] = defaultdict(list)

    def add(self, manifest: Mapping[str, object]) -> None:
        name, seconds = manifest.get("step"), manifest.get("seconds")
        if isinstance(name, str) and isinstance(seconds, int | float):
            self._names[name] = seconds
            self._kinds[_kind(name), str(_dict(manifest.get("parameters")).get("size", ""))].append(seconds)

    def find(self, name: str, size: str) -> float | None:
        if name in self._names:
            return self._names[name]
        times = self._kinds.get((_kind(name), size))
        return mean(times) if times else None


def _kind(name: str) -> str:
    return name.rsplit("/", 1)[-1]


def _manifests(paths: Iterable[Path]) -> Iterator[Mapping[str, object]]:
    for path in sorted(paths):
        try:
            yield _dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            continue


def _dict(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def time_left(
    steps: Sequence[Step],
    done: Collection[str],
    running: Mapping[str, Condition],
    durations: Durations,
    workers: int,
) -> Left:
    """When steps will be done that run in the order of their needs, so many at a time.

    Args:
        steps: in an order in which they can run.
        done: folders of those that are done.
        running: folder -> condition of those at work.
    """
    ends: dict[str, float] = dict.fromkeys(done, 0.0)
    free = [0.0] * max(1, workers)
    guessed, known, untimed = 0.0, 0.0, 0
    for step in sorted((step for step in steps if step.folder not in done), key=lambda s: s.folder not in running):
        expected = durations.expected(step)
        seconds = expected.seconds if expected else None
        if step.folder in running:
            seconds = _rest(running[step.folder], seconds)
        untimed += seconds is None
        known += seconds or 0.0
        guessed += (seconds or 0.0) if expected and expected.guess else 0.0
        slot = min(range(len(free)), key=free.__getitem__)
        begin = max([free[slot], *(ends.get(need.folder, 0.0) for need in step.needs)])
        free[slot] = ends[step.folder] = begin + (seconds or 0.0)
    return Left(max([*ends.values(), 0.0]), guessed > TOLERATED * known, untimed)


def _rest(condition: Condition, expected: float | None) -> float | None:
    """The seconds that a step at work still needs, from what it takes in all, else from how far its stage has come."""
    spent, progress = condition.seconds or 0.0, condition.progress
    if expected is not None:
        return max(expected - spent, LEAST * expected)
    if progress and progress.total and (progress.done - progress.first) / progress.total > LEAST:
        return (progress.total - progress.done) * (progress.at - progress.since) / (progress.done - progress.first)
    return None
