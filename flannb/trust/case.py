"""Cases: a fault that was injected, and whether flannb survived it."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from flannb import progress
from flannb.errors import printable


class NotSurvived(Exception):
    """What went wrong after a fault."""


class NotHere(Exception):
    """Why this machine cannot inject a fault."""


@dataclass(frozen=True)
class Case:
    """One fault.

    Attributes:
        area: a key of ``flannb.trust.__main__.AREAS``.
        fault: what was done, in words.
        survived: ``None`` where the fault could not be injected here.
        detail: what was seen, or why it was not survived or not tried.
        seconds: that it took.
    """

    area: str
    fault: str
    survived: bool | None
    detail: str
    seconds: float


def tell(case: Case) -> None:
    """Prints a case; where people want quiet, only one that was not survived, and where they want more, its time."""
    if progress.is_quiet() and case.survived is not False:
        return
    verdict = {True: "survived", False: "NOT SURVIVED", None: "not tried"}[case.survived]
    print(printable(f"{case.area}: {case.fault}: {verdict} ({case.detail})"), file=sys.stderr, flush=True)
    if progress.is_verbose():
        progress.say(f"  in {progress.spoken(case.seconds)}")


@dataclass(frozen=True)
class Figure:
    """A measurement: so much of something took so long and so much memory.

    Attributes:
        size: of what was measured, such as a number of rows.
        seconds: of a processor.
        memory: the most resident memory of the process, in MB.
    """

    what: str
    size: int
    seconds: float
    memory: float


@dataclass
class Bench:
    """Where faults are injected.

    Attributes:
        folder: for everything that is made; its contents may be thrown away.
        seed: of the moments, files and bits.
        share: of the full number of faults, at most 1; the short form has less.
        jobs: reproductions side by side.
        say: called with every case.
        only: area and fault of the cases to inject; all by default.
        cases, figures: what was found so far.
    """

    folder: Path
    seed: int
    share: float = 1.0
    jobs: int = 1
    say: Callable[[Case], object] = tell
    only: frozenset[tuple[str, str]] | None = None
    cases: list[Case] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)

    def count(self, whole: int) -> int:
        """So many of ``whole`` faults, one at least."""
        return max(1, round(self.share * whole))

    def inject(self, area: str, fault: str, act: Callable[[], str]) -> None:
        """Runs a case: ``act`` injects the fault and returns what was seen.

        It raises ``NotSurvived`` or any error for a fault that was not survived, and ``NotHere`` for one that this
        machine does not allow.
        """
        if self.only is not None and (area, fault) not in self.only:
            return
        began = time.monotonic()
        survived: bool | None
        try:
            survived, detail = True, act()
        except NotHere as why:
            survived, detail = None, str(why)
        except NotSurvived as error:
            survived, detail = False, str(error)
        except Exception as error:  # whatever a fault brought about is to be seen in the report
            survived, detail = False, f"{type(error).__name__}: {error}"
        detail = detail.replace(f"{self.folder}/", "")  # a report says nothing of the machine
        case = Case(area, fault, survived, detail, time.monotonic() - began)
        self.cases.append(case)
        self.say(case)


def demand(condition: object, otherwise: str) -> None:
    """Raises ``NotSurvived`` unless the condition holds."""
    if not condition:
        raise NotSurvived(otherwise)


def until(condition: Callable[[], object], seconds: float, what: str) -> None:
    """Waits for a condition.

    Raises:
        NotSurvived: it did not come about in time.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        demand(time.monotonic() < deadline, f"{what} did not come about within {seconds:.0f} s")
        time.sleep(0.01)
